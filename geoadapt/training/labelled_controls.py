"""The controls of runs on labelled samples: fitted on the same training samples, scored on the same test.

In: a LabelledSetting. Out: entries that predict, and what of them the bundle carries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.adapters.config import FullConfig, HeadOnlyConfig
from geoadapt.baselines.linear import LinearModel
from geoadapt.baselines.samples import ConstantModel, RawLinear, SampleNet
from geoadapt.config import JobConfig, TrainConfig
from geoadapt.fields.samples_stacked import features, stacked, statistics, training_batches
from geoadapt.fields.types import Batch
from geoadapt.heads.config import PooledConfig
from geoadapt.heads.pooled import pool
from geoadapt.model import AdaptedModel
from geoadapt.training.choose import chosen
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.labelled_linear import fit_vectors
from geoadapt.training.labelled_scoring import Scored
from geoadapt.training.labelled_setting import LabelledSetting, build_for, fit_labelled, loaders_for
from geoadapt.training.loop import steps_done
from geoadapt.training.setting import fit_module
from geoadapt.training.timing import matching_steps

__all__ = ["CONTROLS", "FrozenLinear", "LabelledEntry", "choose_controls", "rebuilt"]

WIDTH = 32
"""Of the network from scratch."""
MOST_STEPS = 4
"""It is given the adapted model's time, but no more than this many times its steps."""
ROWS = 512
"""Training samples from which the network's statistics are taken."""


@dataclass(frozen=True, slots=True)
class LabelledEntry:
    """A model under test or a control: how it predicts, and what a bundle needs to make it again."""

    predictor: nn.Module
    """Batch → predictions (b, 1, k, h, w)."""
    stored: nn.Module | None = None
    """Kept in the bundle, so that ``evaluate`` can score it on other samples."""
    settings: dict[str, Any] = field(default_factory=dict)
    result: FitResult | None = None
    parameters: int = 0
    note: str = ""


class FrozenLinear(nn.Module):
    """A linear model of what a frozen backbone makes of a sample."""

    def __init__(self, model: AdaptedModel, linear: LinearModel) -> None:
        super().__init__()
        self.model, self.linear = model, linear

    def forward(self, batch: Batch) -> Tensor:
        """Predictions (b, 1, k, 1, 1)."""
        out: Tensor = self.linear(pool(self.model.backbone(self.model.seen(batch))).float())
        return out[:, None, :, None, None]


def choose_controls(setting: LabelledSetting) -> tuple[str, ...]:
    """The controls of a run; raises GeoadaptError for one that is named and cannot be."""
    obstacles = {"frozen_ridge": "is for targets of whole samples: a map has one of each pixel"}
    mapped = setting.data.target.mapped
    return chosen(setting.job, CONTROLS, "labelled samples", lambda name: obstacles.get(name, "") if mapped else "")


def rebuilt(name: str, settings: dict[str, Any]) -> nn.Module:
    """An untrained control as a bundle's card describes it."""
    return MAKERS[name](**settings)


def _rule(setting: LabelledSetting, seconds: float) -> LabelledEntry:
    found, target = setting.targets, setting.data.target
    answer = torch.tensor([found.mean])
    note = f"the training mean, {found.mean:.4g} {target.unit}".rstrip()
    if target.kind == "labels":
        answer = torch.from_numpy(found.counts / max(1, found.total))
        note = "labels that more than half of the training samples have"
    elif not target.valued:
        answer = torch.from_numpy(found.counts == found.counts.max())
        note = f"always {target.names[int(found.counts.argmax())]}, the commonest class"
    settings: dict[str, Any] = {
        "outputs": setting.task.outputs,
        "lead": setting.data.layout.lead,
        "mapped": target.mapped,
    }
    made = ConstantModel(**settings)
    made.answer.copy_(answer)
    return _stored(setting, made, settings, 0, note)


def _simple(setting: LabelledSetting, seconds: float) -> LabelledEntry:
    names, mapped = setting.data.seen, setting.data.target.mapped

    def vectors(batch: Batch) -> Tensor:
        return features(stacked(batch, names), mapped=mapped)

    linear = _fitted(setting, vectors)
    made = RawLinear(linear, names, mapped=mapped)
    settings = {**_sizes(linear), "names": list(names), "mapped": mapped}
    what = "ridge regression" if setting.data.target.valued else "logistic regression"
    count = linear.weight.numel() + linear.bias.numel()
    of = "every pixel" if mapped else "all dates and channels"
    return _stored(setting, made, settings, count, f"{what} on {of}, NDVI among them; penalty by cross-validation")


def _frozen_ridge(setting: LabelledSetting, seconds: float) -> LabelledEntry:
    job = replace(setting.job, adapter=HeadOnlyConfig(), head=PooledConfig())
    model = build_for(setting, job).eval()

    def vectors(batch: Batch) -> Tensor:
        with torch.inference_mode():
            return pool(model.backbone(model.seen(batch.to(setting.device)))).float().cpu()

    linear = _fitted(setting, vectors)
    what = "ridge" if setting.data.target.valued else "logistic"
    note = f"{what} regression on {linear.mean.numel()} features of the frozen backbone; penalty by cross-validation"
    made = FrozenLinear(model, linear).to(setting.device)
    return LabelledEntry(made, linear, _sizes(linear), None, linear.weight.numel() + linear.bias.numel(), note)


def _scratch(setting: LabelledSetting, seconds: float) -> LabelledEntry:
    job, data = setting.job, setting.data
    names = data.seen
    mean, std = statistics(stacked(batch, names) for batch in training_batches(data, ROWS))
    single = all(max(f.values.shape[-2:]) == 1 for f in next(iter(training_batches(data, 1))).inputs.values())
    kind = "map" if data.target.mapped else "pixel" if single else "image"
    settings = {"channels": len(mean), "outputs": setting.task.outputs, "names": list(names), "kind": kind}
    torch.manual_seed(job.seed)
    module = SampleNet(mean, std, setting.task.outputs, names, kind=kind, width=WIDTH).to(setting.device)
    steps = matching_steps(
        module,
        build_for(setting, job),
        setting.task,
        job,
        partial(loaders_for, setting),
        taken=steps_done(setting.folder / "fit"),
        most=MOST_STEPS,
    )
    twin = replace(job, train=replace(_fresh(job), steps=steps))
    groups = [ParameterGroup(list(module.parameters()))]
    result = fit_module(setting, module, groups, twin, "scratch", loaders_for(setting, twin))
    count = sum(p.numel() for p in module.parameters())
    words = {"map": "a small U-Net", "pixel": "a small perceptron", "image": "a small CNN"}[kind]
    note = f"{words} from scratch, {steps} steps: the adapted model's time"
    return LabelledEntry(Scored(module, setting.task), module, settings, result, count, note)


def _random_backbone(setting: LabelledSetting, seconds: float) -> LabelledEntry:
    job = setting.job
    twin = replace(job, backbone=replace(job.backbone, random_weights=True, seed=job.seed), train=_fresh(job))
    return _twin(setting, twin, "random_backbone", "the same adapter and head on random weights")


def _full_finetune(setting: LabelledSetting, seconds: float) -> LabelledEntry:
    twin = replace(setting.job, adapter=FullConfig(), train=_fresh(setting.job))
    return _twin(setting, twin, "full_finetune", "every parameter of the backbone trained")


def _twin(setting: LabelledSetting, job: JobConfig, name: str, note: str) -> LabelledEntry:
    made, result = fit_labelled(setting, job, name)
    return LabelledEntry(Scored(made, setting.task), None, {}, result, made.count().trainable, note)


def _fresh(job: JobConfig) -> TrainConfig:
    """Not resumed: a control begins at its own beginning."""
    return replace(job.train, resume=None)


def _stored(
    setting: LabelledSetting, made: nn.Module, settings: dict[str, Any], count: int, note: str
) -> LabelledEntry:
    return LabelledEntry(made.to(setting.device), made, settings, None, count, note)


def _fitted(setting: LabelledSetting, vectors: Callable[[Batch], Tensor]) -> LinearModel:
    """A linear model of all training and validation samples: it needs none of them to stop in time."""
    data = setting.data
    outputs, multiple = setting.task.outputs, setting.spec.multiple
    parts = (data.train, data.val)
    return fit_vectors(vectors, data, parts, outputs=outputs, multiple=multiple, seed=setting.job.seed)


def _sizes(linear: LinearModel) -> dict[str, Any]:
    return {"features": linear.mean.numel(), "outputs": linear.bias.numel(), "kind": linear.kind}


CONTROLS: dict[str, Callable[[LabelledSetting, float], LabelledEntry]] = {
    "rule": _rule,
    "simple": _simple,
    "scratch": _scratch,
    "frozen_ridge": _frozen_ridge,
    "random_backbone": _random_backbone,
    "full_finetune": _full_finetune,
}


def _raw_linear(features: int, outputs: int, kind: str, names: Sequence[str], mapped: bool) -> nn.Module:
    return RawLinear(LinearModel(features, outputs, kind), names, mapped=mapped)


def _sample_net(channels: int, outputs: int, names: Sequence[str], kind: str) -> nn.Module:
    return SampleNet(torch.zeros(channels), torch.ones(channels), outputs, names, kind=kind, width=WIDTH)


MAKERS: dict[str, Callable[..., nn.Module]] = {
    "rule": ConstantModel,
    "simple": _raw_linear,
    "scratch": _sample_net,
    "frozen_ridge": LinearModel,
}
