"""A training run, top to bottom: data, fit, controls, test read once, bundle, metrics, page.

In: a checked JobConfig and a folder. Out: the run folder.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from geoadapt.bundle import BundleCard, save_bundle
from geoadapt.config import JobConfig
from geoadapt.cubes.classes import ClassInfo
from geoadapt.fields.survey import Survey
from geoadapt.inference.machine import choose_device
from geoadapt.io.atomic import write_text
from geoadapt.model import AdaptedModel
from geoadapt.tasks.processes import join, rank, same_on_all
from geoadapt.training.controls import CONTROLS, Control, choose_controls
from geoadapt.training.page import RunStory, write_page
from geoadapt.training.pretrain import pretrain
from geoadapt.training.results import MODEL, RunResult, join_curves, jsonable, summarise
from geoadapt.training.scoring import SceneScore, module_scorer, score_scenes
from geoadapt.training.selection import validation_scores
from geoadapt.training.setting import Setting, fit_adapted, prepare

__all__ = ["RunResult", "train"]

log = logging.getLogger(__name__)


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
    return (pretrain if job.task.name == "pretraining" else _train)(job, run_dir, command)


def _train(job: JobConfig, run_dir: Path, command: str) -> RunResult:
    begin = time.perf_counter()
    setting = prepare(job, run_dir)
    controls = choose_controls(setting)
    data, task = setting.data, setting.task
    model, result = fit_adapted(setting, job, "fit")
    log.info(
        "fit: %s; best val mIoU %.3f at step %d of %d, %.0f s",
        model.count(),
        result.best,
        result.best_step,
        result.steps,
        result.seconds,
    )
    if rank() == 0:
        join_curves(result.curves, run_dir / "curves.csv")
        _keep_checkpoints(result.checkpoint.parent, run_dir / "checkpoints")
    own = Control(
        module_scorer(model, data.channels, setting.device),
        model.spec.multiple,
        None,
        result,
        model.count().trainable,
        f"{job.backbone.name} with {job.adapter.name} and the {job.head.name} head: {model.count()}",
    )
    entries: dict[str, Control] = {MODEL: own}
    for name in controls:
        log.info("control %s", name)
        entries[name] = CONTROLS[name](setting, result.seconds)
    if rank() > 0:
        return RunResult(run_dir, {}, run_dir / "bundle", run_dir / "report.html")
    scored = {who: _test(setting, control, doubts=who == MODEL) for who, control in entries.items()}
    metrics = summarise(scored, task.names, draws=job.train.bootstrap, seed=job.seed)
    chosen_by = validation_scores(run_dir / "curves.csv", result.best, task.monitor)
    metrics |= {f"{MODEL}/{key}": value for key, value in chosen_by.items()}
    metrics[f"{MODEL}/train_seconds"] = result.seconds
    for who, control in entries.items():
        metrics[f"{who}/parameters"] = float(control.parameters)
    metrics["run/seconds"] = time.perf_counter() - begin
    card = _card(job, setting, model, metrics, command, entries)
    stored = {name: c.stored for name, c in entries.items() if c.stored is not None and name != "rule"}
    bundle = save_bundle(run_dir / "bundle", model, card, stored)
    write_text(run_dir / "metrics.json", json.dumps(jsonable(metrics), indent=2) + "\n")
    page = write_page(run_dir / "report.html", _story(job, setting, scored, metrics, entries, command, run_dir))
    return RunResult(run_dir, metrics, bundle, page)


def _story(
    job: JobConfig,
    setting: Setting,
    scored: Mapping[str, list[SceneScore]],
    metrics: Mapping[str, float],
    entries: Mapping[str, Control],
    command: str,
    run_dir: Path,
) -> RunStory:
    return RunStory(
        title=f"{job.task.name.replace('_', ' ').capitalize()}: {job.backbone.name} with {job.adapter.name}",
        channels=setting.data.channels,
        scenes=setting.data.test or setting.data.train,
        classes=setting.task.classes,
        scored=scored,
        metrics=metrics,
        notes={who: control.note for who, control in entries.items()},
        data=setting.data.note,
        simulated=setting.data.simulated,
        command=command,
        config=asdict(job),
        curves=run_dir / "curves.csv",
    )


def _test(setting: Setting, control: Control, *, doubts: bool) -> list[SceneScore]:
    data, job = setting.data, setting.job
    scenes = data.test or data.train
    return score_scenes(
        control.scorer,
        scenes,
        data.test_blocks,
        setting.task.classes,
        job.infer,
        multiple=control.multiple,
        block=getattr(job.data, "block", 64),
        device=setting.device,
        doubts=doubts,
    )


def _card(
    job: JobConfig,
    setting: Setting,
    model: AdaptedModel,
    metrics: Mapping[str, float],
    command: str,
    entries: Mapping[str, Control],
) -> BundleCard:
    seen: Survey = setting.survey
    rule = entries["rule"].stored if "rule" in entries else None
    classes: tuple[ClassInfo, ...] = setting.task.classes
    kept = {k: v for k, v in metrics.items() if k.startswith(f"{MODEL}/") and np.isfinite(v)}
    return BundleCard(
        name=f"{job.task.name}-{job.backbone.name}-{job.adapter.name}",
        task=job.task.name,
        backbone={**asdict(job.backbone), "weights": None},
        adapter=asdict(getattr(model.attached, "settings", job.adapter)),
        head=asdict(job.head),
        source=model.source.as_plain(),
        channels=setting.data.channels,
        units="reflectance",
        mean=tuple(float(v) for v in seen.mean),
        std=tuple(float(v) for v in seen.std),
        classes=classes,
        metrics=kept,
        data=setting.data.note,
        seed=job.seed,
        command=command,
        licence=model.source.licence,
        simulated=setting.data.simulated,
        rule=None if rule is None else {"blue": getattr(rule, "threshold")},  # noqa: B009
        threshold=job.infer.threshold,
        chip=job.train.chip,
    )


def _keep_checkpoints(found: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(found, target, ignore=shutil.ignore_patterns(".*"))  # what a killed run left half written
