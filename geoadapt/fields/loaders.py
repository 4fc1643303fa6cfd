"""The batches of a fit, for training and for validation.

In: a Dataset and how a fit runs. Out: two loaders; of each global batch every process loads its share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from geoadapt.errors import GeoadaptError
from geoadapt.fields.augment import Augmentation
from geoadapt.fields.chips import BlockChips, Collate, FromStep, RandomChips
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.shifts import ShiftBatches, ShiftedBlocks, held_out

if TYPE_CHECKING:
    from geoadapt.config import TrainConfig

__all__ = ["Loaders", "augmentation_of", "make_loaders"]


@dataclass(frozen=True, slots=True)
class Loaders:
    """What a fit iterates over: training from the step it starts at, and validation; both give a Batch at a time."""

    train: DataLoader[Any]
    val: DataLoader[Any]


def augmentation_of(config: TrainConfig) -> Augmentation | None:
    """What a fit's chips are varied by, None for nothing."""
    if not config.augment:
        return None
    return Augmentation(
        zoom=config.zoom, gain=config.gain_jitter, offset=config.offset_jitter, band_dropout=config.band_dropout
    )


def make_loaders(
    data: Dataset,
    config: TrainConfig,
    seed: int,
    start: int = 0,
    multiple: int = 1,
    world: int = 1,
    rank: int = 0,
) -> Loaders:
    """Random chips from step ``start`` on, and the validation blocks, as they are or under crafted shifts.

    Of each batch of ``train.batch`` chips, process ``rank`` of ``world`` loads every ``world``-th.
    The sides of validation chips are a multiple of ``multiple`` [px].
    Raises GeoadaptError where a batch cannot be shared evenly, or a process would validate nothing.
    """
    if config.batch % world:
        raise GeoadaptError(
            "train.batch",
            f"{config.batch} chips cannot be shared by {world} processes",
            f"choose a multiple of {world}, or another --nproc-per-node",
        )
    count = config.steps * config.batch
    chips = RandomChips(data, config.chip, count, seed, augmentation_of(config), config.edge)
    blocks = BlockChips(data, dict(data.val_blocks), config.chip, multiple)
    if len(blocks) < world:
        raise GeoadaptError(
            "data",
            f"{len(blocks)} validation blocks for {world} processes",
            "raise data.val_fraction or lower data.block",
        )
    join = Collate(data.channels)
    share = config.batch // world
    train: DataLoader[Any] = DataLoader(
        chips,
        batch_size=share,
        sampler=FromStep(count, start * config.batch, world, rank),
        collate_fn=join,
        num_workers=config.workers,
    )
    if config.select == "crafted_shifts":
        shifted = ShiftedBlocks(blocks, seed, held_out(chips.augmentation))
        return Loaders(
            train, DataLoader(shifted, batch_sampler=ShiftBatches(shifted, share, world, rank), collate_fn=join)
        )
    val: DataLoader[Any] = DataLoader(
        blocks, batch_size=share, sampler=FromStep(len(blocks), 0, world, rank), collate_fn=join
    )
    return Loaders(train, val)
