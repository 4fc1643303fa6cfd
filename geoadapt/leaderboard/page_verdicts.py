"""What an entry is worth beside its controls: in a group, and on one data set.

In: a board and its runs. Out: verdicts in the house's words, which follow from the intervals alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from geoadapt.leaderboard.board import Board
from geoadapt.leaderboard.intervals import Cell, Comparison, compare
from geoadapt.leaderboard.page_words import RANDOM, Named, control_words
from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.table import Entry
from geoadapt.report.numbers import decimals
from geoadapt.report.verdicts import Outcome, Verdict

__all__ = ["Judge", "in_short"]

SCORE = "normalised score"
PERCENT = 100


@dataclass
class Judge:
    """Finds the controls of every entry of a board, and compares."""

    board: Board
    names: Mapping[Entry, Named]
    _cells: dict[tuple[str, Entry, str], Cell | None] = field(default_factory=dict)
    _told: dict[tuple[str, str, Entry], list[Verdict]] = field(default_factory=dict)

    def in_group(self, key: str, entry: Entry) -> list[Verdict]:
        """Verdicts on the normalised score over the data sets that both have."""
        if ("group", key, entry) in self._told:
            return self._told["group", key, entry]
        scores = self.board.scores[key]
        values = {e: s.estimate.score for e, s in scores.items() if s.estimate is not None}
        members = self.board.suite.groups[key].datasets
        found = []
        for control, words in self._controls(entry, values).items():
            told = self._compare("scaled", entry, control, members)
            if told is not None:
                found.append(self._verdict(told, words, SCORE, "max"))
        self._told["group", key, entry] = found
        return found

    def on_dataset(self, name: str, entry: Entry, runs: Sequence[RunRecord]) -> list[Verdict]:
        """Verdicts on the metric as it was reported; what a single run says of its own controls where it is alone."""
        if ("dataset", name, entry) in self._told:
            return self._told["dataset", name, entry]
        place = self.board.raw.datasets.index(name)
        metric, direction = self.board.raw.metrics[place], self.board.raw.directions[place]
        if len(runs) == 1 and runs[0].extra.get("gains"):
            return _own(runs[0])
        sign = 1 if direction == "max" else -1
        values = {e: sign * d.raw.score for e, d in self.board.datasets[name].items()}
        found = []
        for control, words in self._controls(entry, values).items():
            told = self._compare("raw", entry, control, (name,))
            if told is not None:
                found.append(self._verdict(told, words, metric, direction))
        self._told["dataset", name, entry] = found
        return found

    def _controls(self, entry: Entry, values: Mapping[Entry, float]) -> dict[Entry, str]:
        """What an entry is held against: the best rule, the best model from scratch, and its own backbone otherwise."""
        backbone, adapter, regime = entry
        if entry not in values or regime == "none":
            return {}
        found: dict[Entry, str] = {}
        for way in ("none", "scratch"):
            rivals = [e for e in values if e[2] == way and e != entry and not e[0].endswith(RANDOM)]
            if rivals and regime != way:
                best = max(rivals, key=values.__getitem__)
                found[best] = self.names[best].spoken
        twins = {
            (backbone + RANDOM, adapter): "random weights",
            (backbone, "none", "frozen"): "the frozen backbone" if regime != "frozen" else "",
            (backbone, "full", "full"): "full fine-tuning" if regime == "peft" else "",
        }
        for twin, words in twins.items():
            found |= {e: words for e in values if words and e != entry and e[: len(twin)] == twin}
        return found

    def _compare(self, scale: str, entry: Entry, control: Entry, members: Sequence[str]) -> Comparison | None:
        sides = ([c for m in members if (c := self._cell(scale, e, m)) is not None] for e in (entry, control))
        return compare(*sides, level=self.board.level, count=self.board.draws, seed=self.board.seed)

    def _cell(self, scale: str, entry: Entry, name: str) -> Cell | None:
        key = (scale, entry, name)
        if key not in self._cells:
            table = self.board.raw if scale == "raw" else self.board.scaled
            seeds, values = table.cell(table.entries.index(entry), table.datasets.index(name))
            of = self.board.suite.datasets[name].of
            self._cells[key] = Cell(name, seeds, values, of) if seeds else None
        return self._cells[key]

    def _verdict(self, told: Comparison, words: str, metric: str, direction: str) -> Verdict:
        ends = (told.difference.score, told.difference.low, told.difference.high)
        level = round(PERCENT * self.board.level)
        return Verdict(words, metric, *ends, level, lower_is_better=direction == "min", digits=_digits(ends))


def in_short(verdicts: Sequence[Verdict]) -> dict[Outcome, str]:
    """Outcome → ``not better than the rule and cnn from scratch``, where there is such an outcome."""
    words: dict[Outcome, str] = {
        "better": "better than",
        "even": "not better than",
        "worse": "worse than",
        "unknown": "no verdict against",
    }
    told = {key: [v.control for v in verdicts if v.outcome == key] for key in words}
    return {key: f"{words[key]} {_listed(names)}" for key, names in told.items() if names}


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _own(run: RunRecord) -> list[Verdict]:
    """The paired intervals of one run against the controls that it brought; above 0 where the model is better."""
    found = []
    for who, gain in run.extra["gains"].items():
        value, low, high = (-np.array(gain)[[0, 2, 1]] if run.direction == "min" else np.array(gain)).tolist()
        ends = (value, low, high)
        found.append(
            Verdict(control_words(who), run.metric, *ends, lower_is_better=run.direction == "min", digits=_digits(ends))
        )
    return found


def _digits(ends: Sequence[float]) -> int:
    known = [v for v in ends if math.isfinite(v)]
    return min(6, max(3, decimals(known, 2))) if max(map(abs, known), default=0) < 1 else decimals(known)
