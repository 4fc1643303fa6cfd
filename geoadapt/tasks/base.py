"""What the loop asks of a task, whatever it is about.

In: what a module gives, and the batch it was given. Out: a loss; scores from sums that add over batches and processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from geoadapt.fields.types import Batch

__all__ = ["Tally", "Task", "TaskOf"]


class Tally(Protocol):
    """Sums over the batches of one validation, and the scores they make."""

    sums: Tensor
    """(n,) float64, on the CPU: the loop adds them over the processes before it asks for the scores."""

    def add(self, output: Any, batch: Batch) -> None:
        """Count one batch in."""

    def scores(self) -> dict[str, float]:
        """By name, such as ``miou``, ``iou/cloud``, ``loss``; logged with ``val/`` before it."""


class Task(Protocol):
    """What a model is fitted to, and by which score its weights are chosen."""

    @property
    def name(self) -> str:
        """As in ``TASKS``."""

    @property
    def monitor(self) -> str:
        """The score that chooses the weights, one of the tally's."""

    @property
    def mode(self) -> str:
        """``max`` or ``min``: which of two such scores is better."""

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """A scalar, of the whole batch: over all processes where there are several (see ``sum_over_processes``)."""

    def tally(self) -> Tally:
        """An empty one."""


@dataclass(frozen=True, slots=True)
class TaskOf:
    """A task that is another one in all that a subclass does not say anew."""

    task: Task

    @property
    def name(self) -> str:
        """That of the task."""
        return self.task.name

    @property
    def monitor(self) -> str:
        """That of the task."""
        return self.task.monitor

    @property
    def mode(self) -> str:
        """That of the task."""
        return self.task.mode

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """That of the task."""
        return self.task.loss(output, batch)

    def tally(self) -> Tally:
        """That of the task."""
        return self.task.tally()
