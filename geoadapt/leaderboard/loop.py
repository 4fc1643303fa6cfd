"""A benchmark's loop: every pair of a suite is searched, then its best is run with every seed, and each run recorded.

In: a Plan and a folder. Out: ``records.jsonl`` there. It may be killed at any moment and started again, and several
processes may work in one folder: what is finished is not made again, what somebody works on is left to them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import remove
from geoadapt.leaderboard.claims import claimed
from geoadapt.leaderboard.ledger import Ledger
from geoadapt.leaderboard.records import BARRED
from geoadapt.leaderboard.runs import FAILED, MISSING, blank, blank_control, config_hash
from geoadapt.leaderboard.study import Search, Trial, one_line, open_storage
from geoadapt.leaderboard.suite import Pair, pairs_of
from geoadapt.leaderboard.suite_config import Plan
from geoadapt.leaderboard.worker import Tools, Worker

__all__ = ["Benchmark", "Outcome"]

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
"""Between two looks at what other processes work on."""


@dataclass(slots=True)
class Outcome:
    """How a benchmark ended, for this process."""

    made: int = 0
    """Trials and runs."""
    found: int = 0
    """Those that were finished before, or by others."""
    missing: dict[str, str] = field(default_factory=dict)
    """Pair → why it cannot be."""
    failed: dict[str, str] = field(default_factory=dict)
    """Trial or run → what went wrong."""
    left: int = 0
    """Trials and runs for which the time was not enough."""


class Benchmark:
    """One process's work on a plan in a folder."""

    def __init__(
        self, plan: Plan, folder: Path, tools: Tools, tell: Callable[[str, int, int], None] = lambda *_: None
    ) -> None:
        """Check all that can be before anything runs; ``tell`` is told what was done, how much is done and of how much.

        Raises GeoadaptError where words do not make a job, or the folder holds what this plan would mix with.
        """
        self.plan, self.folder, self.tell = plan, folder.resolve(), tell
        self.pairs = pairs_of(plan)
        self.outcome = Outcome()
        self.worker = Worker(plan, self.folder, tools)
        self.ledger = Ledger(self.folder)
        self._jobs = {pair.slug: self.worker.job(pair, plan.search_seed) for pair in self.pairs}
        for pair in self.pairs:
            if (task := self._jobs[pair.slug].task.name) != pair.dataset.task:
                hint = f"write task: {task}, or choose another in its words"
                raise GeoadaptError(f"datasets.{pair.dataset.key}.task", f"its words choose {task}", hint)
        self.ledger.refuse_others([blank(plan, pair, self._jobs[pair.slug], 0) for pair in self.pairs])
        self._storage: Any = None
        self._tried: set[str] = set()
        self._settled: set[str] = set()
        self._ends = float("inf") if plan.max_minutes is None else time.monotonic() + 60 * plan.max_minutes

    @property
    def total(self) -> int:
        """Trials and runs of all pairs that are entered."""
        return sum(len(_items(self.plan, pair)) for pair in self.pairs)

    def run(self) -> Outcome:
        """Work until nothing is left, or the time is up; raises GeoadaptError where the folder cannot be written."""
        with claimed(self.folder / "claims" / "studies", wait=True):  # two that make its tables at once fall over
            self._storage = open_storage(self.folder) if self.plan.trials else None
        left = list(self.pairs)
        while left and not self._late():
            before = self.outcome.made
            left = [pair for pair in left if not self._work(pair)]
            if left and self.outcome.made == before and not self._late():
                time.sleep(POLL_SECONDS)  # others work on all of them
        self.outcome.left = self.total - len(self._settled)
        return self.outcome

    def _late(self) -> bool:
        return time.monotonic() >= self._ends

    def _work(self, pair: Pair) -> bool:
        """Do of a pair what nobody else does; whether all of it is settled."""
        if pair.barred:
            self._miss(pair, pair.barred)
        best: Trial | None = None
        if self.plan.trials and pair.name not in self.outcome.missing:
            search = self._search(pair)
            if not self._searched(pair, search):
                return False
            best = search.best(self.plan.trials)
            if best is None and pair.name not in self.outcome.missing:
                reason = next((trial.error for trial in search.ended().values() if trial.error), "all were given up")
                self._fail(pair, f"none of {self.plan.trials} trials has a score: {reason}")
                return True
        return pair.name in self.outcome.missing or self._repeated(pair, best)

    def _search(self, pair: Pair) -> Search:
        """The study of all that a trial's score depends on."""
        job, space = self._jobs[pair.slug], pair.run.space
        meaning = json.dumps([config_hash(job, self.folder), asdict(space), self.plan.pruning])
        name = f"{pair.slug} {hashlib.sha256(meaning.encode()).hexdigest()[:12]}"
        return Search(self._storage, name, space, self.plan.search_seed, pruning=self.plan.pruning)

    def _searched(self, pair: Pair, search: Search) -> bool:
        def settled(place: int) -> bool:
            trial = search.ended().get(place)
            return trial is not None and (not trial.error or _key(pair, "trial", place) in self._tried)

        def work(place: int) -> None:
            where = self.worker.trial_folder(pair, place)
            with self._spared(pair, f"trial {place}", where, possible=search.best(self.plan.trials) is not None):
                remove(where)
                self.worker.trial(pair, search, place)
            remove(where)

        return self._through(pair, "trial", range(self.plan.trials), settled, work)

    def _repeated(self, pair: Pair, best: Trial | None) -> bool:
        def settled(seed: int) -> bool:
            return _key(pair, "seed", seed) in self._tried or self._finished(pair, seed, best)

        def work(seed: int) -> None:
            where = self.worker.run_folder(pair, seed)
            with self._spared(pair, f"seed {seed}", where, possible=best is not None, seed=seed):
                records = self.worker.run(pair, seed, best)
                self.ledger.add(records)
                if reason := records[-1].extra.get(FAILED):
                    self.outcome.failed[f"{pair.name}, seed {seed}"] = reason

        return self._through(pair, "seed", self.plan.seeds, settled, work)

    def _finished(self, pair: Pair, seed: int, best: Trial | None) -> bool:
        """Whether a run, all that it is scored for, and the controls that it brings are recorded as made now."""
        job = self.worker.job(pair, seed, best)
        seen = [blank(self.plan, one, job, seed) for one in pair.seen_as(self.plan)]
        brought = [blank_control(one, control) for one in seen for control in pair.controls]
        known = self.ledger.known()
        whole = all(one.identity in known for one in (*seen, *brought))
        return whole and self.ledger.finished(seen[-1], config_hash(job, self.folder))

    def _through(
        self,
        pair: Pair,
        kind: str,
        numbers: Sequence[int],
        settled: Callable[[int], bool],
        work: Callable[[int], None],
    ) -> bool:
        """Take up, one after the other, what is neither settled nor somebody else's; whether all is settled then."""
        free = True
        for number in numbers:
            key = _key(pair, kind, number)
            if not settled(number):
                if self._late():
                    return False
                with claimed(self.folder / "claims" / key) as mine:
                    if not mine:
                        free = False
                        continue
                    if not settled(number):  # somebody may have finished it between the two looks
                        self._tried.add(key)
                        begin = time.process_time()
                        work(number)
                        self.outcome.made += pair.name not in self.outcome.missing
                        log.info("%s, %s %d: %.1f s of computing", pair.name, kind, number, time.process_time() - begin)
            if pair.name in self.outcome.missing:
                return True
            self._settle(key, f"{pair.name}, {kind} {number}")
        return free

    def _settle(self, key: str, what: str, *, exists: bool = True) -> None:
        """Tick off a trial or run; it ``exists`` unless its pair has none."""
        if key not in self._settled:
            self._settled.add(key)
            self.outcome.found += exists and key not in self._tried
            self.tell(what, len(self._settled), self.total)

    @contextmanager
    def _spared(self, pair: Pair, what: str, where: Path, *, possible: bool, seed: int | None = None) -> Iterator[None]:
        """What goes wrong in one run ends that run alone.

        What is refused before the first step of the first fit cannot be at all: then the pair is missing, not failed,
        unless it is the suite's own ``train`` that is refused.
        """
        from geoadapt.training.run import began

        try:
            yield
        except Exception as error:
            reason = one_line(error)
            refused = isinstance(error, GeoadaptError) and not str(error.path).startswith("train")
            if refused and not possible and not began(where):
                self._miss(pair, reason)
                return
            log.warning("%s, %s failed: %s", pair.name, what, reason, exc_info=not isinstance(error, GeoadaptError))
            self.outcome.failed[f"{pair.name}, {what}"] = reason
            if seed is not None:
                job = self.worker.job(pair, seed)
                self.ledger.note([replace(blank(self.plan, pair, job, seed), extra={FAILED: reason})])

    def _miss(self, pair: Pair, reason: str) -> None:
        """Neither the pair nor what it would have brought along can be, and why."""
        self.outcome.missing[pair.name] = reason
        self._without_score(pair, {MISSING: reason})
        for key in _items(self.plan, pair):
            self._settle(key, f"{pair.name}: missing", exists=False)

    def _fail(self, pair: Pair, reason: str) -> None:
        self.outcome.failed[pair.name] = reason
        self._without_score(pair, {FAILED: reason})
        for key in _items(self.plan, pair):
            self._settle(key, f"{pair.name}: failed", exists=False)

    def _without_score(self, pair: Pair, why: dict[str, str]) -> None:
        job = self._jobs[pair.slug]
        brought = {key: f"{pair.entry.name} brings it along: {reason}" for key, reason in why.items()}
        told = {**why, **({BARRED: True} if pair.barred else {})}
        for seen in pair.seen_as(self.plan):
            blanks = [blank(self.plan, seen, job, seed) for seed in self.plan.seeds]
            self.ledger.note([replace(one, extra={**one.extra, **told}) for one in blanks])
            for control in pair.controls:
                self.ledger.note([blank_control(one, control, **brought) for one in blanks])


def _key(pair: Pair, kind: str, number: int) -> str:
    return f"{pair.slug}-{kind}-{number}"


def _items(plan: Plan, pair: Pair) -> list[str]:
    """All trials and runs of a pair that is entered."""
    if pair.barred:
        return []
    trials = [_key(pair, "trial", place) for place in range(plan.trials)]
    return [*trials, *(_key(pair, "seed", seed) for seed in plan.seeds)]
