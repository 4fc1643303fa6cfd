"""The controls that a claim stands beside, fitted on the same training blocks and scored on the same test pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from geoadapt.adapters.config import FullConfig
from geoadapt.baselines.dl_l8s2_uv import published_unet
from geoadapt.baselines.pixelwise import BlueRule, fit_discriminant
from geoadapt.baselines.unet import SmallUnet
from geoadapt.config import JobConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.tasks.processes import same_on_all
from geoadapt.training.feeding import fed
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.loop import fit, steps_done
from geoadapt.training.scoring import SceneScorer, module_scorer, pixel_scorer
from geoadapt.training.setting import Setting, build_for, fit_adapted
from geoadapt.training.start import bundle_to_start_from, started_scorer
from geoadapt.training.timing import matching_steps, seconds_per_step

__all__ = ["CONTROLS", "Control", "choose_controls"]

log = logging.getLogger(__name__)
MOST_UNET_STEPS = 4
"""A U-Net is given the adapted model's time, but no more than this many times its steps."""


@dataclass(frozen=True, slots=True)
class Control:
    """A fitted control: how it scores a scene, and what may be stored of it."""

    scorer: SceneScorer
    multiple: int = 1
    stored: object | None = None
    """Kept in the bundle, so that ``evaluate`` can score it on other data."""
    result: FitResult | None = None
    parameters: int = 0
    note: str = ""


def choose_controls(setting: Setting) -> tuple[str, ...]:
    """The controls of a run, found before its first fit; raises GeoadaptError for one that is named and cannot be.

    Of ``train.controls=all`` those are left out, and said, that the data cannot feed.
    """
    train = setting.job.train
    chosen = []
    for name in train.chosen_controls():
        obstacle = _obstacle(name, setting)
        if obstacle and train.controls != "all":
            raise GeoadaptError("train.controls", obstacle, f"leave {name} out")
        if obstacle:
            log.warning("control %s is left out: %s", name, obstacle)
        else:
            chosen.append(name)
    if train.start is not None and chosen:
        chosen.append("start")
    return tuple(dict.fromkeys(chosen))


def _obstacle(name: str, setting: Setting) -> str:
    """Why a control cannot be fitted on these data, or nothing."""
    if name == "rule" and not ({"cloud", "clear"} <= set(setting.task.names) and "blue" in setting.data.channels):
        return "the rule needs the channel blue and the classes clear and cloud"
    if name == "lda" and len(set(setting.survey.labels.tolist()) & set(setting.task.values)) < 2:
        return "the discriminant needs two classes in the training blocks"
    if name == "random_backbone" and not hasattr(setting.job.backbone, "random_weights"):
        return f"{setting.job.backbone.name} offers no random weights"
    return ""


def _rule(setting: Setting, seconds: float) -> Control:
    names = setting.task.names
    rule = BlueRule(setting.data.channels.index("blue"), names.index("cloud"), names.index("clear"), len(names))
    return Control(pixel_scorer(rule.scores), stored=rule, note=f"cloud where blue > {rule.threshold}")


def _lda(setting: Setting, seconds: float) -> Control:
    fitted = fit_discriminant(setting.survey.pixels, setting.survey.labels, setting.task.values)
    count = fitted.weight.numel() + fitted.bias.numel()
    return Control(pixel_scorer(fitted.scores), stored=fitted, parameters=count, note="per-pixel linear discriminant")


def _unet(setting: Setting, seconds: float) -> Control:
    job = setting.job
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        module: nn.Module = SmallUnet(setting.inputs).to(setting.device)
    steps = _unet_steps(setting, module, seconds)
    train = replace(job.train, steps=steps, resume=None)
    groups = [ParameterGroup(list(module.parameters()))]
    result = fit(module, groups, setting.task, setting.data, train, job.runtime, job.seed, setting.folder / "unet")
    module.to(setting.device)
    return Control(
        module_scorer(module, setting.data.channels, setting.device),
        stored=module,
        result=result,
        parameters=sum(p.numel() for p in module.parameters()),
        note=f"small U-Net from scratch, {steps} steps: the adapted model's time",
    )


def _unet_steps(setting: Setting, module: nn.Module, seconds: float) -> int:
    job, data = setting.job, setting.data
    taken = steps_done(setting.folder / "fit")
    if job.train.cache and job.train.cache_store:
        # what the fit read is gone with it: of a cached one the clock alone can tell what it cost
        each = seconds_per_step(module, setting.task, data, job.train, job.runtime, job.seed)
        return same_on_all(max(1, min(int(seconds / each), MOST_UNET_STEPS * taken)))
    adapted = build_for(setting, job)
    return matching_steps(
        module,
        adapted,
        setting.task,
        job,
        lambda job: fed(data, job.train, job.seed, adapted.spec.multiple, None),
        taken=taken,
        most=MOST_UNET_STEPS,
    )


def _random_backbone(setting: Setting, seconds: float) -> Control:
    job = setting.job
    twin = replace(job, backbone=replace(job.backbone, random_weights=True, seed=job.seed), train=_fresh(job))
    return _twin(setting, twin, "random_backbone", "the same adapter and head on random weights")


def _full_finetune(setting: Setting, seconds: float) -> Control:
    job = setting.job
    twin = replace(job, adapter=FullConfig(), train=_fresh(job))
    return _twin(setting, twin, "full_finetune", "every parameter of the backbone trained")


def _twin(setting: Setting, job: JobConfig, name: str, note: str) -> Control:
    model, result = fit_adapted(setting, job, name)
    scorer = module_scorer(model, setting.data.channels, setting.device)
    return Control(scorer, model.spec.multiple, None, result, model.count().trainable, note)


def _fresh(job: JobConfig) -> TrainConfig:
    """Neither resumed nor started from a bundle: a control begins at its own beginning."""
    return replace(job.train, resume=None, start=None)


def _start(setting: Setting, seconds: float) -> Control:
    if setting.job.train.start is None:
        raise GeoadaptError("train.controls", "start is the bundle of train.start, and none is named", "leave it out")
    folder = bundle_to_start_from(setting.job.train.start)
    scorer, multiple = started_scorer(folder, setting.task, setting.device)
    return Control(scorer, multiple, note="the bundle that the fit started from, as it stands")


def _dl_l8s2_uv(setting: Setting, seconds: float) -> Control:
    published = published_unet(setting.data.channels, setting.task.names, device=setting.device)
    return Control(pixel_scorer(published.scores), 8, note="a published Landsat-8 cloud U-Net as it stands, no shadow")


CONTROLS: dict[str, Callable[[Setting, float], Control]] = {
    "rule": _rule,
    "lda": _lda,
    "unet": _unet,
    "random_backbone": _random_backbone,
    "full_finetune": _full_finetune,
    "dl_l8s2_uv": _dl_l8s2_uv,
    "start": _start,
}
