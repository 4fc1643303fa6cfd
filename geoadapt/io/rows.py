"""Rows that arrive in any number, handed on in whole rows of blocks, so that no block is written twice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geoadapt.io.base import Window

__all__ = ["RowGatherer"]


class RowGatherer:
    """Collects full-width rows (c, n, w) from top to bottom; ``put`` gets them block row by block row."""

    def __init__(
        self, count: int, width: int, dtype: str, block: int, put: Callable[[Window, NDArray[np.generic]], None]
    ) -> None:
        """``block``: height of the blocks [px]."""
        self._shape = (count, block, width)
        self._dtype = dtype
        self._put = put
        self._rows: NDArray[np.generic] | None = None
        self._top = self._end = 0

    def add(self, row: int, values: NDArray[np.generic]) -> None:
        """Take the rows from ``row`` on; a gap before them ends the current row of blocks."""
        if row != self._end:
            self.flush()
            self._top = self._end = row
        done = 0
        while done < values.shape[1]:
            done += self._gather(values[:, done:])

    def flush(self) -> None:
        """Hand on what is held."""
        held = self._end - self._top
        if held and self._rows is not None:
            self._put(Window(self._top, 0, held, self._shape[2]), self._rows[:, :held])
        self._top = self._end

    def _gather(self, values: NDArray[np.generic]) -> int:
        if self._rows is None:
            self._rows = np.empty(self._shape, self._dtype)
        room = self._shape[1] - self._end % self._shape[1]
        taken = min(room, int(values.shape[1]))
        start = self._end - self._top
        self._rows[:, start : start + taken] = values[:, :taken]
        self._end += taken
        if taken == room:
            self.flush()
        return taken
