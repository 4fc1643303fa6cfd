"""Pre-training of a weather backbone: to forecast from the past, and to paint what is hidden.

In: windows of standardised states (b, t, c, h, w). Out: the mean squared error of what the readout says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from geoadapt.backbones.small_wx import SmallWx
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch
from geoadapt.tasks.forecasting import cosines
from geoadapt.tasks.processes import sum_over_processes

__all__ = ["Reader", "WeatherPretraining"]

KINDS = ("forecast", "paint")


class Reader(nn.Module):
    """The backbone and its readout, whose kernels come from the channels' names."""

    def __init__(self, backbone: SmallWx) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, batch: Batch) -> Tensor:
        """What is read of every channel (b, 1, c, h, w)."""
        field = batch.inputs["atmosphere"]
        features = self.backbone(batch).maps[-1][:, 0]
        kernels = self.backbone.readout_kernels(field.channels).to(features.dtype)
        read = torch.einsum("bdhw,cd->bchw", features, kernels)
        p = self.backbone.config.patch_size
        fine = read.repeat_interleave(p, -2).repeat_interleave(p, -1)
        return fine[:, None, :, : field.values.shape[-2], : field.values.shape[-1]]


@dataclass
class ReadTally:
    """Squared errors and weights, of forecasts and of paintings."""

    sums: Tensor = field(default_factory=lambda: torch.zeros(2 * len(KINDS), dtype=torch.float64))

    def add(self, output: Tensor, batch: Batch) -> None:
        """Count one batch in."""
        kind = KINDS.index(batch.where[0].shift) if batch.where else 0
        self.sums[2 * kind : 2 * kind + 2] += _sums(output, batch).detach().double().cpu()

    def scores(self) -> dict[str, float]:
        """``forecast``, ``paint``: their mean squared errors; ``loss``: of both, each counted alike."""
        each = {name: float(self.sums[2 * k] / self.sums[2 * k + 1].clamp(min=1e-9)) for k, name in enumerate(KINDS)}
        seen = [each[name] for name in self.seen()]
        return {**each, "loss": sum(seen) / max(1, len(seen))}

    def seen(self) -> list[str]:
        """The kinds of which there was a batch."""
        return [name for k, name in enumerate(KINDS) if self.sums[2 * k + 1] > 0]


@dataclass(frozen=True, slots=True)
class WeatherPretraining:
    """The task; the error on held-out dates and planets chooses the weights."""

    name: str = "weather_pretraining"
    monitor: str = "forecast"
    mode: str = "min"

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of what counts in the whole batch."""
        sums = sum_over_processes(_sums(output, batch))
        return sums[0] / sums[1].clamp(min=1e-9)

    def tally(self) -> ReadTally:
        """An empty one."""
        return ReadTally()


def _sums(output: Tensor, batch: Batch) -> Tensor:
    target = batch.target
    if target is None or target.valid is None:
        raise GeoadaptError("batch", "has no target", "draw it from WindowBatches")
    weights = cosines(target.grid, output) * target.valid
    return torch.stack([((output.float() - target.values).square() * weights).sum(), weights.sum()])
