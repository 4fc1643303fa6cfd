"""A board: every entry's score in every capability group, with its interval, its range of ranks and what is missing.

In: records and a suite. Out: ``protocol=ours`` and, beside it, ``protocol=geobench2``, on one normaliser.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.leaderboard.bootstrap import Floats
from geoadapt.leaderboard.geobench2 import Published, published
from geoadapt.leaderboard.groups import Group, Suite
from geoadapt.leaderboard.intervals import (
    DRAWS,
    LEVEL,
    Cell,
    Comparison,
    Drawn,
    Interval,
    compare,
    interval,
    resample,
)
from geoadapt.leaderboard.normalise import Normaliser, Range, derive
from geoadapt.leaderboard.ranks import rank_range, ranks
from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.table import ENTRY, Entry, Table, table_of

__all__ = ["Board", "OnDataset", "Score", "board_of", "compare_entries"]


@dataclass(frozen=True, slots=True)
class Score:
    """One entry in one group."""

    estimate: Interval | None
    """None where a data set of the group is missing: it is shown as missing, never as 0."""
    rank: int | None
    rank_low: int | None
    """The best rank that is within reach; None where a spread is unknown."""
    rank_high: int | None
    first: float | None
    """Probability of being first."""
    missing: tuple[str, ...]
    """Data sets of the group without a score."""
    short: tuple[str, ...]
    """Data sets with fewer runs than the suite asks for."""


@dataclass(frozen=True, slots=True)
class OnDataset:
    """One entry on one data set."""

    raw: Interval
    """The interquartile mean of the metric as it was reported."""
    normal: Interval
    """The same on the normaliser's scale; NaN where the data set has no range."""
    mean: float
    """The plain mean of the metric."""
    runs: int


@dataclass(frozen=True, slots=True)
class Board:
    """All scores; ``raw`` and ``scaled`` hold every run."""

    suite: Suite
    raw: Table
    scaled: Table
    normaliser: Normaliser
    scores: Mapping[str, Mapping[Entry, Score]]
    """By group and entry."""
    datasets: Mapping[str, Mapping[Entry, OnDataset]]
    """By data set and entry; only what was run."""
    published: Published
    left_out: tuple[str, ...]
    """Records that are on no data set of the suite, or of another metric than its: how many, and what they report."""
    level: float
    draws: int
    seed: int


def board_of(
    records: Iterable[RunRecord],
    suite: Suite,
    normaliser: Normaliser | None = None,
    *,
    by: Sequence[str] = ENTRY,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Board:
    """Every entry of ``records`` on the data sets of ``suite``.

    Without a ``normaliser`` the records themselves are its base: such scores compare with no other board's.
    Raises GeoadaptError for records that mix metrics or directions.
    """
    records = list(records)
    raw = table_of(records, by=by, datasets=list(suite.datasets), metrics=suite.metrics())
    chosen = normaliser if normaliser is not None else derive(raw, f"{suite.name}-own")
    scaled = chosen.apply(raw)
    cells = _cells(scaled, suite)
    scores = {key: _scores(group, cells, suite, level, draws, seed) for key, group in suite.groups.items()}
    datasets = {
        name: _on_dataset(place, raw, suite, chosen, level, draws, seed) for place, name in enumerate(raw.datasets)
    }
    return Board(
        suite,
        raw,
        scaled,
        chosen,
        scores,
        datasets,
        published(scaled, suite),
        _left_out(records, suite),
        level,
        draws,
        seed,
    )


def compare_entries(board: Board, group: str, first: Entry, second: Entry) -> Comparison | None:
    """The first entry less the second in a group, over the data sets that both have; None where there is none."""
    members = board.suite.group(group).datasets
    cells = _cells(board.scaled, board.suite)
    for entry in (first, second):
        if entry not in cells:
            known = [" + ".join(e) for e in cells]
            raise GeoadaptError(
                "entry", f"'{' + '.join(entry)}' is not on this board", nearest(" + ".join(entry), known)
            )
    ours, theirs = ([cells[entry][m] for m in members if m in cells[entry]] for entry in (first, second))
    return compare(ours, theirs, level=board.level, count=board.draws, seed=board.seed)


Cells = Mapping[Entry, Mapping[str, Cell]]


def _cells(scaled: Table, suite: Suite) -> Cells:
    found: dict[Entry, dict[str, Cell]] = {entry: {} for entry in scaled.entries}
    for row, entry in enumerate(scaled.entries):
        for column, name in enumerate(scaled.datasets):
            seeds, values = scaled.cell(row, column)
            if seeds:
                found[entry][name] = Cell(name, seeds, values, suite.datasets[name].of)
    return found


def _scores(group: Group, cells: Cells, suite: Suite, level: float, draws: int, seed: int) -> dict[Entry, Score]:
    missing = {entry: tuple(m for m in group.datasets if m not in has) for entry, has in cells.items()}
    drawn: dict[Entry, Drawn] = {
        entry: resample([has[m] for m in group.datasets], count=draws, seed=seed)
        for entry, has in cells.items()
        if not missing[entry]
    }
    estimates = {entry: interval(one, level) for entry, one in drawn.items()}
    places = ranks(np.array([e.score for e in estimates.values()]))
    moved: Floats = np.stack([one.widened(level) for one in drawn.values()]) if drawn else np.empty((0, draws))
    ends = zip(places, *rank_range(moved, level), strict=True)
    placed = {entry: row for entry, row in zip(drawn, ends, strict=True)}
    found = {}
    for entry, has in cells.items():
        short = tuple(m for m in group.datasets if m in has and len(has[m].seeds) < suite.seeds)
        rank, low, high, first = placed.get(entry, (np.nan,) * 4)
        found[entry] = Score(
            estimates.get(entry), _whole(rank), _whole(low), _whole(high), _number(first), missing[entry], short
        )
    return found


def _on_dataset(
    place: int, raw: Table, suite: Suite, normaliser: Normaliser, level: float, draws: int, seed: int
) -> dict[Entry, OnDataset]:
    name = raw.datasets[place]
    found = {}
    for row, entry in enumerate(raw.entries):
        seeds, values = raw.cell(row, place)
        if seeds:
            cell = Cell(name, seeds, values, suite.datasets[name].of)
            estimate = interval(resample([cell], count=draws, seed=seed), level)
            normal = _on_scale(estimate, normaliser.ranges.get(name))
            found[entry] = OnDataset(estimate, normal, float(values.mean()), len(seeds))
    return found


def _on_scale(estimate: Interval, known: Range | None) -> Interval:
    if known is None:
        return Interval(np.nan, np.nan, np.nan, estimate.level)
    score, *ends = known.scaled(np.array([estimate.score, estimate.low, estimate.high])).tolist()
    return Interval(score, min(ends), max(ends), estimate.level)


def _left_out(records: Sequence[RunRecord], suite: Suite) -> tuple[str, ...]:
    found: Counter[str] = Counter()
    metrics = suite.metrics()
    for record in records:
        wanted = metrics.get(record.dataset)
        if wanted is None:
            found[f"on {record.dataset}, which is no data set of {suite.name}"] += 1
        elif wanted != record.metric:
            found[f"on {record.dataset} report {record.metric}, the suite compares {wanted}"] += 1
    return tuple(f"{count} runs {why}" for why, count in found.items())


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
