"""What tasks on labelled samples share: sums by sample, which add over batches, places and processes.

In: predictions (b, 1, k, h, w): probabilities, or values with a unit. Out: sums (b, m) and the scores they make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field
from geoadapt.tasks.base import Task

__all__ = ["SampleTally", "SampleTask", "asked", "over_dates", "ratio"]

Floats = NDArray[np.float64]


class SampleTask(Task, Protocol):
    """A task on labelled samples."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes, the labels, or the value."""

    @property
    def outputs(self) -> int:
        """How many numbers a head gives for each sample or pixel."""

    @property
    def sums(self) -> int:
        """How many sums there are for each sample."""

    def predict(self, output: Tensor) -> Tensor:
        """What a head gives (b, t, k, h, w) as probabilities, or values with their unit (b, 1, k, h, w)."""

    def statistics(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Sums of every sample (b, m), float64, of predictions (b, 1, k, h, w)."""

    def finish(self, sums: Floats) -> Mapping[str, Floats]:
        """Scores by name (…) that sums (…, m) make."""


class SampleTally:
    """Sums over the batches of one validation."""

    def __init__(self, task: SampleTask) -> None:
        self.task = task
        self.sums = torch.zeros(task.sums, dtype=torch.float64)

    def add(self, output: Tensor, batch: Batch) -> None:
        """Count one batch in: outputs (b, t, k, h, w)."""
        self.sums += self.task.statistics(self.task.predict(output), batch).sum(0).cpu()

    def scores(self) -> dict[str, float]:
        """By name; what has nothing to count is 0."""
        found = self.task.finish(self.sums.numpy())
        return {name: float(np.nan_to_num(value)) for name, value in found.items()}


def over_dates(output: Any) -> Tensor:
    """Outputs (b, t, k, h, w) of several dates as their mean (b, 1, k, h, w), float32."""
    if not isinstance(output, Tensor) or output.ndim != 5:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise GeoadaptError("head", f"gives {shape}", "expected (b, t, k, h, w)")
    return output.float().mean(1, keepdim=True)


def asked(prediction: Tensor, batch: Batch) -> tuple[Field, Tensor]:
    """The target of a batch, and where it is known; raises GeoadaptError where the head's grid is another."""
    target = batch.target
    if target is None:
        raise GeoadaptError("batch", "has no target", "use labelled samples")
    if prediction.shape[-2:] != target.values.shape[-2:]:
        given, wanted = tuple(prediction.shape[-2:]), tuple(target.values.shape[-2:])
        hint = "choose head=pooled for one answer a sample, another head for maps"
        raise GeoadaptError("head", f"answers on a grid of {given}, the target has {wanted}", hint)
    known = torch.ones_like(target.values, dtype=torch.bool) if target.valid is None else target.valid
    return target, known


def ratio(above: Floats, below: Floats) -> Floats:
    """One over the other (…), NaN where there is nothing below."""
    empty = np.full(np.broadcast(above, below).shape, np.nan)
    found: Floats = np.divide(above, below, out=empty, where=np.asarray(below) > 0)
    return found
