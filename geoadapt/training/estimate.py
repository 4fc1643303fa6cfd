"""What a run would cost, from a few steps of it.

In: a checked JobConfig. Out: time, memory and disk, without anything written.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from geoadapt.config import JobConfig
from geoadapt.model import ParameterCount
from geoadapt.tasks.pretraining import Pretraining
from geoadapt.tasks.weather_pretraining import WeatherPretraining
from geoadapt.training import forecast_setting, labelled_setting, removal_setting
from geoadapt.training.cache import stored_bytes
from geoadapt.training.pretrain import ready
from geoadapt.training.pretrain_weather import weather_ready
from geoadapt.training.setting import build_for, prepare
from geoadapt.training.timing import seconds_per_step

__all__ = ["Estimate", "estimate"]

FITS = {"unet": 1.0, "cnn": 1.0, "pmaa": 1.0, "scratch": 1.0, "random_backbone": 1.0, "full_finetune": 1.1}
"""Controls that are trained, and their time over the adapted model's."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of all fits [s], memory of the process [MiB], disk of checkpoints, bundle and cache [MiB]."""

    seconds: float
    memory: float
    disk: float
    count: ParameterCount

    def lines(self) -> list[str]:
        """For a person."""
        return [
            f"model     {self.count}",
            f"estimate  {self.seconds / 60:.1f} min of fitting, {self.memory:.0f} MiB of memory, "
            f"{self.disk:.0f} MiB on disk",
        ]


def estimate(job: JobConfig) -> Estimate:
    """The cost of a run on this machine as busy as it is now; raises what the run itself would raise at its start."""
    if job.task.name == "pretraining":
        return _of_pretraining(job)
    if job.task.name == "weather_pretraining":
        return _of_weather_pretraining(job)
    if job.task.name == "cloud_removal":
        return _of_removal(job)
    if job.task.name == "forecasting":
        return _of_forecasting(job)
    if job.task.name in labelled_setting.KIND_OF:
        return _of_samples(job)
    with tempfile.TemporaryDirectory() as folder:
        setting = prepare(job, Path(folder))
        model = build_for(setting, job)
        each = seconds_per_step(model, setting.task, setting.data, job.train, setting.job.runtime, job.seed)
        kept = stored_bytes(model, setting.data, setting.job) / MIB
    made = _with_controls(job, each, model.count())
    return replace(made, disk=made.disk + kept)


def _of_pretraining(job: JobConfig) -> Estimate:
    job, painter, data = ready(job)
    count = sum(p.numel() for p in painter.parameters())
    each = seconds_per_step(painter, Pretraining(), data, job.train, job.runtime, job.seed)
    return _total(job, each, ParameterCount(count, 0, count), fits=1)


def _of_weather_pretraining(job: JobConfig) -> Estimate:
    found = weather_ready(job)
    count = sum(p.numel() for p in found.reader.parameters())
    runtime = found.job.runtime
    each = seconds_per_step(found.reader, WeatherPretraining(), None, job.train, runtime, job.seed, found.loaders)
    return _total(job, each, ParameterCount(count, 0, count), fits=1)


def _of_forecasting(job: JobConfig) -> Estimate:
    with tempfile.TemporaryDirectory() as folder:
        setting = forecast_setting.prepare(job, Path(folder))
        channels = setting.data.history.channels
        made = forecast_setting.forecaster_of(job, setting.standard, channels, setting.stepping).to(setting.device)
        taken = []
        for steps in job.task.rollout:  # each is an equal share of the fit
            part = replace(job, task=replace(job.task, rollout=(steps,)))
            fed = forecast_setting.loaders_for(setting, part, made.frames)
            runtime = setting.job.runtime
            taken.append(seconds_per_step(made, setting.task, None, job.train, runtime, job.seed, fed))
    return _with_controls(job, sum(taken) / len(taken), made.count())


def _of_removal(job: JobConfig) -> Estimate:
    with tempfile.TemporaryDirectory() as folder:
        setting = removal_setting.prepare(job, Path(folder))
        made = removal_setting.restorer_of(setting, job)
        fed = removal_setting.loaders_for(setting, job)
        each = seconds_per_step(made, setting.task, None, job.train, setting.job.runtime, job.seed, fed)
    return _with_controls(job, each, made.count())


def _of_samples(job: JobConfig) -> Estimate:
    with tempfile.TemporaryDirectory() as folder:
        setting = labelled_setting.prepare(job, Path(folder))
        model = labelled_setting.build_for(setting, job)
        fed = labelled_setting.loaders_for(setting, job)
        each = seconds_per_step(model, setting.task, None, job.train, setting.job.runtime, job.seed, fed)
    return _with_controls(job, each, model.count())


def _with_controls(job: JobConfig, each: float, count: ParameterCount) -> Estimate:
    """Of the model's fit and those of its controls, at ``each`` seconds a step of the model."""
    fits = 1 + sum(FITS.get(name, 0.0) for name in job.train.chosen_controls(job.task.name))
    return _total(job, each, count, fits)


def _total(job: JobConfig, each: float, count: ParameterCount, fits: float) -> Estimate:
    # weights and two moments of AdamW in two checkpoints per fit, kept once more in the run folder, and the bundle
    disk = (4 * 3 * 2 * count.trainable * (fits + 1) + 4 * count.trainable) / MIB
    seconds = each * job.train.steps * fits
    if job.train.max_minutes:
        seconds = min(seconds, 60 * job.train.max_minutes * fits)
    return Estimate(seconds, psutil.Process().memory_info().rss / MIB, disk, count)
