"""Score a bundle of labelled samples, and the simple models that it carries, on other samples, or on its own again.

In: a bundle and a data configuration. Out: a run folder with metrics and a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from geoadapt.adapters.config import HeadOnlyConfig
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.weights import load_into
from geoadapt.bundle.card import BundleCard, read_card
from geoadapt.bundle.load import restore_model
from geoadapt.config import RuntimeConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.samples import Layout, SampleSet, Target
from geoadapt.fields.samples_units import in_units
from geoadapt.heads.config import PooledConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.inference.machine import choose_device, use_threads
from geoadapt.io.paths import as_path
from geoadapt.model import AdaptedModel, build_model
from geoadapt.registry import build, from_plain, look_up
from geoadapt.tasks import TASKS
from geoadapt.training.labelled_controls import FrozenLinear, rebuilt
from geoadapt.training.labelled_page import LabelledStory, write_labelled_page
from geoadapt.training.labelled_scoring import Scored, score_samples, summarise_samples
from geoadapt.training.labelled_setting import Targets, task_for
from geoadapt.training.results import MODEL, RunResult, write_metrics

__all__ = ["evaluate_samples"]

OF_THE_FIT = ("parameters", "val_")
"""What only the training could measure, and the bundle's card says."""


def evaluate_samples(
    bundle: str | Path,
    data: Any,
    run_dir: str | Path,
    *,
    batch: int | None = None,
    runtime: RuntimeConfig | None = None,
    seed: int | None = None,
    bootstrap: int = 1000,
    weights: str | None = None,
    allow_mismatch: bool = False,
    command: str = "",
) -> RunResult:
    """Metrics and a page of a bundle on the test samples of ``data``; its own data give its run's own numbers.

    Beside it stand the controls that the bundle carries. Raises GeoadaptError for data with another target, or other
    inputs.
    """
    where = runtime or RuntimeConfig(device="cpu")
    device = choose_device(where.device)
    use_threads(where.threads)
    folder = as_path(bundle)
    card, _ = read_card(folder)
    plain = told(card, folder)
    drawn = card.seed if seed is None else seed
    target = _target(plain)
    task_config: Any = from_plain(look_up(TASKS, card.task, "task").config, plain["task"], "task")
    targets = Targets(torch.zeros(len(target.names)).long().numpy(), 1, **plain["statistics"])
    task = task_for(task_config, target, targets)
    inputs = HeadInputs(task.outputs, torch.tensor(card.mean), torch.tensor(card.std))
    model = restore_model(folder, card, inputs, weights=weights, allow_mismatch=allow_mismatch).to(device)
    found: SampleSet = build(DATASETS, data, card.seed)
    _check(found, data.name, target, _layout(plain))
    found = in_units(replace(found, layout=_layout(plain)), model.spec.units)
    entries: dict[str, nn.Module] = {MODEL: Scored(model, task)}
    for name, module in _carried(folder, plain, card, inputs, weights).items():
        entries[name] = Scored(module, task) if name == "scratch" else module
    entries = {who: module.to(device).eval() for who, module in entries.items()}
    size = batch or int(plain["batch"])
    scored = score_samples(entries, found.test, found, task, size=size, multiple=model.spec.multiple, device=device)
    metrics = summarise_samples(scored, task, draws=bootstrap, seed=drawn)
    metrics |= {k: v for k, v in card.metrics.items() if k.removeprefix(f"{MODEL}/").startswith(OF_THE_FIT)}
    story = LabelledStory(
        title=f"{card.name} on {found.name}",
        channels=card.channels,
        entries={MODEL: f"the bundle {card.name}", **{who: "" for who in entries if who != MODEL}},
        metrics=metrics,
        data=found.note if found.note == card.data else f"{found.note} The bundle was trained on: {card.data}",
        simulated=found.simulated or card.simulated,
        command=command,
        config={"bundle": str(bundle), "data": asdict(data), "seed": drawn},
        found=scored,
        task=task,
        target=target,
    )
    out = Path(run_dir)
    write_metrics(out, metrics)
    return RunResult(out, metrics, Path(bundle), write_labelled_page(out / "report.html", story))


def told(card: BundleCard, folder: Path) -> Mapping[str, Any]:
    """What a card says of samples; raises GeoadaptError for a bundle of another task."""
    if card.samples is None:
        raise GeoadaptError(folder, f"is a bundle of the task {card.task}", "name one of labelled samples")
    return card.samples


def _target(plain: Mapping[str, Any]) -> Target:
    told = plain["target"]
    return Target(str(told["kind"]), tuple(map(str, told["names"])), str(told["unit"]))


def _layout(plain: Mapping[str, Any]) -> Layout:
    told = plain["layout"]
    return Layout({k: tuple(v) for k, v in told["channels"].items()}, {k: int(v) for k, v in told["dates"].items()})


def _check(data: object, name: str, target: Target, layout: Layout) -> None:
    if not isinstance(data, SampleSet):
        raise GeoadaptError("data", f"{name} holds no labelled samples", "choose data=fuel_moisture")
    if data.target != target:
        raise GeoadaptError("data", f"{name} asks for {data.target}", f"the bundle answers {target}")
    missing = [n for n, channels in layout.channels.items() if tuple(data.layout.channels.get(n, ())) != channels]
    if missing:
        problem = f"{name} lacks {', '.join(missing)} as the bundle takes it"
        raise GeoadaptError("data", problem, f"the bundle takes {dict(layout.channels)}")
    if not len(data.test):
        raise GeoadaptError("data.test", "holds no samples", "change the split")


def _carried(
    folder: Path, plain: Mapping[str, Any], card: BundleCard, inputs: HeadInputs, weights: str | None
) -> dict[str, nn.Module]:
    """The simple models that the bundle was tested against, by name."""
    found: dict[str, nn.Module] = {}
    for name, settings in plain["baselines"].items():
        module = rebuilt(name, settings)
        load_into(module, folder / "baselines" / f"{name}.safetensors")
        found[name] = module
    if "frozen_ridge" in found:
        frozen = _frozen(card, inputs, weights)
        found["frozen_ridge"] = FrozenLinear(frozen, found["frozen_ridge"])  # type: ignore[arg-type]
    return found


def _frozen(card: BundleCard, inputs: HeadInputs, weights: str | None) -> AdaptedModel:
    """The bundle's backbone as it was before its adapter."""
    entry = look_up(BACKBONES, str(card.backbone.get("name")), "backbone")
    plain = {**card.backbone, **({} if weights is None else {"weights": weights})}
    backbone: Any = from_plain(entry.config, plain, "backbone")
    return build_model(backbone, HeadOnlyConfig(), PooledConfig(), inputs, card.channels, card.seed)
