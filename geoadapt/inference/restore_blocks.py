"""A stack walked block by block: a thread reads the next, the model restores this one, a thread stores the last.

In: a source of all dates, a method, a store. Out: the store, whole. Memory is set by the block and the dates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.series import SeriesInfo
from geoadapt.fields.series import Series
from geoadapt.inference.behind import behind
from geoadapt.inference.crew import Channel, Crew
from geoadapt.inference.restore_block import BlockJob, Parts, fill_block
from geoadapt.inference.restore_method import DateRestorer
from geoadapt.inference.restore_pack import pack
from geoadapt.inference.restore_store import Store
from geoadapt.inference.restore_where import Stack
from geoadapt.io.base import Window
from geoadapt.io.windows import blocks

__all__ = ["Block", "Looker", "plan_blocks", "restore_blocks"]

ALIGN = 512
"""Blocks that lie in one square of this side come one after the other: files are tiled so, and GDAL keeps it [px]."""
Read = tuple["Block", NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Block:
    """What is filled, and the larger window that is read for it."""

    index: int
    fills: Window
    reads: Window

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of ``fills`` within ``reads``."""
        row, col = self.fills.row - self.reads.row, self.fills.col - self.reads.col
        return slice(row, row + self.fills.height), slice(col, col + self.fills.width)


def plan_blocks(height: int, width: int, tile: int, margin: int) -> list[Block]:
    """Blocks of ``tile`` px that cover a scene once, each read with ``margin`` px around it inside of the scene."""

    def read(window: Window) -> Window:
        top, left = max(0, window.row - margin), max(0, window.col - margin)
        bottom = min(height, window.row + window.height + margin)
        right = min(width, window.col + window.width + margin)
        return Window(top, left, bottom - top, right - left)

    ordered = sorted(blocks(height, width, tile), key=lambda w: (w.row // ALIGN, w.col // ALIGN, w.row, w.col))
    return [Block(index, window, read(window)) for index, window in enumerate(ordered)]


class Looker:
    """Picks the pixels of the stack's small pictures, every n-th of the scene, from blocks; and puts them together."""

    def __init__(self, info: SeriesInfo, wanted: tuple[int, ...], side: int) -> None:
        """``side``: longer side of the pictures at most [px]."""
        self._step = max(1, -(-max(info.height, info.width) // side))
        self._wanted = list(wanted)
        colours = [info.bands.index(name) for name in ("red", "green", "blue") if name in info.bands]
        self._bands = colours if len(colours) == 3 else [0]
        self.channels = tuple(info.bands[i] for i in self._bands)
        self.shape = (-(-info.height // self._step), -(-info.width // self._step))

    def pick(
        self, block: Block, values: NDArray[np.float32], parts: Parts
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Of a block's own values (t, c, h, w) and of its clear images, as ``Store.write`` takes them."""
        rows, cols = (
            slice(-block.fills.row % self._step, None, self._step),
            slice(-block.fills.col % self._step, None, self._step),
        )
        before, _ = pack(values[np.ix_(self._wanted, self._bands)][..., rows, cols])
        after = parts["clear"][:, self._bands][..., rows, cols].astype(np.int16)
        return before, np.ascontiguousarray(after)

    def place(self, block: Block) -> tuple[int, int]:
        """Where in the picture a block's first pixel lies."""
        return -(-block.fills.row // self._step), -(-block.fills.col // self._step)


def restore_blocks(
    source: Stack,
    store: Store,
    todo: list[Block],
    job: BlockJob,
    restorer: DateRestorer,
    looker: Looker,
    *,
    told: Callable[[], None] | None = None,
) -> int:
    """Restore ``todo`` into ``store``; returns how many values were cut to what fits. ``told`` hears of every block.

    Raises the first error of any thread as it was.
    """
    clipped = 0
    with Crew() as crew, behind(1) as later:
        ready: Channel[Read] = Channel(crew, 1)
        room: Channel[None] = Channel(crew, 1)
        crew.start("reader", lambda: _read(source, todo, ready, room))
        room.put(None)
        for _ in todo:
            block, values, clear = ready.get()
            room.put(None)
            series = _series(source.info, block, values, clear)
            parts, beyond = fill_block(series, block.inner, job, restorer)
            clipped += beyond
            looks = looker.pick(block, values[..., *block.inner], parts)
            later(_writing(store, block, parts, looks))
            if told:
                told()
        crew.wait()
    return clipped


def _read(source: Stack, todo: list[Block], ready: Channel[Read], room: Channel[None]) -> None:
    for block in todo:
        room.get()  # No more than one block is held beside the one that is being restored.
        ready.put((block, *source.read(block.reads)))


def _writing(
    store: Store, block: Block, parts: Parts, looks: tuple[NDArray[np.int16], NDArray[np.int16]]
) -> Callable[[], None]:
    return lambda: store.write(block.index, block.fills, parts, looks)


def _series(info: SeriesInfo, block: Block, values: NDArray[np.float32], clear: NDArray[np.bool_]) -> Series:
    sensors = set(info.sensors)
    return Series(
        f"{info.name} row {block.fills.row} col {block.fills.col}",
        values,
        clear,
        info.times,
        info.bands,
        resolution=info.resolution or float("nan"),
        sensor=sensors.pop() if len(sensors) == 1 else None,
    )
