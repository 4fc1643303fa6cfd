"""How one trial and one run of a benchmark are done; which, and when, is the loop's.

In: a pair and what was drawn for it. Out: a validation score; or records, beside the folder of the run.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import remove
from geoadapt.leaderboard.claims import claimed
from geoadapt.leaderboard.peak import peak_memory
from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.runs import NO_CONTROLS, Made, made_records
from geoadapt.leaderboard.study import Chosen, Search, Trial
from geoadapt.leaderboard.suite import Pair
from geoadapt.leaderboard.suite_config import Plan

__all__ = ["CONTROLS_KEY", "Tools", "Worker", "typed"]

CONTROLS_KEY = "train.controls"
DATA = "GEOADAPT_DATA"
PASSING = ("fits", "checkpoints")
"""What a finished run leaves that nobody needs: its bundle holds the weights."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the command line lends: how words become a job, data are made, and a job is run."""

    compose: Callable[[Sequence[str]], JobConfig]
    make: Callable[[JobConfig], None]
    train: Callable[..., Any]
    """``(job, folder, command=…)``; gives what has ``metrics``."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What all trials and runs of a benchmark share."""

    plan: Plan
    folder: Path
    tools: Tools

    def words(self, pair: Pair, seed: int, best: Trial | None = None, controls: Sequence[str] = ()) -> list[str]:
        """What is typed after ``geoadapt train`` for a run, but for its folder."""
        return self._words(pair, seed, None if best is None else best.chosen, controls)

    def job(self, pair: Pair, seed: int, best: Trial | None = None) -> JobConfig:
        """The run of the best with a seed, or what the suite's words say where nothing was searched."""
        return self.tools.compose(self.words(pair, seed, best, pair.wanted()))

    def trial_folder(self, pair: Pair, place: int) -> Path:
        """Where a trial's fit lies until it is done."""
        return self.folder / "trials" / pair.slug / str(place)

    def run_folder(self, pair: Pair, seed: int) -> Path:
        """Where a run's bundle and page stay."""
        return self.folder / "runs" / pair.slug / f"seed-{seed}"

    def trial(self, pair: Pair, search: Search, place: int) -> None:
        """Fit and validate, and keep nothing but the score; raises what the fit raises."""
        from geoadapt.training.run import fit_only

        where = self.trial_folder(pair, place)

        def objective(chosen: Chosen, watch: Callable[[float], None]) -> tuple[float, str, str]:
            job = self.tools.compose(self._words(pair, self.plan.search_seed, chosen, ()))
            self._make_data(job)
            fitted = fit_only(job, where, watch if self.plan.pruning else None)
            return fitted.result.best, fitted.mode, fitted.monitor

        search.run(place, objective)

    def run(self, pair: Pair, seed: int, best: Trial | None) -> list[RunRecord]:
        """Fit, test once and store; the records of the controls and last the run's own. Raises what the run raises.

        Where the data cannot feed a control, the run is made without them all.
        """
        try:
            made = self._made(pair, seed, best, pair.wanted())
        except GeoadaptError as error:
            if not pair.controls or error.path != CONTROLS_KEY:
                raise
            made = self._made(pair, seed, best, (), **{NO_CONTROLS: str(error)})
        records = made_records(self.plan, pair, made, self.folder)
        for part in PASSING:
            remove(made.folder / part)
        return records

    def _made(self, pair: Pair, seed: int, best: Trial | None, controls: Sequence[str], **told: str) -> Made:
        from geoadapt.inference.machine import choose_device

        where = self.run_folder(pair, seed)
        remove(where)
        words = self.words(pair, seed, best, controls)
        command = typed(["geoadapt", "train", *words, f"hydra.run.dir={where}"], self.folder)
        job = self.tools.compose(words)
        self._make_data(job)
        with peak_memory(choose_device(job.runtime.device)) as peak:
            result = self.tools.train(job, where, command=command)
            memory = peak()
        return Made(job, where, result.metrics, memory, command, {**self._extra(job, best), **told})

    def _words(self, pair: Pair, seed: int, chosen: Chosen | None, controls: Sequence[str]) -> list[str]:
        drawn = {} if chosen is None else asdict(chosen)
        return [*pair.words(self.plan, self.folder, seed, **drawn), f"{CONTROLS_KEY}={','.join(controls) or 'none'}"]

    def _make_data(self, job: JobConfig) -> None:
        """One process at a time: two that make the same scenes would write the same files."""
        with claimed(self.folder / "claims" / f"data-{job.data.name}", wait=True):
            self.tools.make(job)

    def _extra(self, job: JobConfig, best: Trial | None) -> dict[str, Any]:
        """What a submission asks of a run, and by what it was chosen."""
        train = job.train
        told = {"lr": train.lr, "batch_size": train.batch, "weight_decay": train.weight_decay, "steps": train.steps}
        told["n_trials"] = self.plan.trials
        if train.patience:
            told["early_stop_patience"] = train.patience
        return told if best is None else {**told, "trial": best.place, f"val_{best.monitor}": best.score}


def typed(words: Sequence[str], folder: Path) -> str:
    """Words as one types them into a shell, on another machine too: the data by their variable, folders from here."""
    if folder.is_relative_to(Path.cwd()):
        words = [word.replace(str(folder), str(folder.relative_to(Path.cwd()))) for word in words]
    data = os.environ.get(DATA)
    if not data:
        return shlex.join(words)
    return " ".join(f'"${DATA}"'.join(shlex.quote(part) if part else "" for part in word.split(data)) for word in words)
