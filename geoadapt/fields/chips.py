"""Chips drawn from labelled scenes: which window the i-th sample is depends on the seed and i alone.

In: a Dataset. Out: samples and batches. A run that is resumed at sample i therefore draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from geoadapt.cubes.classes import NODATA
from geoadapt.fields.augment import Augmentation, augment, resample
from geoadapt.fields.scenes import BlockSplit, Dataset, LabelledScene
from geoadapt.fields.types import Batch, Field, ProjectedGrid, Where
from geoadapt.io.base import Window
from geoadapt.io.decode import decode

__all__ = ["BlockChips", "Collate", "FromStep", "RandomChips", "Sample", "hide_edges", "read_block", "read_sample"]

MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One chip: values (c, h, w) finite reflectance, valid (c, h, w), label (h, w) with 255 = ignore."""

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    label: NDArray[np.uint8]
    where: Where
    resolution: float | None
    time: float | None
    sensor: str | None = None


def read_sample(scene: LabelledScene, window: Window, channels: Sequence[str], side: BlockSplit | None) -> Sample:
    """The chip of ``scene`` at ``window``, labels kept on ``side``'s blocks; outside the scene nothing is valid."""
    height, width = scene.shape
    inside = Window(
        window.row, window.col, min(window.height, height - window.row), min(window.width, width - window.col)
    )
    info = scene.image.info
    bands = [info.bands.index(c) for c in channels]
    # Naming the bands costs a source in memory a copy of all its pixels: all of them in order need no names.
    asked = None if bands == list(range(len(info.bands))) else bands
    values, valid = decode(scene.image.read(inside, asked), info, bands)
    label = _labels(scene, inside)
    if side is not None:
        np.copyto(label, NODATA, where=~side.pixels(inside))
    if valid is None:
        valid = np.ones(values.shape, bool)
    else:
        # without labels there is something to learn from a pixel that lacks some band
        np.copyto(label, NODATA, where=~(valid.any(axis=0) if scene.label is None else valid.all(axis=0)))
    lower, right = window.height - inside.height, window.width - inside.width
    if lower or right:
        values = np.pad(values, ((0, 0), (0, lower), (0, right)))
        valid = np.pad(valid, ((0, 0), (0, lower), (0, right)))
        label = np.pad(label, ((0, lower), (0, right)), constant_values=NODATA)
    time = info.time
    return Sample(
        values,
        valid,
        label,
        Where(scene.name, window.row, window.col),
        scene.resolution,
        time.timestamp() if time else None,
        info.sensor,
    )


def _labels(scene: LabelledScene, window: Window) -> NDArray[np.uint8]:
    if scene.label is None:
        return np.zeros((window.height, window.width), np.uint8)
    first = None if len(scene.label.info.bands) == 1 else [0]
    return np.array(scene.label.read(window, first)[0], np.uint8)


class RandomChips(TorchDataset[Sample]):
    """Chips at random places of the training scenes, scenes taken in turn; sample i is a function of (seed, i)."""

    def __init__(
        self,
        data: Dataset,
        chip: int,
        count: int,
        seed: int,
        augmentation: Augmentation | None = None,
        edge: int = 0,
    ) -> None:
        self.data, self.chip, self.count, self.seed, self.edge = data, chip, count, seed, edge
        self.augmentation = augmentation

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """The chip; where it holds no label, another place of the same scene is tried."""
        rng = np.random.default_rng((self.seed, index))
        scene = self.data.turn(index)
        side = self.data.train_blocks[scene.name]
        how = self.augmentation
        size = self.chip if how is None else round(self.chip * how.draw_zoom(rng))
        for _ in range(MOST_TRIES):
            sample = read_sample(scene, _anywhere(scene, size, rng), self.data.channels, side)
            if (sample.label != NODATA).any():
                break
        if self.edge:
            sample = replace(sample, label=hide_edges(sample.label, self.edge))
        return sample if how is None else augment(resample(sample, self.chip), how, rng)


def _anywhere(scene: LabelledScene, size: int, rng: np.random.Generator) -> Window:
    height, width = scene.shape
    row = int(rng.integers(0, max(1, height - size + 1)))
    col = int(rng.integers(0, max(1, width - size + 1)))
    return Window(row, col, size, size)


def hide_edges(label: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """The labels (h, w) without the pixels within ``width`` px of another class: there annotators differ most."""
    size = 2 * width + 1
    known = label != NODATA
    highest = ndimage.maximum_filter(np.where(known, label, 0), size, mode="nearest")
    lowest = ndimage.minimum_filter(label, size, mode="nearest")
    return np.where(highest > lowest, np.uint8(NODATA), label)


class BlockChips(TorchDataset[Sample]):
    """Every block of one side with a margin of context where the scene has it; only the block is labelled.

    The chips' side is a multiple of ``multiple`` [px], which a model may ask for.
    """

    def __init__(self, data: Dataset, sides: dict[str, BlockSplit], chip: int, multiple: int = 1) -> None:
        self.data, self.chip, self.multiple = data, chip, multiple
        self.sides = sides
        self.items = [
            (scene, window)
            for scene in (*data.train, *data.test)
            if scene.name in sides
            for window in sides[scene.name].windows(*scene.shape)
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        scene, block = self.items[index]
        return read_block(scene, block, self.size(scene), self.data.channels)

    def size(self, scene: LabelledScene) -> int:
        """The side of a scene's chips [px]."""
        return -(-max(self.chip, self.sides[scene.name].block) // self.multiple) * self.multiple


def read_block(
    scene: LabelledScene, block: Window, size: int, channels: Sequence[str], rng: np.random.Generator | None = None
) -> Sample:
    """A chip of ``size`` px round ``block``, or inside it where the block is larger: in its middle, or drawn.

    Only the block is labelled.
    """
    row = _beside(block.row, block.height, size, scene.shape[0], rng)
    col = _beside(block.col, block.width, size, scene.shape[1], rng)
    sample = read_sample(scene, Window(row, col, size, size), channels, None)
    keep = np.zeros(sample.label.shape, bool)
    top, left = block.row - row, block.col - col
    keep[max(0, top) : top + block.height, max(0, left) : left + block.width] = True
    sample.label[~keep] = NODATA
    return sample


def _beside(start: int, length: int, size: int, limit: int, rng: np.random.Generator | None) -> int:
    """Where an interval of ``size`` begins that shares the middle of another, or is drawn inside it; within limits."""
    if rng is not None and size < length:
        return start + int(rng.integers(length - size + 1))
    return max(0, min(start - (size - length) // 2, limit - size))


class FromStep(Sampler[int]):
    """Numbers of samples or batches from ``start`` on: what is left of a run, whose length stays that of the whole.

    Lightning counts the batches of a resumed epoch from where it stopped, against the whole length.
    Of several processes that share them, ``rank`` takes every ``world``-th.
    """

    def __init__(self, count: int, start: int = 0, world: int = 1, rank: int = 0) -> None:
        self.count, self.start, self.world, self.rank = count, start, world, rank

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start + self.rank, self.count, self.world))

    def __len__(self) -> int:
        return len(range(self.rank, self.count, self.world))


@dataclass(frozen=True, slots=True)
class Collate:
    """Samples to a Batch: input ``optical`` (b, 1, c, h, w) reflectance, target (b, 1, 1, h, w) class values."""

    channels: tuple[str, ...]
    input_name: str = "optical"

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """One batch of the samples, in order."""
        values = torch.from_numpy(np.stack([s.values for s in samples]))[:, None]
        valid = torch.from_numpy(np.stack([s.valid for s in samples]))[:, None]
        label = torch.from_numpy(np.stack([s.label for s in samples]))[:, None, None]
        times = None
        if all(s.time is not None for s in samples):
            times = torch.tensor([[s.time] for s in samples], dtype=torch.int64)
        sensors = tuple(s.sensor for s in samples)
        image = Field(
            values,
            self.channels,
            None if bool(valid.all()) else valid,
            times,
            _grid([s.resolution for s in samples]),
            sensors if any(sensors) else None,
        )
        return Batch(
            inputs={self.input_name: image},
            target=Field(label, ("class",)),
            where=tuple(s.where for s in samples),
        )


def _grid(resolutions: Sequence[float | None]) -> ProjectedGrid | None:
    """What the samples' ground resolutions say together; a zoomed chip has another than its neighbour in the batch."""
    known = {r for r in resolutions if r is not None}
    if not known:
        return None
    if len(set(resolutions)) == 1:
        return ProjectedGrid(known.pop())
    return ProjectedGrid(torch.tensor([float("nan") if r is None else r for r in resolutions]))
