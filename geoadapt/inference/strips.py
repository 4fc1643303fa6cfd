"""Reading a scene once, from top to bottom: strips as high as a tile, that keep the rows they share.

In: a source and a tile grid. Out: strips of physical values (c, tile height, w) and what is missing in them, in
buffers that go round between the reader and its user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import Tap
from geoadapt.inference.crew import Channel
from geoadapt.io.base import Source, Window
from geoadapt.io.decode import decode
from geoadapt.io.windows import TileGrid

__all__ = ["Strip", "StripReader"]


@dataclass(slots=True)
class Strip:
    """Rows from ``row`` on: ``values`` (c, h, w), ``valid`` likewise, ``whole`` (h,): rows without a missing value."""

    row: int
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    whole: NDArray[np.bool_]

    @classmethod
    def empty(cls, channels: int, height: int, width: int) -> Strip:
        """Buffers of the given size."""
        shape = (channels, height, width)
        return cls(-1, np.empty(shape, np.float32), np.empty(shape, np.bool_), np.ones(height, np.bool_))

    def share(self, other: Strip, rows: int, start: int) -> None:
        """Copy ``rows`` rows of ``other`` from ``start`` on to the top of this strip."""
        self.values[:, :rows] = other.values[:, start : start + rows]
        self.whole[:rows] = other.whole[start : start + rows]
        if not self.whole[:rows].all():
            self.valid[:, :rows] = other.valid[:, start : start + rows]

    def mask(self, top: int, bottom: int) -> NDArray[np.bool_] | None:
        """Validity (c, n, w) of rows ``top`` to ``bottom``; None where nothing is missing."""
        return None if self.whole[top:bottom].all() else self.valid[:, top:bottom]

    def settle(self) -> None:
        """Set the mask of whole rows, which is not kept up to date while nothing is missing."""
        if not self.whole.all():
            self.valid[:, self.whole] = True


class StripReader:
    """Fills strips for all tile rows of a grid; the only one who touches the source."""

    def __init__(self, source: Source, grid: TileGrid, taps: Sequence[Tap] = ()) -> None:
        """``taps`` see every row once, in the reader's thread."""
        self._source = source
        self._grid = grid
        self._taps = taps

    def run(self, free: Channel[Strip], ready: Channel[Strip]) -> None:
        """Read the whole scene: take empty strips from ``free`` and put full ones into ``ready``."""
        last: Strip | None = None
        for row in self._grid.rows():
            strip = free.get()
            shared = 0
            if last is not None:
                shared = last.row + self._grid.tile_height - row
                strip.share(last, shared, row - last.row)
            strip.row = row
            self._fill(strip, shared)
            ready.put(strip)
            last = strip

    def _fill(self, strip: Strip, top: int) -> None:
        window = Window(strip.row + top, 0, self._grid.tile_height - top, self._grid.width)
        raw = self._source.read(window)
        expected = (strip.values.shape[0], window.height, window.width)
        if raw.shape != expected:
            raise GeoadaptError(
                self._source.info.origin, f"gave pixels of shape {raw.shape} for {window}", f"expected {expected}"
            )
        values, valid = decode(raw, self._source.info, out=strip.values[:, top:])
        strip.whole[top:] = True
        if valid is not None:
            strip.valid[:, top:] = valid
            strip.whole[top:] = valid.all(axis=(0, 2))
        strip.settle()
        for tap in self._taps:
            tap(window.row, values, valid)
