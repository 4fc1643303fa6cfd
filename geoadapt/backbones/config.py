"""Configurations of the backbones; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError, nearest

__all__ = [
    "DL_L8S2_UV_CHANNELS",
    "DlL8s2UvConfig",
    "GalileoConfig",
    "PmaaConfig",
    "PrestoConfig",
    "PrithviEoConfig",
    "SmallEoConfig",
    "SmallSeriesConfig",
    "SmallWxConfig",
    "SpaGanConfig",
]


RESPONSES = ("none", "adjust")


def check_response(value: str) -> None:
    """Raise where ``backbone.response`` is unknown."""
    if value not in RESPONSES:
        raise GeoadaptError("backbone.response", f"'{value}'", nearest(value, RESPONSES))


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
    response: str = "none"
    """``adjust`` brings what another sensor saw to the bands of the pre-training; ``none`` takes it as it is."""

    def __post_init__(self) -> None:
        check_response(self.response)
        if self.resolution < 0:
            raise GeoadaptError("backbone.resolution", f"{self.resolution} m", "choose 0 or more")
        if not 1 <= self.patch_size <= 32:
            raise GeoadaptError("backbone.patch_size", f"{self.patch_size} px", "choose 1 to 8")
        if self.window < 0:
            raise GeoadaptError("backbone.window", f"{self.window} patches", "choose 0 or more")


@dataclass
class PrestoConfig:
    """Presto (Tseng 2023): a frozen encoder of each pixel's own monthly series, from several sensors."""

    name: str = "presto"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0
    location: bool = True
    """Whether the encoder is told latitude and longitude, where they are known; in its pre-training it always was."""
    pixels: int = 4096
    """How many pixels are computed at a time; it bounds the memory and changes nothing else."""
    stride: int = 1
    """Of every square of so many pixels a side only the middle one is encoded, at the square of that less time: enough
    for what is asked of whole images."""
    response: str = "none"
    """``adjust`` brings what another sensor saw to the bands of the pre-training; ``none`` takes it as it is."""

    def __post_init__(self) -> None:
        check_response(self.response)
        if self.pixels < 1:
            raise GeoadaptError("backbone.pixels", f"{self.pixels}", "choose 1 or more, such as 4096")
        if self.stride < 1:
            raise GeoadaptError("backbone.stride", f"{self.stride}", "choose 1 for every pixel, or more")


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
    response: str = "none"
    """``adjust`` brings what another sensor saw to the bands of the pre-training; ``none`` takes it as it is."""

    def __post_init__(self) -> None:
        check_response(self.response)
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
    norm_taps: bool = False
    """Whether every map goes through the norm after the last block; as published only the last one does."""
    patch_size: int | None = None
    """[px]; public kernels are resampled. None here and below = as published."""
    window: int = 0
    """Attention runs in squares of this many patches, each encoded like an image; 0 = over the whole input."""
    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    eps: float = 1e-5
    """Of the layer norms."""
    response: str = "none"
    """``adjust`` brings what another sensor saw to the bands of the pre-training; ``none`` takes it as it is."""

    def __post_init__(self) -> None:
        check_response(self.response)
        sizes = ("patch_size", "width", "depth", "heads", "decoder_width", "decoder_depth", "decoder_heads")
        for name in sizes:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise GeoadaptError(f"backbone.{name}", f"{value}", "choose 1 or more")
        if self.window < 0:
            raise GeoadaptError("backbone.window", f"{self.window} patches", "choose 0 or more")
        if self.missing not in ("mean", "zero"):
            raise GeoadaptError("backbone.missing", f"'{self.missing}'", nearest(self.missing, ("mean", "zero")))
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise GeoadaptError("backbone.channels", f"{list(self.channels)}", "name one or more, each once")
        if not self.eps > 0:
            raise GeoadaptError("backbone.eps", f"{self.eps}", "choose a positive number, such as 1e-5")


@dataclass
class SmallEoConfig(PrithviEoConfig):
    """A small one of Prithvi-EO's family, pre-trained by geoadapt; its weights ship with the package."""

    name: str = "small_eo"
    window: int = 8
    norm_taps: bool = True
    decoder_width: int = 96
    decoder_depth: int = 2
    decoder_heads: int = 6


@dataclass
class SmallSeriesConfig:
    """A small network of series, pre-trained by geoadapt to see through clouds; its weights ship with the package."""

    name: str = "small_series"
    weights: str | None = None
    """A folder or file; None takes the one that ships."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0


@dataclass
class SmallWxConfig:
    """A small weather backbone of our own: any variables and levels, any regular grid of latitude and longitude."""

    name: str = "small_wx"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS, then among what ships."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0
    patch_size: int = 1
    """Side of the squares of cells that are averaged into a token; larger for fine grids."""
    width: int = 64
    depth: int = 8
    kernel: int = 5
    """Side of the convolutions [cells], odd."""
    attend_every: int = 4
    """Each so-manieth block attends along rows and columns as well."""
    heads: int = 4
    """Half of them look along the row, half along the column."""
    waves: int = 8
    """Waves of latitude and longitude that tell the place: up to so many around the globe."""
    code: int = 64
    """Width of the network that makes a channel's kernels from its name."""
    drop_path: float = 0.0
    """Chance that a sample skips a branch, in training only."""

    def __post_init__(self) -> None:
        for name in ("patch_size", "width", "depth", "attend_every", "heads", "waves", "code"):
            if getattr(self, name) < 1:
                raise GeoadaptError(f"backbone.{name}", f"{getattr(self, name)}", "choose 1 or more")
        if self.width % self.heads or self.heads % 2:
            raise GeoadaptError("backbone.heads", f"{self.heads} for a width of {self.width}", "choose an even divisor")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise GeoadaptError("backbone.kernel", f"{self.kernel}", "choose an odd number")
        if not 0 <= self.drop_path < 1:
            raise GeoadaptError("backbone.drop_path", f"{self.drop_path}", "choose 0 or more and less than 1")


@dataclass
class PmaaConfig:
    """PMAA (Zou 2023): three cloudy dates of a place to one image without clouds."""

    name: str = "pmaa"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS."""
    random_weights: bool = False
    """Weights drawn from ``seed``: to train it from scratch, and as a control."""
    seed: int = 0
    channels: tuple[str, ...] = ("red", "green", "blue", "nir")
    """What it takes, in this order."""
    outputs: tuple[str, ...] = ()
    """What it gives, of these; empty = all. Published: all four, or red, green and blue."""
    width: int = 32
    norm: str = "instance"
    """``instance`` as in the published weights, or ``batch`` as the published class is written."""
    fusion: str = "upstream"
    """The way up starts from the coarsest level with ``coarse``, as in the paper; ``upstream`` never reads that one."""
    features: str = "fused"
    """As a backbone it gives one map of all three ``fused``, or a map for each of any number of ``dates``."""
    scaling: str = "reflectance"
    """What −1 to 1 mean: ``reflectance`` 0–1 as published, or the ``sample``'s own mean ± 3 deviations by channel."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise GeoadaptError("backbone.width", f"{self.width}", "choose 1 or more")
        choices = {"norm": ("instance", "batch"), "fusion": ("upstream", "coarse"), "features": ("fused", "dates")}
        choices["scaling"] = ("reflectance", "sample")
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise GeoadaptError(f"backbone.{name}", f"'{getattr(self, name)}'", nearest(getattr(self, name), known))
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise GeoadaptError("backbone.channels", f"{list(self.channels)}", "name one or more, each once")
        unknown = [name for name in self.outputs if name not in self.channels]
        if unknown or len(set(self.outputs)) < len(self.outputs):
            raise GeoadaptError(
                "backbone.outputs", f"{list(self.outputs)}", f"name some of {list(self.channels)}, each once"
            )


@dataclass
class SpaGanConfig:
    """SpA-GAN (Pan 2020): a single image without its clouds, in three visible bands."""

    name: str = "spagan"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0
    variant: str = "RICE2"
    """What it was trained on: ``RICE1`` thin haze, ``RICE2`` thick clouds."""
    white: float = 0.3
    """The reflectance that it is shown as 1; brighter is cut off. Its training images were pictures of 8 bits."""
    order: str = "bgr"
    """In which order it is given the bands: ``bgr`` as it was trained, or ``rgb``."""

    def __post_init__(self) -> None:
        for name, known in {"variant": ("RICE1", "RICE2"), "order": ("bgr", "rgb")}.items():
            if getattr(self, name) not in known:
                raise GeoadaptError(f"backbone.{name}", f"'{getattr(self, name)}'", nearest(getattr(self, name), known))
        if not self.white > 0:
            raise GeoadaptError("backbone.white", f"{self.white}", "choose a positive reflectance, such as 0.3")
