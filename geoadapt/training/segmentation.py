"""Segmentation runs: how such a model is fitted, scored on scenes, stored and shown.

In: a Setting with labelled scenes. Out: the parts of a run that ``training.run`` puts together.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from geoadapt.bundle.card import BundleCard
from geoadapt.bundle.save import save_bundle
from geoadapt.fields.survey import Survey
from geoadapt.model import AdaptedModel
from geoadapt.training.card import card_of, note_of
from geoadapt.training.controls import CONTROLS, Control, choose_controls
from geoadapt.training.feeding import fed
from geoadapt.training.fit_types import FitResult
from geoadapt.training.kinds import Kind, told_of_run
from geoadapt.training.page import RunStory, write_page
from geoadapt.training.results import MODEL, summarise
from geoadapt.training.scoring import SceneScore, module_scorer, score_scenes
from geoadapt.training.selection import validation_scores
from geoadapt.training.setting import Setting, fit_adapted, prepare

__all__ = ["KIND"]

log = logging.getLogger(__name__)
Scored = Mapping[str, list[SceneScore]]


def _own(setting: Setting, model: AdaptedModel, result: FitResult) -> Control:
    return Control(
        module_scorer(model, setting.data.channels, setting.device),
        model.spec.multiple,
        None,
        result,
        model.count().trainable,
        note_of(setting.job, model.count()),
    )


def _score(setting: Setting, entries: Mapping[str, Control]) -> Scored:
    return {who: _test(setting, control, doubts=who == MODEL) for who, control in entries.items()}


def _metrics(setting: Setting, scored: Scored, result: FitResult, curves: Path) -> dict[str, float]:
    task, job = setting.task, setting.job
    metrics = summarise(scored, task.names, draws=job.train.bootstrap, seed=job.seed)
    chosen_by = validation_scores(curves, result.best, task.monitor)
    return metrics | {f"{MODEL}/{key}": value for key, value in chosen_by.items()}


def _store(
    setting: Setting,
    model: AdaptedModel,
    metrics: Mapping[str, float],
    command: str,
    entries: Mapping[str, Control],
    folder: Path,
) -> Path:
    stored = {name: c.stored for name, c in entries.items() if c.stored is not None and name != "rule"}
    return save_bundle(folder, model, _card(setting, model, metrics, command, entries), stored)


def _page(
    setting: Setting,
    scored: Scored,
    metrics: Mapping[str, float],
    entries: Mapping[str, Control],
    command: str,
    run_dir: Path,
) -> Path:
    job = setting.job
    story = RunStory(
        title=f"{job.task.name.replace('_', ' ').capitalize()}: {job.backbone.name} with {job.adapter.name}",
        channels=setting.data.channels,
        scenes=setting.data.test or setting.data.train,
        classes=setting.task.classes,
        scored=scored,
        metrics=metrics,
        notes={who: control.note for who, control in entries.items()},
        **told_of_run(setting, command, run_dir),
    )
    return write_page(run_dir / "report.html", story)


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
    setting: Setting,
    model: AdaptedModel,
    metrics: Mapping[str, float],
    command: str,
    entries: Mapping[str, Control],
) -> BundleCard:
    job = setting.job
    seen: Survey = setting.survey
    rule = entries["rule"].stored if "rule" in entries else None
    return card_of(
        job,
        model,
        setting.data,
        metrics,
        command,
        channels=setting.data.channels,
        mean=seen.mean,
        std=seen.std,
        classes=setting.task.classes,
        rule=None if rule is None else {"blue": getattr(rule, "threshold")},  # noqa: B009
        threshold=job.infer.threshold,
        chip=job.train.chip,
    )


KIND = Kind(
    prepare=prepare,
    choose=choose_controls,
    adapt=fit_adapted,
    loaders=lambda setting, job, model: fed(setting.data, job.train, job.seed, model.spec.multiple, None),
    own=_own,
    controls=CONTROLS,
    score=_score,
    metrics=_metrics,
    store=_store,
    page=_page,
)
