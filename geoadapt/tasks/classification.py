"""One class for every sample, or for every pixel of it.

In: scores (b, t, k, h, w), of several dates their mean. Out: a loss; class probabilities; scores from confusions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.fields.types import Batch
from geoadapt.metrics.segmentation import accuracy, f1, iou, mean_iou
from geoadapt.tasks.losses import IGNORE, LOSSES
from geoadapt.tasks.processes import sum_over_processes
from geoadapt.tasks.samples import Floats, SampleTally, asked, over_dates, ratio
from geoadapt.tasks.samples_config import ClassificationConfig, SampleSegmentationConfig

__all__ = ["Classification", "build", "class_weights"]

LEAST = 1e-12
"""Of a probability, so that its logarithm is finite."""


@dataclass(frozen=True, slots=True)
class Classification:
    """Classes and how they are weighed; the accuracy of the validation samples chooses the weights."""

    names: tuple[str, ...]
    losses: Mapping[str, float]
    """Loss → weight, of ``tasks.losses``."""
    weight: Tensor | None = None
    """(k,) of the classes."""
    name: str = "classification"
    monitor: str = "accuracy"
    mode: str = "max"

    @property
    def outputs(self) -> int:
        """One score for each class."""
        return len(self.names)

    @property
    def sums(self) -> int:
        """Confusions, the negative log-likelihood, and what it was summed over."""
        return len(self.names) ** 2 + 2

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The weighted sum of the configured losses."""
        scores = over_dates(output)
        truth = self._truth(scores, batch)
        weight = None if self.weight is None else self.weight.to(scores.device)
        parts = [LOSSES[name].sums(scores[:, 0], truth, weight) for name in self.losses]
        summed = torch.split(sum_over_processes(torch.cat(parts)), [len(part) for part in parts])
        pairs = zip(self.losses.items(), summed, strict=True)
        return torch.stack([share * LOSSES[name].finish(part) for (name, share), part in pairs]).sum()

    def tally(self) -> SampleTally:
        """Empty sums."""
        return SampleTally(self)

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities (b, 1, k, h, w)."""
        return over_dates(output).softmax(2)

    def statistics(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Sums of every sample (b, k² + 2): rows of the confusion are truths, columns predictions."""
        truth = self._truth(prediction, batch)
        k = len(self.names)
        known = truth != IGNORE
        cell = truth.where(known, 0) * k + prediction[:, 0].argmax(1)
        found = torch.zeros(len(truth), k * k + 2, dtype=torch.float64, device=truth.device)
        counted = known.flatten(1).double()
        found.scatter_add_(1, cell.flatten(1), counted)
        picked = prediction[:, 0].gather(1, truth.where(known, 0)[:, None])[:, 0]
        told = -picked.double().clamp(min=LEAST).log()
        found[:, -2] = torch.where(known, told, 0.0).flatten(1).sum(1)
        found[:, -1] = counted.sum(1)
        return found

    def finish(self, sums: Floats) -> dict[str, Floats]:
        """``accuracy`` and ``loss``, with ``macro_f1`` and ``f1/NAME`` or, of maps, ``miou`` and ``iou/NAME``.

        Of sums (…, k² + 2). A class that is neither there nor predicted is left out of the mean.
        """
        k = len(self.names)
        square = sums[..., :-2].reshape(*sums.shape[:-1], k, k)
        counts = np.concatenate([square, np.zeros_like(square[..., :1])], -1)
        found = {"accuracy": accuracy(counts), "loss": ratio(sums[..., -2], sums[..., -1])}
        if self.name == "segmentation":
            found["miou"] = mean_iou(counts)
            return found | {f"iou/{name}": iou(counts)[..., i] for i, name in enumerate(self.names)}
        each = f1(counts)
        known = ~np.isnan(each)
        found["macro_f1"] = ratio(np.where(known, each, 0).sum(-1), known.sum(-1).astype(np.float64))
        return found | {f"f1/{name}": each[..., i] for i, name in enumerate(self.names)}

    def _truth(self, given: Tensor, batch: Batch) -> Tensor:
        """Class indices (b, h, w), 255 where nobody knows."""
        target, known = asked(given, batch)
        return torch.where(known, target.values, IGNORE)[:, 0, 0].long()


def class_weights(how: str, counts: Sequence[int] | NDArray[np.integer]) -> Tensor | None:
    """Weights (k,) by the square root of inverse frequency for ``balanced``, with a mean of 1; None for ``none``."""
    if how == "none":
        return None
    share = np.asarray(counts, np.float64)
    raw = np.where(share > 0, 1 / np.sqrt(np.maximum(share, 1)), 0.0)
    return torch.from_numpy(raw / raw[raw > 0].mean()).float()


def build(
    config: ClassificationConfig | SampleSegmentationConfig, names: tuple[str, ...], counts: NDArray[np.integer]
) -> Classification:
    """The task on classes ``names``, of which the training samples hold ``counts`` (k,)."""
    weight = class_weights(config.class_weights, counts)
    if isinstance(config, SampleSegmentationConfig):
        return Classification(names, dict(config.losses), weight, "segmentation", "miou")
    return Classification(names, {"ce": 1.0}, weight)
