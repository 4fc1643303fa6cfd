"""Records as arrays: entries by data sets by runs, with what is missing as NaN.

In: records. Out: a table whose every cell has one metric in one direction; what cannot be compared is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.bootstrap import Floats
from geoadapt.leaderboard.records import Direction, RunRecord

__all__ = ["ENTRY", "Entry", "Table", "table_of"]

Entry = tuple[str, ...]
ENTRY = ("backbone", "adapter", "regime")
"""What makes two runs one entry of a board: heads differ between tasks."""


@dataclass(frozen=True, slots=True)
class Table:
    """Scores of every entry, data set and seed."""

    entries: tuple[Entry, ...]
    datasets: tuple[str, ...]
    values: Floats
    """(entry, data set, run), in the order of the records; NaN where there is no run, or none with a score."""
    seeds: NDArray[np.int64]
    """(entry, data set, run); -1 where there is no run."""
    metrics: tuple[str, ...]
    """One per data set."""
    directions: tuple[Direction, ...]
    """One per data set."""

    def with_values(self, values: Floats) -> Table:
        """The same runs with other values, such as normalised ones."""
        return replace(self, values=values)

    def cell(self, entry: int, dataset: int) -> tuple[tuple[int, ...], Floats]:
        """Seeds and finite values of one entry on one data set, in the order of their seeds."""
        known = np.isfinite(self.values[entry, dataset])
        seeds, values = self.seeds[entry, dataset][known], self.values[entry, dataset][known]
        order = np.argsort(seeds, kind="stable")
        return tuple(seeds[order].tolist()), values[order]

    def known(self) -> NDArray[np.int64]:
        """How many runs have a score (entry, data set)."""
        return np.asarray(np.isfinite(self.values).sum(2), np.int64)


def table_of(
    records: Iterable[RunRecord],
    *,
    by: Sequence[str] = ENTRY,
    datasets: Sequence[str] | None = None,
    metrics: Mapping[str, str] | None = None,
) -> Table:
    """The records as one table; ``metrics`` chooses one per data set where runs report several.

    Raises:
        GeoadaptError: a data set has two metrics or two directions, or an entry has two runs of one seed.
    """
    metrics = metrics or {}
    runs = [r for r in records if metrics.get(r.dataset, r.metric) == r.metric]
    if datasets is not None:
        runs = [r for r in runs if r.dataset in set(datasets)]
    names = tuple(dict.fromkeys(datasets if datasets is not None else (r.dataset for r in runs)))
    how = _one_way(runs)
    cells: dict[tuple[Entry, str], list[RunRecord]] = {}
    for run in runs:
        cells.setdefault((tuple(str(getattr(run, name)) for name in by), run.dataset), []).append(run)
    for (entry, dataset), found in cells.items():
        _refuse_twins(entry, dataset, found)
    entries = tuple(dict.fromkeys(entry for entry, _ in cells))
    longest = max((len(found) for found in cells.values()), default=0)
    values = np.full((len(entries), len(names), longest), np.nan)
    seeds = np.full(values.shape, -1, np.int64)
    rows, columns = {e: i for i, e in enumerate(entries)}, {d: i for i, d in enumerate(names)}
    for (entry, dataset), found in cells.items():
        place = rows[entry], columns[dataset]
        values[place][: len(found)] = [run.value for run in found]
        seeds[place][: len(found)] = [run.seed for run in found]
    told = [how.get(name, (metrics.get(name, ""), "max")) for name in names]
    return Table(entries, names, values, seeds, tuple(m for m, _ in told), tuple(d for _, d in told))


def _one_way(runs: Sequence[RunRecord]) -> dict[str, tuple[str, Direction]]:
    """Metric and direction of every data set."""
    found: dict[str, tuple[str, Direction]] = {}
    for run in runs:
        metric, direction = found.setdefault(run.dataset, (run.metric, run.direction))
        if run.metric != metric:
            problem = f"runs report '{metric}' and '{run.metric}': they cannot be compared"
            raise GeoadaptError(run.dataset, problem, "choose one metric per data set in the suite")
        if run.direction != direction:
            problem = f"'{metric}' is to be largest in some runs and smallest in others"
            raise GeoadaptError(run.dataset, problem, "a metric has one direction: max or min")
    return found


def _refuse_twins(entry: Entry, dataset: str, found: Sequence[RunRecord]) -> None:
    seen: dict[int, RunRecord] = {}
    for run in found:
        twin = seen.setdefault(run.seed, run)
        if twin is not run:
            apart = [n for n in ("board", "head", "adapter", "regime") if getattr(twin, n) != getattr(run, n)]
            told = "; ".join(f"{n} {getattr(twin, n)} and {getattr(run, n)}" for n in apart) or "the same in everything"
            problem = f"{' + '.join(entry)} has two runs of seed {run.seed}: {told}"
            raise GeoadaptError(dataset, problem, "tell them apart with by=, or choose one board")
