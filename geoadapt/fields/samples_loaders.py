"""The batches of a fit on labelled samples: training from any step on, and validation.

In: a SampleSet and how a fit runs. Out: two loaders that give a Batch at a time; of each global batch every process
loads its share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from geoadapt.errors import GeoadaptError
from geoadapt.fields.chips import FromStep
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.samples import Labelled, SampleSet, samples_batch, turned
from geoadapt.fields.types import Batch

if TYPE_CHECKING:
    from geoadapt.config import TrainConfig

__all__ = ["WholeSamples", "sample_loaders"]


@dataclass(frozen=True)
class _DrawnSamples(Dataset[Batch]):
    """Batch ``i`` of a fit: every sample once in some order, then in another; of the seed and ``i`` alone."""

    data: SampleSet
    batch: int
    seed: int
    multiple: int
    augment: bool
    world: int
    rank: int

    def __getitem__(self, index: int) -> Batch:
        """The share of this process."""
        places = range(index * self.batch + self.rank, (index + 1) * self.batch, self.world)
        return samples_batch(list(map(self._sample, places)), self.data.target, self.data.layout, self.multiple)

    def _sample(self, place: int) -> Labelled:
        count = len(self.data.train)
        sample = self.data.train[int(_order(self.seed, place // count, count)[place % count])]
        if not self.augment:
            return sample
        rng = np.random.default_rng([self.seed, place, 1])
        return turned(sample, int(rng.integers(4)), bool(rng.integers(2)))


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.intp]:
    return np.random.default_rng([seed, epoch]).permutation(count)


@dataclass(frozen=True)
class WholeSamples(Dataset[Batch]):
    """All samples in order, a batch at a time."""

    samples: Sequence[Labelled]
    data: SampleSet
    batch: int
    multiple: int = 1

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch)

    def __getitem__(self, index: int) -> Batch:
        """Batch ``index``."""
        return self.part(index)[1]

    def part(self, index: int) -> tuple[list[Labelled], Batch]:
        """The samples of batch ``index``, and the batch."""
        chosen = [self.samples[n] for n in range(index * self.batch, min(len(self.samples), (index + 1) * self.batch))]
        return chosen, samples_batch(chosen, self.data.target, self.data.layout, self.multiple)

    def __iter__(self) -> Iterator[tuple[list[Labelled], Batch]]:
        return map(self.part, range(len(self)))


def sample_loaders(
    data: SampleSet, config: TrainConfig, seed: int, *, multiple: int = 1, start: int = 0, world: int = 1, rank: int = 0
) -> Loaders:
    """Training batches from step ``start`` on, and the validation samples.

    Images are turned and mirrored where ``train.augment``. Raises GeoadaptError where a batch cannot be shared evenly,
    or a process would validate nothing.
    """
    if config.batch % world:
        problem = f"{config.batch} samples for {world} processes"
        raise GeoadaptError("train.batch", problem, f"choose a multiple of {world}")
    if len(data.val) < world:
        raise GeoadaptError(
            "data", f"{len(data.val)} validation samples for {world} processes", "start fewer processes"
        )
    drawn = _DrawnSamples(data, config.batch, seed, multiple, config.augment, world, rank)
    # every process must have a share: one that validates nothing would leave the others waiting for its sums
    whole = WholeSamples(data.val, data, min(max(config.batch, 64), len(data.val) // world), multiple)
    return Loaders(
        DataLoader(drawn, batch_size=None, sampler=FromStep(config.steps, start), num_workers=config.workers),
        DataLoader(whole, batch_size=None, sampler=FromStep(len(whole), 0, world, rank)),
    )
