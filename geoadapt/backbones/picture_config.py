"""Configurations of the encoders of pictures, alone and in an ensemble; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["EosFmConfig", "PictureConfig"]


@dataclass
class PictureConfig:
    """An encoder of pictures (DINOv2, DINOv3, ConvNeXt, ConvNeXt V2, ResNet), frozen; ``name`` chooses which."""

    name: str = "dinov2_small"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS, then on the hub."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0
    bands: str = "rgb"
    """``rgb`` reads red, green and blue alone; the others give all ``channels`` kernels made from those of the three.

    ``repeat`` takes these in turns, ``mean`` their mean; ``new`` keeps those of red, green and blue and gives each
    other channel one of its own, which starts as their mean and is trained.
    """
    channels: tuple[str, ...] = ()
    """What is read where ``bands`` is not ``rgb``."""
    white: float = 0.3
    """The reflectance that is shown as a picture's 1; red, green and blue are cut off there."""
    widths: tuple[int, ...] = ()
    """Of each stage, or the one of a transformer; empty here and below = as published."""
    depths: tuple[int, ...] = ()
    heads: int | None = None

    def __post_init__(self) -> None:
        known = ("rgb", "mean", "repeat", "new")
        if self.bands not in known:
            raise GeoadaptError("backbone.bands", f"'{self.bands}'", nearest(self.bands, known))
        if len(set(self.channels)) < len(self.channels):
            raise GeoadaptError("backbone.channels", f"{list(self.channels)}", "name each once")
        if not self.white > 0:
            raise GeoadaptError("backbone.white", f"{self.white}", "choose a positive reflectance, such as 0.3")


@dataclass
class EosFmConfig:
    """EoS-FM (arXiv 2511.21523): frozen specialists of different data, whose features are put together."""

    name: str = "eosfm"
    weights: str | None = None
    """A folder or file; None looks in GEOADAPT_WEIGHTS. The released ones are licensed CC BY-NC-SA 4.0."""
    random_weights: bool = False
    """The control: the same architecture with weights drawn from ``seed``."""
    seed: int = 0
    channels: tuple[str, ...] = ("red", "green", "blue")
    """What the data have; the specialists that can read it are run."""
    specialists: tuple[str, ...] = ()
    """Which ones; empty = all that can read the data."""
    reads: dict[str, list[str]] = field(default_factory=dict)
    """Specialist → its channels in order, where geoadapt does not know them or others are to stand in."""
    selection: str = "none"
    """``topk`` and ``smooth`` as released, ``straight_through`` to learn which ``keep`` specialists to take."""
    keep: int = 0
    """How many specialists are let through; 0 = all."""
    scaled: bool = False
    """Whether ``topk`` and ``smooth`` multiply with the weight itself."""
    project: bool = False
    """Whether each specialist's maps go through a convolution of one pixel that is trained."""
    fusion: str = "none"
    """``none`` puts maps behind each other, ``conv1x1`` or ``mlp`` mix them; ``addition``, ``multiplication``."""
    multiple: float = 1.0
    """Width of mixed maps over that of a specialist's."""
    widths: tuple[int, ...] = ()
    """Of each stage of a specialist; empty here and below = as published."""
    depths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        choices = {
            "selection": ("none", "topk", "smooth", "straight_through"),
            "fusion": ("none", "conv1x1", "mlp", "addition", "multiplication"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise GeoadaptError(f"backbone.{name}", f"'{getattr(self, name)}'", nearest(getattr(self, name), known))
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise GeoadaptError("backbone.channels", f"{list(self.channels)}", "name one or more, each once")
        if self.keep < 0:
            raise GeoadaptError("backbone.keep", f"{self.keep}", "choose 1 or more, or 0 for all")
        if not self.multiple > 0:
            raise GeoadaptError("backbone.multiple", f"{self.multiple}", "choose a positive number")
        if self.scaled and self.selection == "straight_through":
            raise GeoadaptError("backbone.scaled", "does not go with straight_through", "set it to false")
