"""The masking protocol of Prithvi's gap filling (Godwin 2024, arXiv 2404.19609): which of three dates hide, and how.

In: clear series of three dates, and masks (h, w) of real clouds. Out: masks (3, h, w); samples, one per hidden date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gap_masks import BINS, Pool, coverage_bin
from geoadapt.fields.series import Sample, Series

__all__ = [
    "MIDDLE",
    "POSITIONS",
    "drawn_masks",
    "equalised",
    "fixed_masks",
    "hls_samples",
    "hls_test",
    "in_range",
    "positions_of",
]

Bools = NDArray[np.bool_]
DATES = 3
POSITIONS = ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2))
"""Hidden dates, one pattern after the other."""
MIDDLE = ((1,),)
CLOUD_RANGE = (0.01, 1.0)


def positions_of(index: int, patterns: Sequence[tuple[int, ...]] = POSITIONS) -> tuple[int, ...]:
    """The dates that chip ``index`` has hidden; ``MIDDLE`` hides the middle one of every chip."""
    return patterns[index % len(patterns)]


def in_range(pool: Pool, cloud_range: tuple[float, float] = CLOUD_RANGE) -> list[int]:
    """Numbers of the masks that hide a share within ``cloud_range``; raises GeoadaptError where there is none."""
    low, high = cloud_range
    chosen = [i for i in range(len(pool)) if low <= float(pool[i].mean()) <= high]
    if not chosen:
        raise GeoadaptError("masks", f"none of {len(pool)} hides {low:g} to {high:g}", "widen the range")
    return chosen


def drawn_masks(
    pool: Pool, index: int, rng: np.random.Generator, patterns: Sequence[tuple[int, ...]] = POSITIONS
) -> Bools:
    """Training: a mask (3, h, w), random clouds on each hidden date of chip ``index``."""
    out = np.zeros((DATES, *pool[0].shape), bool)
    for date in positions_of(index, patterns):
        out[date] = pool[int(rng.integers(len(pool)))]
    return out


def fixed_masks(pool: Pool, index: int, patterns: Sequence[tuple[int, ...]] = POSITIONS) -> Bools:
    """Validation: the same (3, h, w) in every run; a hidden date takes mask number index + date, modulo their count."""
    out = np.zeros((DATES, *pool[0].shape), bool)
    for date in positions_of(index, patterns):
        out[date] = pool[(index + date) % len(pool)]
    return out


def equalised(pool: Pool, seed: int = 0) -> list[int]:
    """Numbers of masks, equally many of each of the ten bins of coverage that any mask is in, in mixed order."""
    rng = np.random.default_rng(seed)
    bins: list[list[int]] = [[] for _ in range(BINS)]
    for number in rng.permutation(len(pool)):
        share = float(pool[int(number)].mean())
        if share > 0:
            bins[coverage_bin(share)].append(int(number))
    filled = [found for found in bins if found]
    if not filled:
        raise GeoadaptError("masks", f"none of {len(pool)} hides anything", "give masks of clouds")
    return [found[k] for k in range(min(map(len, filled))) for found in filled]


def hls_samples(series: Series, masks: Bools) -> list[Sample]:
    """One sample per date that ``masks`` (3, h, w) hide; each hides the others as well, as clouds do.

    Raises GeoadaptError where the masks are not those of the series.
    """
    if masks.shape != series.clear.shape or len(masks) != DATES:
        raise GeoadaptError(series.name, f"masks {masks.shape}, dates {series.clear.shape}", "expected (3, h, w) both")
    samples = []
    for date in np.flatnonzero(masks.any((1, 2))):
        others = masks.copy()
        others[date] = False
        samples.append(Sample(replace(series, clear=series.clear & ~others), int(date), masks[date]))
    return samples


def hls_test(
    series: Sequence[Series], pool: Pool, patterns: Sequence[tuple[int, ...]] = POSITIONS, seed: int = 0
) -> list[Sample]:
    """Samples of all chips: patterns cycle, and masks come equally often from every bin of coverage."""
    chosen = equalised(pool, seed)
    samples = []
    for index in range(len(series)):
        masks = np.zeros((DATES, *pool[0].shape), bool)
        for date in positions_of(index, patterns):
            masks[date] = pool[chosen[(index + date) % len(chosen)]]
        samples.extend(hls_samples(series[index], masks))
    return samples
