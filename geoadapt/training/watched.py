"""A task whose validations somebody watches: a search that gives up on a fit that falls behind.

In: a task, and whom to tell. Out: the same task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from geoadapt.fields.types import Batch
from geoadapt.tasks.base import Tally, Task

__all__ = ["WatchedTask"]


class WatchedTask:
    """The task itself, but for its monitored score, told after each validation with the sign that makes more better."""

    def __init__(self, task: Task, watch: Callable[[float], None]) -> None:
        """What ``watch`` raises ends the fit."""
        self._task, self._watch = task, watch

    def __getattr__(self, name: str) -> Any:
        """That of the task, of whatever kind it is."""
        return getattr(self._task, name)

    def tally(self) -> _WatchedTally:
        """The task's own, watched."""
        sign = 1.0 if self._task.mode == "max" else -1.0
        return _WatchedTally(self._task.tally(), self._task.monitor, lambda score: self._watch(sign * score))


class _WatchedTally:
    def __init__(self, tally: Tally, monitor: str, watch: Callable[[float], None]) -> None:
        self._tally, self._monitor, self._watch = tally, monitor, watch

    @property
    def sums(self) -> Tensor:
        return self._tally.sums

    @sums.setter
    def sums(self, value: Tensor) -> None:
        self._tally.sums = value

    def add(self, output: Any, batch: Batch) -> None:
        self._tally.add(output, batch)

    def scores(self) -> dict[str, float]:
        found = self._tally.scores()
        self._watch(found[self._monitor])
        return found
