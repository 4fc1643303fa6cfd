"""Cloud removal: the last date of a series as it would be without clouds, and how far off that may be.

In: outputs (b, 1, 2c, h, w), image and logarithm of its scale, or (b, 1, c, h, w), an image alone; what was hidden.
Out: a loss; errors by channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch
from geoadapt.tasks.config import CloudRemovalConfig
from geoadapt.tasks.processes import sum_over_processes

__all__ = ["CloudRemoval", "asked", "build", "seen_elsewhere"]


@dataclass(frozen=True, slots=True)
class CloudRemoval:
    """The task; the mean absolute error of the validation samples' hidden pixels chooses the weights."""

    channels: tuple[str, ...]
    error: Tensor
    """(c,) mean absolute error of the composite that the head starts from [reflectance]."""
    floor: float = 1e-3
    l1: float = 0.0
    name: str = "cloud_removal"
    monitor: str = "mae"
    mode: str = "min"

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Negative log-likelihood of a Laplace distribution, |y − μ| / b + log 2b, mean over what was asked for.

        Errors and scales count in units of the composite's error. An image without a scale is fitted to its absolute
        error in these units.
        """
        count = asked(batch)
        image, scale = self._parts(output, count)
        off = (image - _truth(batch)).abs() / self._unit(output)
        each = off
        if scale is not None:
            each = off / scale + (2 * scale).log() + self.l1 * off
        sums = torch.stack([torch.where(count, each, 0.0).sum(), count.sum().to(each.dtype)])
        above, below = sum_over_processes(sums)
        mean: Tensor = above / below.clamp(min=1)
        return mean

    def tally(self) -> RemovalTally:
        """Empty sums."""
        return RemovalTally(self)

    def statistics(self, output: Tensor, batch: Batch) -> Tensor:
        """Sums over all that was asked for (4, c): pixels, |error|, error², the loss (0 without a scale)."""
        count = asked(batch)
        image, scale = self._parts(output, count)
        off = (image - _truth(batch)).abs()
        told = torch.zeros_like(off)
        if scale is not None:
            told = off / self._unit(output) / scale + (2 * scale).log()
        kept = [torch.where(count, v, 0.0) for v in (torch.ones_like(off), off, off.square(), told)]
        return torch.stack([v.double().sum((0, 2, 3)) for v in kept])

    def _parts(self, output: Tensor, count: Tensor) -> tuple[Tensor, Tensor | None]:
        """Image (b, c, h, w) and its scale in units of the composite's error, never below the floor.

        Both are 0 and 1 where nothing counts: what stands there may overflow, and must leave no trace in a gradient.
        """
        if output.ndim != 5 or output.shape[2] not in (len(self.channels), 2 * len(self.channels)):
            raise GeoadaptError(
                "head", f"gives {tuple(output.shape)}", f"expected (b, 1, c or 2c, h, w), c = {len(self.channels)}"
            )
        given = output[:, 0].float()
        if given.shape[1] == len(self.channels):
            return torch.where(count, given, 0.0), None
        image, log = (torch.where(count, part, 0.0) for part in given.chunk(2, 1))
        return image, (log.exp() + self.floor) / self._unit(output)

    def _unit(self, like: Tensor) -> Tensor:
        return self.error.to(like.device, torch.float32).clamp(min=self.floor)[:, None, None]


class RemovalTally:
    """Errors of hidden pixels by channel over the batches of one validation."""

    def __init__(self, task: CloudRemoval) -> None:
        self.task = task
        self.sums = torch.zeros(4 * len(task.channels), dtype=torch.float64)

    def add(self, output: Tensor, batch: Batch) -> None:
        """Count one batch in."""
        self.sums += self.task.statistics(output, batch).flatten().cpu()

    def scores(self) -> dict[str, float]:
        """``mae`` and ``rmse`` [reflectance], means over the channels, ``mae/CHANNEL``, and ``loss``."""
        count, off, square, told = self.sums.view(4, -1)
        below = count.clamp(min=1)
        mae = off / below
        found = {
            "mae": float(mae.mean()),
            "rmse": float((square / below).sqrt().mean()),
            "loss": float(told.sum() / below.sum()),
        }
        return found | {f"mae/{c}": float(v) for c, v in zip(self.task.channels, mae, strict=True)}


def asked(batch: Batch) -> Tensor:
    """What a model is asked for and can know (b, c, h, w): hidden, its truth known, and seen on any other date."""
    if batch.target is None:
        raise GeoadaptError("batch", "has no target", "make it with a truth, or hide what is clear")
    valid = batch.target.valid
    counted = torch.ones_like(batch.target.values, dtype=torch.bool) if valid is None else valid
    return counted[:, 0] & seen_elsewhere(batch)


def seen_elsewhere(batch: Batch) -> Tensor:
    """Whether a pixel is valid on any date but the last (b, c, h, w)."""
    field = batch.inputs["optical"]
    if field.valid is None:
        return torch.full_like(field.values[:, -1], field.values.shape[1] > 1, dtype=torch.bool)
    return field.valid[:, :-1].any(1)


def _truth(batch: Batch) -> Tensor:
    assert batch.target is not None
    return batch.target.values[:, 0].float()


def build(config: CloudRemovalConfig, channels: tuple[str, ...], error: Tensor) -> CloudRemoval:
    """The task on ``channels``, whose composite errs by ``error`` (c,) [reflectance]."""
    return CloudRemoval(channels, error.float(), config.floor, config.l1)
