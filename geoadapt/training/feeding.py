"""What a training step is given: the batches of a fit from any of its steps on, and what a module draws for one.

In: a dataset, or loaders of a task's own. Out: loaders; draws that depend on the step and the sample alone.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from geoadapt.config import TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.loaders import Loaders, make_loaders
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.tasks.processes import rank, world

__all__ = ["MakeLoaders", "draw", "fed"]

MakeLoaders = Callable[[int], Loaders]
"""The batches of a fit from a step on."""


def fed(
    data: Dataset | None, config: TrainConfig, seed: int, multiple: int, loaders: MakeLoaders | None
) -> MakeLoaders:
    """What ``loaders`` makes, else chips of ``data``; raises GeoadaptError where neither is given."""
    if loaders is not None:
        return loaders
    if data is None:
        raise GeoadaptError("fit", "was given neither data nor loaders", "give one of them")
    return lambda start: make_loaders(data, config, seed, start, multiple, world(), rank())


def draw(module: nn.Module, seed: int, step: int, batch: Batch, total: int) -> None:
    """Let a module that draws at random (``draw``) do so from the step and the samples' places in the global batch.

    So it draws the same for a sample in a resumed run, and whichever process holds it.
    """
    if callable(hook := getattr(module, "draw", None)):
        hook(seed, step, range(rank(), rank() + world() * _size(batch), world()), total)


def _size(batch: Batch) -> int:
    return len(next(iter(batch.inputs.values())).values)
