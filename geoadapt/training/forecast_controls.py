"""The controls of a forecast: fitted on the same training dates, chosen on the same validation dates.

In: a ForecastSetting. Out: entries that forecast, and what of them the bundle carries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import nn

from geoadapt.adapters.config import FullConfig, HeadOnlyConfig
from geoadapt.baselines.cnn import fit_cnn
from geoadapt.baselines.damped import fit_damped
from geoadapt.baselines.eof_ridge import fit_eof_ridge
from geoadapt.baselines.persistence import fit_persistence
from geoadapt.baselines.seasonal import fit_climatology
from geoadapt.config import JobConfig
from geoadapt.fields.forecaster import Forecaster
from geoadapt.training.choose import chosen
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.forecast_setting import (
    ForecastSetting,
    fit_forecaster,
    fit_module,
    forecaster_of,
    loaders_for,
)
from geoadapt.training.loop import steps_done
from geoadapt.training.timing import matching_steps

__all__ = ["CONTROLS", "ForecastEntry", "choose_controls"]

CNN_LR = 1e-3
"""Chosen on 2007 of the real archive; LoRA's rate is several times too high for a network from scratch."""
MOST_CNN_STEPS = 6
"""A CNN is given the adapted model's time, but no more than this many times its steps."""


@dataclass(frozen=True, slots=True)
class ForecastEntry:
    """A model under test or a control: how it forecasts, and what a bundle needs to make it again."""

    forecaster: Forecaster
    stored: nn.Module | None = None
    """Kept in the bundle, so that ``evaluate`` can score it on other dates."""
    settings: dict[str, Any] = field(default_factory=dict)
    result: FitResult | None = None
    parameters: int = 0
    note: str = ""


def choose_controls(setting: ForecastSetting) -> tuple[str, ...]:
    """The controls of a run; raises GeoadaptError for one that is named and cannot be."""
    job = setting.job

    def obstacle(name: str) -> str:
        if name == "zero_shot" and (getattr(job.backbone, "random_weights", False) or job.head.name != "linear"):
            return "only a pre-trained readout can forecast as it stands, and only under head=linear"
        return ""

    return chosen(job, CONTROLS, "a forecast", obstacle)


def _simple(fit: Callable[..., Any], note: str) -> Callable[[ForecastSetting, float], ForecastEntry]:
    def entry(setting: ForecastSetting, seconds: float) -> ForecastEntry:
        data = setting.data
        module: Any = fit(data.history, data.train, data.val, setting.steps)
        module.to(setting.device)
        count = sum(b.numel() for b in module.buffers() if b.is_floating_point())
        return ForecastEntry(module, module, asdict(module.settings), None, count, note)

    return entry


def _cnn(setting: ForecastSetting, seconds: float) -> ForecastEntry:
    job, data = setting.job, setting.data
    module = fit_cnn(data.history, data.train, data.val, setting.steps, frames=setting.stepping.frames, seed=job.seed)
    module.to(setting.device)
    steps = matching_steps(
        module,
        forecaster_of(job, setting.standard, data.history.channels, setting.stepping).to(setting.device),
        setting.task,
        job,
        lambda job: loaders_for(setting, job, setting.stepping.frames),
        taken=steps_done(setting.folder / "fit"),
        most=MOST_CNN_STEPS,
        parts=len(job.task.rollout),
    )
    train = replace(job.train, steps=steps, lr=min(CNN_LR, job.train.lr), resume=None)
    count = sum(p.numel() for p in module.parameters())
    groups = [ParameterGroup(list(module.parameters()))]
    result = fit_module(setting, module, groups, replace(job, train=train), "cnn")
    note = f"small CNN from scratch, {steps} steps: the adapted model's time"
    return ForecastEntry(module, module, asdict(module.settings), result, count, note)


def _random_backbone(setting: ForecastSetting, seconds: float) -> ForecastEntry:
    job = setting.job
    twin = replace(job, backbone=replace(job.backbone, random_weights=True, seed=job.seed), train=_fresh(job))
    return _twin(setting, twin, "random_backbone", "the same adapter and head on random weights")


def _full_finetune(setting: ForecastSetting, seconds: float) -> ForecastEntry:
    job = setting.job
    twin = replace(job, adapter=FullConfig(), train=_fresh(job))
    return _twin(setting, twin, "full_finetune", "every parameter of the backbone trained")


def _zero_shot(setting: ForecastSetting, seconds: float) -> ForecastEntry:
    job = replace(setting.job, adapter=HeadOnlyConfig())
    made = forecaster_of(job, setting.standard, setting.data.history.channels, setting.stepping)
    made.eval().to(setting.device)
    return ForecastEntry(made, made, _described(job), None, 0, "the backbone and its readout as pre-trained")


def _twin(setting: ForecastSetting, job: JobConfig, name: str, note: str) -> ForecastEntry:
    made, result = fit_forecaster(setting, job, name)
    count = made.count().trainable
    return ForecastEntry(made, made, _described(job), result, count, note)


def _described(job: JobConfig) -> dict[str, Any]:
    return {"backbone": {**asdict(job.backbone), "weights": None}}


def _fresh(job: JobConfig) -> Any:
    """Not resumed: a control begins at its own beginning."""
    return replace(job.train, resume=None)


CONTROLS: dict[str, Callable[[ForecastSetting, float], ForecastEntry]] = {
    "persistence": _simple(fit_persistence, "the last state stays"),
    "climatology": _simple(fit_climatology, "what is usual at the place and date, from the training dates"),
    "damped": _simple(fit_damped, "climatology, and a part of the last anomaly that shrinks with the lead"),
    "eof_ridge": _simple(fit_eof_ridge, "ridge regression on EOFs of the last states; modes, lags, penalty validated"),
    "cnn": _cnn,
    "random_backbone": _random_backbone,
    "full_finetune": _full_finetune,
    "zero_shot": _zero_shot,
}
