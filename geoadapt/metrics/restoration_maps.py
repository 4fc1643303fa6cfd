"""Structural similarity and spectral angle of restored images, pixel by pixel, where parts of them are unknown.

In: two images (…, c, h, w) [reflectance] and what is known of both. Out: maps, NaN where they are undefined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["angle_map", "ssim_map"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIGMA, REACH = 1.5, 5
"""Of the window, 11 × 11 pixels."""
K1, K2 = 0.01, 0.03


def ssim_map(x: Floats, y: Floats, known: Bools, data_range: float = 1.0) -> Floats:
    """SSIM (…, h, w) around every known pixel (Wang 2004, eq. 13), NaN at the others.

    Gaussian windows of 11 × 11 pixels, σ = 1.5, K = 0.01 and 0.03. A window's weights are normalised over those of its
    pixels that are known and inside the image; where all are, it is the usual SSIM. What stands where nothing is known
    has no part in it.
    """
    weight = _blurred(known.astype(np.float64))
    weight = np.where(known, weight, 1.0)
    held_x, held_y = np.where(known, x, 0.0), np.where(known, y, 0.0)

    def mean(values: Floats) -> Floats:
        return _blurred(values) / weight

    mean_x, mean_y = mean(held_x), mean(held_y)
    var_x, var_y = mean(held_x**2) - mean_x**2, mean(held_y**2) - mean_y**2
    both = mean(held_x * held_y) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    bottom = (mean_x**2 + mean_y**2 + c1) * (np.maximum(var_x, 0) + np.maximum(var_y, 0) + c2)
    return np.where(known, top / bottom, np.nan)


def _blurred(values: Floats) -> Floats:
    for axis in (-2, -1):
        values = np.asarray(gaussian_filter1d(values, SIGMA, axis=axis, mode="constant", radius=REACH))
    return values


def angle_map(x: Floats, y: Floats, known: Bools) -> Floats:
    """Angle between spectra (…, h, w) of two images (…, c, h, w) [degrees]; Kruse 1993, as 2 atan2 for small angles.

    NaN with one band, where a band is unknown, and where either spectrum has no length.
    """
    held_x, held_y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    long_x, long_y = np.linalg.norm(held_x, axis=-3, keepdims=True), np.linalg.norm(held_y, axis=-3, keepdims=True)
    defined = known.all(axis=-3) & (long_x[..., 0, :, :] > 0) & (long_y[..., 0, :, :] > 0) & (x.shape[-3] > 1)
    unit_x, unit_y = held_x / np.where(long_x > 0, long_x, 1), held_y / np.where(long_y > 0, long_y, 1)
    apart, together = np.linalg.norm(unit_x - unit_y, axis=-3), np.linalg.norm(unit_x + unit_y, axis=-3)
    return np.where(defined, np.degrees(2 * np.arctan2(apart, together)), np.nan)
