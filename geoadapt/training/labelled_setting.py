"""What every fit of a run on labelled samples shares, and the fit of an adapted model.

In: a checked JobConfig. Out: samples, statistics, task and device; a trained model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.adapters.attach import probe
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.base import BackboneSpec
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.samples import SampleSet, Target, samples_batch
from geoadapt.fields.samples_loaders import sample_loaders
from geoadapt.fields.samples_stacked import evenly, statistics, training_batches
from geoadapt.fields.samples_units import in_units
from geoadapt.heads.inputs import HeadInputs
from geoadapt.model import AdaptedModel, build_model
from geoadapt.registry import build
from geoadapt.tasks import TASKS
from geoadapt.tasks.processes import rank, world
from geoadapt.tasks.samples import SampleTask
from geoadapt.training.fit_types import FitResult
from geoadapt.training.labelled_linear import begin_with_linear
from geoadapt.training.precision import chosen_precision
from geoadapt.training.setting import fit_module, parameter_groups, refuse_segmentation_keys, settle

__all__ = [
    "KIND_OF",
    "LabelledSetting",
    "Targets",
    "build_for",
    "fit_labelled",
    "loaders_for",
    "prepare",
    "task_for",
]

log = logging.getLogger(__name__)
KIND_OF = {
    "classification": ("class",),
    "multilabel": ("labels",),
    "regression": ("value", "value_map"),
    "segmentation": ("class_map",),
}
"""Task → the targets that it takes."""
SURVEYED = 512
"""Training samples from which statistics of the inputs are taken."""
COUNTED = 4096
"""Those whose targets are counted."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What the training targets hold: of classes and labels how often each, of values their mean and deviation."""

    counts: NDArray[np.int64]
    total: int
    """Samples, or pixels of maps, whose target is known."""
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True, slots=True)
class LabelledSetting:
    """What every fit of a run shares."""

    job: JobConfig
    data: SampleSet
    """In the units of the backbone."""
    spec: BackboneSpec
    task: SampleTask
    targets: Targets
    mean: Tensor
    """(c,) of the lead's channels."""
    std: Tensor
    folder: Path
    device: str

    @property
    def inputs(self) -> HeadInputs:
        """What heads are told."""
        return HeadInputs(self.task.outputs, self.mean, self.std)

    @property
    def channels(self) -> tuple[str, ...]:
        """Those of the lead."""
        return self.data.layout.channels[self.data.layout.lead]


def prepare(job: JobConfig, run_dir: Path) -> LabelledSetting:
    """Samples and task of a run; raises GeoadaptError where the data cannot work."""
    runtime = settle(job.runtime)
    refuse_segmentation_keys(job.train)
    spec: BackboneSpec = build(BACKBONES, job.backbone).spec
    data = _samples_of(build(DATASETS, job.data, job.seed), job, spec)
    log.info("data: %s", data.note)
    chosen = (data.train[n] for n in evenly(len(data.train), COUNTED))
    targets = survey_targets((np.asarray(sample.target, np.float64) for sample in chosen), data.target)
    lead = data.layout.lead
    mean, std = statistics(batch.inputs[lead] for batch in training_batches(data, SURVEYED))
    log.info("%d threads, %s, %s", torch.get_num_threads(), runtime.device, chosen_precision(runtime))
    log.info("%d training, %d validation, %d test samples", len(data.train), len(data.val), len(data.test))
    task = task_for(job.task, data.target, targets)
    job = replace(job, runtime=runtime)
    return LabelledSetting(job, data, spec, task, targets, mean, std, run_dir / "fits", runtime.device)


def _samples_of(data: object, job: JobConfig, spec: BackboneSpec) -> SampleSet:
    """The set in the backbone's units; raises GeoadaptError where task, backbone or split do not fit it."""
    name = job.data.name
    if not isinstance(data, SampleSet):
        raise GeoadaptError("data", f"{name} holds no labelled samples", "choose data=fuel_moisture")
    kinds = KIND_OF[job.task.name]
    if data.target.kind not in kinds:
        fitting = next(task for task, its in KIND_OF.items() if data.target.kind in its)
        raise GeoadaptError(
            "task", f"{job.task.name} of {name}, whose target is a {data.target.kind}", f"task={fitting}"
        )
    if not set(data.layout.channels) & set(spec.inputs):
        problem = f"{spec.name} takes {', '.join(spec.inputs)}; {name} has {', '.join(data.layout.channels)}"
        raise GeoadaptError("backbone", problem, "choose another")
    for part in ("train", "val", "test"):
        if not len(getattr(data, part)):
            raise GeoadaptError(f"data.{part}", "holds no samples", "change the split")
    return in_units(data, spec.units)


def survey_targets(targets: Iterable[NDArray[np.float64]], about: Target) -> Targets:
    """Counts, mean and deviation of targets as samples hold them; what nobody knows is left out."""
    counts = np.zeros(len(about.names), np.int64)
    sums = np.zeros(3)
    for values in targets:
        if about.valued:
            kept = values[np.isfinite(values)]
            sums += kept.size, kept.sum(), np.square(kept).sum()
        elif about.kind == "labels":
            counts += np.nan_to_num(values).astype(np.int64)
            sums[0] += 1
        else:
            found = np.bincount(np.atleast_1d(values).astype(np.int64).ravel(), minlength=256)[: len(counts)]
            counts += found
            sums[0] += found.sum()
    if not sums[0]:
        raise GeoadaptError("data.train", "no target is known", "give it labelled samples")
    mean = sums[1] / sums[0]
    return Targets(counts, int(sums[0]), float(mean), float(np.sqrt(max(0.0, sums[2] / sums[0] - mean**2))))


def task_for(config: Any, target: Target, found: Targets) -> SampleTask:
    """The task on these targets."""
    told: dict[str, tuple[object, ...]] = {
        "regression": (target.names[0], found.mean, found.std),
        "multilabel": (target.names, found.counts, found.total),
    }
    made: SampleTask = build(TASKS, config, *told.get(config.name, (target.names, found.counts)))
    return made


def build_for(setting: LabelledSetting, job: JobConfig) -> AdaptedModel:
    """The untrained model that ``job`` describes, where it will run."""
    model = build_model(job.backbone, job.adapter, job.head, setting.inputs, setting.channels, job.seed)
    return model.to(setting.device)


def fit_labelled(setting: LabelledSetting, job: JobConfig, name: str) -> tuple[AdaptedModel, FitResult]:
    """Build and train the model that ``job`` describes."""
    model = build_for(setting, job)
    data = setting.data
    first = samples_batch([data.val[0]], data.target, data.layout, setting.spec.multiple)
    probe(model.attached, model.seen(first.to(setting.device)))
    log.info("%s on %s: %s", name, setting.device, model.count())
    if getattr(job.head, "start", "") == "linear" and not data.target.mapped and job.train.resume is None:
        chosen = [data.train[n] for n in evenly(len(data.train), COUNTED)]
        begin_with_linear(model, data, chosen, setting.task, job.seed, setting.device)
    result = fit_module(setting, model, parameter_groups(model, job), job, name, loaders_for(setting, job))
    return model, result


def loaders_for(setting: LabelledSetting, job: JobConfig) -> Callable[[int], Loaders]:
    """What makes the batches of a fit from a step on."""

    def loaders(start: int) -> Loaders:
        """Batches from step ``start`` on."""
        multiple = setting.spec.multiple
        return sample_loaders(
            setting.data, job.train, job.seed, multiple=multiple, start=start, world=world(), rank=rank()
        )

    return loaders
