"""Cloud removal runs: how a restorer is fitted, scored, stored and shown.

In: a RemovalSetting. Out: the parts of a run that ``training.run`` puts together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from geoadapt.bundle import BundleCard, save_bundle
from geoadapt.restorer import AdaptedRestorer
from geoadapt.restorer_bundle import CALIBRATION
from geoadapt.training.kinds import Kind
from geoadapt.training.loop import FitResult
from geoadapt.training.removal_controls import CONTROLS, RemovalEntry, choose_controls
from geoadapt.training.removal_page import write_removal_page
from geoadapt.training.removal_scoring import RemovalScores, score_entries
from geoadapt.training.removal_setting import RemovalSetting, fit_restorer, prepare
from geoadapt.training.removal_story import RemovalStory
from geoadapt.training.removal_summary import doubt_curves, summarise_removal
from geoadapt.training.results import MODEL

__all__ = ["KIND"]

Entries = Mapping[str, RemovalEntry]


def _own(setting: RemovalSetting, made: AdaptedRestorer, result: FitResult) -> RemovalEntry:
    job = setting.job
    note = f"{job.backbone.name} with {job.adapter.name} and the {job.head.name} head: {made.count()}"
    return RemovalEntry(made, None, {}, result, made.count().trainable, note)


def _score(setting: RemovalSetting, entries: Entries) -> RemovalScores:
    return score_entries(
        {who: entry.restorer for who, entry in entries.items()},
        setting.test,
        size=setting.job.train.batch,
        keep_clear=setting.job.task.keep_clear,
        device=setting.device,
    )


def _metrics(setting: RemovalSetting, found: RemovalScores, result: FitResult, curves: Path) -> dict[str, float]:
    metrics = summarise_removal(found, draws=setting.job.train.bootstrap, seed=setting.job.seed)
    return metrics | {f"{MODEL}/val_mae": result.best}


def _store(
    setting: RemovalSetting,
    made: AdaptedRestorer,
    metrics: Mapping[str, float],
    command: str,
    entries: Entries,
    folder: Path,
) -> Path:
    stored = {name: entry.stored for name, entry in entries.items() if entry.stored is not None}
    card = _card(setting, made, metrics, command, entries)
    return save_bundle(folder, made.model, card, stored, {CALIBRATION: {"factor": made.factor}})


def _card(
    setting: RemovalSetting, made: AdaptedRestorer, metrics: Mapping[str, float], command: str, entries: Entries
) -> BundleCard:
    job, model = setting.job, made.model
    kept = {k: v for k, v in metrics.items() if k.startswith(f"{MODEL}/") and np.isfinite(v)}
    return BundleCard(
        name=f"{job.task.name}-{job.backbone.name}-{job.adapter.name}",
        task=job.task.name,
        backbone={**asdict(job.backbone), "weights": None},
        adapter=asdict(getattr(model.attached, "settings", job.adapter)),
        head=asdict(job.head),
        source=model.source.as_plain(),
        channels=setting.channels,
        units="reflectance",
        mean=tuple(float(v) for v in setting.mean),
        std=tuple(float(v) for v in setting.std),
        classes=(),
        metrics=kept,
        data=setting.data.note,
        seed=job.seed,
        command=command,
        licence=model.source.licence,
        simulated=setting.data.simulated,
        chip=job.train.chip,
        removal={
            **asdict(made.seeing),
            "keep_clear": job.task.keep_clear,
            "baselines": {name: entry.settings for name, entry in entries.items() if entry.stored is not None},
        },
    )


def _page(
    setting: RemovalSetting,
    found: RemovalScores,
    metrics: Mapping[str, float],
    entries: Entries,
    command: str,
    run_dir: Path,
) -> Path:
    job = setting.job
    reliability, risks = doubt_curves(found)
    story = RemovalStory(
        title=f"Cloud removal: {job.backbone.name} with {job.adapter.name}",
        channels=setting.channels,
        entries={who: entry.note for who, entry in entries.items()},
        metrics=metrics,
        data=setting.data.note,
        simulated=setting.data.simulated,
        command=command,
        config=asdict(job),
        curves=run_dir / "curves.csv",
        examples=found.examples,
        reliability=reliability,
        risks=risks,
        places=len(np.unique(found.places)),
    )
    return write_removal_page(run_dir / "report.html", story)


KIND = Kind(
    prepare=prepare,
    choose=choose_controls,
    adapt=fit_restorer,
    own=_own,
    controls=CONTROLS,
    score=_score,
    metrics=_metrics,
    store=_store,
    page=_page,
)
