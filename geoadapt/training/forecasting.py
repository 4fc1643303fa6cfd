"""Forecasting runs: how a forecaster is fitted, verified, stored and shown.

In: a ForecastSetting. Out: the parts of a run that ``training.run`` puts together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoadapt.bundle.card import BundleCard
from geoadapt.bundle.forecaster import STANDARD, standard_settings
from geoadapt.bundle.save import save_bundle
from geoadapt.forecaster import AdaptedForecaster
from geoadapt.training.card import card_of, note_of
from geoadapt.training.fit_types import FitResult
from geoadapt.training.forecast_controls import CONTROLS, ForecastEntry, choose_controls
from geoadapt.training.forecast_page import ForecastStory, write_forecast_page
from geoadapt.training.forecast_setting import ForecastSetting, fit_forecaster, loaders_for, prepare
from geoadapt.training.kinds import Kind, carried, told_of_run
from geoadapt.training.results import MODEL
from geoadapt.training.verification import VerifiedEntries, pictures, summarise_forecasts, verify_entries

__all__ = ["KIND"]

Entries = Mapping[str, ForecastEntry]


def _own(setting: ForecastSetting, made: AdaptedForecaster, result: FitResult) -> ForecastEntry:
    return ForecastEntry(made, None, {}, result, made.count().trainable, note_of(setting.job, made.count()))


def _score(setting: ForecastSetting, entries: Entries) -> VerifiedEntries:
    return verify_entries(
        {who: entry.forecaster for who, entry in entries.items()},
        setting.data.history,
        setting.data.test,
        setting.steps,
        setting.standard,
        device=setting.device,
        regions=setting.regions,
    )


def _metrics(setting: ForecastSetting, found: VerifiedEntries, result: FitResult, curves: Path) -> dict[str, float]:
    metrics = summarise_forecasts(found, draws=setting.job.train.bootstrap, seed=setting.job.seed)
    return metrics | {f"{MODEL}/val_error": result.best}


def _store(
    setting: ForecastSetting,
    made: AdaptedForecaster,
    metrics: Mapping[str, float],
    command: str,
    entries: Entries,
    folder: Path,
) -> Path:
    for entry in entries.values():
        if isinstance(entry.stored, AdaptedForecaster) and not entry.stored.model.attached.merged:
            entry.stored.model.attached.merge()
    stored, _ = carried(entries)
    card = _card(setting, made, metrics, command, entries)
    return save_bundle(folder, made.model, card, stored, {STANDARD: made.standard.state_dict()})


def _card(
    setting: ForecastSetting, made: AdaptedForecaster, metrics: Mapping[str, float], command: str, entries: Entries
) -> BundleCard:
    history = setting.data.history
    whole = {key: value for key, value in metrics.items() if key.count("/") < 4}  # a card is read by people
    return card_of(
        setting.job,
        made.model,
        setting.data,
        whole,
        command,
        channels=history.channels,
        mean=setting.standard.climatology.coefficients[0].mean((-2, -1)),
        std=setting.standard.std,
        units=", ".join(dict.fromkeys(history.units)),
        forecast=_described(setting, made, entries),
    )


def _described(setting: ForecastSetting, made: AdaptedForecaster, entries: Entries) -> dict[str, Any]:
    history = setting.data.history
    return {
        "frames": setting.stepping.frames,
        "step": setting.stepping.step,
        "output": setting.stepping.output,
        "leads": list(setting.job.task.leads),
        "units": list(history.units),
        "latitude": [float(v) for v in history.latitude],
        "longitude": [float(v) for v in history.longitude],
        "static_channels": list(history.static_channels),
        "standard": standard_settings(made.standard),
        "baselines": carried(entries)[1],
    }


def _page(
    setting: ForecastSetting,
    found: VerifiedEntries,
    metrics: Mapping[str, float],
    entries: Entries,
    command: str,
    run_dir: Path,
) -> Path:
    job, history = setting.job, setting.data.history
    story = ForecastStory(
        title=f"Forecasting: {job.backbone.name} with {job.adapter.name}",
        channels=history.channels,
        units=history.units,
        leads_hours=found.leads,
        entries={who: entry.note for who, entry in entries.items()},
        metrics=metrics,
        **told_of_run(setting, command, run_dir),
        **pictures(found, history),
    )
    return write_forecast_page(run_dir / "report.html", story)


KIND = Kind(
    prepare=prepare,
    choose=choose_controls,
    adapt=fit_forecaster,
    loaders=lambda setting, job, model: loaders_for(setting, job, model.frames),
    own=_own,
    controls=CONTROLS,
    score=_score,
    metrics=_metrics,
    store=_store,
    page=_page,
)
