"""Structural similarity over five scales, as ChaosBench computes it: each field stretched to 0–255 on its own.

In: fields (…, h, w). Out: one similarity per field, 1 = the same structure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from geoadapt.metrics.fields import Fields
from geoadapt.metrics.forecast import mean_of
from geoadapt.metrics.statistics import Totals

__all__ = ["mean_similarity", "ms_ssim", "similarity_sums"]

Floats = NDArray[np.float64]
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales, finest first (Wang 2003)."""
TAPS, SIGMA, RANGE = 11, 1.5, 255.0
C1, C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2


def _stretched(field: Floats) -> Floats:
    field = np.where(np.isnan(field), np.nanmean(field), field)
    low, high = field.min(), field.max()
    return np.zeros_like(field) if high == low else (field - low) / (high - low) * RANGE


def _blurred(field: Floats) -> Floats:
    """By a Gaussian, without the margin that its window leaves; an axis shorter than the window stays as it is."""
    x = np.arange(TAPS) - TAPS // 2
    taps = np.exp(-(x**2) / (2 * SIGMA**2))
    taps /= taps.sum()
    for axis in (0, 1):
        if field.shape[axis] >= TAPS:
            inner = slice(TAPS // 2, field.shape[axis] - TAPS // 2)
            field = np.asarray(correlate1d(field, taps, axis=axis))[(slice(None),) * axis + (inner,)]
    return field


def _halved(field: Floats) -> Floats:
    """Means of 2 × 2 points; an odd axis gets a row of zeros on both sides, the last of which is left over."""
    padded = np.pad(field, [(n % 2, n % 2) for n in field.shape])
    h, w = padded.shape[0] // 2, padded.shape[1] // 2
    return np.asarray(padded[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean(axis=(1, 3)))


def _terms(x: Floats, y: Floats) -> tuple[float, float]:
    """Mean SSIM, and mean of its contrast–structure part."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    structure = (2 * both + C2) / (var_x + var_y + C2)
    full = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1) * structure
    return float(full.mean()), float(structure.mean())


def ms_ssim(forecast: NDArray[np.floating], truth: NDArray[np.floating]) -> Floats:
    """MS-SSIM of every field (…) of two arrays (…, h, w); NaN becomes the field's mean (ChaosBench)."""
    shape = forecast.shape[:-2]
    pairs = zip(forecast.reshape(-1, *forecast.shape[-2:]), truth.reshape(-1, *truth.shape[-2:]), strict=True)
    return np.array([_one(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in pairs]).reshape(shape)


def _one(forecast: Floats, truth: Floats) -> float:
    if np.isnan(forecast).all() or np.isnan(truth).all():
        return float("nan")
    x, y = _stretched(forecast), _stretched(truth)
    found = 1.0
    for scale, weight in enumerate(SCALES):
        full, structure = _terms(x, y)
        last = scale == len(SCALES) - 1
        found *= max(full if last else structure, 0.0) ** weight
        x, y = _halved(x), _halved(y)
    return found


def similarity_sums(fields: Fields) -> dict[str, Floats]:
    """``similarity`` of every date's ensemble mean (b, r, c), of the whole domain only.

    NaN propagates, unless what is missing is known: then it becomes the field's mean.
    """
    b, c = fields.truth.shape[:2]
    found = np.full((b, c), np.nan)
    for date in range(b):
        for channel in range(c):
            pair = [fields.one(v, date, channel) for v in (fields.mean, fields.truth)]
            if not any(np.isnan(v).any() for v in pair):
                found[date, channel] = _one(pair[0], pair[1])
    return {"similarity": fields.whole_only(fields.weigh(found))}


def mean_similarity(totals: Totals) -> Floats:
    """MS-SSIM, the mean over dates: 1 = the same structure, whatever the amplitude (ChaosBench)."""
    return mean_of(totals, "similarity")
