"""What every fit of a cloud removal run shares, and the fit of an adapted restorer.

In: a checked JobConfig. Out: series, samples, statistics, task and device; a trained and calibrated restorer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from geoadapt.adapters.attach import probe
from geoadapt.backbones.base import BackboneSpec
from geoadapt.backbones.config import PmaaConfig
from geoadapt.bundle.restorer import restorer_inputs
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.chips import FromStep
from geoadapt.fields.composite import compose
from geoadapt.fields.gaps import GapDraws, Pool, val_batches
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.series import Sample, SeriesData, series_batch
from geoadapt.model import build_model
from geoadapt.registry import build
from geoadapt.restorer import AdaptedRestorer, Seeing
from geoadapt.tasks import TASKS
from geoadapt.tasks.cloud_removal import CloudRemoval, asked
from geoadapt.tasks.processes import rank, world
from geoadapt.training.adversarial import check_adversarial, fit_adversarial
from geoadapt.training.calibration import calibrate
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.precision import chosen_precision
from geoadapt.training.removal_samples import (
    check_protocol,
    check_series,
    drawn_samples,
    fixed_samples,
    pool_for,
    samples_to_fit,
)
from geoadapt.training.setting import check_chip, parameter_groups, refuse_segmentation_keys, settle
from geoadapt.training.setting import fit_module as fit_on

__all__ = [
    "RemovalSetting",
    "fit_module",
    "fit_restorer",
    "loaders_for",
    "prepare",
    "restorer_of",
]

log = logging.getLogger(__name__)
HEADS = ("removal", "residual", "image", "mae_decoder")
"""Those that give an image and its scale."""
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
    refuse_segmentation_keys(job.train)
    if job.head.name not in HEADS:
        raise GeoadaptError("head", f"'{job.head.name}' gives no image with its error", "choose head=removal")
    if job.task.loss == "adversarial":
        check_adversarial(job)
    data: SeriesData = build(DATASETS, job.data, job.seed)
    check_series(data, job.data.name)
    check_protocol(job.task, data.channels, job.train.chip)
    for name in ("train", "val", "test"):
        if not len(getattr(data, name)):
            raise GeoadaptError(f"data.{name}", "holds no series", "name more places, or other periods")
    log.info("data: %s", data.note)
    pool = pool_for(data.train, data.train)
    seen = drawn_samples(data.train, pool, SURVEYED, job.train.chip, job.seed, job.task)
    mean, std, error = _survey(seen)
    task: CloudRemoval = build(TASKS, job.task, data.channels, error)
    chips = job.task, job.train.chip, job.seed
    val = fixed_samples(data.val, pool_for(data.val, data.train), *chips, job.task.val_samples)
    test = fixed_samples(data.test, pool_for(data.test, data.train), *chips, job.task.test_samples)
    log.info("%d threads, %s, %s", torch.get_num_threads(), runtime.device, chosen_precision(runtime))
    log.info("%d validation and %d test samples", len(val), len(test))
    job = replace(job, runtime=runtime)
    return RemovalSetting(job, data, mean, std, task, pool, val, test, run_dir / "fits", runtime.device)


def restorer_of(setting: RemovalSetting, job: JobConfig) -> AdaptedRestorer:
    """The untrained restorer that ``job`` describes; raises GeoadaptError where it cannot take the chips."""
    inputs = restorer_inputs(setting.mean, setting.std)
    model = build_model(job.backbone, job.adapter, job.head, inputs, setting.channels, job.seed)
    check_chip(model, job)
    model.head.expect(setting.task.error)  # type: ignore[operator]
    seeing = Seeing(job.task.frames, _together(job, model.spec), job.task.radar, _heard(setting, job, model.spec))
    made = AdaptedRestorer(model, setting.channels, seeing, floor=setting.task.floor)
    if isinstance(job.backbone, PmaaConfig) and job.head.name == "image" and not job.backbone.random_weights:
        _take_last_layer(made)
    return made.to(setting.device)


def _take_last_layer(made: AdaptedRestorer) -> None:
    """PMAA's published weights have a last layer of their own; the head takes it where it is for the same bands."""
    backbone: Any = made.model.backbone
    if backbone.settings.features == "fused" and set(backbone.outputs) == set(made.channels):
        order = [backbone.outputs.index(name) for name in made.channels]
        layer = backbone.network.output_layer[0].state_dict()
        made.model.head.last.load_state_dict({name: rows[order] for name, rows in layer.items()})  # type: ignore[union-attr]


def fit_restorer(setting: RemovalSetting, job: JobConfig, name: str) -> tuple[AdaptedRestorer, FitResult]:
    """Build, train and calibrate the restorer that ``job`` describes."""
    made = restorer_of(setting, job)
    probe(made.model.attached, made.seen(series_batch(setting.val[:1]).to(setting.device)))
    model = made.model
    log.info("%s on %s: %s", name, setting.device, model.count())
    if job.task.loss == "adversarial":
        here = replace(job, runtime=setting.job.runtime)
        result = fit_adversarial(made, setting.task, here, setting.folder / name, loaders_for(setting, job))
    else:
        result = fit_module(setting, made, parameter_groups(model, job), job, name)
    made.factor.copy_(calibrate(made, setting.val, job.train.batch, setting.device))
    return made, result


def fit_module(
    setting: RemovalSetting, module: nn.Module, groups: list[ParameterGroup], job: JobConfig, name: str
) -> FitResult:
    """Train any module that gives what the task takes; it ends with its best weights."""
    return fit_on(setting, module, groups, job, name, loaders_for(setting, job))


def loaders_for(setting: RemovalSetting, job: JobConfig) -> Callable[[int], Loaders]:
    """What makes the batches of a fit from a step on."""

    def loaders(start: int) -> Loaders:
        """Batches from step ``start`` on."""
        train = job.train
        gain = train.gain_jitter if train.augment else 0.0
        draws = GapDraws(train.chip, tuple(job.task.coverage), job.task.dates, gain=gain, turn=train.augment)
        drawn = samples_to_fit(setting.data.train)(
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
            DataLoader(drawn, batch_size=None, sampler=FromStep(train.steps, start), num_workers=train.workers),
            DataLoader(val, batch_size=None, sampler=FromStep(len(val), 0, world(), rank())),
        )

    return loaders


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


def _heard(setting: RemovalSetting, job: JobConfig, spec: BackboneSpec) -> tuple[str, ...]:
    """Channels of the radar that reaches the backbone; none where the data have none, or it takes none."""
    radar = setting.data.train[0].radar
    return radar.channels if job.task.radar and "sar" in spec.inputs and radar is not None else ()


def _together(job: JobConfig, spec: BackboneSpec) -> bool:
    asked_for = job.task.together
    if job.head.name == "mae_decoder":
        if asked_for == "no":
            raise GeoadaptError("task.together", "head=mae_decoder paints a date from all others", "leave it at auto")
        return True
    return asked_for == "yes" or (asked_for == "auto" and spec.dates != 1)
