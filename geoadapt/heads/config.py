"""Configurations of the heads; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError, nearest

__all__ = [
    "FcnConfig",
    "ImageConfig",
    "LinearConfig",
    "MaeDecoderConfig",
    "PooledConfig",
    "RemovalConfig",
    "ResidualConfig",
    "UnetConfig",
    "UpernetConfig",
]

STARTS = ("linear", "random")
SCALINGS = ("reflectance", "sample")


@dataclass
class LinearConfig:
    """One linear map from the deepest features to the patch's pixels."""

    name: str = "linear"


@dataclass
class PooledConfig:
    """One linear map from the deepest features' mean: classes, labels or a value of whole samples."""

    name: str = "pooled"
    norm: bool = True
    """Whether a LayerNorm comes before it."""
    dropout: float = 0.0
    start: str = "linear"
    """``linear``: the fit begins with the linear model of the features as they are, its penalty by cross-validation;
    ``random``: with a head that knows nothing."""

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise GeoadaptError("head.start", f"'{self.start}'", nearest(self.start, STARTS))
        if not 0 <= self.dropout < 1:
            raise GeoadaptError("head.dropout", f"{self.dropout}", "choose 0 or more and less than 1")


@dataclass
class FcnConfig:
    """Convolutions on the deepest features, upsampled."""

    name: str = "fcn"
    width: int = 64
    layers: int = 2

    def __post_init__(self) -> None:
        _at_least("head.width", self.width, 1)
        _at_least("head.layers", self.layers, 0)


@dataclass
class UnetConfig:
    """A decoder over a pyramid made from the backbone's features, with the image itself as the finest level."""

    name: str = "unet"
    width: int = 32
    image_skip: bool = True
    """Feed the input's pixels to the finest level: a patch of 4 px is coarser than a cloud's edge."""

    def __post_init__(self) -> None:
        _at_least("head.width", self.width, 1)


@dataclass
class UpernetConfig:
    """Context pooled from the deepest map, and a pyramid fused from coarse to fine."""

    name: str = "upernet"
    width: int = 32

    def __post_init__(self) -> None:
        _at_least("head.width", self.width, 1)


@dataclass
class RemovalConfig:
    """A composite of the other dates and a correction of it, with the scale of what error is left."""

    name: str = "removal"
    width: int = 32

    def __post_init__(self) -> None:
        _at_least("head.width", self.width, 1)


@dataclass
class ResidualConfig:
    """A composite of the other dates, and what one layer on a backbone's finest map adds to it, with its scale."""

    name: str = "residual"


@dataclass
class ImageConfig:
    """The whole image from the backbone's finest map by one layer, as generators end; one scale per band."""

    name: str = "image"
    scaling: str = "reflectance"
    """What −1 to 1 mean, as in the backbone: ``reflectance`` 0–1, or the ``sample``'s own mean ± 3 deviations."""

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise GeoadaptError("head.scaling", f"'{self.scaling}'", nearest(self.scaling, SCALINGS))


@dataclass
class MaeDecoderConfig:
    """Prithvi-EO's own decoder: the whole image from the tokens that no cloud touches, with its scale."""

    name: str = "mae_decoder"


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise GeoadaptError(key, f"{value}", f"choose {least} or more")
