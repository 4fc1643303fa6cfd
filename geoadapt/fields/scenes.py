"""Labelled scenes: an image, its labels, and how they are split into blocks for training and validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import NODATA
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.base import Source, SourceInfo, Window
from geoadapt.words import counted

__all__ = [
    "BlockSplit",
    "Dataset",
    "LabelledScene",
    "MappedLabels",
    "choose_test",
    "interleave",
    "split_blocks",
]


@dataclass(frozen=True, slots=True)
class LabelledScene:
    """An image (c, h, w) and its labels (1, h, w) on one grid, as sources that are read by window."""

    name: str
    image: Source
    label: Source | None
    """None = unlabelled: class 0 wherever the image is valid."""
    classes: tuple[int, ...]
    """Class values of the task that this scene's labels can express; the others it does not train."""
    resolution: float | None = None
    """Ground resolution [m]."""
    note: str = ""
    land_cover: str | None = None
    """What most of it lies over, in a word such as ``forest``; None = the data set does not tell."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.image.info.height, self.image.info.width


@dataclass(frozen=True, slots=True)
class BlockSplit:
    """Which square blocks of a scene belong to this side: mask (rows, cols) over blocks of ``block`` px."""

    block: int
    mask: NDArray[np.bool_]

    def pixels(self, window: Window) -> NDArray[np.bool_]:
        """The mask at the pixels of ``window`` (h, w); False outside the scene."""
        top, left = window.row // self.block, window.col // self.block
        lower, right = -(-(window.row + window.height) // self.block), -(-(window.col + window.width) // self.block)
        inside = self.mask[top:lower, left:right]
        full = np.zeros((lower - top, right - left), bool)
        full[: inside.shape[0], : inside.shape[1]] = inside
        return full.repeat(_lengths(left, right, self.block, window.col, window.width), axis=1).repeat(
            _lengths(top, lower, self.block, window.row, window.height), axis=0
        )

    def windows(self, height: int, width: int) -> list[Window]:
        """The blocks of this side, cut at the scene's edge."""
        return [
            Window(
                r * self.block,
                c * self.block,
                min(self.block, height - r * self.block),
                min(self.block, width - c * self.block),
            )
            for r, c in zip(*np.nonzero(self.mask), strict=True)
        ]


def _lengths(first: int, end: int, block: int, start: int, length: int) -> NDArray[np.intp]:
    """How many pixels of each block from ``first`` to before ``end`` lie within ``length`` pixels from ``start``."""
    edges = np.clip(np.arange(first, end + 1) * block, start, start + length)
    return np.asarray(edges[1:] - edges[:-1], np.intp)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Scenes and their split: validation is made of blocks inside the training scenes; test is never seen by either."""

    name: str
    channels: tuple[str, ...]
    train: tuple[LabelledScene, ...]
    test: tuple[LabelledScene, ...]
    train_blocks: Mapping[str, BlockSplit]
    val_blocks: Mapping[str, BlockSplit]
    test_blocks: Mapping[str, BlockSplit] = field(default_factory=dict)
    """Only where the test is made of blocks of the training scenes."""
    note: str = ""
    simulated: bool = False
    turns: tuple[int, ...] = ()
    """Which of ``train`` each sample in turn is drawn from, over and over; empty = one after the other."""

    def turn(self, index: int) -> LabelledScene:
        """The training scene of the ``index``-th sample."""
        if self.turns:
            return self.train[self.turns[index % len(self.turns)]]
        return self.train[index % len(self.train)]

    @property
    def classes(self) -> tuple[int, ...]:
        """Class values that the training scenes can express, ascending."""
        return tuple(sorted({value for scene in self.train for value in scene.classes}))


@dataclass(frozen=True, slots=True)
class MappedLabels:
    """A source of labels (1, h, w) whose raw values are mapped to the task's classes; anything else is ignored."""

    source: Source
    table: Mapping[int, int]

    @property
    def info(self) -> SourceInfo:
        """What this source holds: class values, uint8."""
        return replace(self.source.info, dtype=np.dtype(np.uint8), nodata=float(NODATA), scale=(), offset=())

    def read(self, window: Window, bands: object = None) -> NDArray[np.uint8]:
        """Class values (1, h, w); 255 where a value is not in the table."""
        raw = self.source.read(window, None if len(self.source.info.bands) == 1 else [0])
        if raw.dtype == np.uint8:
            lookup = np.full(256, NODATA, np.uint8)
            for value, target in self.table.items():
                if 0 <= value < len(lookup):
                    lookup[value] = target
            return np.asarray(lookup[raw], np.uint8)
        mapped = np.full(raw.shape, NODATA, np.uint8)
        for value, target in self.table.items():
            mapped[raw == value] = target
        return mapped

    def close(self) -> None:
        """Release the handles."""
        self.source.close()


def split_blocks(
    height: int, width: int, block: int, fractions: Mapping[str, float], seed: int
) -> dict[str, BlockSplit]:
    """Disjoint sides of a scene, each about its fraction of the blocks, at least one block each; drawn from ``seed``.

    Raises GeoadaptError where the scene has fewer blocks than sides.
    """
    rows, cols = -(-height // block), -(-width // block)
    wanted = [side for side, fraction in fractions.items() if fraction > 0]
    if rows * cols < len(wanted):
        raise GeoadaptError(
            "data.block",
            f"a scene of {height}×{width} px has {counted(rows * cols, 'block')} of {block} px, "
            f"{len(wanted)} sides are asked for",
            "choose smaller blocks, or name test scenes",
        )
    order = np.random.default_rng(seed).permutation(rows * cols)
    sides: dict[str, BlockSplit] = {}
    start = 0
    for position, side in enumerate(wanted):
        left = len(wanted) - position - 1
        last = rows * cols - left
        stop = last if left == 0 else min(last, start + max(1, round(fractions[side] * rows * cols)))
        mask = np.zeros(rows * cols, bool)
        mask[order[start:stop]] = True
        sides[side] = BlockSplit(block, mask.reshape(rows, cols))
        start = stop
    return sides


def choose_test(names: list[str], test: list[str], train: list[str], where: str) -> tuple[list[str], list[str]]:
    """Names of training and test scenes; raises GeoadaptError for an unknown name or one on both sides."""
    for key, wanted in (("data.train", train), (where, test)):
        for name in wanted:
            if name not in names:
                raise GeoadaptError(key, f"there is no scene '{name}'", nearest(name, names))
    both = sorted(set(test) & set(train))
    if both:
        raise GeoadaptError(where, f"scenes {both} are named for training and for test", "name each once")
    chosen = train or [name for name in names if name not in test]
    if not chosen:
        raise GeoadaptError(where, f"no scene is left for training: all of {names} are named as test", "name fewer")
    return list(dict.fromkeys(chosen)), list(dict.fromkeys(test))


def interleave(first: int, second: int, share: float) -> tuple[int, ...]:
    """Turns over ``first`` scenes followed by ``second`` others, which take ``share`` of them to 1 %, evenly mixed.

    Every scene comes at least once; those of one kind come equally often, or once more than others.
    """
    if not first or not second or not 0 < share < 1:
        raise GeoadaptError("data.share", f"{share} of {first} and {second} scenes", "mix two kinds, by 0 < share < 1")
    part, whole = Fraction(share).limit_denominator(100).as_integer_ratio()
    if not 0 < part < whole:
        raise GeoadaptError("data.share", f"{share}", "choose 0.01 to 0.99")
    # a cycle that is cut short would not keep the share
    cycles = max(-(-first // (whole - part)), -(-second // part))
    turns, counts = [], [0, 0]
    for position in range(cycles * whole):
        kind = (position + 1) * part // whole - position * part // whole
        turns.append(counts[0] % first if kind == 0 else first + counts[1] % second)
        counts[kind] += 1
    return tuple(turns)
