"""The masking protocol of Prithvi's gap filling (Godwin 2024, arXiv 2404.19609): which of three dates hide, and how.

In: clear series of three dates, and masks (h, w) of real clouds. Out: masks (3, h, w); samples, one per hidden date.
Series that say ``by_positions`` are hidden so in every run: at random in a fit, always alike in a validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gap_chips import augmented, filled, grown, nearby, owned
from geoadapt.fields.gap_masks import BINS, Pool, coverage_bin
from geoadapt.fields.gaps import GapDraws, SeriesSamples
from geoadapt.fields.series import Sample, Series, series_batch
from geoadapt.fields.types import Batch

__all__ = [
    "MIDDLE",
    "POSITIONS",
    "PositionSamples",
    "by_positions",
    "drawn_chip",
    "drawn_masks",
    "equalised",
    "fixed_chips",
    "fixed_masks",
    "hls_samples",
    "hls_test",
    "positions_of",
]

Bools = NDArray[np.bool_]
DATES = 3
POSITIONS = ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2))
"""Hidden dates, one pattern after the other."""
MIDDLE = ((1,),)
CLOUD_RANGE = (0.01, 1.0)
TRIES = 200
"""Masks or chips that are drawn before there is said to be none."""


def positions_of(index: int, patterns: Sequence[tuple[int, ...]] = POSITIONS) -> tuple[int, ...]:
    """The dates that chip ``index`` has hidden; ``MIDDLE`` hides the middle one of every chip."""
    return patterns[index % len(patterns)]


def drawn_masks(
    pool: Pool, index: int, rng: np.random.Generator, patterns: Sequence[tuple[int, ...]] = POSITIONS
) -> Bools:
    """Training: a mask (3, h, w), random clouds within ``CLOUD_RANGE`` on each hidden date of chip ``index``.

    Raises GeoadaptError where no such clouds are found.
    """
    out = np.zeros((DATES, *pool[0].shape), bool)
    for date in positions_of(index, patterns):
        out[date] = _cloudy(pool, rng)
    return out


def _cloudy(pool: Pool, rng: np.random.Generator) -> Bools:
    """A random mask within the range; of thousands of files not all are read to know which are."""
    low, high = CLOUD_RANGE
    for _ in range(TRIES):
        mask = pool[int(rng.integers(len(pool)))]
        if low <= float(mask.mean()) <= high:
            return mask
    raise GeoadaptError("masks", f"none of {TRIES} that were drawn hides {low:g} to {high:g}", "give others")


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


def by_positions(series: Sequence[Series]) -> bool:
    """Whether these series are hidden as their makers publish it: dates by pattern, several at once."""
    return bool(getattr(series, "by_positions", False))


def drawn_chip(series: Sequence[Series], pool: Pool, draws: GapDraws, key: tuple[int, int]) -> Sample:
    """Training: the chip that a seed and a number give, hidden by the number's pattern; one hidden date is asked for.

    Raises GeoadaptError where many places were tried and nothing can be hidden at any.
    """
    rng = np.random.default_rng(key)
    for _ in range(TRIES):
        one = series[int(rng.integers(len(series)))]
        samples = hls_samples(one, drawn_masks(pool, key[1], rng))
        row, col = (int(rng.integers(max(side - draws.chip, 0) + 1)) for side in one.clear.shape[1:])
        cut = _cut(samples[int(rng.integers(len(samples)))], row, col, draws.chip, draws.frames)
        if cut is not None:
            return augmented(cut, draws.gain, rng) if draws.turn else cut
    raise GeoadaptError("data", f"no chip of {draws.chip} px could be hidden in {TRIES} tries", "give more masks")


def fixed_chips(series: Sequence[Series], pool: Pool, chip: int, frames: int = 0) -> Iterator[Sample]:
    """Validation: one chip of every series, from all its places in turn, for every date that ``fixed_masks`` hide."""
    for index in range(len(series)):
        one = series[index]
        rows, cols = (range(0, max(side - chip, 0) + 1, chip) for side in one.clear.shape[1:])
        row, col = rows[index % len(rows)], cols[index // len(rows) % len(cols)]
        cuts = (_cut(sample, row, col, chip, frames) for sample in hls_samples(one, fixed_masks(pool, index)))
        yield from (owned(cut) for cut in cuts if cut is not None)


def _cut(sample: Sample, row: int, col: int, chip: int, frames: int) -> Sample | None:
    """A chip of a sample of a whole series; None where nothing is asked for in it."""
    rows, cols = slice(row, row + chip), slice(col, col + chip)
    hidden = sample.hidden[rows, cols]
    part = sample.series.part(rows=rows, cols=cols)
    if not (hidden & part.clear[sample.target]).any():
        return None
    part, target = nearby(part, sample.target, frames)
    return Sample(filled(part, chip), target, grown(hidden, chip, False), row, col)


class PositionSamples(SeriesSamples):
    """Batches of a fit as ``SeriesSamples`` gives them, hidden as the protocol says."""

    def __getitem__(self, index: int) -> Batch:
        """The share of this process."""
        if not 0 <= index < self.steps:
            raise IndexError(index)
        numbers = range(index * self.batch + self.rank, (index + 1) * self.batch, self.world)
        return series_batch([drawn_chip(self.data, self.pool, self.draws, (self.seed, k)) for k in numbers])
