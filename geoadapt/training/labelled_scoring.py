"""The test of a run on labelled samples: everyone predicts the same ones, and sums by sample are kept.

In: modules that predict, by name, and samples. Out: sums (n, m) by WHO; metrics with intervals over places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.fields.samples import Labelled, SampleSet
from geoadapt.fields.samples_loaders import WholeSamples
from geoadapt.fields.types import Batch
from geoadapt.metrics.blocks import draw_blocks
from geoadapt.metrics.intervals import interval
from geoadapt.tasks.samples import SampleTask
from geoadapt.training.results import MODEL

__all__ = ["LESS", "LabelledScores", "Scored", "score_samples", "summarise_samples"]

Floats = NDArray[np.float64]
KEPT = 20_000
"""Values of the model, and their truths, that are kept for a drawing."""


class Scored(nn.Module):
    """A network's outputs as predictions."""

    def __init__(self, module: nn.Module, task: SampleTask) -> None:
        super().__init__()
        self.module, self.task = module, task

    def forward(self, batch: Batch) -> Tensor:
        """Predictions (b, 1, k, h, w)."""
        return self.task.predict(self.module(batch))


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """What a test leaves of its samples n."""

    sums: Mapping[str, Floats]
    """WHO → (n, m), all on the same samples."""
    groups: tuple[str, ...]
    """(n,) which samples are resampled as one."""
    truth: Floats
    """(p,) what is known of a value, and what the model said; empty for classes and labels."""
    predicted: Floats

    @property
    def blocks(self) -> str:
        """What is resampled, in words."""
        count, samples = len(set(self.groups)), len(self.groups)
        return f"{samples:,} samples" if count == samples else f"{count:,} places with {samples:,} samples"


def score_samples(
    entries: Mapping[str, nn.Module],
    samples: Sequence[Labelled],
    data: SampleSet,
    task: SampleTask,
    *,
    size: int,
    multiple: int = 1,
    device: str = "cpu",
) -> LabelledScores:
    """All entries on all samples, ``size`` at a time."""
    sums: dict[str, list[Floats]] = {who: [] for who in entries}
    truth, predicted = [], []
    groups: list[str] = []
    for chosen, batch in WholeSamples(samples, data, size, multiple):
        groups += [sample.group or sample.name for sample in chosen]
        here = batch.to(device)
        for who, module in entries.items():
            module.eval()
            with torch.inference_mode():
                said = module(here)
                sums[who].append(task.statistics(said, here).cpu().numpy())
            if who == MODEL and data.target.valued and batch.target is not None:
                known = batch.target.valid
                assert known is not None
                truth.append(batch.target.values[known].double().numpy())
                predicted.append(said.cpu()[known].double().numpy())
    kept = [np.concatenate(part) if part else np.zeros(0) for part in (truth, predicted)]
    step = max(1, -(-len(kept[0]) // KEPT))
    whole = {who: np.concatenate(parts) for who, parts in sums.items()}
    return LabelledScores(whole, tuple(groups), kept[0][::step], kept[1][::step])


def summarise_samples(found: LabelledScores, task: SampleTask, *, draws: int, seed: int) -> dict[str, float]:
    """``WHO/METRIC[/NAME]`` with 90 % intervals from a bootstrap over places, and gains over the controls.

    A gain is how much better the model is than a control, paired: positive is better for errors too.
    """
    order = {name: place for place, name in enumerate(dict.fromkeys(found.groups))}
    which = np.array([order[name] for name in found.groups])
    times = draw_blocks(len(order), draws, seed)
    flat: dict[str, float] = {f"{MODEL}/samples": float(len(which)), f"{MODEL}/places": float(len(order))}
    drawn: dict[str, dict[str, Floats]] = {}
    for who, sums in found.sums.items():
        blocks = np.zeros((len(order), sums.shape[1]))
        np.add.at(blocks, which, sums)
        drawn[who] = dict(task.finish(times @ blocks))
        for key, value in task.finish(sums.sum(0)).items():
            flat[f"{who}/{key}"] = float(value)
    for who, values in drawn.items():
        for key, replicates in values.items():
            metric, _, name = key.partition("/")
            tail = f"/{name}" if name else ""
            low, high = interval(replicates)
            flat |= {f"{who}/{metric}_low{tail}": low, f"{who}/{metric}_high{tail}": high}
            if who != MODEL and metric != "bias":
                sign = -1.0 if metric in LESS else 1.0
                low, high = interval(sign * (drawn[MODEL][key] - replicates))
                flat[f"{who}/{metric}_gain{tail}"] = sign * (flat[f"{MODEL}/{key}"] - flat[f"{who}/{key}"])
                flat |= {f"{who}/{metric}_gain_low{tail}": low, f"{who}/{metric}_gain_high{tail}": high}
    return flat


LESS = ("rmse", "mae", "loss")
"""Metrics of which less is better."""
