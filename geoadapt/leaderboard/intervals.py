"""How well a score is known: intervals from a few seeds that cover the truth as often as they say.

In: the seeds' scores of one entry on the data sets of a group. Out: the interquartile mean over all of them, its
replicates and an interval; of two entries, a comparison with the probability that one is better.

Seeds are resampled within each data set; the data sets are the ones they are, so that an interval tells of other seeds,
not of other data. Looks at the same runs, such as their lead times, rise and fall together: they are drawn together,
and count as one data set below. Three things make five seeds' plain percentiles too narrow, and each has its cure:

- The spread of n values about their own mean is short by (n - 1) / n: the variance gets n / (n - 1).
- The spread is itself uncertain, which Student's t allows for. Its degrees of freedom are Satterthwaite's, over the
  variances that the data sets contribute (an infinitesimal jackknife: Efron 2014).
- What is rare, as a run that fails, is mostly not among five seeds, and a score without it is too high and looks too
  sure at once. So a data set's seeds are taken to follow its own runs and, with the weight of one run, the deviations
  of the other data sets' runs from their medians, about its own median: the posterior mean of a Dirichlet process with
  concentration 1 (Ferguson 1973), whose base the data sets share (Teh et al. 2006). What no run of the group has
  shown, no interval can allow for; ``benchmarks/coverage.py`` counts how often that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from geoadapt.leaderboard.bootstrap import TRIM, Floats, Indices, counts, iqm, sources

__all__ = ["DRAWS", "LEVEL", "Cell", "Comparison", "Drawn", "Interval", "compare", "interval", "resample"]

Runs = tuple[str, tuple[int, ...]]
"""A data set and the seeds that were run on it."""
LEVEL = 0.9
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """The runs of one entry on one data set; ``seeds`` ascend."""

    dataset: str
    seeds: tuple[int, ...]
    values: Floats
    """(run,), finite, more is better"""
    of: str = ""
    """The data set whose runs it looks at by another metric; empty = its own."""

    @property
    def runs(self) -> Runs:
        """Which runs these are: two looks at the same ones rise and fall together, and are drawn together."""
        return self.of or self.dataset, self.seeds


@dataclass(frozen=True, slots=True)
class Interval:
    """A score and where the truth lies with probability ``level``; the ends are NaN where a data set has one run."""

    score: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class Drawn:
    """A score, its replicates, and how much every run moves it."""

    score: float
    replicates: Floats
    """(draw,)"""
    influence: Mapping[Runs, Floats]
    """Runs to their influence, as their data set's own, on the score, (run,)."""
    sizes: tuple[int, ...]
    """Runs of each data set."""

    @property
    def known(self) -> bool:
        """Whether every data set has the two runs that a spread takes."""
        return min(self.sizes) > 1

    def spread(self) -> tuple[float, float]:
        """Standard error, corrected for the number of seeds, and its degrees of freedom; NaN where unknown."""
        return _spread(self.replicates, list(self.influence.values()), self.known)

    def widened(self, level: float = LEVEL) -> Floats:
        """The replicates (draw,), moved from the score so far that their percentiles are the interval's ends."""
        wider = _wider(self.replicates, *self.spread(), level, alone=_trimmed_alone(self.sizes))
        return np.asarray(self.score + wider * (self.replicates - self.score), np.float64)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One entry's score less another's over the data sets that both have."""

    difference: Interval
    better: float
    """Probability that the first is better; NaN where a spread is unknown."""
    datasets: tuple[str, ...]
    paired: tuple[str, ...]
    """The data sets on which both ran the same seeds, and are compared seed by seed."""
    left_out: tuple[str, ...]
    """The data sets that only one of them has."""

    @property
    def how(self) -> str:
        """Whether seeds were paired, in words."""
        pairs, count = len(self.paired), len(self.datasets)
        if pairs == count:
            return "paired by data set and seed"
        if pairs == 0:
            return "unpaired: the seeds differ"
        return f"paired by seed on {pairs} of {count} data sets; the seeds of the others differ"


def resample(cells: Sequence[Cell], *, count: int = DRAWS, seed: int = 0) -> Drawn:
    """The interquartile mean of all runs of ``cells``, and ``count`` replicates of it."""
    middles = [_median(cell.values) for cell in cells]
    apart = np.concatenate([cell.values - middle for cell, middle in zip(cells, middles, strict=True)])
    level = np.repeat(middles, [len(cell.seeds) for cell in cells])
    runs = tuple(cell.runs for cell in cells)
    replicates = iqm(apart[_taken(runs, count, seed)] + level)
    moved = (replicates - replicates.mean()) / count
    influence = {one: moved @ counts(*one, count, seed) for one in dict.fromkeys(runs)}
    score = float(iqm(np.concatenate([cell.values for cell in cells])))
    return Drawn(score, replicates, influence, tuple(len(cell.seeds) for cell in cells))


@lru_cache(maxsize=64)
def _taken(cells: tuple[Runs, ...], count: int, seed: int) -> Indices:
    """Whose deviation each draw takes (count, all runs of all cells), among these runs; read-only.

    All looks at the same runs take the same draws; what they borrow is a run of another data set, each as its own look
    at it has it.
    """
    starts = np.cumsum([0, *(len(seeds) for _, seeds in cells)])
    looks = {runs: [place for place, other in enumerate(cells) if other == runs] for runs in cells}
    sizes = tuple(len(seeds) for _, seeds in looks)
    found = []
    for place, runs in enumerate(cells):
        nth = looks[runs].index(place)
        reach = [starts[own[nth % len(own)]] + np.arange(size) for own, size in zip(looks.values(), sizes, strict=True)]
        found.append(np.concatenate(reach)[sources(list(looks).index(runs), *runs, sizes, count, seed)])
    taken: Indices = np.concatenate(found, axis=1).astype(np.intp)
    taken.flags.writeable = False
    return taken


def _median(values: Floats) -> float:
    # numpy's own takes ten times as long for a handful, and a board asks for thousands
    ordered, half = np.sort(values), values.size // 2
    return float(ordered[half] if values.size % 2 else (ordered[half - 1] + ordered[half]) / 2)


def interval(drawn: Drawn, level: float = LEVEL) -> Interval:
    """Percentiles of the widened replicates, and never without the score itself."""
    if not drawn.known:
        return Interval(drawn.score, np.nan, np.nan, level)
    return _around(drawn.score, drawn.widened(level), level)


def compare(
    first: Sequence[Cell], second: Sequence[Cell], *, level: float = LEVEL, count: int = DRAWS, seed: int = 0
) -> Comparison | None:
    """The first entry less the second over their common data sets, None where there is none.

    The draws of a data set are the same for both where their seeds are, and independent where they are not.
    """
    ours, theirs = {c.dataset: c for c in first}, {c.dataset: c for c in second}
    common = tuple(name for name in ours if name in theirs)
    if not common:
        return None
    one = resample([ours[name] for name in common], count=count, seed=seed)
    two = resample([theirs[name] for name in common], count=count, seed=seed)
    paired = tuple(name for name in common if ours[name].seeds == theirs[name].seeds)
    moves = [move - two.influence[runs] for runs, move in one.influence.items() if runs in two.influence]
    moves += [move for runs, move in one.influence.items() if runs not in two.influence]
    moves += [move for runs, move in two.influence.items() if runs not in one.influence]
    replicates, score = one.replicates - two.replicates, one.score - two.score
    error, freedom = _spread(replicates, moves, one.known and two.known)
    alone = _trimmed_alone([min(sizes) for sizes in zip(one.sizes, two.sizes, strict=True)])
    wider = _wider(replicates, error, freedom, level, alone=alone)
    left_out = tuple(sorted(set(ours) ^ set(theirs)))
    difference = _around(score, score + wider * (replicates - score), level)
    return Comparison(difference, _better(score, error, freedom), common, paired, left_out)


def _around(score: float, replicates: Floats, level: float) -> Interval:
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(score, float(np.minimum(low, score)), float(np.maximum(high, score)), level)


def _spread(replicates: Floats, moves: Sequence[Floats], known: bool) -> tuple[float, float]:
    """Standard error with n / (n - 1) per data set, and Satterthwaite's degrees of freedom."""
    if not known:
        return np.nan, np.nan
    variance = float(replicates.var())
    sizes = np.array([move.size for move in moves])
    # the covariances that the influences are made of have a variance of their own, which falls with the draws
    parts = np.array([(move**2).sum() for move in moves]) - (sizes - 1) * variance / replicates.size
    parts = np.maximum(parts, 0)
    if variance == 0 or parts.sum() == 0:
        return float(np.sqrt(variance)), float(sizes.min() - 1)
    grown = parts * sizes / (sizes - 1)
    freedom = grown.sum() ** 2 / (grown**2 / (sizes - 1)).sum()
    return float(np.sqrt(variance * grown.sum() / parts.sum())), float(freedom)


def _wider(replicates: Floats, error: float, freedom: float, level: float, *, alone: bool) -> float:
    """How much wider than the replicates' own percentiles the interval is."""
    if np.isnan(error):
        return np.nan
    deviation = float(replicates.std())
    if deviation == 0:
        return 1.0
    student = float(stdtrit(freedom, (1 + level) / 2) / ndtri((1 + level) / 2))
    # one data set's trimmed mean of few runs spreads more in its replicates than in truth: no room is added for n - 1
    return student if alone else student * error / deviation


def _trimmed_alone(sizes: Sequence[int]) -> bool:
    """Whether there is one data set, with runs enough that some are cut."""
    return len(sizes) == 1 and int(TRIM * sizes[0]) > 0


def _better(score: float, error: float, freedom: float) -> float:
    """Student's probability that the difference is above zero."""
    if np.isnan(error):
        return np.nan
    if error == 0:
        return 0.5 if score == 0 else float(score > 0)
    return float(stdtr(freedom, score / error))
