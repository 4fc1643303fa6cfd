"""Does a measure of doubt find the errors? Risk over coverage, and the area below it, from histograms that add up.

In: per pixel a doubt and whether the label is wrong. Out: counts (…, levels, 2) of right and wrong pixels by level of
doubt, least first; the share that is wrong among the least doubtful pixels, at every coverage.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from geoadapt.cubes.classes import NODATA

__all__ = ["LEVELS", "aurc", "block_histograms", "levels", "least_aurc", "risk_coverage"]

LEVELS = 250
"""Levels of doubt: enough that ties hardly matter, few enough for a byte."""
OCTAVES = 20
"""The levels are even in the logarithm from 2⁻²⁰ to 1: most pixels of a sure model lie close to 0."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def levels(doubts: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The level of every doubt 0 to 1, from 0 to ``LEVELS`` − 1; 255 for NaN."""
    with np.errstate(divide="ignore"):
        octaves = np.log2(doubts) + OCTAVES
    found = np.clip(np.floor(octaves * (LEVELS / OCTAVES)), 0, LEVELS - 1)
    return np.where(np.isnan(doubts), np.float32(NODATA), found).astype(np.uint8)


def block_histograms(
    found: NDArray[np.uint8], wrong: NDArray[np.bool_], asked: NDArray[np.bool_], block: int
) -> Counts:
    """Right and wrong pixels by level (n, levels, 2), for each square block with a pixel that is asked for."""
    made = []
    for row in range(0, found.shape[0], block):
        for col in range(0, found.shape[1], block):
            part = np.s_[row : row + block, col : col + block]
            inside = asked[part]
            if inside.any():
                index = found[part][inside].astype(np.intp) * 2 + wrong[part][inside]
                made.append(np.bincount(index, minlength=2 * LEVELS).reshape(LEVELS, 2))
    return np.stack(made) if made else np.zeros((0, LEVELS, 2), np.int64)


def aurc(counts: NDArray[np.number]) -> Floats:
    """Area under the risk–coverage curve (…), the mean of the risks at 1, 2, … all pixels; pixels of a level are tied.

    Ties are resolved exactly, as the mean over the orders of their expected errors. NaN without a pixel.
    """
    amounts = counts.astype(np.float64)
    size, errors = amounts.sum(axis=-1), amounts[..., 1]
    total, missed = size.cumsum(axis=-1), errors.cumsum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(size > 0, errors / size, 0)
        # Σ (E + r m) / (N + m) over the m-th pixel of a level, with E errors among the N pixels before it.
        harmonic = digamma(total + 1) - digamma(total - size + 1)
        areas = errors + (missed - errors - rate * (total - size)) * harmonic
        return np.asarray(areas.sum(axis=-1) / total[..., -1])


def least_aurc(counts: NDArray[np.number]) -> Floats:
    """The area (…) that is left where every wrong pixel is more doubtful than every right one."""
    pair = counts.sum(axis=-2)
    return aurc(pair[..., None] * np.eye(2))


def risk_coverage(counts: NDArray[np.number]) -> tuple[Floats, Floats]:
    """Coverage and risk after each level with a pixel, from counts (levels, 2)."""
    filled = counts[counts.sum(axis=-1) > 0].astype(np.float64)
    total = filled.sum(axis=-1).cumsum()
    return total / max(total[-1:].sum(), 1), filled[:, 1].cumsum() / np.maximum(total, 1)
