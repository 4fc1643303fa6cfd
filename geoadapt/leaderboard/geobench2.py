"""``protocol=geobench2``: the scores of the GEO-Bench-2 leaderboard, to its own digit.

In: a normalised table and a suite. Out: capability scores as published: their order of draws, their error, their ranks.
The error is the standard error of 100 replicates' mean: it tells of the Monte Carlo, not of how well a score is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geoadapt.leaderboard.bootstrap import Floats, iqm, published_draws
from geoadapt.leaderboard.groups import Suite
from geoadapt.leaderboard.ranks import ranks
from geoadapt.leaderboard.table import Entry, Table

__all__ = ["Published", "displayed", "per_dataset", "published"]

REPLICATES = 100
FIRST_STATE = 100
"""Replicate i is drawn with the state 100 + i."""


@dataclass(frozen=True, slots=True)
class Published:
    """Scores as GEO-Bench-2 computes them; NaN where an entry lacks a data set of the group."""

    entries: tuple[Entry, ...]
    groups: tuple[str, ...]
    score: Floats
    """(entry, group), 0 to 1 over the base runs' range, below 0 and above 1 outside it."""
    sem: Floats
    """(entry, group)"""
    ranks: Floats
    """(entry, group), 1 is best, ties take the larger number; NaN without a score."""


def published(scaled: Table, suite: Suite) -> Published:
    """Capability scores of all entries of one submission, on the scale of its normaliser.

    The published draws run through all entries of a submission in alphabetical order: a score moves in its fourth
    digit with who else is in ``scaled``. So give one submission at a time to meet its published digits.
    """
    both = [_group(scaled, group.datasets) for group in suite.groups.values()]
    shape = (len(scaled.entries), len(both))
    score = np.stack([s for s, _ in both], axis=1) if both else np.empty(shape)
    sem = np.stack([e for _, e in both], axis=1) if both else np.empty(shape)
    return Published(scaled.entries, tuple(suite.groups), score, sem, ranks(score))


def per_dataset(raw: Table, scaled: Table) -> Mapping[str, Floats]:
    """Per entry and data set: ``iqm`` of the normalised seeds, ``mean`` of the raw ones and its ``sem``, or NaN."""
    found = {name: np.full(raw.values.shape[:2], np.nan) for name in ("iqm", "mean", "sem")}
    for place in np.ndindex(raw.values.shape[:2]):
        values, normal = (t.values[place][np.isfinite(t.values[place])] for t in (raw, scaled))
        if values.size:
            found["mean"][place] = values.mean()
        if values.size > 1:
            found["sem"][place] = values.std(ddof=1) / np.sqrt(values.size)
        if normal.size:
            found["iqm"][place] = iqm(normal)
    return found


def displayed(score: Floats) -> Floats:
    """Scores as the leaderboard writes them: times 100, one digit."""
    return np.round(100 * score, 1)


def _group(scaled: Table, members: Sequence[str]) -> tuple[Floats, Floats]:
    """Score and standard error of every entry for one group, NaN where a data set is missing."""
    place = {name: i for i, name in enumerate(scaled.datasets)}
    columns = [place[name] for name in sorted(members) if name in place]
    order = sorted(range(len(scaled.entries)), key=lambda e: scaled.entries[e])
    known = {(e, d): _known(scaled, e, d) for e in order for d in columns}
    score, sem = np.full((2, len(scaled.entries)), np.nan)
    rows = np.concatenate([*known.values(), np.empty(0)])
    sizes = [values.size for values in known.values() if values.size]
    states = range(FIRST_STATE, FIRST_STATE + REPLICATES)
    drawn = np.stack([rows[published_draws(sizes, state)] for state in states])
    begin = 0
    for e in order:
        count = sum(known[e, d].size for d in columns)
        if len(columns) == len(members) and all(known[e, d].size for d in columns):
            replicates = iqm(drawn[:, begin : begin + count])
            score[e], sem[e] = replicates.mean(), replicates.std(ddof=1) / np.sqrt(REPLICATES)
        begin += count
    return score, sem


def _known(scaled: Table, entry: int, dataset: int) -> Floats:
    """In the order of the records, which is the order that the published draws run through."""
    values = scaled.values[entry, dataset]
    return np.asarray(values[np.isfinite(values)], np.float64)
