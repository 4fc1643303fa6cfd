"""A stack walked block by block: a thread reads the next, the model restores this one, a thread stores the last.

In: a source of all dates, a method, a store. Out: the store, whole. Memory is set by the block and the dates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.series import SeriesInfo
from geoadapt.fields.series import Radar, Series
from geoadapt.inference.behind import behind
from geoadapt.inference.crew import Channel, Crew
from geoadapt.inference.restore_block import BlockJob, Parts, fill_block
from geoadapt.inference.restore_memory import give_back
from geoadapt.inference.restore_method import DateRestorer
from geoadapt.inference.restore_pack import pack
from geoadapt.inference.restore_radar import Heard
from geoadapt.inference.restore_store import Store
from geoadapt.inference.restore_where import Stack
from geoadapt.io.base import Window
from geoadapt.io.windows import blocks

__all__ = ["Block", "Looker", "plan_blocks", "restore_blocks", "shares_reads"]

ALIGN = 512
"""Side of the squares that most files are tiled in [px]: a square is decoded whole, and of all dates together GDAL
keeps few. Blocks that read the same squares come one after the other."""
Read = tuple["Block", NDArray[np.float32], NDArray[np.bool_], Radar | None]


@dataclass(frozen=True, slots=True)
class Block:
    """What is filled, and the larger window that is read for it."""

    index: int
    fills: Window
    reads: Window
    together: Window
    """What is read at once for it and the blocks beside it."""

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of ``fills`` within ``reads``."""
        return _within(self.fills, self.reads)


def plan_blocks(height: int, width: int, tile: int, margin: int) -> list[Block]:
    """Blocks of ``tile`` px that cover a scene once, each read with ``margin`` px around it inside of the scene.

    With a margin the four blocks around a corner of squares are read together: each alone would have all four squares
    decoded. Larger blocks than half a square are read each for itself, for four of them would take too much memory.
    """

    def read(window: Window) -> Window:
        top, left = max(0, window.row - margin), max(0, window.col - margin)
        bottom = min(height, window.row + window.height + margin)
        right = min(width, window.col + window.width + margin)
        return Window(top, left, bottom - top, right - left)

    def place(window: Window) -> tuple[int, int]:
        if shares_reads(tile, margin):
            return (window.row + tile) // (2 * tile), (window.col + tile) // (2 * tile)
        return window.row // ALIGN, window.col // ALIGN

    ordered = sorted(blocks(height, width, tile), key=lambda w: (*place(w), w.row, w.col))
    groups = {where: [read(w) for w in some] for where, some in groupby(ordered, place)}
    hulls = {where: _hull(some) for where, some in groups.items()} if shares_reads(tile, margin) else {}
    return [Block(i, w, read(w), hulls.get(place(w), read(w))) for i, w in enumerate(ordered)]


def shares_reads(tile: int, margin: int) -> bool:
    """Whether four blocks are read together."""
    return margin > 0 and 2 * tile <= ALIGN


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
            block, values, clear, radar = ready.get()
            room.put(None)
            series = _series(source.info, block, values, clear, radar)
            parts, beyond = fill_block(series, block.inner, job, restorer)
            clipped += beyond
            looks = looker.pick(block, values[..., *block.inner], parts)
            later(_writing(store, block, parts, looks))
            give_back()
            if told:
                told()
        crew.wait()
    return clipped


def _read(source: Stack, todo: list[Block], ready: Channel[Read], room: Channel[None]) -> None:
    held: tuple[NDArray[np.float32], NDArray[np.bool_]] | None = None
    for block, after in zip_longest(todo, todo[1:]):
        room.get()  # No more than one block is held beside the one that is being restored.
        held = held or source.read(block.together)
        inside = (..., *_within(block.reads, block.together))
        values, clear = held[0][inside], held[1][inside]
        if after is None or after.together != block.together:
            if values.shape != held[0].shape:
                values, clear = values.copy(), clear.copy()
            held = None  # What was read together is free before the next is read.
        ready.put((block, values, clear, source.hear(block.reads) if isinstance(source, Heard) else None))
        del values, clear


def _within(window: Window, outer: Window) -> tuple[slice, slice]:
    """Rows and columns of ``window`` within ``outer``."""
    row, col = window.row - outer.row, window.col - outer.col
    return slice(row, row + window.height), slice(col, col + window.width)


def _hull(windows: Sequence[Window]) -> Window:
    top, left = min(w.row for w in windows), min(w.col for w in windows)
    bottom, right = max(w.row + w.height for w in windows), max(w.col + w.width for w in windows)
    return Window(top, left, bottom - top, right - left)


def _writing(
    store: Store, block: Block, parts: Parts, looks: tuple[NDArray[np.int16], NDArray[np.int16]]
) -> Callable[[], None]:
    return lambda: store.write(block.index, block.fills, parts, looks)


def _series(
    info: SeriesInfo, block: Block, values: NDArray[np.float32], clear: NDArray[np.bool_], radar: Radar | None
) -> Series:
    sensors = set(info.sensors)
    return Series(
        f"{info.name} row {block.fills.row} col {block.fills.col}",
        values,
        clear,
        info.times,
        info.bands,
        resolution=info.resolution or float("nan"),
        sensor=sensors.pop() if len(sensors) == 1 else None,
        radar=radar,
    )
