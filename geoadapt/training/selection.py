"""Which weights of a fit are kept: those that score best on the validation blocks, or over crafted shifts of them.

In: a task. Out: the same task, whose monitored score is the mean over the shifts that the validation batches name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from geoadapt.config import TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.loaders import augmentation_of
from geoadapt.fields.shifts import held_out
from geoadapt.fields.types import Batch
from geoadapt.tasks.base import Task, TaskOf

__all__ = ["ShiftedTally", "ShiftedTask", "selecting", "validation_scores"]

PLAIN = "plain"


def selecting(task: Task, config: TrainConfig) -> Task:
    """The task as ``train.select`` wants its weights chosen."""
    if config.select == "validation":
        return task
    return ShiftedTask(task, tuple(shift.name for shift in held_out(augmentation_of(config))))


@dataclass(frozen=True, slots=True)
class ShiftedTask(TaskOf):
    """A task that is scored under each of several shifts; its loss is as before."""

    shifts: tuple[str, ...]

    def tally(self) -> ShiftedTally:
        """One of the task's for each shift."""
        return ShiftedTally(self.task, self.shifts)


class ShiftedTally:
    """The sums of a task's tally, once per shift; a batch belongs to one shift."""

    def __init__(self, task: Task, shifts: Sequence[str]) -> None:
        self.task, self.shifts = task, tuple(shifts)
        self.length = len(task.tally().sums)
        self.sums = torch.zeros(len(self.shifts) * self.length, dtype=torch.float64)

    def add(self, output: Any, batch: Batch) -> None:
        """Count one batch in; raises GeoadaptError where it is of no shift that is expected, or of several."""
        names = {where.shift for where in batch.where}
        if len(names) != 1 or not names <= set(self.shifts):
            raise GeoadaptError("train.select", f"a validation batch of shifts {sorted(names)}", "set it to validation")
        one = self.task.tally()
        one.add(output, batch)
        self._part(self.sums, self.shifts.index(names.pop())).add_(one.sums)

    def scores(self) -> dict[str, float]:
        """The task's scores of the blocks as they are, but the monitored one as mean over shifts; and each shift's."""
        found = {name: self._scores(place) for place, name in enumerate(self.shifts)}
        monitor = self.task.monitor
        each = {f"shift/{name}/{monitor}": scores[monitor] for name, scores in found.items()}
        return {**found.get(PLAIN, {}), monitor: sum(each.values()) / len(each), **each}

    def _scores(self, place: int) -> dict[str, float]:
        one = self.task.tally()
        one.sums = self._part(self.sums, place).clone()
        return one.scores()

    def _part(self, sums: Tensor, place: int) -> Tensor:
        return sums[place * self.length : (place + 1) * self.length]


def validation_scores(curves: Path, best: float, monitor: str) -> dict[str, float]:
    """By what the weights were chosen: ``val_miou``; or ``val_shifts_miou``, and then each ``val_shift_miou/NAME`` too.

    ``best`` is the monitored score (here ``miou``) that chose them; ``curves`` the table of the fit. Where they were
    chosen in another folder, from which the fit went on, the table does not hold that moment: then the mean is all.
    """
    table = pd.read_csv(curves)
    columns = {c.split("/")[2]: c for c in table if c.startswith("val/shift/") and c.endswith(f"/{monitor}")}
    if not columns:
        return {f"val_{monitor}": best}
    found = {f"val_shifts_{monitor}": best}
    rows = table[np.isclose(table[f"val/{monitor}"], best, rtol=0, atol=1e-6)]
    if rows.empty:
        return found
    each = {name: float(rows.iloc[0][column]) for name, column in columns.items()}
    plain = {f"val_{monitor}": each[PLAIN]}
    return found | plain | {f"val_shift_{monitor}/{name}": value for name, value in each.items()}
