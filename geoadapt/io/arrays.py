"""An array in memory as a Source: for tests, notebooks and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.raster import check_window
from geoadapt.words import counted

__all__ = ["ArraySource"]


class ArraySource:
    """An array (c, h, w) with names and a place, read by window."""

    def __init__(
        self,
        array: NDArray[np.generic],
        bands: Sequence[str] | None = None,
        *,
        crs: CRS | str | None = None,
        transform: Affine | None = None,
        nodata: float | None = None,
        scale: Sequence[float] = (),
        offset: Sequence[float] = (),
        time: datetime | None = None,
        sensor: str | None = None,
        origin: str = "array",
    ) -> None:
        """Wrap ``array`` without copying it; raises GeoadaptError where names or axes do not fit."""
        if array.ndim != 3:
            raise GeoadaptError(origin, f"the array has shape {array.shape}", "expected (c, h, w)")
        names = tuple(bands) if bands is not None else tuple(f"band_{i + 1}" for i in range(array.shape[0]))
        if len(names) != array.shape[0]:
            raise GeoadaptError(origin, f"{counted(array.shape[0], 'band')}, names for {len(names)}: {list(names)}")
        self._array = array
        self._info = SourceInfo(
            origin=origin,
            height=array.shape[1],
            width=array.shape[2],
            bands=names,
            dtype=array.dtype,
            crs=CRS.from_user_input(crs) if crs is not None else None,
            transform=transform,
            nodata=nodata,
            scale=tuple(scale),
            offset=tuple(offset),
            time=time,
            sensor=sensor,
        )

    @property
    def info(self) -> SourceInfo:
        """What this array holds."""
        return self._info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``, all bands or those at the given positions; a copy."""
        check_window(window, self._info)
        rows = slice(window.row, window.row + window.height)
        cols = slice(window.col, window.col + window.width)
        part = self._array[:, rows, cols]
        return part.copy() if bands is None else part[list(bands)]

    def close(self) -> None:
        """Nothing to release."""
