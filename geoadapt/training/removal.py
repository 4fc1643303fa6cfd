"""Cloud removal runs: how a restorer is fitted, scored, stored and shown.

In: a RemovalSetting. Out: the parts of a run that ``training.run`` puts together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from geoadapt.bundle.card import BundleCard
from geoadapt.bundle.restorer import CALIBRATION
from geoadapt.bundle.save import save_bundle
from geoadapt.restorer import AdaptedRestorer
from geoadapt.tasks.config import REMOVAL_ASKED
from geoadapt.training.calibration import left_out
from geoadapt.training.card import card_of, note_of
from geoadapt.training.fit_types import FitResult
from geoadapt.training.kinds import Kind, carried, told_of_run
from geoadapt.training.removal_controls import CONTROLS, RemovalEntry, choose_controls
from geoadapt.training.removal_page import write_removal_page
from geoadapt.training.removal_samples import eight_bits
from geoadapt.training.removal_scoring import RemovalScores, score_entries
from geoadapt.training.removal_setting import RemovalSetting, fit_restorer, loaders_for, prepare
from geoadapt.training.removal_summary import removal_story, summarise_removal
from geoadapt.training.results import MODEL

__all__ = ["KIND"]

Entries = Mapping[str, RemovalEntry]


def _own(setting: RemovalSetting, made: AdaptedRestorer, result: FitResult) -> RemovalEntry:
    return RemovalEntry(made, None, {}, result, made.count().trainable, note_of(setting.job, made.count()))


def _score(setting: RemovalSetting, entries: Entries) -> RemovalScores:
    job = setting.job
    found = score_entries(
        {who: entry.restorer for who, entry in entries.items()},
        setting.test,
        size=job.train.batch,
        keep_clear=job.task.keep_clear,
        device=setting.device,
        protocol=eight_bits(job.task),
    )
    return replace(found, left_out=left_out(entries[MODEL].restorer, setting.val, job.train.batch, setting.device))


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
    stored, _ = carried(entries)
    card = _card(setting, made, metrics, command, entries)
    return save_bundle(folder, made.model, card, stored, {CALIBRATION: {"factor": made.factor, "floor": made.floor}})


def _card(
    setting: RemovalSetting, made: AdaptedRestorer, metrics: Mapping[str, float], command: str, entries: Entries
) -> BundleCard:
    job = setting.job
    return card_of(
        job,
        made.model,
        setting.data,
        metrics,
        command,
        channels=setting.channels,
        mean=setting.mean,
        std=setting.std,
        chip=job.train.chip,
        removal={
            **asdict(made.seeing),
            **{name: getattr(job.task, name) for name in REMOVAL_ASKED},
            "baselines": carried(entries)[1],
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
    story = removal_story(
        found,
        metrics,
        title=f"Cloud removal: {job.backbone.name} with {job.adapter.name}",
        entries={who: entry.note for who, entry in entries.items()},
        **told_of_run(setting, command, run_dir),
    )
    return write_removal_page(run_dir / "report.html", story)


KIND = Kind(
    prepare=prepare,
    choose=choose_controls,
    adapt=fit_restorer,
    loaders=lambda setting, job, model: loaders_for(setting, job),
    own=_own,
    controls=CONTROLS,
    score=_score,
    metrics=_metrics,
    store=_store,
    page=_page,
)
