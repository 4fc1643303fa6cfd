"""Polygons: read, brought to a scene's CRS, and drawn on its grid as class labels."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import geopandas
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.features import rasterize as draw
from shapely.geometry.base import BaseGeometry

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.reason import reason

__all__ = ["class_values", "rasterise", "read_area", "read_polygons", "within"]


def rasterise(
    path: str | Path,
    class_column: str,
    classes: Mapping[str, int] | Mapping[int, int],
    *,
    crs: CRS,
    transform: Affine,
    height: int,
    width: int,
    fill: int = 255,
) -> NDArray[np.uint8]:
    """Class labels (height, width) drawn from polygons; pixels whose centre no polygon holds get ``fill``.

    ``classes`` maps a value of ``class_column``, written as text, to a label; where it is empty the column must hold
    the labels as whole numbers. Later polygons cover earlier ones. Raises GeoadaptError for a missing column, an
    unknown value, a missing CRS, or polygons that do not touch the grid.
    """
    frame = read_polygons(path, crs)
    values = class_values(frame, class_column, classes, path)
    shapes = [(g, v) for g, v in zip(frame.geometry, values, strict=True) if g is not None and not g.is_empty]
    labels: NDArray[np.uint8] = np.full((height, width), fill, np.uint8)
    if shapes:
        draw(shapes, out=labels, transform=transform)
    if not shapes or not _touches(frame, transform, height, width):
        raise GeoadaptError(path, "no polygon touches the image", "are they of the same place, with the right CRS?")
    return labels


def read_polygons(path: str | Path, crs: CRS | None = None) -> geopandas.GeoDataFrame:
    """The polygons of a vector file, in ``crs`` if given; raises GeoadaptError where they have no CRS."""
    if not os.path.exists(path):
        raise GeoadaptError(path, "does not exist", "check the path")
    try:
        frame = geopandas.read_file(path)
    except (DataSourceError, DataLayerError, ValueError, OSError) as error:
        raise GeoadaptError(
            path, f"no vector file that can be read: {reason(error)}", "expected GeoPackage or GeoJSON"
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame) or frame.geometry.isna().all():
        raise GeoadaptError(path, "holds no geometries", "expected polygons")
    kinds = set(frame.geometry.geom_type.dropna()) - {"Polygon", "MultiPolygon"}
    if kinds:
        raise GeoadaptError(path, f"holds {', '.join(sorted(kinds))}", "expected polygons only")
    if crs is None:
        return frame
    if frame.crs is None:
        raise GeoadaptError(path, "declares no CRS", "save it again with its coordinate reference system")
    return frame.to_crs(crs.to_wkt())


def class_values(
    frame: geopandas.GeoDataFrame, column: str, classes: Mapping[str, int] | Mapping[int, int], path: str | Path
) -> list[int]:
    """The label of every polygon; raises GeoadaptError for a missing column or an unknown value."""
    columns = [str(c) for c in frame.columns if c != frame.geometry.name]
    if column not in columns:
        raise GeoadaptError(path, f"has no column '{column}'", f"columns: {', '.join(columns) or 'none'}")
    known = {str(k): int(v) for k, v in classes.items()}
    values = [_text(v) for v in frame[column]]
    if not known:
        return [_number(v, column, path) for v in values]
    for value in values:
        if value not in known:
            raise GeoadaptError(
                path, f"column '{column}' holds '{value}', which is no known class", nearest(value, known)
            )
    return [known[v] for v in values]


def read_area(aoi: str | Path | BaseGeometry, crs: CRS) -> BaseGeometry:
    """One geometry in ``crs``, from a vector file or a geometry in longitude and latitude [degrees]."""
    if isinstance(aoi, BaseGeometry):
        if aoi.is_empty:
            raise GeoadaptError("aoi", "the geometry is empty")
        return geopandas.GeoSeries([aoi], crs="EPSG:4326").to_crs(crs.to_wkt()).iloc[0]
    return read_polygons(aoi, crs).union_all()


def within(area: BaseGeometry, transform: Affine, height: int, width: int) -> NDArray[np.bool_]:
    """Where a pixel's centre lies in ``area`` (height, width)."""
    inside: NDArray[np.bool_] = geometry_mask([area], (height, width), transform, invert=True)
    return inside


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(value: str, column: str, path: str | Path) -> int:
    if not (value.isdigit() and int(value) <= 255):
        raise GeoadaptError(
            path, f"column '{column}' holds '{value}'", f"map it to a label 0–255: classes={json.dumps({value: 0})}"
        )
    return int(value)


def _touches(frame: geopandas.GeoDataFrame, transform: Affine, height: int, width: int) -> bool:
    corners = [transform * corner for corner in ((0, 0), (width, 0), (width, height), (0, height))]
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    left, bottom, right, top = frame.total_bounds
    return bool(left < max(xs) and right > min(xs) and bottom < max(ys) and top > min(ys))
