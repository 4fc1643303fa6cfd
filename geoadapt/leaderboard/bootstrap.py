"""Resampling of seeds within a data set, and the interquartile mean of what was drawn.

In: values per data set. Out: replicates. Two entries with the same seeds on a data set get the same draws, so that
their difference is paired; with other seeds the draws are independent. Now and then a draw takes the deviation of
another data set's run, so that what was seen on one data set can happen on all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

__all__ = ["PRIOR", "TRIM", "Floats", "Indices", "counts", "draws", "iqm", "published_draws", "sources"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
TRIM = 0.25
"""Cut at either end."""
PRIOR = 1.0
"""Runs that the other data sets together are worth beside a data set's own: one, a unit of information."""


def iqm(values: Floats) -> Floats:
    """Interquartile mean over the last axis: a quarter of the values, rounded down, is left out at either end."""
    count = values.shape[-1]
    cut = int(TRIM * count)
    return np.asarray(np.sort(values, axis=-1)[..., cut : count - cut].mean(-1), np.float64)


@lru_cache(maxsize=512)
def draws(dataset: str, seeds: tuple[int, ...], count: int, seed: int) -> Indices:
    """Which of a data set's n runs each of ``count`` replicates takes (count, n), with replacement; read-only.

    The stream depends on the data set and on its seeds: entries that share both share their draws.
    """
    stream = np.random.default_rng([seed, crc32(dataset.encode()), crc32(repr(seeds).encode())])
    taken = stream.integers(0, len(seeds), (count, len(seeds))).astype(np.intp)
    taken.flags.writeable = False
    return taken


@lru_cache(maxsize=512)
def counts(dataset: str, seeds: tuple[int, ...], count: int, seed: int) -> Floats:
    """How often a replicate takes each run, less the once that is expected (count, n); read-only."""
    taken = draws(dataset, seeds, count, seed)
    often = np.stack([(taken == run).sum(1) for run in range(len(seeds))], axis=1) - 1.0
    often.flags.writeable = False
    return often


@lru_cache(maxsize=512)
def sources(place: int, dataset: str, seeds: tuple[int, ...], sizes: tuple[int, ...], count: int, seed: int) -> Indices:
    """Whose deviation each draw takes (count, n), among the runs of all data sets one after the other; read-only.

    ``sizes`` are the runs of all data sets, and ``place`` is this one's among them. A draw takes the run that ``draws``
    names, or with probability PRIOR / (n + PRIOR) any run of any other data set, each of which is equally likely.
    """
    starts = np.cumsum((0, *sizes))
    own: Indices = (starts[place] + draws(dataset, seeds, count, seed)).astype(np.intp)
    if len(sizes) == 1:
        own.flags.writeable = False
        return own
    stream = np.random.default_rng([seed, crc32(dataset.encode()), crc32(repr(seeds).encode()), 1])
    shape = count, len(seeds)
    borrows = stream.random(shape) < PRIOR / (len(seeds) + PRIOR)
    other = stream.integers(0, len(sizes) - 1, shape)
    other += other >= place
    # by its share and not by its number, so that a data set with a run less does not move what others lend
    run = (stream.random(shape) * np.array(sizes)[other]).astype(np.intp)
    taken: Indices = np.where(borrows, starts[other] + run, own).astype(np.intp)
    taken.flags.writeable = False
    return taken


def published_draws(sizes: Sequence[int], state: int) -> Indices:
    """Which rows GEO-Bench-2's replicate takes from cells of ``sizes`` rows that lie one after the other, (row,).

    ``pandas`` draws every cell's rows from one legacy generator; a run of equal sizes is one call of the same stream.
    """
    stream = np.random.RandomState(state)
    taken, begin = [], 0
    for size, cells in groupby(sizes):
        count = len(list(cells))
        starts = begin + size * np.arange(count)[:, None]
        taken.append((starts + stream.randint(0, size, (count, size))).ravel())
        begin += size * count
    return np.concatenate(taken) if taken else np.empty(0, np.intp)
