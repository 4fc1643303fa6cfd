"""The controls of cloud removal: fitted on the same training series, scored on the same hidden pixels.

In: a RemovalSetting. Out: entries that restore, and what of them the bundle carries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from torch import nn

from geoadapt.adapters.config import FullConfig
from geoadapt.backbones.config import PmaaConfig
from geoadapt.backbones.pmaa import build_restorer
from geoadapt.baselines.composites import build_composite
from geoadapt.config import JobConfig, TrainConfig
from geoadapt.fields.restorer import Restorer
from geoadapt.training.choose import chosen
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.loop import steps_done
from geoadapt.training.removal_setting import RemovalSetting, fit_module, fit_restorer, loaders_for, restorer_of
from geoadapt.training.timing import matching_steps

__all__ = ["CONTROLS", "RemovalEntry", "choose_controls"]

PMAA_LR = 2e-3
"""Published are 5e-4 over 60,000 steps, with which a short fit ends on its way: measured at 100 steps."""
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
    return chosen(setting.job, CONTROLS, "cloud removal")


def _composite(name: str, note: str) -> Callable[[RemovalSetting, float], RemovalEntry]:
    def entry(setting: RemovalSetting, seconds: float) -> RemovalEntry:
        made: Any = build_composite(name, setting.channels)
        return RemovalEntry(made.to(setting.device), made, {}, None, 0, note)

    return entry


def _pmaa(setting: RemovalSetting, seconds: float) -> RemovalEntry:
    job = setting.job
    config = PmaaConfig(
        channels=setting.channels, random_weights=True, seed=job.seed, width=PMAA_WIDTH, scaling="sample"
    )
    module = build_restorer(config).to(setting.device)
    module.begin(setting.mean)
    steps = matching_steps(
        module,
        restorer_of(setting, job),
        setting.task,
        job,
        partial(loaders_for, setting),
        taken=steps_done(setting.folder / "fit"),
        most=MOST_PMAA_STEPS,
    )
    train = replace(job.train, steps=steps, lr=PMAA_LR, resume=None)
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
