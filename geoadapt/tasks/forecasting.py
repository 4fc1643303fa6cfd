"""Forecasting: the next states of a field from its last ones.

In: predictions and targets (b, n, c, h, w), SI units. Out: a loss without units; errors by channel and lead.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.types import Batch, LatLonGrid
from geoadapt.tasks.config import ForecastingConfig
from geoadapt.tasks.processes import sum_over_processes

__all__ = ["Forecasting", "build", "cosines"]


@dataclass(frozen=True, slots=True)
class Forecasting:
    """The task; the error over all validation leads chooses the weights."""

    channels: tuple[str, ...]
    scale: Tensor
    """(c,) SI units of one unit of error: the usual change over one step."""
    weights: Tensor
    """(c,) mean 1."""
    step_hours: int
    steps: int
    """How far ahead validation looks, at most."""
    loss_name: str = "mse"
    name: str = "forecasting"
    monitor: str = "error"
    mode: str = "min"

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Mean over samples, steps and channels of the error, in usual changes, weighted by cell and channel."""
        sums = sum_over_processes(self._sums(output, batch, self.loss_name).sum((1, 2)))
        return sums[0] / sums[1].clamp(min=1e-9)

    def tally(self) -> ForecastTally:
        """Empty sums, for as many steps as the longest lead has."""
        return ForecastTally(self)

    def errors(self, output: Tensor, batch: Batch) -> Tensor:
        """Weighted squared errors and weights (2, n, c), in usual changes."""
        return self._sums(output, batch, "mse", by_channel=True)

    def _sums(self, output: Tensor, batch: Batch, kind: str, by_channel: bool = False) -> Tensor:
        target = batch.target
        if target is None:
            raise GeoadaptError("batch", "has no target", "ask for steps ahead")
        scale = self.scale.to(output.device)[:, None, None]
        off = (output.float() - target.values) / scale
        error = off.abs() if kind == "mae" else off.square()
        cells = cosines(target.grid, error).expand_as(error)
        if target.valid is not None:
            cells = cells * target.valid
        if not by_channel:
            cells = cells * self.weights.to(output.device)[:, None, None]
        error = torch.where(cells > 0, error, 0.0)
        return torch.stack([(error * cells).sum((0, 3, 4)), cells.sum((0, 3, 4))])


class ForecastTally:
    """Squared errors by lead and channel over the batches of one validation."""

    def __init__(self, task: Forecasting) -> None:
        self.task = task
        self.sums = torch.zeros(2 * task.steps * len(task.channels), dtype=torch.float64)

    def add(self, output: Tensor, batch: Batch) -> None:
        """Count one batch in: predictions (b, n, c, h, w)."""
        found = self.task.errors(output, batch).double().cpu()
        if found.shape[1] > self.task.steps:
            raise GeoadaptError("batch", f"looks {found.shape[1]} steps ahead", f"task.leads reach {self.task.steps}")
        self.sums.view(2, self.task.steps, -1)[:, : found.shape[1]] += found

    def scores(self) -> dict[str, float]:
        """``rmse/CHANNEL/LEADh`` [SI]; ``error``: their geometric mean in usual changes, so that all leads count alike.

        Channels count by their weights.
        """
        above, below = self.sums.view(2, self.task.steps, -1)
        seen = (below.sum(1) > 0).nonzero().flatten().tolist()
        mean = above[seen] / below[seen].clamp(min=1e-9)
        share = (self.task.weights / self.task.weights.sum()).double().cpu()
        found = {"error": float((0.5 * mean.clamp(min=1e-12).log() * share).sum(1).mean().exp())}
        rmse = mean.sqrt() * self.task.scale.double().cpu()
        for lead, values in zip(seen, rmse, strict=True):
            hours = (lead + 1) * self.task.step_hours
            found |= {f"rmse/{c}/{hours}h": float(v) for c, v in zip(self.task.channels, values, strict=True)}
        return found


def cosines(grid: object, like: Tensor) -> Tensor:
    """Cosine of latitude over its mean (h, 1); ones where there is no such grid."""
    if not isinstance(grid, LatLonGrid):
        return torch.ones(like.shape[-2], 1, device=like.device)
    weights = torch.deg2rad(grid.latitude.double()).cos().clamp(min=0)
    return (weights / weights.mean()).to(like.device, torch.float32)[:, None]


def build(config: ForecastingConfig, channels: tuple[str, ...], scale: Tensor, step: float) -> Forecasting:
    """The task on ``channels`` whose usual change is ``scale`` (c,); raises GeoadaptError for an unknown weight."""
    for name in config.weights:
        if name not in channels:
            raise GeoadaptError(f"task.weights.{name}", "is no channel of the data", nearest(name, channels))
    weights = torch.tensor([float(config.weights.get(name, 1.0)) for name in channels])
    if not weights.sum() > 0:
        raise GeoadaptError("task.weights", "nothing is weighed", "give one channel a weight above 0")
    steps = max(1, round(3600 * max(config.leads) / step))
    return Forecasting(channels, scale, weights / weights.mean(), round(step / 3600), steps, config.loss)
