"""Gaps pasted into clear images: real cloud patterns of other dates hide pixels whose values are known.

In: series with what is clear in them, and a pool of patterns. Out: samples and batches of one chip size. Where a truth
is known, as in simulations and pairs, nothing is pasted: the clouds themselves hide what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gap_chips import augmented, filled, grown, nearby, owned
from geoadapt.fields.gap_masks import BINS, Pool, coverage_bin, mask_pool, paste_mask
from geoadapt.fields.series import Sample, Series, series_batch
from geoadapt.fields.types import Batch

__all__ = [
    "BINS",
    "COVERAGE",
    "GapDraws",
    "Pool",
    "SampleBatches",
    "SeriesSamples",
    "coverage_bin",
    "draw_samples",
    "iter_samples",
    "mask_pool",
    "nearby",
    "paste_mask",
    "test_samples",
    "val_batches",
]

Bools = NDArray[np.bool_]
COVERAGE = (0.05, 0.95)
"""Share of a chip's clear pixels that is hidden."""
CLEAR = 0.1
TRIES = 24
"""Patterns that are tried on one chip."""
PLACES = 200
"""Dates and places that are tried before the data are said to have none."""


@dataclass(frozen=True, slots=True)
class GapDraws:
    """How samples are drawn."""

    chip: int = 64
    """[px]; smaller series are filled up with missing pixels."""
    coverage: tuple[float, float] = COVERAGE
    """Least and largest share of a chip's clear pixels that is hidden; with a truth only the least counts."""
    frames: int = 0
    """At most so many dates, those nearest to the target's; 0 = all."""
    clear: float = CLEAR
    """Least share of a chip's target date that must be clear before something is pasted over it."""
    gain: float = 0.0
    """Standard deviation of the logarithm of a gain per band; a fit also turns and flips, a test does neither."""
    turn: bool = False

    def __post_init__(self) -> None:
        low, high = self.coverage
        if not 0 <= low < high <= 1:
            raise GeoadaptError("coverage", f"{self.coverage}", "choose 0 ≤ low < high ≤ 1")
        if self.chip < 1 or self.frames < 0:
            raise GeoadaptError("chip, frames", f"{self.chip} px, {self.frames} dates", "choose 1 px or more, 0 = all")


def draw_samples(
    series: Sequence[Series],
    pool: Pool,
    count: int,
    chip: int,
    seed: int,
    coverage: tuple[float, float] = COVERAGE,
    *,
    frames: int = 0,
    clear: float = CLEAR,
) -> list[Sample]:
    """``count`` samples at random dates and places, the hidden shares spread evenly over the ten bins.

    Raises GeoadaptError where many places were tried and nothing can be hidden at any.
    """
    draws = GapDraws(chip, coverage, frames, clear)
    return [_kept(_drawn(series, pool, draws, (seed, k)), series) for k in range(count)]


def iter_samples(
    series: Sequence[Series],
    pool: Pool,
    chip: int,
    seed: int,
    per_series: int = 0,
    coverage: tuple[float, float] = COVERAGE,
    *,
    frames: int = 0,
    clear: float = CLEAR,
) -> Iterator[Sample]:
    """Fixed samples for a test, one series in memory at a time: every chip position once on every date that can be.

    The first of a series are its positions once each, on dates that change from one to the next; ``per_series``
    stops after so many, 0 takes all.
    """
    draws = GapDraws(chip, coverage, frames, clear)
    for number in range(len(series)):
        for sample in islice(_all_of(series[number], pool, draws, (seed, number)), per_series or None):
            yield _kept(sample, series)


def test_samples(
    series: Sequence[Series],
    pool: Pool,
    chip: int,
    seed: int,
    per_series: int = 0,
    coverage: tuple[float, float] = COVERAGE,
    *,
    frames: int = 0,
    clear: float = CLEAR,
) -> list[Sample]:
    """The samples of ``iter_samples``, all in memory; raises GeoadaptError where there is none."""
    samples = list(iter_samples(series, pool, chip, seed, per_series, coverage, frames=frames, clear=clear))
    if not samples:
        raise _none(len(series), GapDraws(chip, coverage))
    return samples


# pytest would take it for a test where it is imported
test_samples.__test__ = False  # type: ignore[attr-defined]


class SeriesSamples(Dataset[Batch]):
    """Batch ``i`` of a fit: ``batch`` samples drawn from the seed and ``i`` alone, so that a fit resumes anywhere.

    Process ``rank`` of ``world`` draws every ``world``-th sample of each batch. Raises GeoadaptError where a batch
    cannot be shared evenly.
    """

    def __init__(
        self,
        data: Sequence[Series],
        pool: Pool,
        steps: int,
        batch: int,
        chip: int,
        seed: int,
        *,
        draws: GapDraws | None = None,
        world: int = 1,
        rank: int = 0,
    ) -> None:
        if batch % world:
            raise GeoadaptError("train.batch", f"{batch} samples, {world} processes", f"choose a multiple of {world}")
        self.data, self.pool, self.steps, self.batch, self.seed = data, pool, steps, batch, seed
        self.draws = replace(draws or GapDraws(gain=0.1, turn=True), chip=chip)
        self.world, self.rank = world, rank

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Batch:
        """The share of this process."""
        if not 0 <= index < self.steps:
            raise IndexError(index)
        numbers = range(index * self.batch + self.rank, (index + 1) * self.batch, self.world)
        return series_batch([_drawn(self.data, self.pool, self.draws, (self.seed, k)) for k in numbers])


class SampleBatches(Dataset[Batch]):
    """Given samples in order, a batch at a time."""

    def __init__(self, samples: Sequence[Sample], batch: int) -> None:
        self.parts = [samples[i : i + batch] for i in range(0, len(samples), batch)]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> Batch:
        """Batch ``index``."""
        return series_batch(self.parts[index])


def val_batches(samples: Sequence[Sample], batch: int) -> SampleBatches:
    """The batches of a validation or a test, from ``test_samples``."""
    return SampleBatches(samples, batch)


def _kept(sample: Sample, series: Sequence[Series]) -> Sample:
    """The sample as it may be kept: a view of a series that is in memory anyway, a copy of one read on demand."""
    return sample if isinstance(series, tuple | list) else owned(sample)


def _all_of(series: Series, pool: Pool, draws: GapDraws, key: tuple[int, int]) -> Iterator[Sample]:
    dates, height, width = series.clear.shape
    places = [(row, col) for row in _starts(height, draws.chip) for col in _starts(width, draws.chip)]
    for turn in range(dates):
        for p, (row, col) in enumerate(places):
            date = (p + turn) % dates
            wanted = (turn * len(places) + p) % BINS
            sample = _at(series, pool, draws, np.random.default_rng([*key, date, p]), (date, row, col), wanted)
            if sample is not None:
                yield sample


def _drawn(series: Sequence[Series], pool: Pool, draws: GapDraws, key: tuple[int, int]) -> Sample:
    """The sample that a seed and a number give: a random date and place where something can be hidden."""
    rng = np.random.default_rng(key)
    for _ in range(PLACES if len(series) else 0):
        one = series[int(rng.integers(len(series)))]
        dates, height, width = one.clear.shape
        row, col = (int(rng.integers(max(side - draws.chip, 0) + 1)) for side in (height, width))
        sample = _at(one, pool, draws, rng, (int(rng.integers(dates)), row, col), key[1] % BINS)
        if sample is not None:
            return augmented(sample, draws.gain, rng) if draws.turn else sample
    raise _none(len(series), draws)


def _none(count: int, draws: GapDraws) -> GeoadaptError:
    return GeoadaptError(
        "data",
        f"in {count} series no chip of {draws.chip} px was found whose clear pixels can be hidden by {draws.coverage}",
        "lower the chip or the share that must be clear, widen the coverage, or give more masks",
    )


def _at(
    series: Series, pool: Pool, draws: GapDraws, rng: np.random.Generator, place: tuple[int, int, int], wanted: int
) -> Sample | None:
    """The sample at (date, row, col), about the share of bin ``wanted`` hidden; None where that cannot be."""
    date, row, col = place
    rows, cols = slice(row, row + draws.chip), slice(col, col + draws.chip)
    clear = series.clear[date, rows, cols] & np.isfinite(series.values[date, :, rows, cols]).any(0)
    if series.truth is None:
        hidden = _hidden(clear, pool, draws, rng, wanted) if clear.mean() >= draws.clear and clear.any() else None
    else:
        asked = np.isfinite(series.truth[date, :, rows, cols]).any(0)
        enough = (asked & ~clear).sum() >= max(draws.coverage[0] * asked.sum(), 1)
        hidden = np.zeros_like(clear) if enough else None
    if hidden is None:
        return None
    part, target = nearby(series.part(rows=rows, cols=cols), date, draws.frames)
    return Sample(filled(part, draws.chip), target, grown(hidden, draws.chip, False), row, col)


def _hidden(clear: Bools, pool: Pool, draws: GapDraws, rng: np.random.Generator, wanted: int) -> Bools | None:
    """A pasted pattern that hides a share of the clear pixels within the coverage, as near the bin as it comes."""
    low, high = draws.coverage
    best, nearest = None, np.inf
    for _ in range(TRIES):
        hidden = paste_mask(pool, clear.shape, rng)
        share = float(hidden[clear].mean())
        apart = abs(share - (wanted + 0.5) / BINS)
        if low <= share <= high and share > 0 and apart < nearest:
            best, nearest = hidden, apart
        if nearest <= 0.5 / BINS:
            break
    return best


def _starts(side: int, chip: int) -> list[int]:
    """Where chips begin along one axis; the last is shifted inwards."""
    return [*range(0, max(side - chip, 0), chip), max(side - chip, 0)]
