"""What every fit of a forecasting run shares, and the fit of an adapted forecaster.

In: a checked JobConfig. Out: archive, statistics, task and device; a trained forecaster.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from geoadapt.adapters.attach import probe
from geoadapt.bundle.forecaster import forecast_inputs
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.forecast_loaders import forecast_loaders
from geoadapt.fields.history import History, forecast_batch
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.weather import WeatherData
from geoadapt.forecaster import AdaptedForecaster, Stepping
from geoadapt.metrics.weights import Box
from geoadapt.model import build_model
from geoadapt.registry import build
from geoadapt.standard import Standard, fit_standard
from geoadapt.tasks import TASKS
from geoadapt.tasks.forecasting import Forecasting
from geoadapt.tasks.processes import rank, world
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.precision import chosen_precision
from geoadapt.training.setting import fit_module as fit_on
from geoadapt.training.setting import parameter_groups, refuse_segmentation_keys, settle

__all__ = ["ForecastSetting", "fit_forecaster", "fit_module", "forecaster_of", "loaders_for", "prepare", "steps_to"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForecastSetting:
    """What every fit of a run shares."""

    job: JobConfig
    data: WeatherData
    standard: Standard
    task: Forecasting
    stepping: Stepping
    steps: int
    """To the longest lead that is reported."""
    folder: Path
    device: str
    regions: Mapping[str, Box]
    """Scored apart."""


def prepare(job: JobConfig, run_dir: Path) -> ForecastSetting:
    """Archive, statistics and task of a run; raises GeoadaptError where leads or data cannot work."""
    runtime = settle(job.runtime)
    refuse_segmentation_keys(job.train)
    data: WeatherData = build(DATASETS, job.data, job.seed)
    if not isinstance(data, WeatherData):
        raise GeoadaptError("data", f"{job.data.name} is no weather archive", "choose data=weather data.path=FILE")
    log.info("data: %s", data.note)
    history = data.history
    step = float(history.step / np.timedelta64(1, "s"))
    steps = steps_to(job.task.leads, step)
    regions = _regions(job.task.boxes(), history)
    standard = fit_standard(history, data.train, job.task.anomalies)
    scale = standard.std * standard.increment
    task: Forecasting = build(TASKS, job.task, history.channels, scale, step)
    stepping = Stepping(job.task.frames, step, job.task.output, job.task.through, job.task.checkpointing)
    device = runtime.device
    log.info("%d threads, %s, %s", torch.get_num_threads(), device, chosen_precision(runtime))
    return ForecastSetting(
        replace(job, runtime=runtime), data, standard, task, stepping, steps, run_dir / "fits", device, regions
    )


def steps_to(leads: tuple[int, ...], step: float) -> int:
    """Steps to the longest of ``leads`` [h]; raises GeoadaptError where one is no multiple of ``step`` [s]."""
    for lead in leads:
        if lead * 3600 % step:
            raise GeoadaptError("task.leads", f"{lead} h is no multiple of the step of {step / 3600:g} h", "choose one")
    return round(max(leads) * 3600 / step)


def _regions(boxes: dict[str, Box], history: History) -> dict[str, Box]:
    """The same boxes; raises GeoadaptError for one that would be found empty after the whole fit."""
    latitude, longitude = history.latitude, history.longitude
    for name, box in boxes.items():
        rows, columns = box.holds(latitude, longitude)
        if not rows.any() or not columns.any():
            reach = f"{latitude.min():g} to {latitude.max():g}° N, {longitude.min():g} to {longitude.max():g}° E"
            raise GeoadaptError(f"task.regions.{name}", f"{box} holds no point of the grid", f"it reaches from {reach}")
    return boxes


def forecaster_of(
    job: JobConfig, standard: Standard, channels: tuple[str, ...], stepping: Stepping
) -> AdaptedForecaster:
    """The forecaster that ``job`` describes, its new parameters drawn from the seed, its readout from the backbone."""
    inputs = forecast_inputs(channels)
    model = build_model(job.backbone, job.adapter, job.head, inputs, channels, job.seed)
    return AdaptedForecaster(model, standard, channels, stepping)


def fit_forecaster(setting: ForecastSetting, job: JobConfig, name: str) -> tuple[AdaptedForecaster, FitResult]:
    """Build and train the forecaster that ``job`` describes."""
    history = setting.data.history
    forecaster = forecaster_of(job, setting.standard, history.channels, setting.stepping)
    forecaster.to(setting.device)
    _see_alive(forecaster, setting)
    model = forecaster.model
    log.info("%s on %s: %s", name, setting.device, model.count())
    return forecaster, fit_module(setting, forecaster, parameter_groups(model, job), job, name)


def fit_module(
    setting: ForecastSetting, module: nn.Module, groups: list[ParameterGroup], job: JobConfig, name: str
) -> FitResult:
    """Train any forecaster that gives (b, n, c, h, w) for the target's dates; it ends with its best weights."""
    return fit_on(setting, module, groups, job, name, loaders_for(setting, job, int(getattr(module, "frames", 1))))


def loaders_for(setting: ForecastSetting, job: JobConfig, frames: int) -> Callable[[int], Loaders]:
    """What makes the batches of a fit from a step on, with as many past states as a module looks at."""

    def loaders(start: int) -> Loaders:
        """Batches from step ``start`` on."""
        data = setting.data
        return forecast_loaders(
            data.history,
            data.train,
            data.val,
            job.train,
            job.seed,
            frames=frames,
            ahead=schedule(job.task.rollout, job.train.steps),
            val_steps=setting.steps,
            start=start,
            world=world(),
            rank=rank(),
        )

    return loaders


def schedule(rollout: tuple[int, ...], steps: int) -> Callable[[int], int]:
    """How many steps ahead training step i looks: each of ``rollout`` for an equal share of the fit."""

    def ahead(index: int) -> int:
        return rollout[min(len(rollout) - 1, index * len(rollout) // steps)]

    return ahead


def _see_alive(forecaster: AdaptedForecaster, setting: ForecastSetting) -> None:
    """An adapter that does not move the output would be trained for nothing: say so before the fit."""
    history = setting.data.history
    places = history.samples(setting.data.train, setting.stepping.frames, 1)[:1]
    if len(places):
        batch = forecast_batch(history, places, setting.stepping.frames, 0).to(setting.device)
        probe(forecaster.model.attached, forecaster.seen(batch))
