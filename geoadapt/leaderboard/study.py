"""The search for one pair's learning rate and batch: an Optuna study in a file that several processes share.

In: a space, and for each trial a validation score. Out: the best of them. A trial has a place, 0 to n − 1, and what it
draws depends on the place, the seed and the trials finished before it, so that a search that was killed goes on as it
would have gone. Of several processes each sees what is finished when it draws: the first ten places are drawn at random
and do not care, later ones may differ from a lone process's.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.suite_config import Space

__all__ = ["Chosen", "Search", "Trial", "one_line", "open_storage"]

NAME = "studies.db"
PLACE, SCORE, MONITOR, ERROR, WEIGHT_DECAY = "place", "score", "monitor", "error", "weight_decay"
BUSY_SECONDS = 60.0
"""How long a process waits for another that writes."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a trial drew: keys of ``train``."""

    lr: float
    batch: int
    weight_decay: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that has ended, well or not."""

    place: int
    chosen: Chosen
    score: float | None
    """On validation; None where it failed or was given up."""
    monitor: str
    pruned: bool
    error: str


def open_storage(folder: Path) -> Any:
    """The studies of a benchmark's folder; made where there are none. Raises GeoadaptError for a file of other kind."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # a path in a URL would have to do without ? and %
    connect = partial(sqlite3.connect, (folder / NAME).resolve(), timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        with closing(connect()) as known:
            known.execute("SELECT name FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        raise GeoadaptError(folder / NAME, f"cannot be opened: {error}", "check space and rights") from error
    except sqlite3.DatabaseError as error:
        hint = "remove it: its trials are made again, and what is recorded stays"
        raise GeoadaptError(folder / NAME, f"holds no studies: {error}", hint) from error
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect})


class Search:
    """The trials of one pair."""

    def __init__(self, storage: Any, name: str, space: Space, seed: int, *, pruning: bool = False) -> None:
        """``name`` is the study's: whatever changes what a trial means must change it."""
        import optuna

        self._space, self._name, self._seed = space, name, seed
        pruner = optuna.pruners.MedianPruner() if pruning else optuna.pruners.NopPruner()
        self._study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
        )

    def ended(self) -> dict[int, Trial]:
        """The latest trial of every place that has ended, in the order of the places."""
        found = {t.place: t for told in self._study.get_trials(deepcopy=False) if (t := _trial(told)) is not None}
        return dict(sorted(found.items()))

    def best(self, places: int) -> Trial | None:
        """Of the first ``places`` the finished trial with the best score, of equals the first; None where none has one.

        A longer search in the same folder may have made more.
        """
        scored = [(told.value, trial) for told in self._study.get_trials(deepcopy=False) if (trial := _trial(told))]
        finished = [(value, trial) for value, trial in scored if value is not None and trial.place < places]
        return min(finished, key=lambda pair: (-pair[0], pair[1].place))[1] if finished else None

    def run(self, place: int, objective: Callable[[Chosen, Callable[[float], None]], tuple[float, str, str]]) -> Trial:
        """Make the trial of a place, which this process has claimed, and keep how it ended.

        ``objective`` takes what was drawn and whom to tell of a validation, so that more is better; it gives the score,
        ``max`` or ``min``, and the score's name. What it raises ends the trial and is raised again.
        """
        import optuna

        self._bury(place)
        self._study.sampler = optuna.samplers.TPESampler(seed=_seed(self._name, self._seed, place))
        trial = self._study.ask()
        trial.set_user_attr(PLACE, place)
        low, high = self._space.rates
        chosen = Chosen(
            trial.suggest_float("lr", low, high, log=True),
            trial.suggest_categorical("batch", sorted(self._space.batch)),
            self._space.weight_decay,
        )
        trial.set_user_attr(WEIGHT_DECAY, chosen.weight_decay)
        told = 0

        def watch(score: float) -> None:
            nonlocal told
            told += 1
            trial.report(score, told)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            score, mode, monitor = objective(chosen, watch)
            if math.isnan(score):
                raise GeoadaptError(
                    monitor, "is not a number on the validation samples", "see whether they hold labels"
                )
        except optuna.TrialPruned:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return Trial(place, chosen, None, "", True, "")
        except BaseException as error:
            if isinstance(error, Exception):  # who presses Ctrl-C wants the trial again
                trial.set_user_attr(ERROR, one_line(error))
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        trial.set_user_attr(SCORE, score)
        trial.set_user_attr(MONITOR, monitor)
        self._study.tell(trial, score if mode == "max" else -score)
        return Trial(place, chosen, score, monitor, False, "")

    def _bury(self, place: int) -> None:
        """End what a killed process left running in a place: it would weigh on what is drawn next."""
        import optuna

        for told in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            if told.user_attrs.get(PLACE) == place:
                self._study.tell(told.number, state=optuna.trial.TrialState.FAIL)


def one_line(error: BaseException) -> str:
    """An error as records and studies keep it."""
    text = " ".join(str(error).split())
    return text if isinstance(error, GeoadaptError) else f"{type(error).__name__}: {text}"


def _trial(told: Any) -> Trial | None:
    """A trial that has ended; None for one that runs, and for one that was ended from outside."""
    kept, state = told.user_attrs, told.state.name
    ended = state in ("COMPLETE", "PRUNED") or (state == "FAIL" and ERROR in kept)
    if not ended or PLACE not in kept:
        return None
    return Trial(
        kept[PLACE],
        Chosen(told.params["lr"], told.params["batch"], kept[WEIGHT_DECAY]),
        kept.get(SCORE),
        kept.get(MONITOR, ""),
        state == "PRUNED",
        kept.get(ERROR, "") if state == "FAIL" else "",
    )


def _seed(name: str, seed: int, place: int) -> int:
    """The same wherever it is computed; Python's own hash is not."""
    return int.from_bytes(hashlib.sha256(f"{name} {seed} {place}".encode()).digest()[:4])
