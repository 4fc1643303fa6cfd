"""A series as a lazy labelled cube.

In: a ``SeriesSource``. Out: an ``xarray.Dataset`` with ``image`` (time, band, y, x) and ``clear`` (time, y, x).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import rioxarray  # noqa: F401  gives every Dataset its .rio
import xarray as xr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window

if TYPE_CHECKING:
    from geoadapt.cubes.series import SeriesSource

__all__ = ["lazy_cube"]


def lazy_cube(source: SeriesSource, chunks: int) -> xr.Dataset:
    """``image`` and ``clear`` in squares of ``chunks`` [px] with all dates, each read once for both."""
    if chunks < 1:
        raise GeoadaptError("chunks", f"{chunks}", "give the side of a square [px]")
    import dask
    import dask.array as da

    info = source.info
    reader = _Reader(source)
    rows = [(r, min(chunks, info.height - r)) for r in range(0, info.height, chunks)]
    cols = [(c, min(chunks, info.width - c)) for c in range(0, info.width, chunks)]
    images, clears = [], []
    t, bands = len(info.times), len(info.bands)
    for row, height in rows:
        image_row, clear_row = [], []
        for col, width in cols:
            block = dask.delayed(reader, nout=2, pure=False)(row, col, height, width)  # type: ignore[attr-defined]
            image_row.append(da.from_delayed(block[0], (t, bands, height, width), np.float32))  # type: ignore[no-untyped-call]
            clear_row.append(da.from_delayed(block[1], (t, height, width), bool))  # type: ignore[no-untyped-call]
        images.append(da.concatenate(image_row, 3))  # type: ignore[no-untyped-call]
        clears.append(da.concatenate(clear_row, 2))  # type: ignore[no-untyped-call]
    image = da.concatenate(images, 2)  # type: ignore[no-untyped-call]
    clear = da.concatenate(clears, 1)  # type: ignore[no-untyped-call]
    cube = xr.Dataset(
        {"image": (("time", "band", "y", "x"), image), "clear": (("time", "y", "x"), clear)},
        coords={
            "time": info.times.astype("datetime64[ns]"),
            "band": np.asarray(info.bands, dtype=str),
            "scene": ("time", np.asarray(info.names, dtype=str)),
            **_places(source),
        },
        attrs={"source": info.name, "notes": "; ".join(info.notes)},
    )
    if info.crs is None:
        return cube.assign_coords(spatial_ref=0)
    cube = cube.rio.write_crs(info.crs)
    placed: xr.Dataset = cube if info.transform is None else cube.rio.write_transform(info.transform)
    return placed


class _Reader:
    """Reads a block with the handles of the thread that asks; pickled without them."""

    def __init__(self, source: SeriesSource) -> None:
        self._source = source
        self._local = threading.local()

    def __call__(self, row: int, col: int, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        if not hasattr(self._local, "source"):
            self._local.source = self._source.reopened()
        found: tuple[NDArray[np.float32], NDArray[np.bool_]] = self._local.source.read(Window(row, col, height, width))
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without open files."""
        return _Reader, (self._source,)


def _places(source: SeriesSource) -> dict[str, Any]:
    """Pixel centres along x and y; none for a rotated grid, whose place only the transform tells."""
    info = source.info
    if info.transform is None or info.transform.b or info.transform.d:
        return {}
    return {
        "y": info.transform.f + info.transform.e * (np.arange(info.height) + 0.5),
        "x": info.transform.c + info.transform.a * (np.arange(info.width) + 0.5),
    }
