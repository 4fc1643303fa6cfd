"""A suite whose runs are made up: what the loop does is the same, and nothing is fitted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml

from geoadapt.cli.compose import compose
from geoadapt.config import JobConfig
from geoadapt.leaderboard import loop
from geoadapt.leaderboard.suite import read_plan
from geoadapt.leaderboard.suite_config import Plan
from geoadapt.leaderboard.worker import Tools
from geoadapt.training import run as training
from geoadapt.training.run import Fitted

__all__ = ["SUITE", "MadeUp", "plan"]

SUITE: dict[str, Any] = {
    "name": "small",
    "seeds": 2,
    "trials": 3,
    "words": ["train.steps=4", "train.chip=32"],
    "datasets": {
        "clouds": {"task": "cloud_segmentation", "metric": "miou"},
        "removal": {"task": "cloud_removal", "metric": "mae/masked", "direction": "min"},
    },
    "runs": {
        "clouds": {"words": ["task=cloud_segmentation", "head=fcn", "data=simulated", "data.root={dir}/data"]},
        "removal": {"words": ["task=cloud_removal", "head=removal", "data=simulated_series"]},
    },
    "entries": [
        {"backbone": "small_eo", "adapter": "none"},
        {"backbone": "small_eo", "adapter": "lora_r16"},
        {"backbone": "small_eo", "adapter": "full", "random": True, "tasks": ["cloud_segmentation"]},
    ],
    "controls": [{"name": "rule", "control": {"cloud_segmentation": "rule", "cloud_removal": "temporal_median"}}],
    "groups": {"all": {"datasets": ["clouds", "removal"]}},
}


def plan(folder: Path, *overrides: str, **changes: Any) -> Plan:
    """The plan of ``SUITE`` with some keys changed, by way of its file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.yaml").write_text(yaml.safe_dump({**SUITE, **changes}, sort_keys=False))
    return read_plan(folder / "small.yaml", overrides)


@cache
def _storage(folder: Path) -> Any:
    """A file's tables take longer to make than all the rest of a run in which nothing is fitted."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.storages.InMemoryStorage()


DRAWN = ("lr", "batch", "weight_decay")


@cache
def _composed(words: tuple[str, ...]) -> JobConfig:
    """Composing takes most of the time of a run in which nothing is fitted."""
    return compose(words)


@dataclass
class MadeUp:
    """Fits and runs that only say what they were asked; ``trouble`` may raise for one of them."""

    trouble: Callable[[str, JobConfig, Path], None] = lambda what, job, folder: None
    asked: list[str] = field(default_factory=list)
    _one: Any = field(default_factory=threading.Lock)

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> Tools:
        """Take the place of the fit; the tools that a benchmark wants. Studies are kept in memory, by folder."""
        monkeypatch.setattr(training, "fit_only", self._fit)
        monkeypatch.setattr(loop, "open_storage", _storage)
        return Tools(self._compose, lambda job: None, self._train)

    def _compose(self, words: Sequence[str]) -> JobConfig:
        typed = dict(word.split("=", 1) for word in words)
        drawn = {key: float(typed.pop(f"train.{key}")) for key in DRAWN if f"train.{key}" in typed}
        seed = int(typed.pop("seed"))
        typed.pop("data.root", None)
        typed.pop("backbone.seed", None)
        with self._one:  # Hydra's composing is for one thread at a time
            job = _composed(tuple(f"{key}={value}" for key, value in typed.items()))
        train = replace(job.train, **{key: int(v) if key == "batch" else v for key, v in drawn.items()})
        return replace(job, seed=seed, train=train)

    def _fit(self, job: JobConfig, folder: Path, watch: Callable[[float], None] | None = None) -> Fitted:
        self._ask("trial", job, folder)
        mode = "max" if job.task.name == "cloud_segmentation" else "min"
        score = -abs(job.train.lr - 3e-4) if mode == "max" else abs(job.train.lr - 3e-4)
        if watch is not None:
            watch(score if mode == "max" else -score)
        return Fitted(SimpleNamespace(best=score), "score", mode)  # type: ignore[arg-type]

    def _train(self, job: JobConfig, folder: Path, command: str = "") -> Any:
        self._ask("seed", job, folder)
        (folder / "bundle").mkdir(parents=True)
        (folder / "bundle" / "bundle.json").write_text(json.dumps({"simulated": True}))
        metric = "miou" if job.task.name == "cloud_segmentation" else "mae/masked"
        whos = {"test": 0.5 + job.train.lr, **{name: 0.1 for name in job.train.chosen_controls(job.task.name)}}
        metrics = {f"{who}/{metric}": value + job.seed / 100 for who, value in whos.items()}
        if metric != "miou":
            metrics |= {f"{who}/mae/covered_10_20": 2 * value for who, value in whos.items()}
        metrics |= {"test/parameters": 10.0, "test/total_parameters": 20.0, "test/train_seconds": 1.0}
        return SimpleNamespace(metrics=metrics)

    def _ask(self, what: str, job: JobConfig, folder: Path) -> None:
        with self._one:
            self.asked.append(f"{what} {job.task.name} {job.adapter.name} {folder.name}")
        if what == "trial":
            (folder / "fits").mkdir(parents=True)
        self.trouble(what, job, folder)
