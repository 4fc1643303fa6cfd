"""A sink that keeps what it is given: for scores and for cubes in memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoadapt.io.base import Window

__all__ = ["MemorySink"]


class MemorySink:
    """Keeps what is written (h, w)."""

    def __init__(self, height: int, width: int, fill: int = 255) -> None:
        self.values = np.full((height, width), fill, np.uint8)

    def write(self, window: Window, values: NDArray[np.generic]) -> None:
        """Put values (1, h, w) at ``window``."""
        rows = slice(window.row, window.row + window.height)
        self.values[rows, window.col : window.col + window.width] = values[0]

    def commit(self) -> Path:
        """Nothing to rename."""
        return Path()

    def abort(self) -> None:
        """Nothing to remove."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
