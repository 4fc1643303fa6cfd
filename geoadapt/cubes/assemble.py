"""Raw windows to a labelled cube: decoded once, NaN where missing, at once or lazily with dask.

In: a Source. Out: an ``xarray.DataArray`` (time, band, y, x) float32 with coordinates and CRS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import rioxarray  # noqa: F401  gives every DataArray its .rio
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo, Window
from geoadapt.io.decode import decode
from geoadapt.io.vectors import within

__all__ = ["as_cube", "read_dask", "read_plain", "refuse_if_too_big"]

_STRIP_VALUES = 1 << 24
_MEMORY_SHARE = 0.8


def read_plain(source: Source, window: Window | None) -> tuple[NDArray[np.float32], SourceInfo]:
    """Physical values (c, h, w) of the window or of everything, NaN where missing; and what they are.

    Raises GeoadaptError, before anything is allocated, where they would not fit into memory.
    """
    info = _cropped(source.info, window)
    refuse_if_too_big(info)
    top, left = (0, 0) if window is None else (window.row, window.col)
    values = np.empty((len(info.bands), info.height, info.width), np.float32)
    step = max(1, _STRIP_VALUES // max(1, info.width * len(info.bands)))
    for row in range(0, info.height, step):
        height = min(step, info.height - row)
        values[:, row : row + height] = _physical(source, Window(top + row, left, height, info.width))
    return values, info


def read_dask(
    info: SourceInfo, opener: Callable[[], Source], window: Window | None, chunks: int | dict[str, int]
) -> tuple[Any, SourceInfo]:
    """The same as a dask array (c, h, w): chunks of one band and the given sides [px], read when computed."""
    import dask.array

    part = _cropped(info, window)
    sides = {"y": chunks, "x": chunks} if isinstance(chunks, int) else {"y": 1024, "x": 1024, **chunks}
    unknown = set(sides) - {"time", "band", "y", "x"}
    if unknown or any(not isinstance(v, int) or (v < 1 and v != -1) for v in sides.values()):
        raise GeoadaptError("chunks", f"{chunks!r}", "give a side [px], or {'y': …, 'x': …} with whole numbers")
    lazy = _Lazy(opener, part, (0, 0) if window is None else (window.row, window.col))
    array = dask.array.from_array(  # type: ignore[no-untyped-call]
        lazy, chunks=(sides.get("band", len(part.bands)), sides["y"], sides["x"]), name=False, asarray=False
    )
    return array, part


def as_cube(values: Any, info: SourceInfo, area: BaseGeometry | None = None) -> xr.DataArray:
    """A labelled cube (1, c, h, w) from values (c, h, w); pixels outside ``area``, in the scene's CRS, become NaN."""
    moment = "NaT" if info.time is None else info.time.replace(tzinfo=None).isoformat()
    cube = xr.DataArray(
        values[None],
        dims=("time", "band", "y", "x"),
        coords={"time": [np.datetime64(moment, "ns")], "band": np.asarray(info.bands, dtype=str)},
        name="reflectance" if info.tags.get("units") == "reflectance" else "values",
        attrs=_attributes(info),
    )
    if info.transform is not None:
        if area is not None:
            cube = cube.where(xr.DataArray(within(area, info.transform, info.height, info.width), dims=("y", "x")))
        cube = cube.assign_coords(_coordinates(info.transform, info.height, info.width))
    cube = cube.rio.write_crs(info.crs) if info.crs is not None else cube.assign_coords(spatial_ref=0)
    return cube if info.transform is None else cube.rio.write_transform(info.transform)


def refuse_if_too_big(info: SourceInfo) -> None:
    """Raise GeoadaptError where the decoded values would take more than the memory that is free."""
    wanted = len(info.bands) * info.height * info.width * 4
    free = psutil.virtual_memory().available * _MEMORY_SHARE
    if wanted > free:
        raise GeoadaptError(
            info.origin,
            f"{len(info.bands)} bands of {info.height} × {info.width} px take {wanted / 2**30:,.1f} GiB, "
            f"{free / 2**30:,.1f} GiB are free",
            "read a part with bbox=…, or lazily with chunks=1024",
        )


class _Lazy:
    """A scene that looks like an array (c, h, w) to dask; every thread opens it once for itself."""

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, opener: Callable[[], Source], info: SourceInfo, corner: tuple[int, int]) -> None:
        self.shape = (len(info.bands), info.height, info.width)
        self._opener = opener
        self._corner = corner
        self._local = threading.local()

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        (b0, b1, _), (r0, r1, _), (c0, c1, _) = (s.indices(n) for s, n in zip(key, self.shape, strict=True))
        if not hasattr(self._local, "source"):
            self._local.source = self._opener()
        window = Window(self._corner[0] + r0, self._corner[1] + c0, r1 - r0, c1 - c0)
        return _physical(self._local.source, window, range(b0, b1))

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (self._opener, self.shape, self._corner)


def _revive(opener: Callable[[], Source], shape: tuple[int, int, int], corner: tuple[int, int]) -> _Lazy:
    lazy = object.__new__(_Lazy)
    lazy.shape, lazy._opener, lazy._corner, lazy._local = shape, opener, corner, threading.local()
    return lazy


def _physical(source: Source, window: Window, bands: range | None = None) -> NDArray[np.float32]:
    """Decoded values (c, h, w) of a window, NaN where missing."""
    chosen = None if bands is None or len(bands) == len(source.info.bands) else list(bands)
    values, valid = decode(source.read(window, chosen), source.info, chosen)
    if valid is not None:
        values[~valid] = np.nan
    return values


def _cropped(info: SourceInfo, window: Window | None) -> SourceInfo:
    if window is None:
        return info
    moved = None if info.transform is None else info.transform * Affine.translation(window.col, window.row)
    return replace(info, height=window.height, width=window.width, transform=moved)


def _coordinates(transform: Affine, height: int, width: int) -> dict[str, Any]:
    """Pixel centres along x and y; none for a rotated grid, whose place only the transform tells."""
    if transform.b or transform.d:
        return {}
    return {
        "y": transform.f + transform.e * (np.arange(height) + 0.5),
        "x": transform.c + transform.a * (np.arange(width) + 0.5),
    }


def _attributes(info: SourceInfo) -> dict[str, Any]:
    kept: dict[str, Any] = {
        k: info.tags[k] for k in ("units", "notes", "processing_baseline", "georeference") if k in info.tags
    }
    named = {"source": info.origin, "sensor": info.sensor}
    return {k: v for k, v in {**kept, **named}.items() if v is not None}
