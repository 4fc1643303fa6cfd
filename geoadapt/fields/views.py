"""A fixed pool of training chips, each in a fixed number of augmented views, and the order in which a fit takes them.

In: a Dataset and how a fit runs. Out: samples that come again, so that what is computed of them can be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from geoadapt.fields.augment import augment
from geoadapt.fields.chips import RandomChips, Sample
from geoadapt.fields.loaders import augmentation_of
from geoadapt.fields.scenes import Dataset

if TYPE_CHECKING:
    from geoadapt.config import TrainConfig

__all__ = ["FixedViews", "PoolOrder", "pool_size"]

MOST_CHIPS = 256
"""Chips of a pool whose size is not given: a view then comes again wherever a fit is worth waiting for."""


def pool_size(config: TrainConfig, turn: int = 1) -> int:
    """Chips in the pool: ``train.cache_chips``, or no more than the fit takes, and no fewer than one a ``turn``."""
    if config.cache_chips:
        return config.cache_chips
    taken = -(-config.steps * config.batch // config.cache)
    return max(min(MOST_CHIPS, taken), min(turn, taken), 1)


class FixedViews(TorchDataset[Sample]):
    """Every view of every chip: sample v · chips + c is view v of chip c, a function of (seed, c, v) alone.

    A chip is a place and how far it is zoomed; a view is what augmentation makes of it.
    """

    def __init__(self, data: Dataset, config: TrainConfig, seed: int) -> None:
        self.seed, self.views = seed, config.cache
        self.turn = len(data.turns or data.train)
        self.chips = pool_size(config, self.turn)
        self.how = augmentation_of(config)
        zoomed = None if self.how is None else replace(self.how, geometry=False, gain=0.0, offset=0.0, band_dropout=0.0)
        self.pool = RandomChips(data, config.chip, self.chips, seed, zoomed, config.edge)

    def __len__(self) -> int:
        return self.chips * self.views

    def __getitem__(self, index: int) -> Sample:
        view, chip = divmod(index, self.chips)
        sample = self.pool[chip]
        return sample if self.how is None else augment(sample, self.how, np.random.default_rng((self.seed, chip, view)))


class PoolOrder(Sampler[int]):
    """Which of the views the i-th sample of a fit is, a function of (seed, i) alone.

    Pass after pass over the pool, each with the next view of every chip, in another order each time; chips that are
    drawn from scenes in turn stay so. ``start``, ``world`` and ``rank`` as of ``FromStep``.
    """

    def __init__(self, views: FixedViews, count: int, start: int = 0, world: int = 1, rank: int = 0) -> None:
        self.views, self.count = views, count
        self.start, self.world, self.rank = start, world, rank

    def __len__(self) -> int:
        return len(range(self.rank, self.count, self.world))

    def __iter__(self) -> Iterator[int]:
        chips = self.views.chips
        number, order = -1, self._order(0)
        for index in range(self.start + self.rank, self.count, self.world):
            if index // chips != number:
                number = index // chips
                order = self._order(number)
            yield number % self.views.views * chips + int(order[index % chips])

    def _order(self, number: int) -> NDArray[np.intp]:
        """The chips of pass ``number``, shuffled among those of the same turn."""
        rng = np.random.default_rng((self.views.seed, number))
        order = np.arange(self.views.chips)
        for slot in range(min(self.views.turn, len(order))):
            order[slot :: self.views.turn] = rng.permutation(order[slot :: self.views.turn])
        return order
