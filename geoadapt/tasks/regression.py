"""One value for every sample, or for every pixel of it.

In: outputs (b, t, 1, h, w) in deviations of the training targets. Out: a loss; values with their unit; errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch
from geoadapt.tasks.processes import sum_over_processes
from geoadapt.tasks.samples import Floats, SampleTally, asked, over_dates, ratio
from geoadapt.tasks.samples_config import RegressionConfig

__all__ = ["Regression", "build"]


@dataclass(frozen=True, slots=True)
class Regression:
    """The value, and how it is scaled; the root mean square error of the validation samples chooses the weights."""

    value: str
    mean: float
    """Of the training targets [unit]."""
    std: float
    kind: str = "huber"
    """``huber`` or ``mse``."""
    delta: float = 1.0
    """Where Huber's loss turns from squares to absolutes [deviations of the training targets]."""
    name: str = "regression"
    mode: str = "min"

    @property
    def monitor(self) -> str:
        """Its root mean square error."""
        return f"rmse/{self.value}"

    @property
    def names(self) -> tuple[str, ...]:
        """The value's name."""
        return (self.value,)

    @property
    def outputs(self) -> int:
        """The value."""
        return 1

    @property
    def sums(self) -> int:
        """Count, errors, their absolutes and squares, values and their squares."""
        return 6

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Mean over what is known."""
        given = over_dates(output)
        target, known = asked(given, batch)
        wanted = (target.values.float() - self.mean) / self.std
        if self.kind == "mse":
            each = (given - wanted).square()
        else:
            each = F.huber_loss(given, wanted, reduction="none", delta=self.delta)
        sums = torch.stack([torch.where(known, each, 0.0).sum(), known.sum().to(each.dtype)])
        above, below = sum_over_processes(sums)
        mean: Tensor = above / below.clamp(min=1)
        return mean

    def tally(self) -> SampleTally:
        """Empty sums."""
        return SampleTally(self)

    def predict(self, output: Tensor) -> Tensor:
        """Values (b, 1, 1, h, w) [unit]."""
        return over_dates(output) * self.std + self.mean

    def statistics(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Sums of every sample (b, 6); values are counted from the training mean, so that squares keep their digits."""
        target, known = asked(prediction, batch)
        truth = target.values.double() - self.mean
        off = prediction.double() - self.mean - truth
        parts = (torch.ones_like(off), off, off.abs(), off.square(), truth, truth.square())
        return torch.stack([torch.where(known, part, 0.0).flatten(1).sum(1) for part in parts], 1)

    def finish(self, sums: Floats) -> dict[str, Floats]:
        """``rmse/NAME``, ``mae/NAME``, ``bias/NAME`` [unit] and ``r2/NAME``, of sums (…, 6)."""
        count, off, absolute, square, total, squares = np.moveaxis(sums, -1, 0)
        spread = squares - ratio(total**2, count)
        found = {
            "rmse": np.sqrt(ratio(square, count)),
            "mae": ratio(absolute, count),
            "bias": ratio(off, count),
            "r2": 1 - ratio(square, spread),
        }
        return {f"{name}/{self.value}": value for name, value in found.items()}


def build(config: RegressionConfig, name: str, mean: float, std: float) -> Regression:
    """The task on a value of this mean and deviation; raises GeoadaptError where all training targets are alike."""
    if not (np.isfinite(mean) and std > 0):
        raise GeoadaptError("data", f"training targets of mean {mean:g} ± {std:g}", "nothing can be learned of these")
    return Regression(name, mean, std, config.loss, config.delta)
