"""What reading and writing mean here: windows, and the two protocols that every format implements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

__all__ = ["Sink", "Source", "SourceInfo", "Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: upper edge, left edge, height, width [px]."""

    row: int
    col: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source holds. Physical value = raw · scale + offset, per band; raw == nodata is missing."""

    origin: str
    """The path or URL, for messages."""
    height: int
    width: int
    bands: tuple[str, ...]
    dtype: np.dtype[np.generic]
    crs: CRS | None = None
    transform: Affine | None = None
    nodata: float | None = None
    """In raw units; NaN counts as missing in a float source whatever this says."""
    scale: tuple[float, ...] = ()
    """One per band; empty means 1."""
    offset: tuple[float, ...] = ()
    """One per band; empty means 0."""
    time: datetime | None = None
    sensor: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """Something that gives raw pixels by window. One source serves one thread."""

    @property
    def info(self) -> SourceInfo:
        """What this source holds."""

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``, all bands or those at the given positions."""

    def close(self) -> None:
        """Release the handles."""


class Sink(Protocol):
    """Something that takes pixels by window; the result exists under its name only after ``commit``."""

    def write(self, window: Window, values: NDArray[np.generic]) -> None:
        """Put values (c, h, w) at ``window``."""

    def commit(self) -> Path:
        """Finish, check and rename into place; returns the final path."""

    def abort(self) -> None:
        """Remove whatever was written."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
