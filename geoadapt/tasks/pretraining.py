"""Pre-training without labels: hidden patches are painted from the visible ones (He 2021, arXiv 2111.06377).

In: batches of images (b, t, c, h, w). Out: the mean squared error of hidden values [normalised].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from geoadapt.backbones.prithvi_eo_mae import Painted, PrithviEoMae
from geoadapt.fields.types import Batch
from geoadapt.tasks.processes import sum_over_processes

__all__ = ["Painter", "Pretraining"]


class Painter(nn.Module):
    """A masked autoencoder that hides of each sample what its place in the run says, however the run is split."""

    def __init__(self, autoencoder: PrithviEoMae) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self._seeds: tuple[int, ...] = ()

    @property
    def multiple(self) -> int:
        """What the sides of an image must be a multiple of [px]."""
        return self.autoencoder.encoder.layout.patch[-1]

    def draw(self, seed: int, step: int, positions: Sequence[int], total: int) -> None:
        """Say which samples of which step come next: ``positions`` of ``total`` in the whole batch."""
        first = (seed * 1_000_003 + step) * total
        self._seeds = tuple((first + position) % 2**63 for position in positions)

    def forward(self, batch: Batch) -> Painted:
        """What was painted."""
        image = batch.inputs["optical"].values
        patch = self.autoencoder.encoder.layout.patch
        count = image.shape[1] // patch[0] * (image.shape[-2] // patch[1]) * (image.shape[-1] // patch[2])
        generator = torch.Generator()
        rows = [torch.rand(count, generator=generator.manual_seed(seed)) for seed in self._seeds[: len(image)]]
        return self.autoencoder.paint(batch, torch.stack(rows) if rows else None)


@dataclass
class ErrorTally:
    """Sum and number of squared errors."""

    sums: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))

    def add(self, output: Painted, batch: Batch) -> None:
        """Count one batch in."""
        self.sums += torch.stack([output.error.detach().double().cpu(), output.count.detach().double().cpu()])

    def scores(self) -> dict[str, float]:
        """``loss``: the mean squared error."""
        return {"loss": float(self.sums[0] / self.sums[1].clamp(min=1))}


@dataclass(frozen=True, slots=True)
class Pretraining:
    """The task; the error of hidden patches of the validation blocks chooses the weights."""

    name: str = "pretraining"
    monitor: str = "loss"
    mode: str = "min"

    def loss(self, output: Painted, batch: Batch) -> Tensor:
        """Mean squared error over what is hidden in the whole batch."""
        sums = sum_over_processes(torch.stack([output.error, output.count.to(output.error.dtype)]))
        return sums[0] / sums[1].clamp(min=1)

    def tally(self) -> ErrorTally:
        """An empty one."""
        return ErrorTally()
