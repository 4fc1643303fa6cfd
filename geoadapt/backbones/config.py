"""Configurations of the backbones; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError

__all__ = ["GalileoConfig", "SmallVitConfig"]


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
        if self.width % self.heads:
            raise GeoadaptError("backbone.width", f"{self.width} is no multiple of {self.heads} heads", "change either")
