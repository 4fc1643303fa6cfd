"""A training run, top to bottom: data, fit, controls, test read once, bundle, metrics, page.

In: a checked JobConfig and a folder. Out: the run folder.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoadapt.config import JobConfig
from geoadapt.inference.machine import choose_device
from geoadapt.tasks.processes import join, rank, same_on_all
from geoadapt.training.fit_types import FitResult
from geoadapt.training.keep import check_keeping, keep_backbone
from geoadapt.training.kinds import Kind, kind_of
from geoadapt.training.pretrain import pretrain
from geoadapt.training.pretrain_weather import pretrain_weather
from geoadapt.training.results import MODEL, RunResult, join_curves, write_metrics
from geoadapt.training.timing import megapixels_per_second
from geoadapt.training.watched import WatchedTask

__all__ = ["Fitted", "RunResult", "began", "fit_only", "train"]

log = logging.getLogger(__name__)
PRETRAININGS = {"pretraining": pretrain, "weather_pretraining": pretrain_weather}
"""Tasks that make a backbone, and adapt none."""
FIT = "fit"
"""The folder of the model under test, among those of all fits of a run."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit that nothing was tested with."""

    result: FitResult
    monitor: str
    """The validation score that ``result.best`` is."""
    mode: str
    """``max`` or ``min``: which of two such scores is better."""


def fit_only(job: JobConfig, run_dir: Path, watch: Callable[[float], None] | None = None) -> Fitted:
    """Adapt and validate: no control, no test, no bundle; raises what ``train`` raises.

    ``watch`` is told the monitored score of each validation, with the sign that makes more better, and ends the fit by
    what it raises; of a fit that is validated under many shifts (``train.select``) it hears nothing.
    """
    join(choose_device(job.runtime.device))
    kind = kind_of(job.task.name)
    setting = kind.prepare(job, same_on_all(run_dir))
    task = setting.task
    if watch is not None and job.train.select == "validation":
        setting = replace(setting, task=WatchedTask(task, watch))
    _, result = kind.adapt(setting, job, FIT)
    return Fitted(result, task.monitor, task.mode)


def began(run_dir: Path) -> bool:
    """Whether the fit of a run took its first step: what was refused before could not be done at all."""
    return (run_dir / "fits" / FIT).is_dir()


def train(job: JobConfig, run_dir: Path, command: str = "") -> RunResult:
    """Adapt, compare, test and store; raises GeoadaptError for data or configuration that cannot work.

    The run folder gets ``metrics.json``, ``curves.csv``, ``bundle/``, ``report.html``, ``checkpoints/``, ``log.txt``.
    Of several processes that torchrun started, all fit, and the first alone scores and writes: the others' result is
    empty.
    """
    join(choose_device(job.runtime.device))
    run_dir = same_on_all(run_dir)
    return (_logged if rank() == 0 else _of_kind)(job, run_dir, command)


def _logged(job: JobConfig, run_dir: Path, command: str) -> RunResult:
    run_dir.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(run_dir / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    house = logging.getLogger("geoadapt")
    house.addHandler(handler)
    house.setLevel(logging.INFO)
    try:
        return _of_kind(job, run_dir, command)
    finally:
        house.removeHandler(handler)
        handler.close()


def _of_kind(job: JobConfig, run_dir: Path, command: str) -> RunResult:
    return PRETRAININGS.get(job.task.name, _train)(job, run_dir, command)


def _train(job: JobConfig, run_dir: Path, command: str) -> RunResult:
    begin = time.perf_counter()
    check_keeping(job)
    kind = kind_of(job.task.name)
    setting = kind.prepare(job, run_dir)
    controls = kind.choose(setting)
    model, result = kind.adapt(setting, job, FIT)
    log.info(
        "fit: %s; best val %s %.4g at step %d of %d, %.0f s",
        model.count(),
        setting.task.monitor,
        result.best,
        result.best_step,
        result.steps,
        result.seconds,
    )
    if rank() == 0:
        join_curves(result.curves, run_dir / "curves.csv")
        _keep_checkpoints(result.checkpoint.parent, run_dir / "checkpoints")
    entries: dict[str, Any] = {MODEL: kind.own(setting, model, result)}
    for name in controls:
        log.info("control %s", name)
        entries[name] = kind.controls[name](setting, result.seconds)
    if rank() > 0:
        return RunResult(run_dir, {}, run_dir / "bundle", run_dir / "report.html")
    scored = kind.score(setting, entries)
    metrics = kind.metrics(setting, scored, result, run_dir / "curves.csv")
    metrics[f"{MODEL}/train_seconds"] = result.seconds
    metrics[f"{MODEL}/total_parameters"] = float(model.count().total)
    metrics[f"{MODEL}/mpx_per_second"] = _speed(kind, setting, job, model)
    for who, control in entries.items():
        metrics[f"{who}/parameters"] = float(control.parameters)
    metrics["run/seconds"] = time.perf_counter() - begin
    bundle = kind.store(setting, model, metrics, command, entries, run_dir / "bundle")
    write_metrics(run_dir, metrics)
    if job.train.keep_backbone:
        keep_backbone(setting.job, getattr(model, "model", model), setting.data, result, metrics, command, run_dir)
    page = kind.page(setting, scored, metrics, entries, command, run_dir)
    return RunResult(run_dir, metrics, bundle, page)


def _speed(kind: Kind, setting: Any, job: JobConfig, model: Any) -> float:
    here = replace(job, train=replace(job.train, workers=0))
    batch = next(iter(kind.loaders(setting, here, model)(0).train))
    return megapixels_per_second(model, batch, setting.job.runtime)


def _keep_checkpoints(found: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(found, target, ignore=shutil.ignore_patterns(".*"))  # what a killed run left half written
