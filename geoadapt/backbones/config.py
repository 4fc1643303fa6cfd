"""Configurations of the backbones; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["DL_L8S2_UV_CHANNELS", "DlL8s2UvConfig", "GalileoConfig", "PrithviEoConfig", "SmallVitConfig"]


@dataclass
class GalileoConfig:
    """Galileo (Tseng 2025): a frozen multi-sensor encoder; ``name`` chooses nano, tiny or base."""

    name: str = "galileo_nano"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS, then on the hub."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0
    patch_size: int = 4
    """[px], chosen at run time, 1–8."""
    window: int = 8
    """Attention runs in squares of this many patches; 0 = over the whole input."""
    resolution: float = 10.0
    """Ground resolution that the position encoding is told [m]; 0 takes the input's own."""
    location: bool = False
    """Whether the encoder is told latitude and longitude, where they are known."""

    def __post_init__(self) -> None:
        if not 1 <= self.patch_size <= 32:
            raise GeoadaptError("backbone.patch_size", f"{self.patch_size} px", "choose 1 to 8")
        if self.window < 0:
            raise GeoadaptError("backbone.window", f"{self.window} patches", "choose 0 or more")


@dataclass
class SmallVitConfig:
    """A small plain vision transformer of our own, pre-trained in the run that uses it."""

    name: str = "small_vit"
    weights: str | None = None
    random_weights: bool = False
    seed: int = 0
    channels: tuple[str, ...] = ("blue", "green", "red", "nir", "swir16", "swir22")
    patch_size: int = 4
    width: int = 96
    depth: int = 4
    heads: int = 4
    window: int = 8

    def __post_init__(self) -> None:
        for name, least in (("patch_size", 1), ("width", 1), ("depth", 1), ("heads", 1), ("window", 0)):
            if getattr(self, name) < least:
                raise GeoadaptError(f"backbone.{name}", f"{getattr(self, name)}", f"choose {least} or more")
        if self.width % self.heads:
            raise GeoadaptError("backbone.width", f"{self.width} is no multiple of {self.heads} heads", "change either")


DL_L8S2_UV_CHANNELS: dict[str, tuple[str, ...]] = {
    "RGBI6": ("blue", "green", "red", "nir"),
    "RGBISWIR7": ("blue", "green", "red", "nir", "swir16", "swir22"),
}
"""Variant → its channels in order."""


@dataclass
class DlL8s2UvConfig:
    """dl_l8s2_uv (López-Puigdollers 2021): a frozen convolutional cloud U-Net, trained on Landsat-8."""

    name: str = "dl_l8s2_uv"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS."""
    random_weights: bool = False
    seed: int = 0
    variant: str = "RGBISWIR7"
    """``RGBISWIR7``, or ``RGBI6`` for data without short-wave infrared."""

    def __post_init__(self) -> None:
        if self.variant not in DL_L8S2_UV_CHANNELS:
            raise GeoadaptError(
                "backbone.variant", f"'{self.variant}' is unknown", nearest(self.variant, DL_L8S2_UV_CHANNELS)
            )


@dataclass
class PrithviEoConfig:
    """Prithvi-EO (Jakubik 2023, Szwarcman 2024): a frozen encoder of HLS time series; ``name`` chooses the variant."""

    name: str = "prithvi_eo_v2_tiny_tl"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS, then on the hub."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0
    channels: tuple[str, ...] = ("blue", "green", "red", "nir08", "swir16", "swir22")
    """New ones start as the mean of the pre-trained ones and are trainable; ``nir`` and ``nir08`` are one."""
    times: bool = True
    """Whether a TL variant is told the dates, where they are known."""
    location: bool = True
    """Whether a TL variant is told latitude and longitude, where they are known."""
    missing: str = "mean"
    """What stands for a missing value: ``mean`` of the pre-training, or ``zero`` reflectance."""
    taps: tuple[int, ...] = ()
    """Numbers of the blocks, from 1, that give a map each; empty = four evenly spaced ones."""
    patch_size: int | None = None
    """[px]; public kernels are resampled. None here and below = as published."""
    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    eps: float = 1e-5
    """Of the layer norms."""

    def __post_init__(self) -> None:
        sizes = ("patch_size", "width", "depth", "heads", "decoder_width", "decoder_depth", "decoder_heads")
        for name in sizes:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise GeoadaptError(f"backbone.{name}", f"{value}", "choose 1 or more")
        if self.missing not in ("mean", "zero"):
            raise GeoadaptError("backbone.missing", f"'{self.missing}'", nearest(self.missing, ("mean", "zero")))
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise GeoadaptError("backbone.channels", f"{list(self.channels)}", "name one or more, each once")
        if not self.eps > 0:
            raise GeoadaptError("backbone.eps", f"{self.eps}", "choose a positive number, such as 1e-5")
