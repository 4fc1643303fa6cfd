"""The batches of a forecast fit: samples drawn by the step they belong to, and every sample of the validation dates.

In: a history, who may be a target when, and how a fit runs. Out: two loaders that give a Batch at a time; of each
global batch every process loads its share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from geoadapt.errors import GeoadaptError
from geoadapt.fields.chips import FromStep
from geoadapt.fields.history import History, Indices, forecast_batch
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.types import Batch

if TYPE_CHECKING:
    from geoadapt.config import TrainConfig

__all__ = ["forecast_loaders"]


class Drawn(Dataset[Batch]):
    """Batch ``i`` of a fit: samples drawn from the seed and ``i`` alone, as many steps ahead as ``ahead(i)``."""

    def __init__(
        self, history: History, places: Callable[[int], Indices], frames: int, ahead: Callable[[int], int], seed: int
    ) -> None:
        self.history, self.places, self.frames, self.ahead, self.seed = history, places, frames, ahead, seed
        self.batch, self.world, self.rank = 1, 1, 0

    def __getitem__(self, index: int) -> Batch:
        """The share of this process."""
        steps = self.ahead(index)
        chosen = np.random.default_rng([self.seed, index]).choice(self.places(steps), self.batch)
        return forecast_batch(self.history, chosen[self.rank :: self.world], self.frames, steps)


class Whole(Dataset[Batch]):
    """All samples in order, a batch at a time."""

    def __init__(self, history: History, places: Indices, frames: int, steps: int, batch: int) -> None:
        self.history, self.frames, self.steps = history, frames, steps
        self.parts = [places[i : i + batch] for i in range(0, len(places), batch)]

    def __getitem__(self, index: int) -> Batch:
        """Batch ``index``."""
        return forecast_batch(self.history, self.parts[index], self.frames, self.steps)


def forecast_loaders(
    history: History,
    train: NDArray[np.bool_],
    val: NDArray[np.bool_],
    config: TrainConfig,
    seed: int,
    *,
    frames: int,
    ahead: Callable[[int], int],
    val_steps: int,
    start: int = 0,
    world: int = 1,
    rank: int = 0,
) -> Loaders:
    """Training batches from step ``start`` on, and the validation dates ``val_steps`` steps ahead.

    ``train``, ``val`` (t,) bool say whose target dates are whose. Raises GeoadaptError where no sample is left.
    """
    if config.batch % world:
        raise GeoadaptError(
            "train.batch", f"{config.batch} samples for {world} processes", f"choose a multiple of {world}"
        )
    known: dict[int, Indices] = {}

    def places(steps: int) -> Indices:
        if steps not in known:
            known[steps] = history.samples(train, frames, steps)
            if not len(known[steps]):
                raise _empty(history, "training", frames, steps)
        return known[steps]

    for steps in sorted({ahead(0), ahead(config.steps - 1)}):
        places(steps)
    checked = history.samples(val, frames, val_steps)
    if len(checked) < world:
        raise _empty(history, "validation", frames, val_steps)
    drawn = Drawn(history, places, frames, ahead, seed)
    drawn.batch, drawn.world, drawn.rank = config.batch, world, rank
    # every process must have a share: one that validates nothing would leave the others waiting for its sums
    whole = Whole(history, checked, frames, val_steps, min(max(config.batch, 32), len(checked) // world))
    return Loaders(
        DataLoader(drawn, batch_size=None, sampler=FromStep(config.steps, start), num_workers=config.workers),
        DataLoader(whole, batch_size=None, sampler=FromStep(len(whole.parts), 0, world, rank)),
    )


def _empty(history: History, side: str, frames: int, steps: int) -> GeoadaptError:
    return GeoadaptError(
        f"data ({side})",
        f"no sample of {history.name} has {frames} past states and {steps} targets among the {side} dates",
        "choose more years, fewer task.frames, or shorter leads",
    )
