"""Patterns of real clouds, and how they are pasted onto chips.

In: series with what is clear in them. Out: masks (h, w) of what is to be hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Series

__all__ = ["BINS", "Pool", "coverage_bin", "mask_pool", "paste_mask"]

Bools = NDArray[np.bool_]
Pool = Sequence[Bools]
"""Patterns (h, w) of what is not clear; their sizes may differ."""

BINS = 10


def mask_pool(series: Series | Sequence[Series], *, whole: bool = False, limit: int = 2048) -> Pool:
    """What is not clear on each date, as patterns (h, w); dates without any value are left out.

    A sequence with ``masks`` of its own gives those. Patterns that hide nothing are left out, and with ``whole``
    False those that hide all. At most ``limit`` are taken, evenly, from at most a quarter as many series.
    Raises GeoadaptError where there is none.
    """
    own = getattr(series, "masks", None)
    if own is not None and len(own):
        return own  # type: ignore[no-any-return]
    found: list[Bools] = []
    all_ = [series] if isinstance(series, Series) else series
    for index in np.unique(np.linspace(0, len(all_) - 1, min(len(all_), max(limit // 4, 1))).astype(int)):
        one = all_[index]
        hidden = ~one.clear[np.isfinite(one.values).any((1, 2, 3))]
        share = hidden.mean((1, 2))
        found.extend(np.ascontiguousarray(hidden[k]) for k in np.flatnonzero((share > 0) & ((share < 1) | whole)))
    if not found:
        raise GeoadaptError("masks", f"{len(all_)} series have no date that is partly cloudy", "give masks of others")
    return [found[i] for i in np.linspace(0, len(found) - 1, min(len(found), limit)).astype(int)]


def paste_mask(pool: Pool, shape: tuple[int, int], rng: np.random.Generator) -> Bools:
    """A pattern of the pool on ``shape`` (h, w): turned, flipped and shifted, mirrored beyond its edges."""
    pattern = np.rot90(pool[int(rng.integers(len(pool)))], int(rng.integers(4)))
    pattern = pattern[:, ::-1] if rng.integers(2) else pattern
    for axis, side in enumerate(shape):
        # mirrored by half a chip at either end, so that one of the chip's own size is shifted too
        margin = max((side + 1) // 2, side - pattern.shape[axis])
        start = int(rng.integers(pattern.shape[axis] + 2 * margin - side + 1)) - margin
        pattern = pattern.take(_mirrored(np.arange(start, start + side), pattern.shape[axis]), axis)
    return np.ascontiguousarray(pattern)


def coverage_bin(share: float) -> int:
    """Which of ten equal bins a hidden share lies in; all hidden belongs to the last."""
    return min(int(share * BINS), BINS - 1)


def _mirrored(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    folded = index % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)
