"""What every fit of a cloud removal run shares, and the fit of an adapted restorer.

In: a checked JobConfig. Out: series, samples, statistics, task and device; a trained and calibrated restorer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from geoadapt.adapters.attach import probe
from geoadapt.backbones.base import BackboneSpec
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.forecast_loaders import FromBatch
from geoadapt.fields.gaps import GapDraws, Pool, SeriesSamples, draw_samples, iter_samples, mask_pool, val_batches
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.restorer import Restorer
from geoadapt.fields.series import Sample, Series, SeriesData, series_batch
from geoadapt.heads.composite import compose
from geoadapt.metrics.reliability import calibration_factor, scale_histograms
from geoadapt.model import build_model
from geoadapt.registry import build
from geoadapt.restorer import AdaptedRestorer, Seeing
from geoadapt.restorer_bundle import restorer_inputs
from geoadapt.tasks import TASKS
from geoadapt.tasks.cloud_removal import CloudRemoval, asked
from geoadapt.tasks.processes import rank, world
from geoadapt.training.loop import FitResult, ParameterGroup, fit
from geoadapt.training.precision import chosen_precision
from geoadapt.training.setting import settle

__all__ = [
    "RemovalSetting",
    "calibrate",
    "fit_module",
    "fit_restorer",
    "loaders_for",
    "prepare",
    "restorer_of",
]

log = logging.getLogger(__name__)
SURVEYED = 64
"""Training samples from which statistics are taken."""


@dataclass(frozen=True, slots=True)
class RemovalSetting:
    """What every fit of a run shares."""

    job: JobConfig
    data: SeriesData
    mean: Tensor
    """(c,) of what is clear on training dates [reflectance]."""
    std: Tensor
    task: CloudRemoval
    pool: Pool
    """Patterns that are pasted over training chips."""
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    folder: Path
    device: str

    @property
    def channels(self) -> tuple[str, ...]:
        """Bands of all series."""
        return self.data.channels


def prepare(job: JobConfig, run_dir: Path) -> RemovalSetting:
    """Series, samples and task of a run; raises GeoadaptError where the data cannot work."""
    runtime = settle(job.runtime)
    if job.train.select != "validation" or job.train.start or job.train.cache:
        raise GeoadaptError("train", "select, start and cache are for segmentation", "leave them as they are")
    if job.head.name != "removal":
        raise GeoadaptError("head", f"'{job.head.name}' gives no image with its error", "choose head=removal")
    data: SeriesData = build(DATASETS, job.data, job.seed)
    if not isinstance(data, SeriesData):
        raise GeoadaptError("data", f"{job.data.name} holds no time series", "choose data=simulated_series")
    for name in ("train", "val", "test"):
        if not len(getattr(data, name)):
            raise GeoadaptError(f"data.{name}", "holds no series", "name more places, or other periods")
    log.info("data: %s", data.note)
    pool = _pool(data.train, data.train)
    seen = draw_samples(
        data.train, pool, SURVEYED, job.train.chip, job.seed, tuple(job.task.coverage), frames=job.task.dates
    )
    mean, std, error = _survey(seen)
    task: CloudRemoval = build(TASKS, job.task, data.channels, error)
    val = _fixed(data.val, _pool(data.val, data.train), job, job.task.val_samples)
    test = _fixed(data.test, _pool(data.test, data.train), job, job.task.test_samples)
    log.info("%d threads, %s, %s", torch.get_num_threads(), runtime.device, chosen_precision(runtime))
    log.info("%d validation and %d test samples", len(val), len(test))
    job = replace(job, runtime=runtime)
    return RemovalSetting(job, data, mean, std, task, pool, val, test, run_dir / "fits", runtime.device)


def restorer_of(setting: RemovalSetting, job: JobConfig) -> AdaptedRestorer:
    """The untrained restorer that ``job`` describes; raises GeoadaptError where it cannot take the chips."""
    inputs = restorer_inputs(setting.mean, setting.std)
    model = build_model(job.backbone, job.adapter, job.head, inputs, setting.channels, job.seed)
    multiple, chip = model.spec.multiple, job.train.chip
    if chip % multiple:
        near = max(1, round(chip / multiple)) * multiple
        raise GeoadaptError(
            "train.chip", f"{chip} px is no multiple of the {multiple} px of {job.backbone.name}", f"choose {near}"
        )
    model.head.expect(setting.task.error)  # type: ignore[operator]
    seeing = Seeing(job.task.frames, _together(job.task.together, model.spec), job.task.radar)
    return AdaptedRestorer(model, setting.channels, seeing).to(setting.device)


def fit_restorer(setting: RemovalSetting, job: JobConfig, name: str) -> tuple[AdaptedRestorer, FitResult]:
    """Build, train and calibrate the restorer that ``job`` describes."""
    made = restorer_of(setting, job)
    probe(made.model.attached, made.seen(series_batch(setting.val[:1]).to(setting.device)))
    model = made.model
    log.info("%s on %s: %s", name, setting.device, model.count())
    scale = float(getattr(job.adapter, "lr_scale", 1.0))
    groups = [ParameterGroup(list(model.head.parameters())), ParameterGroup(model.attached.parameters(), scale)]
    result = fit_module(setting, made, groups, job, name)
    made.factor.copy_(calibrate(made, setting.val, job.train.batch, setting.device))
    return made, result


def fit_module(
    setting: RemovalSetting, module: nn.Module, groups: list[ParameterGroup], job: JobConfig, name: str
) -> FitResult:
    """Train any module that gives what the task takes; it ends with its best weights."""
    result = fit(
        module,
        groups,
        setting.task,
        None,
        job.train,
        setting.job.runtime,
        job.seed,
        setting.folder / name,
        loaders=loaders_for(setting, job),
    )
    module.eval()
    module.to(setting.device)
    return result


def loaders_for(setting: RemovalSetting, job: JobConfig) -> Callable[[int], Loaders]:
    """What makes the batches of a fit from a step on."""

    def loaders(start: int) -> Loaders:
        """Batches from step ``start`` on."""
        train = job.train
        gain = train.gain_jitter if train.augment else 0.0
        draws = GapDraws(train.chip, tuple(job.task.coverage), job.task.dates, gain=gain, turn=train.augment)
        drawn = SeriesSamples(
            setting.data.train,
            setting.pool,
            train.steps,
            train.batch,
            train.chip,
            job.seed,
            draws=draws,
            world=world(),
            rank=rank(),
        )
        val = val_batches(setting.val, train.batch)
        return Loaders(
            DataLoader(drawn, batch_size=None, sampler=FromBatch(train.steps, start), num_workers=train.workers),
            DataLoader(val, batch_size=None, sampler=FromBatch(len(val), 0, world(), rank())),
        )

    return loaders


def calibrate(restorer: Restorer, samples: Sequence[Sample], size: int, device: str) -> Tensor:
    """What each channel's scale must be multiplied by (c,), so that its mean is the mean absolute error."""
    batches = val_batches(samples, size)
    sums = 0
    for index in range(len(batches)):
        batch = batches[index].to(device)
        found = restorer.restore(batch)
        if found.scale is None or batch.target is None:
            raise GeoadaptError("restorer", "gives no scale, so there is nothing to calibrate", "use its image alone")
        off = found.image - batch.target.values[:, 0]
        told = (v.cpu().numpy() for v in (found.scale, off, asked(batch)))
        sums = sums + scale_histograms(*told).sum(0)
    return torch.from_numpy(calibration_factor(np.asarray(sums))).float()


def _fixed(series: Sequence[Series], pool: Pool, job: JobConfig, most: int) -> tuple[Sample, ...]:
    """The samples of a validation or a test, as many of every series."""
    each = math.ceil(most / len(series)) if most else 0
    made = iter_samples(series, pool, job.train.chip, job.seed, each, tuple(job.task.coverage), frames=job.task.dates)
    found = tuple(islice(made, most or None))
    if not found:
        raise GeoadaptError(
            "data", f"{len(series)} series have no chip that can be hidden", "lower train.chip, widen task.coverage"
        )
    return found


def _pool(series: Sequence[Series], others: Sequence[Series]) -> Pool:
    """Patterns of the series' own clouds, else of ``others``; none where a truth is known, and nothing is pasted."""
    if series[0].truth is not None:
        return ()
    try:
        return mask_pool(series)
    except GeoadaptError:
        return mask_pool(others)


def _survey(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and deviation of what is clear, and the composite's mean absolute error where asked (c,) each."""
    count = np.zeros((3, len(samples[0].series.channels)))
    errors = np.zeros_like(count[:2])
    for sample in samples:
        batch = series_batch([sample])
        field = batch.inputs["optical"]
        assert field.valid is not None and batch.target is not None
        kept = torch.where(field.valid, field.values, 0.0).double()
        parts = (field.valid.double(), kept, kept.square())
        count += torch.stack([p.sum((0, 1, 3, 4)) for p in parts]).numpy()
        off = (compose(field).image - batch.target.values[:, 0]).abs()
        wanted = asked(batch)
        errors += torch.stack([wanted.sum((0, 2, 3)), torch.where(wanted, off, 0.0).sum((0, 2, 3))]).double().numpy()
    seen = np.maximum(count[0], 1)
    mean = count[1] / seen
    std = np.sqrt(np.maximum(count[2] / seen - mean**2, 0))
    error = np.where(errors[0] > 0, errors[1] / np.maximum(errors[0], 1), std)
    mean_, std_, error_ = (torch.from_numpy(v).float() for v in (mean, std, error))
    return mean_, std_, error_


def _together(asked_for: str, spec: BackboneSpec) -> bool:
    return asked_for == "yes" or (asked_for == "auto" and spec.dates != 1)
