"""Where a scene lies: the window under a bounding box or an area of interest, and bounds in degrees.

In: a source's grid and an area. Out: a pixel window, or (west, south, east, north) [degrees].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.vectors import read_area

__all__ = ["Area", "bounds_degrees", "outline", "window_of"]

Area: TypeAlias = str | Path | BaseGeometry
"""A vector file, or a shapely geometry in longitude and latitude [degrees]."""

_WGS84 = CRS.from_epsg(4326)
_EDGE_POINTS = 32


def window_of(info: SourceInfo, bbox: Sequence[float] | None, aoi: Area | None) -> Window | None:
    """The smallest window of whole pixels that holds ``bbox`` or ``aoi``; None if neither is given.

    ``bbox`` is (west, south, east, north) in longitude and latitude [degrees]; west > east crosses the antimeridian.
    Raises GeoadaptError where the scene has no georeference or does not touch the area.
    """
    if bbox is None and aoi is None:
        return None
    if bbox is not None and aoi is not None:
        raise GeoadaptError(info.origin, "got both bbox and aoi", "give one of them")
    if info.transform is None or info.crs is None:
        raise GeoadaptError(
            info.origin, "has no georeference, so that an area cannot be cut out of it", "leave bbox and aoi out"
        )
    shape = _box(bbox) if bbox is not None else outline(aoi, info.crs)
    x, y = _ring(shape, None if aoi is not None else _WGS84, info.crs)
    inverse = ~info.transform
    cols = inverse.a * x + inverse.b * y + inverse.c
    rows = inverse.d * x + inverse.e * y + inverse.f
    return _whole_pixels(info, rows, cols)


def outline(aoi: Area | None, crs: CRS) -> BaseGeometry:
    """The area of interest in ``crs``; a geometry without a file is taken as longitude and latitude."""
    if aoi is None:
        raise GeoadaptError("aoi", "is empty", "give a vector file or a geometry")
    return read_area(aoi, crs)


def bounds_degrees(crs: CRS, transform: Affine, height: int, width: int) -> tuple[float, float, float, float]:
    """(west, south, east, north) [degrees] of a grid, along its densified outline.

    West exceeds east where the grid crosses the antimeridian; a grid around a pole spans −180 to 180 up to ±90.
    """
    along = np.linspace(0, 1, _EDGE_POINTS + 1)
    cols = np.concatenate([along * width, np.full(along.size, width), width - along * width, np.zeros(along.size)])
    rows = np.concatenate([np.zeros(along.size), along * height, np.full(along.size, height), height - along * height])
    x = transform.a * cols + transform.b * rows + transform.c
    y = transform.d * cols + transform.e * rows + transform.f
    lon, lat = _moved(crs, _WGS84, x, y)
    finite = np.isfinite(lon) & np.isfinite(lat)
    if not finite.any():
        raise GeoadaptError("bounds", f"the grid lies outside the domain of {crs.to_string()[:60]}")
    lon, lat = lon[finite], lat[finite]
    if crs.is_geographic:
        west, east = float(x.min()), float(x.max())
        return _wrap(west, east), float(lat.min()), (_wrap_east(west, east)), float(lat.max())
    unwrapped = np.unwrap(lon, period=360)
    if abs(unwrapped[-1] - unwrapped[0]) > 180:
        north = float(lat.mean()) > 0
        return -180.0, (float(lat.min()) if north else -90.0), 180.0, (90.0 if north else float(lat.max()))
    west, east = float(unwrapped.min()), float(unwrapped.max())
    return _wrap(west, east), float(lat.min()), _wrap_east(west, east), float(lat.max())


def _wrap(west: float, east: float) -> float:
    if east - west >= 360:
        return -180.0
    return west if -180 <= west <= 180 else (west + 180) % 360 - 180


def _wrap_east(west: float, east: float) -> float:
    if east - west >= 360:
        return 180.0
    return east if -180 <= east <= 180 else (east + 180) % 360 - 180


def _box(bbox: Sequence[float]) -> BaseGeometry:
    if len(bbox) != 4 or not all(np.isfinite(bbox)):
        raise GeoadaptError("bbox", f"{list(bbox)}", "expected four numbers: west, south, east, north [degrees]")
    west, south, east, north = (float(v) for v in bbox)
    if not (-90 <= south < north <= 90 and -180 <= west <= 360 and -180 <= east <= 360):
        raise GeoadaptError(
            "bbox", f"{list(bbox)} is no box in degrees", "expected west, south, east, north in longitude and latitude"
        )
    if west > east:
        east += 360
    if west == east:
        raise GeoadaptError("bbox", f"{list(bbox)} is empty", "choose west < east")
    return box(west, south, east, north)


def _moved(
    source: CRS, target: CRS, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points in another CRS, infinite where that CRS cannot show them."""
    try:
        transformer = Transformer.from_crs(source.to_wkt(), target.to_wkt(), always_xy=True)
        moved_x, moved_y = transformer.transform(x, y)
    except ProjError as error:
        raise GeoadaptError(
            "CRS", f"cannot be related to longitude and latitude: {error}", "is it on Earth?"
        ) from error
    return np.asarray(moved_x), np.asarray(moved_y)


def _ring(shape: BaseGeometry, source: CRS | None, target: CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The outline's points, densified so that straight edges stay true after projection, in ``target``."""
    step = max(shape.bounds[2] - shape.bounds[0], shape.bounds[3] - shape.bounds[1]) / _EDGE_POINTS
    hull = shape.envelope if source is not None else shape.convex_hull
    points = (
        np.asarray(hull.segmentize(step).exterior.coords)[:, :2]
        if hull.geom_type == "Polygon"
        else np.asarray(hull.coords)
    )
    if source is None:
        return points[:, 0], points[:, 1]
    return _moved(source, target, points[:, 0], points[:, 1])


def _whole_pixels(info: SourceInfo, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> Window:
    finite = np.isfinite(rows) & np.isfinite(cols)
    if not finite.any():
        raise GeoadaptError(info.origin, "the area lies outside the domain of the scene's CRS")
    # An edge that touches a pixel border to within rounding does not take the pixel beyond it.
    top, left = (int(np.floor(v[finite].min() + 1e-6)) for v in (rows, cols))
    bottom, right = (int(np.ceil(v[finite].max() - 1e-6)) for v in (rows, cols))
    top, left = max(top, 0), max(left, 0)
    bottom, right = min(bottom, info.height), min(right, info.width)
    if bottom <= top or right <= left:
        where = ", ".join(f"{v:.4f}" for v in _bounds(info))
        raise GeoadaptError(
            info.origin,
            "does not touch the area that was asked for",
            f"the scene spans west, south, east, north = {where}",
        )
    return Window(top, left, bottom - top, right - left)


def _bounds(info: SourceInfo) -> tuple[float, float, float, float]:
    if info.crs is None or info.transform is None:
        return (float("nan"),) * 4
    return bounds_degrees(info.crs, info.transform, info.height, info.width)
