"""The controls of cloud removal: fitted on the same training series, scored on the same hidden pixels.

In: a RemovalSetting. Out: entries that restore, and what of them the bundle carries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import nn

from geoadapt.adapters.config import FullConfig
from geoadapt.backbones.config import PmaaConfig
from geoadapt.backbones.pmaa import build_restorer
from geoadapt.baselines.composites import build_composite
from geoadapt.config import JobConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.restorer import Restorer
from geoadapt.tasks.processes import same_on_all
from geoadapt.training.loop import FitResult, ParameterGroup, seconds_per_step
from geoadapt.training.removal_setting import RemovalSetting, fit_module, fit_restorer, loaders_for

__all__ = ["CONTROLS", "RemovalEntry", "choose_controls"]

log = logging.getLogger(__name__)
PMAA_LR = 5e-4
"""As published."""
PMAA_WIDTH = 16
"""Half of the published one, so that a step takes about as long as one of the adapted model."""
MOST_PMAA_STEPS = 4
"""PMAA is given the adapted model's time, but no more than this many times its steps."""


@dataclass(frozen=True, slots=True)
class RemovalEntry:
    """A model under test or a control: how it restores, and what a bundle needs to make it again."""

    restorer: Restorer
    stored: nn.Module | None = None
    """Kept in the bundle, so that ``evaluate`` can score it on other series."""
    settings: dict[str, Any] = field(default_factory=dict)
    result: FitResult | None = None
    parameters: int = 0
    note: str = ""


def choose_controls(setting: RemovalSetting) -> tuple[str, ...]:
    """The controls of a run; raises GeoadaptError for one that is named and cannot be."""
    train, backbone = setting.job.train, setting.job.backbone
    chosen = []
    for name in train.chosen_controls("cloud_removal"):
        obstacle = ""
        if name not in CONTROLS:
            obstacle = f"{name} is no control of cloud removal"
        elif name == "random_backbone" and not hasattr(backbone, "random_weights"):
            obstacle = f"{backbone.name} offers no random weights"
        if obstacle and train.controls != "all":
            raise GeoadaptError("train.controls", obstacle, f"choose from {', '.join(CONTROLS)}")
        if obstacle:
            log.warning("control %s is left out: %s", name, obstacle)
        else:
            chosen.append(name)
    return tuple(dict.fromkeys(chosen))


def _composite(name: str, note: str) -> Callable[[RemovalSetting, float], RemovalEntry]:
    def entry(setting: RemovalSetting, seconds: float) -> RemovalEntry:
        made: Any = build_composite(name, setting.channels)
        return RemovalEntry(made.to(setting.device), made, {}, None, 0, note)

    return entry


def _pmaa(setting: RemovalSetting, seconds: float) -> RemovalEntry:
    job = setting.job
    config = PmaaConfig(channels=setting.channels, random_weights=True, seed=job.seed, width=PMAA_WIDTH)
    module = build_restorer(config).to(setting.device)
    each = seconds_per_step(module, setting.task, None, job.train, job.runtime, job.seed, loaders_for(setting, job))
    # each process measures its own time, and all must take the same steps
    steps = same_on_all(max(job.train.val_every, min(int(seconds / each), MOST_PMAA_STEPS * job.train.steps)))
    train = replace(job.train, steps=steps, lr=min(PMAA_LR, job.train.lr), resume=None)
    groups = [ParameterGroup(list(module.parameters()))]
    result = fit_module(setting, module, groups, replace(job, train=train), "pmaa")
    count = sum(p.numel() for p in module.parameters())
    note = f"PMAA of width {PMAA_WIDTH} from scratch, {steps} steps: the adapted model's time"
    return RemovalEntry(module, module, asdict(config), result, count, note)


def _random_backbone(setting: RemovalSetting, seconds: float) -> RemovalEntry:
    job = setting.job
    twin = replace(job, backbone=replace(job.backbone, random_weights=True, seed=job.seed), train=_fresh(job))
    return _twin(setting, twin, "random_backbone", "the same adapter and head on random weights")


def _full_finetune(setting: RemovalSetting, seconds: float) -> RemovalEntry:
    job = setting.job
    twin = replace(job, adapter=FullConfig(), train=_fresh(job))
    return _twin(setting, twin, "full_finetune", "every parameter of the backbone trained")


def _twin(setting: RemovalSetting, job: JobConfig, name: str, note: str) -> RemovalEntry:
    made, result = fit_restorer(setting, job, name)
    return RemovalEntry(made, None, {}, result, made.count().trainable, note)


def _fresh(job: JobConfig) -> TrainConfig:
    """Not resumed: a control begins at its own beginning."""
    return replace(job.train, resume=None)


CONTROLS: dict[str, Callable[[RemovalSetting, float], RemovalEntry]] = {
    "temporal_mean": _composite("temporal_mean", "mean of the clear dates"),
    "temporal_median": _composite("temporal_median", "median of the clear dates"),
    "nearest_clear": _composite("nearest_clear", "the clear date nearest in time"),
    "linear": _composite("linear", "linear in time between the nearest clear dates"),
    "harmonic": _composite("harmonic", "a yearly wave through the clear dates"),
    "last_clear": _composite("last_clear", "the last clear date before"),
    "pmaa": _pmaa,
    "random_backbone": _random_backbone,
    "full_finetune": _full_finetune,
}
