"""What the page of a cloud removal run tells, and what its entries are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from geoadapt.training.story import SHARED_NAMES, Story

__all__ = ["DEFINITIONS", "NAMES", "Curve", "RemovalExample", "RemovalStory"]

NAMES = {
    **SHARED_NAMES,
    "temporal_mean": "the mean over time",
    "temporal_median": "the median over time",
    "nearest_clear": "the nearest clear date",
    "linear": "linear interpolation in time",
    "harmonic": "a yearly wave",
    "last_clear": "the last clear date",
    "pmaa": "PMAA from scratch",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalStory(Story):
    """What the page tells; ``metrics`` are ``WHO/METRIC/REGION`` and ``WHO/METRIC/REGION/BAND``."""

    called: ClassVar[Mapping[str, str]] = NAMES
    examples: Sequence[RemovalExample] = ()
    reliability: Curve | None = None
    """Predicted absolute error and the mean error that was found there [reflectance]."""
    risks: Mapping[str, Curve] = field(default_factory=dict)
    """Order of the pixels → share kept and their mean absolute error [reflectance]."""
    blocks: str = ""
    """What is resampled for the intervals, such as ``16 places``."""
    protocol: str = ""
    """Whose 8-bit images were scored too; empty = nobody's."""
