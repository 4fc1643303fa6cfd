"""Cloud segmentation: 0 clear, 1 cloud, 2 thin_cloud, 3 shadow, 255 nodata. Thin cloud is not cloud.

In: scores (b, t, k, h, w), k the classes that the training labels can express. Out: a loss; class values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA, ClassInfo
from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.metrics.segmentation import confusion, iou, mean_iou
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.tasks.losses import IGNORE, LOSSES
from geoadapt.tasks.processes import sum_over_processes, world

__all__ = ["CloudSegmentation", "SegmentationTally", "build"]

NEVER = -1e4


@dataclass(frozen=True, slots=True)
class CloudSegmentation:
    """The task on one dataset: which classes are learned, and how they are weighed."""

    classes: tuple[ClassInfo, ...]
    scene_classes: Mapping[str, tuple[int, ...]]
    """Scene → class values that its labels can express: the others are not trained by its chips."""
    losses: Mapping[str, float]
    weight: Tensor | None
    """(k,)."""
    name: str = "cloud_segmentation"
    monitor: str = "miou"
    mode: str = "max"

    @property
    def values(self) -> tuple[int, ...]:
        """Class values in the order of the scores."""
        return tuple(c.value for c in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of the scores."""
        return tuple(c.name for c in self.classes)

    def target(self, batch: Batch) -> Tensor:
        """Class indices (b·t, h, w), 255 where there is no label or its class is not learned."""
        if batch.target is None:
            raise GeoadaptError("batch", "has no target", "use a labelled dataset")
        table = torch.full((256,), IGNORE, dtype=torch.int64, device=batch.target.values.device)
        for index, value in enumerate(self.values):
            table[value] = index
        return table[batch.target.values[:, :, 0].flatten(0, 1).long()]

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The weighted sum of the configured losses, for scores (b, t, k, h, w)."""
        return self.finish(sum_over_processes(self.sums(scores, batch)))

    def sums(self, scores: Tensor, batch: Batch) -> Tensor:
        """What the configured losses are made of, one after the other (m,)."""
        flat = self._mask(scores, batch).flatten(0, 1).float()
        target = self.target(batch)
        weight = None if self.weight is None else self.weight.to(flat.device)
        return torch.cat([LOSSES[name].sums(flat, target, weight) for name in self.losses])

    def finish(self, sums: Tensor) -> Tensor:
        """The weighted sum of the losses that ``sums`` (m,) make."""
        sizes = [LOSSES[name].size(len(self.classes)) for name in self.losses]
        parts = zip(self.losses.items(), torch.split(sums, sizes), strict=True)
        return torch.stack([share * LOSSES[name].finish(part) for (name, share), part in parts]).sum()

    def tally(self) -> SegmentationTally:
        """Of ``miou``, ``iou/NAME`` and ``loss``."""
        return SegmentationTally(self)

    def labels(self, scores: Tensor) -> Tensor:
        """Class values (b, t, h, w), uint8, of the most probable class."""
        values = torch.tensor(self.values, dtype=torch.uint8, device=scores.device)
        return values[scores.argmax(dim=2)]

    def _mask(self, scores: Tensor, batch: Batch) -> Tensor:
        if all(set(self.values) <= set(self.scene_classes.get(w.scene, self.values)) for w in batch.where):
            return scores
        allowed = torch.tensor(
            [[v in self.scene_classes.get(w.scene, self.values) for v in self.values] for w in batch.where],
            device=scores.device,
        )
        return scores.masked_fill(~allowed[:, None, :, None, None], NEVER)


class SegmentationTally:
    """Pixels by truth and prediction, and what the losses are made of, over the batches of one validation."""

    def __init__(self, task: CloudSegmentation) -> None:
        self.task = task
        k = len(task.classes)
        self.cells = k * (k + 1)
        self.sums = torch.zeros(self.cells + sum(LOSSES[name].size(k) for name in task.losses), dtype=torch.float64)

    def add(self, output: Tensor, batch: Batch) -> None:
        """Count one batch in: scores (b, t, k, h, w)."""
        task = self.task
        if batch.target is None:
            raise GeoadaptError("batch", "has no target", "use a labelled dataset")
        truth, labels = batch.target.values[:, :, 0].cpu().numpy(), task.labels(output).cpu().numpy()
        self.sums[: self.cells] += torch.from_numpy(confusion(truth, labels, task.values).ravel())
        self.sums[self.cells :] += task.sums(output, batch).double().cpu()

    def scores(self) -> dict[str, float]:
        """``miou`` (0 where no class is seen), ``iou/NAME`` and ``loss``."""
        counts = self.sums[: self.cells].reshape(len(self.task.classes), -1).numpy()
        found = {"miou": float(np.nan_to_num(mean_iou(counts)))}
        found |= {f"iou/{name}": float(value) for name, value in zip(self.task.names, iou(counts), strict=True)}
        return found | {"loss": float(self.task.finish(self.sums[self.cells :]))}


def build(config: CloudSegmentationConfig, data: Dataset, counts: Mapping[int, int]) -> CloudSegmentation:
    """The task on ``data``, ``counts`` pixels per class in its training blocks; raises for an unknown class."""
    known = {c.value: c for c in CLOUD_CLASSES}
    odd = [v for v in data.classes if v not in known]
    if odd:
        raise GeoadaptError("data.classes", f"class values {odd}", f"expected {sorted(known)}, {NODATA} = nodata")
    whole = [name for name, share in config.losses.items() if share and not LOSSES[name].divisible]
    if whole and world() > 1:
        raise GeoadaptError(
            f"task.losses.{whole[0]}",
            f"needs the whole batch, and {world()} processes share it",
            "choose ce, focal or dice, or train in one process",
        )
    classes = tuple(known[v] for v in data.classes)
    weight = None
    if config.class_weights == "balanced":
        share = np.array([max(1, counts.get(c.value, 0)) for c in classes], np.float64)
        raw = np.where([counts.get(c.value, 0) > 0 for c in classes], 1 / np.sqrt(share), 0.0)
        weight = torch.from_numpy(raw / raw[raw > 0].mean()).float()
    return CloudSegmentation(classes, {scene.name: scene.classes for scene in data.train}, dict(config.losses), weight)
