"""A cube in parts as one GeoZarr: layers over (time, band, y, x), (month, band, y, x), (band, y, x) or (y, x).

In: a grid with its axes, and layers that are added as they are needed. Out: a folder that xarray and GDAL open, with
coordinates, CRS, scale factors and flags. A file of it holds all dates and bands of one block.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.errors
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoadapt.errors import GeoadaptError
from geoadapt.io.category import Category
from geoadapt.io.zarr_write import axis_coordinate, place_attributes, spatial_ref

__all__ = ["CubeSpec", "Layer", "add_layer", "create_cube", "finish_cube"]

Dates = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class CubeSpec:
    """The axes of a cube; ``months`` only where a layer has them."""

    height: int
    width: int
    bands: tuple[str, ...]
    times: Dates
    months: Dates | None = None
    crs: CRS | None = None
    transform: Affine | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One array of a cube. Physical value = stored · scale; ``lead`` is ``time``, ``month`` or nothing."""

    name: str
    title: str
    dtype: str
    nodata: int | None = None
    scale: float = 1.0
    lead: str = ""
    banded: bool = False
    categories: tuple[Category, ...] = ()


def create_cube(path: Path, spec: CubeSpec) -> None:
    """An empty store with coordinates and attributes."""
    place = place_attributes(spec.crs, spec.transform, ("y", "x"), (spec.height, spec.width))
    coordinates: dict[str, Any] = {
        "time": ("time", spec.times.astype("datetime64[ns]"), {"standard_name": "time", "axis": "T"}),
        "band": ("band", np.array(spec.bands, object)),
    }
    encoding: dict[str, Any] = {"time": {"units": "seconds since 1970-01-01", "dtype": "int64"}}
    if spec.months is not None:
        coordinates["month"] = ("month", spec.months.astype("datetime64[ns]"))
        encoding["month"] = {"units": "days since 1970-01-01", "dtype": "int64"}
    if spec.crs is not None:
        coordinates["spatial_ref"] = ((), 0, spatial_ref(spec.crs, spec.transform))
    if spec.transform is not None and spec.transform.is_rectilinear:
        coordinates["x"] = ("x", *axis_coordinate("x", spec.width, spec.transform.a, spec.transform.c, spec.crs))
        coordinates["y"] = ("y", *axis_coordinate("y", spec.height, spec.transform.e, spec.transform.f, spec.crs))
    with _quiet():
        xr.Dataset(coords=coordinates, attrs=place).to_zarr(
            path, mode="w", zarr_format=3, encoding=encoding, consolidated=False
        )


def add_layer(group: zarr.Group, spec: CubeSpec, layer: Layer, chunk: int) -> Any:
    """An array for ``layer``, all nodata; chunks are one date's bands of ``chunk`` px, a file all dates of them."""
    lead = {"time": len(spec.times), "month": 0 if spec.months is None else len(spec.months), "": 0}[layer.lead]
    axes = [(layer.lead, lead, 1)] if layer.lead else []
    axes += [("band", len(spec.bands), len(spec.bands))] if layer.banded else []
    axes += [("y", spec.height, min(chunk, spec.height)), ("x", spec.width, min(chunk, spec.width))]
    attributes: dict[str, Any] = {"long_name": layer.title}
    if spec.crs is not None:
        attributes["grid_mapping"] = "spatial_ref"
    if layer.scale != 1.0:
        attributes |= {"scale_factor": layer.scale, "add_offset": 0.0}
    if layer.nodata is not None:
        attributes["_FillValue"] = layer.nodata
    if layer.categories:
        attributes["flag_values"] = [c.value for c in layer.categories]
        attributes["flag_meanings"] = " ".join(c.name for c in layer.categories)
    return group.create_array(
        layer.name,
        shape=tuple(size for _, size, _ in axes),
        dtype=layer.dtype,
        chunks=tuple(part for _, _, part in axes),
        shards=tuple(size if name in ("time", "month") else part for name, size, part in axes),
        fill_value=0 if layer.nodata is None else layer.nodata,
        dimension_names=tuple(name for name, _, _ in axes),
        attributes=attributes,
    )


def finish_cube(part: Path, path: Path) -> None:
    """Consolidate the metadata of a store and open it again; raises GeoadaptError about ``path`` where it cannot be."""
    try:
        with _quiet():
            zarr.consolidate_metadata(part)
            with xr.open_zarr(part, chunks=None) as written:
                written.isel({dim: slice(1) for dim in written.dims}).load()
    except (OSError, ValueError, KeyError) as error:
        raise GeoadaptError(path, f"cannot be read back after writing: {error}", "check the disk") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Consolidated metadata and strings are not in Zarr v3's core yet; a reader that lacks them finds the arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        warnings.simplefilter("ignore", zarr.errors.UnstableSpecificationWarning)
        yield
