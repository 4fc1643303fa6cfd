"""Random fields that look natural: fractal noise, cells around scattered points, and hashed numbers per cell.

In: a canvas and a random generator. Out: float32 fields (h, w). Pure numpy and scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["Canvas", "Floats", "Hashes", "cells", "fractal", "hashed", "uniform"]

Floats = NDArray[np.float32]
Hashes = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Canvas:
    """The ground to paint: pixels, and their size [m]. Noise on it is periodic, so its edges continue each other."""

    height: int
    width: int
    resolution: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.height, self.width

    def coordinates(self) -> tuple[Floats, Floats]:
        """Southward (h, 1) and eastward (1, w) distance from the upper left corner [m]."""
        y = np.arange(self.height, dtype=np.float32)[:, None] * np.float32(self.resolution)
        x = np.arange(self.width, dtype=np.float32)[None, :] * np.float32(self.resolution)
        return y, x


def fractal(
    canvas: Canvas,
    rng: np.random.Generator,
    largest: float,
    slope: float = 2.0,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Floats:
    """Noise (h, w) of zero mean and unit deviation, with structure up to ``largest`` [m] and amplitude ∝ k^−slope.

    ``stretch`` > 1 draws it out along ``angle`` [rad from east, southwards].
    """
    ky = fft.fftfreq(canvas.height, canvas.resolution).astype(np.float32)[:, None]
    kx = fft.rfftfreq(canvas.width, canvas.resolution).astype(np.float32)[None, :]
    along = kx * np.float32(np.cos(angle)) + ky * np.float32(np.sin(angle))
    across = ky * np.float32(np.cos(angle)) - kx * np.float32(np.sin(angle))
    wave = (along * np.float32(stretch)) ** 2 + across**2 + np.float32(1 / largest**2)
    spectrum = rng.standard_normal((2, *wave.shape), dtype=np.float32)
    amplitude = wave ** np.float32(-slope / 2)
    amplitude[0, 0] = 0
    field: Floats = fft.irfft2((spectrum[0] + 1j * spectrum[1]) * amplitude, s=canvas.shape, workers=2)
    return (field / max(float(field.std()), 1e-12)).astype(np.float32, copy=False)


def hashed(*keys: NDArray[np.integer] | int) -> Hashes:
    """A well-mixed 32-bit number for each combination of integer keys."""
    state = np.asarray(0x9E3779B9, np.uint32)
    with np.errstate(over="ignore"):
        for key in keys:
            state = (state ^ np.asarray(key).astype(np.uint32)) * np.uint32(0x85EBCA6B)
            state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
            state = state ^ (state >> np.uint32(16))
    return np.asarray(state, np.uint32)


def uniform(hashes: Hashes, salt: int) -> Floats:
    """Numbers in [0, 1), independent for each salt."""
    return (hashed(hashes, salt) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def cells(y: Floats, x: Floats, size: float, seed: int) -> tuple[Hashes, Floats]:
    """The nearest of scattered points for each place (Worley 1996), as a hash, and the distance to the border [m].

    ``y`` and ``x`` (h, w) [m]; points lie about ``size`` [m] apart.
    """
    row, col = np.floor(y / size).astype(np.int32), np.floor(x / size).astype(np.int32)
    first = np.full(y.shape, np.inf, np.float32)
    second = first.copy()
    owner: Hashes = np.zeros(y.shape, np.uint32)
    low_row, low_col = int(row.min()) - 1, int(col.min()) - 1
    rows, cols = np.mgrid[low_row : int(row.max()) + 2, low_col : int(col.max()) + 2]
    table = hashed(rows, cols, seed)
    point_y = ((rows + uniform(table, 1)) * size).astype(np.float32)
    point_x = ((cols + uniform(table, 2)) * size).astype(np.float32)
    index = (row - low_row) * table.shape[1] + (col - low_col)
    for step in (i * table.shape[1] + j for i in (-1, 0, 1) for j in (-1, 0, 1)):
        at = index + np.int32(step)
        distance = np.hypot(y - point_y.ravel()[at], x - point_x.ravel()[at])
        nearer = distance < first
        np.minimum(second, np.where(nearer, first, distance), out=second)
        owner[nearer] = table.ravel()[at[nearer]]
        np.minimum(first, distance, out=first)
    border: Floats = (second - first) / np.float32(2)
    return owner, border
