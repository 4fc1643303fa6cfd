"""What every fit of a run shares, and the fit of an adapted model.

In: a checked JobConfig. Out: data, task and device; a trained model.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from geoadapt.adapters.attach import probe
from geoadapt.config import JobConfig, RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.chips import BlockChips, Collate
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.survey import Survey, survey
from geoadapt.heads.inputs import HeadInputs
from geoadapt.inference.machine import choose_device, use_threads
from geoadapt.model import AdaptedModel, build_model
from geoadapt.registry import build
from geoadapt.tasks import TASKS
from geoadapt.tasks.cloud_segmentation import CloudSegmentation
from geoadapt.tasks.processes import local_rank, local_world, world
from geoadapt.training.cache import make_feed
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.loop import fit
from geoadapt.training.precision import chosen_precision
from geoadapt.training.start import bundle_to_start_from, start_from

__all__ = [
    "Setting",
    "build_for",
    "check_chip",
    "fit_adapted",
    "fit_module",
    "parameter_groups",
    "prepare",
    "refuse_segmentation_keys",
    "settle",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setting:
    """What every fit of a run shares."""

    job: JobConfig
    data: Dataset
    survey: Survey
    task: CloudSegmentation
    inputs: HeadInputs
    folder: Path
    device: str


def prepare(job: JobConfig, run_dir: Path) -> Setting:
    """Data, task and device of a run; raises GeoadaptError where no test scene is named or nothing is labelled."""
    runtime = settle(job.runtime)
    device = runtime.device
    data: Dataset = build(DATASETS, job.data, job.seed)
    if not data.test and not data.test_blocks:
        names = [scene.name for scene in data.train]
        raise GeoadaptError("data.test", "names no test scene", f"choose from {names}, e.g. data.test=[{names[0]}]")
    log.info("data: %s", data.note)
    seen = survey(data, job.seed)
    task = build(TASKS, job.task, data, seen.counts)
    if job.infer.threshold is not None and "cloud" not in task.names:
        raise GeoadaptError(
            "infer.threshold", f"is for the class cloud, and the labels hold {list(task.names)}", "set it to null"
        )
    if job.infer.cloud_buffer and not {"clear", "cloud"} <= set(task.names):
        raise GeoadaptError(
            "infer.cloud_buffer", f"turns clear into cloud, and the labels hold {list(task.names)}", "set it to 0"
        )
    absent = [c.name for c in task.classes if not seen.counts.get(c.value)]
    if absent:
        log.info("no pixel of %s in the training blocks", ", ".join(absent))
    inputs = HeadInputs(len(task.classes), torch.from_numpy(seen.mean), torch.from_numpy(seen.std))
    log.info("%d threads, %s, %s", torch.get_num_threads(), device, chosen_precision(runtime))
    return Setting(replace(job, runtime=runtime), data, seen, task, inputs, run_dir / "fits", device)


def settle(runtime: RuntimeConfig) -> RuntimeConfig:
    """Take this process's device and its share of the cores; raises GeoadaptError where there is no such device."""
    device = choose_device(runtime.device)
    if world() == 1:
        use_threads(runtime.threads)
        return replace(runtime, device=device)
    use_threads(runtime.threads or max(1, (os.cpu_count() or 1) // local_world()))
    return replace(runtime, device=f"cuda:{local_rank()}" if device == "cuda" else device)


def build_for(setting: Setting, job: JobConfig) -> AdaptedModel:
    """The model that ``job`` describes, where it will run; raises GeoadaptError where it cannot take the chips."""
    model = build_model(job.backbone, job.adapter, job.head, setting.inputs, setting.data.channels, job.seed)
    check_chip(model, job)
    return model.to(setting.device)


def check_chip(model: AdaptedModel, job: JobConfig) -> None:
    """Raise GeoadaptError where the model cannot take the job's chips."""
    multiple, chip = model.spec.multiple, job.train.chip
    if chip % multiple:
        near = max(1, round(chip / multiple)) * multiple
        raise GeoadaptError(
            "train.chip", f"{chip} px is no multiple of the {multiple} px of {job.backbone.name}", f"choose {near}"
        )


def refuse_segmentation_keys(train: TrainConfig) -> None:
    """Raise GeoadaptError for keys that only segmentation takes."""
    if train.select != "validation" or train.start or train.cache:
        raise GeoadaptError("train", "select, start and cache are for segmentation", "leave them as they are")


def fit_module(
    setting: Any,
    module: nn.Module,
    groups: list[ParameterGroup],
    job: JobConfig,
    name: str,
    loaders: Callable[[int], Loaders],
) -> FitResult:
    """Train a module that gives what the setting's task takes, on batches of its own; it ends with its best weights."""
    where = setting.folder / name
    result = fit(module, groups, setting.task, None, job.train, setting.job.runtime, job.seed, where, loaders=loaders)
    module.eval()
    module.to(setting.device)
    return result


def fit_adapted(setting: Setting, job: JobConfig, name: str) -> tuple[AdaptedModel, FitResult]:
    """Build and train the model that ``job`` describes."""
    model = build_for(setting, job)
    if job.train.start is not None:
        start_from(model, bundle_to_start_from(job.train.start), job, setting.task, setting.data.channels)
    _see_alive(model, setting)
    log.info("%s on %s: %s", name, setting.device, model.count())
    groups = parameter_groups(model, job)
    feed = make_feed(model, setting.data, replace(job, runtime=setting.job.runtime), setting.folder / name / "cache")
    result = fit(
        feed.module,
        groups,
        setting.task,
        setting.data,
        job.train,
        setting.job.runtime,
        job.seed,
        setting.folder / name,
        multiple=model.spec.multiple,
        loaders=feed.loaders,
    )
    feed.close()
    model.eval()
    model.to(setting.device)
    return model, replace(result, seconds=result.seconds + feed.seconds)


def _see_alive(model: AdaptedModel, setting: Setting) -> None:
    """An adapter that does not move the output would be trained for nothing: say so before the fit."""
    chips = BlockChips(setting.data, dict(setting.data.val_blocks), setting.job.train.chip, model.spec.multiple)
    seen = (chip for chip in map(chips.__getitem__, range(len(chips))) if chip.valid.any())
    if (chip := next(seen, None)) is not None:  # the corner of a scene may be empty, and then nothing moves
        probe(model.attached, Collate(setting.data.channels)([chip]).to(setting.device))


def parameter_groups(model: AdaptedModel, job: JobConfig) -> list[ParameterGroup]:
    """The head at the full rate, the adapter at its own."""
    scale = float(getattr(job.adapter, "lr_scale", 1.0))
    return [ParameterGroup(list(model.head.parameters())), ParameterGroup(model.attached.parameters(), scale)]
