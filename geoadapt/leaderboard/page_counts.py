"""How many runs a page tells of, apart from what is no run: closer looks, scores of controls, and blanks.

In: the records of chapters. Out: counts, and a sentence of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from geoadapt.leaderboard.page_chapter import Chapter
from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.runs import FAILED
from geoadapt.words import counted

__all__ = ["Counts", "count_records"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Records by what they are; every record counts once."""

    runs: int
    """Made for their own sake, and scored."""
    brought: int
    """Scores of controls that a run computed beside its own."""
    looks: int
    """Scores of the same runs by another metric, or on a part of the data."""
    failed: int
    """Runs that were tried and left no score."""
    blanks: int
    """Records that only say why a place has no score."""
    simulated: int
    """Of the runs, those on simulated data."""
    trials: int
    """Of the searches before the runs, as planned."""

    def words(self, entries: int, datasets: int) -> str:
        """The sentence under a page's title."""
        share = (
            ""
            if not self.simulated
            else ", all of them simulated"
            if self.simulated == self.runs
            else f", {self.simulated} of them on simulated data"
        )
        searched = f", after {counted(self.trials, 'trial')} of search" if self.trials else ""
        who = f"{counted(entries, 'entry', 'entries')} on {counted(datasets, 'data set')}"
        made = f"{counted(self.runs, 'run')} of {who}{share}{searched}."
        beside = [
            counted(self.brought, "score") + " of controls that they brought along" if self.brought else "",
            counted(self.looks, "closer look") + " at the same runs" if self.looks else "",
            counted(self.failed, "run") + " that failed" if self.failed else "",
            counted(self.blanks, "blank") + " that only say why there is no score" if self.blanks else "",
        ]
        more = "; ".join(part for part in beside if part)
        return f"{made} Not among these runs: {more}." if more else made


def count_records(chapters: Iterable[Chapter]) -> Counts:
    """What the records of some chapters are."""
    found = [one for chapter in chapters for one in _sorted_out(chapter)]
    runs = [run for kind, run in found if kind == "run"]
    searched = (run for run in runs if "trial" in run.extra)
    searches = {(r.board, r.backbone, r.adapter, r.head, r.dataset): r.extra.get("n_trials", 0) for r in searched}
    kinds = [kind for kind, _ in found]
    return Counts(
        runs=len(runs),
        brought=kinds.count("brought"),
        looks=kinds.count("look"),
        failed=kinds.count("failed"),
        blanks=kinds.count("blank"),
        simulated=sum(run.simulated for run in runs),
        trials=sum(int(trials) for trials in searches.values()),
    )


def _sorted_out(chapter: Chapter) -> list[tuple[str, RunRecord]]:
    """Every record of a chapter with what it is."""
    seen: set[tuple[object, ...]] = set()
    found = []
    for name, dataset in chapter.suite.datasets.items():
        runs = (run for (_, on), runs in chapter.cells.items() if on == name for run in runs)
        for run in runs:
            found.append((_kind(run, bool(dataset.of) or _made(run) in seen), run))
            # where no suite says what is a closer look, the same command on another data set does
            if not dataset.of and run.command and run.config_hash:
                seen.add(_made(run))
    return found


def _kind(run: RunRecord, look: bool) -> str:
    if not math.isfinite(run.value):
        return "failed" if run.extra.get(FAILED) and not look else "blank"
    return "look" if look else "brought" if run.extra.get("beside") else "run"


def _made(run: RunRecord) -> tuple[object, ...]:
    """What scores of one run agree in."""
    return run.backbone, run.adapter, run.regime, run.head, run.seed, run.command, run.config_hash
