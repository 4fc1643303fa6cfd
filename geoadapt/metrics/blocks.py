"""Resamples of blocks: which are drawn how often. What two models share, pairs them.

In: how many blocks there are. Out: how often each draw takes each block (draws, blocks).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_blocks", "date_blocks"]

Floats = NDArray[np.float64]


def draw_blocks(count: int, draws: int, seed: int) -> Floats:
    """How often each of ``count`` blocks is drawn (draws, count), with replacement; the same for the same seed."""
    if count == 0:
        return np.zeros((draws, 0))
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)


def date_blocks(times: NDArray[np.datetime64], days: float) -> NDArray[np.intp]:
    """The block (n,) of every date: periods of ``days`` days from the first date on, numbered without gaps."""
    if times.size == 0:
        return np.zeros(0, np.intp)
    since = (times - times.min()) / np.timedelta64(1, "s")
    return np.unique(np.floor(since / (days * 86400)), return_inverse=True)[1].astype(np.intp)
