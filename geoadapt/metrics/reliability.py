"""Does a predicted scale say how large the error is? From histograms that add up over chips.

In: per pixel and band the expected absolute error, as a restorer predicts it, and the absolute error that was observed
[reflectance]. Out: sums (…, levels, 4) by level of the predicted scale, least first; reliability, calibration, risk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.metrics import selective

__all__ = [
    "LEVELS",
    "Reliability",
    "aurc",
    "calibration_error",
    "calibration_factor",
    "likelihood_factor",
    "reliability",
    "risk_coverage",
    "scale_histograms",
    "scale_levels",
]

Floats = NDArray[np.float64]

LEVELS = 256
"""Levels of the predicted scale, even in its logarithm: 16 an octave, steps of 4.4 %."""
LOW, OCTAVES = -14, 16
"""They reach from 2⁻¹⁴ = 0.00006 to 2² = 4 [reflectance]; what lies beyond falls into the outermost."""
COUNT, SCALE, ERROR, RATIO = range(4)
"""Sums of a level: pixels, predicted scale, absolute error, error over scale."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Means of pixels whose predicted scale is alike, smallest first."""

    predicted: Floats
    """(bins,) mean predicted absolute error [reflectance]."""
    observed: Floats
    """(bins,) mean absolute error that was observed."""
    count: Floats
    """(bins,) pixels."""


def scale_levels(scale: NDArray[np.floating]) -> NDArray[np.intp]:
    """The level of every scale > 0, from 0 to ``LEVELS`` − 1."""
    found = np.floor((np.log2(scale) - LOW) * (LEVELS / OCTAVES))
    return np.asarray(np.clip(found, 0, LEVELS - 1), np.intp)


def scale_histograms(scale: NDArray[np.floating], error: NDArray[np.floating], asked: NDArray[np.bool_]) -> Floats:
    """Sums by level (…, levels, 4) of arrays (…, h, w): pixels, scale, absolute error, and error over scale.

    Only pixels that are asked for count, and whose scale and error are finite. Raises GeoadaptError for a scale that is
    not above 0, or shapes that differ.
    """
    if not scale.shape == error.shape == asked.shape:
        raise GeoadaptError("reliability", f"shapes {scale.shape}, {error.shape}, {asked.shape}", "expected the same")
    lead = scale.shape[:-2]
    wide, off = scale.astype(np.float64).reshape(-1), np.abs(error.astype(np.float64)).reshape(-1)
    kept = asked.reshape(-1) & np.isfinite(wide) & np.isfinite(off)
    if (wide[kept] <= 0).any():
        raise GeoadaptError("scale", f"is {wide[kept].min():g} somewhere", "an expected absolute error is above 0")
    places = int(np.prod(lead))
    row = np.repeat(np.arange(places), scale.shape[-2] * scale.shape[-1])[kept]
    wide, off = wide[kept], off[kept]
    index = row * LEVELS + scale_levels(wide)
    parts = [np.bincount(index, weights, places * LEVELS) for weights in (None, wide, off, off / wide)]
    return np.stack(parts, axis=-1, dtype=np.float64).reshape(*lead, LEVELS, 4)


def calibration_factor(sums: Floats) -> Floats:
    """What to multiply the scale by (…) so that its mean is the mean absolute error: Σ|e| / Σs; 1 without a pixel."""
    total = sums.sum(axis=-2)
    return _or_one(total[..., ERROR], total[..., SCALE])


def likelihood_factor(sums: Floats) -> Floats:
    """What to multiply a Laplace scale by (…) for the greatest likelihood: the mean of |e| / s; 1 without a pixel.

    The minimum over f of Σ |e| / (f s) + log 2 f s. Pixels of a small scale weigh more than in ``calibration_factor``.
    """
    total = sums.sum(axis=-2)
    return _or_one(total[..., RATIO], total[..., COUNT])


def _or_one(above: Floats, below: Floats) -> Floats:
    known = (below > 0) & (above > 0)
    return np.where(known, above / np.where(known, below, 1), 1.0)


def reliability(sums: Floats, bins: int = 10, factor: float = 1.0) -> Reliability:
    """Predicted against observed error from sums (levels, 4), in at most ``bins`` bins of about as many pixels each.

    A level is never divided. ``factor`` is a calibration that was fitted elsewhere.
    """
    filled = sums[sums[:, COUNT] > 0]
    total = filled[:, COUNT].sum()
    middle = filled[:, COUNT].cumsum() - filled[:, COUNT] / 2
    which = np.minimum((middle / max(total, 1) * bins).astype(np.intp), bins - 1)
    starts = np.flatnonzero(np.diff(which, prepend=-1))
    if starts.size == 0:
        return Reliability(np.zeros(0), np.zeros(0), np.zeros(0))
    merged = np.add.reduceat(filled, starts, axis=0)
    count = merged[:, COUNT]
    return Reliability(factor * merged[:, SCALE] / count, merged[:, ERROR] / count, count)


def calibration_error(sums: Floats, bins: int = 10, factor: float = 1.0) -> float:
    """Expected calibration error [reflectance]: mean over pixels of their bin's |predicted − observed|, or NaN."""
    curve = reliability(sums, bins, factor)
    if curve.count.size == 0:
        return float("nan")
    return float((curve.count * np.abs(curve.predicted - curve.observed)).sum() / curve.count.sum())


def risk_coverage(sums: Floats) -> tuple[Floats, Floats]:
    """Coverage 0–1 and mean absolute error of the pixels of the smallest scales, after each level with a pixel."""
    return selective.risk_coverage(_split(sums))


def aurc(sums: Floats) -> Floats:
    """Area under the risk–coverage curve (…): mean of the mean errors of the surest 1, 2, … all pixels; NaN if none.

    Pixels of one level are tied, and resolved as the mean over their orders. A scale that says nothing has the mean
    absolute error; the least that can be had is the area of the histogram with the errors themselves for a scale.
    """
    return selective.aurc(_split(sums))


def _split(sums: Floats) -> Floats:
    """As ``selective`` takes them: an error e is e of a wrong pixel, and 1 − e of a right one."""
    return np.stack([sums[..., COUNT] - sums[..., ERROR], sums[..., ERROR]], axis=-1)
