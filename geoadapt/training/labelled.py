"""Runs on labelled samples (classification, labels, regression, segmentation): fitted, scored, stored and shown.

In: a LabelledSetting. Out: the parts of a run that ``training.run`` puts together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from geoadapt.bundle.save import save_bundle
from geoadapt.model import AdaptedModel
from geoadapt.training.card import card_of, note_of
from geoadapt.training.fit_types import FitResult
from geoadapt.training.kinds import Kind, carried, told_of_run
from geoadapt.training.labelled_controls import CONTROLS, LabelledEntry, choose_controls
from geoadapt.training.labelled_page import LabelledStory, write_labelled_page
from geoadapt.training.labelled_scoring import LabelledScores, Scored, score_samples, summarise_samples
from geoadapt.training.labelled_setting import LabelledSetting, fit_labelled, loaders_for, prepare
from geoadapt.training.results import MODEL

__all__ = ["KIND"]

Entries = Mapping[str, LabelledEntry]


def _own(setting: LabelledSetting, made: AdaptedModel, result: FitResult) -> LabelledEntry:
    note = note_of(setting.job, made.count())
    return LabelledEntry(Scored(made, setting.task), None, {}, result, made.count().trainable, note)


def _score(setting: LabelledSetting, entries: Entries) -> LabelledScores:
    return score_samples(
        {who: entry.predictor for who, entry in entries.items()},
        setting.data.test,
        setting.data,
        setting.task,
        size=setting.job.train.batch,
        multiple=setting.spec.multiple,
        device=setting.device,
    )


def _metrics(setting: LabelledSetting, found: LabelledScores, result: FitResult, curves: Path) -> dict[str, float]:
    job = setting.job
    metrics = summarise_samples(found, setting.task, draws=job.train.bootstrap, seed=job.seed)
    metric, _, name = setting.task.monitor.partition("/")
    return metrics | {f"{MODEL}/val_{metric}" + (f"/{name}" if name else ""): result.best}


def _store(
    setting: LabelledSetting,
    made: AdaptedModel,
    metrics: Mapping[str, float],
    command: str,
    entries: Entries,
    folder: Path,
) -> Path:
    data, targets = setting.data, setting.targets
    stored, baselines = carried(entries)
    card = card_of(
        setting.job,
        made,
        data,
        metrics,
        command,
        channels=setting.channels,
        mean=setting.mean,
        std=setting.std,
        units=data.units.get(data.layout.lead, setting.spec.units.get(data.layout.lead, "")),
        samples={
            "task": asdict(setting.job.task),
            "target": asdict(data.target),
            "statistics": {"mean": targets.mean, "std": targets.std},
            "layout": asdict(data.layout),
            "batch": setting.job.train.batch,
            "licence": data.licence,
            "baselines": baselines,
        },
    )
    return save_bundle(folder, made, card, stored)


def _page(
    setting: LabelledSetting,
    found: LabelledScores,
    metrics: Mapping[str, float],
    entries: Entries,
    command: str,
    run_dir: Path,
) -> Path:
    job = setting.job
    story = LabelledStory(
        title=f"{setting.data.name.replace('_', ' ').capitalize()}: {job.backbone.name} with {job.adapter.name}",
        channels=setting.channels,
        entries={who: entry.note for who, entry in entries.items()},
        metrics=metrics,
        found=found,
        task=setting.task,
        target=setting.data.target,
        **told_of_run(setting, command, run_dir),
    )
    return write_labelled_page(run_dir / "report.html", story)


KIND = Kind(
    prepare=prepare,
    choose=choose_controls,
    adapt=fit_labelled,
    loaders=lambda setting, job, model: loaders_for(setting, job),
    own=_own,
    controls=CONTROLS,
    score=_score,
    metrics=_metrics,
    store=_store,
    page=_page,
)
