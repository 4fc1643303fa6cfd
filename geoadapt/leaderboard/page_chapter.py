"""One board as a page tells it: its entries by name, its runs by place, and what is simulated.

In: records of one board and its suite. Out: a chapter, from which tables, charts and files are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.board import Board, board_of
from geoadapt.leaderboard.groups import Group, Suite
from geoadapt.leaderboard.intervals import Cell, interval, resample
from geoadapt.leaderboard.intervals import Interval as Estimate
from geoadapt.leaderboard.normalise import Normaliser
from geoadapt.leaderboard.page_verdicts import Judge
from geoadapt.leaderboard.page_words import Named, named
from geoadapt.leaderboard.records import BARRED, Direction, RunRecord
from geoadapt.leaderboard.table import Entry
from geoadapt.report.numbers import Interval, decimals

__all__ = ["UNKNOWN", "Chapter", "chapter_of"]

UNKNOWN = Interval(math.nan, math.nan, math.nan)
ROOM = 4_300_000
"""Of all tables of a board, about [bytes]."""
REASONS = ("missing", "failed")
"""Keys of a record's ``extra`` that say why there is no score."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A board, ready to be told."""

    board: Board
    names: dict[Entry, Named]
    cells: dict[tuple[Entry, str], list[RunRecord]]
    """Runs by entry and data set, those without a score among them."""
    judge: Judge
    decimals: dict[str, int]
    """Of raw scores by data set: three digits of the largest, and three decimals at least."""
    simulated: frozenset[str]
    """Data sets of which some run's data were simulated."""
    shared: dict[str, str]
    """What all runs agree in, by field of a record: said once."""
    foreign: tuple[str, ...]
    """What the suite has no place for."""
    prefix: str
    """Begins every anchor."""

    @property
    def most(self) -> int:
        """Most entries in a table, so that the page stays small; all are in the CSV."""
        in_groups = sum(1070 + 90 * len(group.datasets) for group in self.suite.groups.values())
        words = sum(len(runs[0].command) for runs in self.cells.values()) // len(self.cells)
        return max(20, ROOM // (in_groups + (1200 + words) * len(self.suite.datasets)))

    @property
    def leading(self) -> str:
        """The first group in which anybody has a score, or the first."""
        scored = (key for key, scores in self.board.scores.items() if any(s.estimate for s in scores.values()))
        return next(scored, next(iter(self.suite.groups)))

    @property
    def suite(self) -> Suite:
        """Its data sets and groups."""
        return self.board.suite

    def ordered(self, group: str) -> list[Entry]:
        """The entries of a group, best first; those without a score after them, by name."""
        scores = self.board.scores[group]

        def key(entry: Entry) -> tuple[float, str]:
            estimate = scores[entry].estimate
            known = estimate is not None and math.isfinite(estimate.score)
            return (-estimate.score if known and estimate is not None else math.inf, self.names[entry].name)

        members = self.suite.groups[group].datasets
        return sorted((e for e in scores if any(self._entered(e, m) for m in members)), key=key)

    def ordered_on(self, name: str) -> list[Entry]:
        """The entries of a data set, best first; those without a score after them, by name."""
        sign = -1 if self.suite.datasets[name].direction == "max" else 1

        def key(entry: Entry) -> tuple[float, str]:
            value = self.on(name, entry)[1].value
            return (sign * value if math.isfinite(value) else math.inf, self.names[entry].name)

        return sorted((entry for entry in self.names if self._entered(entry, name)), key=key)

    def _entered(self, entry: Entry, name: str) -> bool:
        return not all(run.extra.get(BARRED) for run in self.cells.get((entry, name), ()))

    def normal(self, group: str, entry: Entry) -> Interval:
        """The score of a group on the normaliser's scale."""
        found = self.board.scores[group][entry].estimate
        return UNKNOWN if found is None else _shown(found)

    def raw(self, group: str, entry: Entry) -> Interval:
        """The interquartile mean of raw scores; unknown where the data sets share no metric, or one is missing."""
        members = self.suite.groups[group].datasets
        if self.common_metric(group) is None or self.board.scores[group][entry].missing:
            return UNKNOWN
        table = self.board.raw
        row = table.entries.index(entry)
        of = self.suite.datasets
        cells = [Cell(m, *table.cell(row, table.datasets.index(m)), of[m].of) for m in members]
        board = self.board
        return _shown(interval(resample(cells, count=board.draws, seed=board.seed), board.level))

    def common_metric(self, group: str) -> tuple[str, Direction] | None:
        """Metric and direction that all data sets of a group share, or None."""
        known = {
            (d.metric, d.direction) for d in map(self.suite.datasets.__getitem__, self.suite.groups[group].datasets)
        }
        return next(iter(known)) if len(known) == 1 else None

    def on(self, name: str, entry: Entry) -> tuple[Interval, Interval]:
        """Normalised and raw score of an entry on a data set."""
        found = self.board.datasets[name].get(entry)
        if found is None:
            return UNKNOWN, UNKNOWN
        return _shown(found.normal), _shown(found.raw)

    def digits(self, group: str) -> int:
        """Decimals of a group's raw scores."""
        return max(self.decimals[name] for name in self.suite.groups[group].datasets)

    def why(self, entry: Entry, names: Sequence[str]) -> str:
        """Why an entry has no score on some data sets."""
        return "; ".join(f"{self.label(name)}: {self._why(entry, name)}" for name in names)

    def _why(self, entry: Entry, name: str) -> str:
        runs = self.cells.get((entry, name), [])
        told = [str(run.extra[key]) for run in runs for key in REASONS if run.extra.get(key)]
        return told[0] if told else "its runs left no score" if runs else "it was not run"

    def label(self, name: str) -> str:
        """A data set as people call it."""
        return self.suite.datasets[name].label or name

    def cost(self, entry: Entry, what: str, names: Iterable[str] | None = None) -> float:
        """The median over an entry's runs with a score, or NaN; ``what`` is a field of a record.

        A model without a parameter is one that nobody counted, such as those that others submitted.
        """
        wanted = self.suite.datasets if names is None else names
        runs = [r for name in wanted for r in self.cells.get((entry, name), ()) if math.isfinite(r.value)]
        if what in ("trainable", "total"):
            runs = [r for r in runs if r.total or r.trainable or r.regime == "none"]
        values = [float(v) for r in runs if (v := getattr(r, what)) is not None and math.isfinite(v)]
        return median(values) if values else math.nan

    def simulated_in(self, group: Group) -> list[str]:
        """Labels of a group's data sets that are simulated."""
        return [self.label(name) for name in group.datasets if name in self.simulated]


def _shown(found: Estimate) -> Interval:
    """As a page shows it: nothing is 0, and never -0."""
    return Interval(found.score + 0.0, found.low + 0.0, found.high + 0.0)


def chapter_of(
    runs: Sequence[RunRecord], suite: Suite, normaliser: Normaliser | None = None, *, prefix: str = ""
) -> Chapter:
    """The runs of one board; raises GeoadaptError for runs that cannot be compared."""
    metrics = suite.metrics()
    kept = [r for r in runs if metrics.get(r.dataset) == r.metric]
    if not kept:
        found = ", ".join(sorted({f"{run.dataset} ({run.metric})" for run in runs}))
        hint = f"it has {', '.join(f'{k} ({m})' for k, m in metrics.items())}; choose another with suite=NAME"
        raise GeoadaptError(f"suite '{suite.name}'", f"has no place for any run: {found}", hint)
    board = board_of(kept, suite, normaliser)
    names = named(kept, prefix)
    cells: dict[tuple[Entry, str], list[RunRecord]] = {}
    for run in sorted(kept, key=lambda r: r.seed):
        cells.setdefault(((run.backbone, run.adapter, run.regime), run.dataset), []).append(run)
    simulated = frozenset(run.dataset for run in kept if run.simulated)
    foreign = sorted({f"{r.dataset} ({r.metric})" for r in runs if metrics.get(r.dataset) != r.metric})
    told = (f"the suite '{suite.name}' has no place for the runs on {', '.join(foreign)}",) if foreign else ()
    facts = {name: {str(getattr(run, name)) for run in kept} for name in ("date", "machine")}
    shared = {name: next(iter(values)) for name, values in facts.items() if len(values) == 1}
    digits = {name: max(3, decimals(one.raw.score for one in found.values())) for name, found in board.datasets.items()}
    return Chapter(board, names, cells, Judge(board, names), digits, simulated, shared, told, prefix)
