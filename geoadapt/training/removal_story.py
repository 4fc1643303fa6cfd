"""What the page of a cloud removal run tells, and what its entries are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["DEFINITIONS", "NAMES", "Curve", "RemovalExample", "RemovalStory"]

NAMES = {
    "test": "this model",
    "temporal_mean": "the mean over time",
    "temporal_median": "the median over time",
    "nearest_clear": "the nearest clear date",
    "linear": "linear interpolation in time",
    "harmonic": "a yearly wave",
    "last_clear": "the last clear date",
    "pmaa": "PMAA from scratch",
    "random_backbone": "the same backbone with random weights",
    "full_finetune": "full fine-tuning",
}
DEFINITIONS = (
    "Hidden pixels are those under clouds whose truth is known, or under clouds pasted on purpose, that are clear on "
    "at least one other date; a pixel that no other date shows is left missing, counted as unknown, and never scored. "
    "All pixels are the image as it is delivered: restored where it was hidden, as it was seen elsewhere. MAE is the "
    "mean of the bands' mean absolute errors, RMSE the root of the mean of their mean squared errors [reflectance]; "
    "PSNR [dB] and SSIM take reflectance with a range of 1, PSNR from the mean squared error of all pixels together; "
    "SAM is the mean angle between the spectra [degrees]."
)
Floats = NDArray[np.floating]
Curve = tuple[Floats, Floats]
"""Places on the x axis (n,), and values there (n,)."""


@dataclass(frozen=True, slots=True)
class RemovalExample:
    """A test sample before and after, each (c, h, w) [reflectance], NaN where unknown."""

    name: str
    note: str
    cloudy: Floats
    restored: Floats
    truth: Floats
    scale: Floats
    """The predicted absolute error."""


@dataclass(frozen=True, slots=True)
class RemovalStory:
    """What the page tells; ``metrics`` are ``WHO/METRIC/REGION`` and ``WHO/METRIC/REGION/BAND``."""

    title: str
    channels: tuple[str, ...]
    entries: Mapping[str, str]
    """WHO → what it is; ``test`` is the model."""
    metrics: Mapping[str, float]
    data: str
    simulated: bool
    command: str
    config: Mapping[str, object]
    curves: Path | None = None
    examples: Sequence[RemovalExample] = ()
    reliability: Curve | None = None
    """Predicted absolute error and the mean error that was found there [reflectance]."""
    risks: Mapping[str, Curve] = field(default_factory=dict)
    """Order of the pixels → share kept and their mean absolute error [reflectance]."""
    places: int = 0
    """Of how many places or chips the intervals are made."""
    level: int = 90
    """Coverage of the intervals [%]."""

    def __post_init__(self) -> None:
        if "test" not in self.entries:
            raise GeoadaptError("page", f"entries {', '.join(self.entries)}", "expected test, the model, among them")

    @property
    def names(self) -> dict[str, str]:
        """WHO → name, the model first."""
        return {who: NAMES.get(who, who) for who in ("test", *(w for w in self.entries if w != "test"))}

    @property
    def controls(self) -> dict[str, str]:
        """WHO → name of everything but the model."""
        return {who: name for who, name in self.names.items() if who != "test"}
