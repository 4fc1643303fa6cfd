"""Cubes and rasters as Zarr v3: sharded, with CF names and the proj:/spatial: conventions, whole or absent.

In: an xarray cube with its CRS in ``spatial_ref``, or pixels (c, h, w) by window. Out: a folder that xarray, rioxarray
and GDAL open with its coordinates and CRS.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import xarray as xr
import zarr
import zarr.errors
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import part_path, publish, remove, staged_folder
from geoadapt.io.base import Window
from geoadapt.io.geotiff import RasterSpec
from geoadapt.io.rows import RowGatherer

__all__ = ["ZarrSink", "axis_coordinate", "place_attributes", "quiet_zarr", "spatial_ref", "write_cube"]

CHUNK = 256
SHARD = 1024
"""Sides of the chunks that are read and of the files that hold them [px]."""

CONVENTIONS: tuple[dict[str, str], ...] = (
    {"name": "proj:", "schema_url": "https://github.com/zarr-conventions/geo-proj", "description": "the CRS"},
    {"name": "spatial:", "schema_url": "https://github.com/zarr-conventions/spatial", "description": "the pixel grid"},
)


def write_cube(cube: xr.Dataset | xr.DataArray, path: Path, *, chunk: int = CHUNK, shard: int = SHARD) -> Path:
    """Write a cube with dims (…, y, x) or (…, latitude, longitude); returns ``path``.

    Raises GeoadaptError for a cube without two spatial dims.
    """
    data = cube.to_dataset(name=cube.name or "values") if isinstance(cube, xr.DataArray) else cube
    rows, cols = _spatial_dims(data, path)
    data = data.assign_attrs(_group_attributes(data, rows, cols)).drop_encoding()
    # Zarr v3 knows strings of any length, but not numpy's of a fixed one.
    data = data.assign_coords({n: c.astype(object) for n, c in data.coords.items() if c.dtype.kind == "U"})
    encoding = {str(name): _encoding(data[name], rows, cols, chunk, shard) for name in data.data_vars}
    data = data.chunk({rows: shard, cols: shard}) if data.chunks else data
    with staged_folder(path) as part, quiet_zarr():
        data.to_zarr(part, mode="w", zarr_format=3, encoding=encoding, consolidated=True)
        _reopen(part, path)
    return path


def spatial_ref(crs: CRS, transform: Affine | None) -> dict[str, Any]:
    """CF grid_mapping attributes, as rioxarray and GDAL read them."""
    wkt = crs.to_wkt(version="WKT2_2019")
    attributes: dict[str, Any] = {"crs_wkt": wkt, "spatial_ref": wkt}
    if transform is not None:
        attributes["GeoTransform"] = " ".join(repr(float(v)) for v in transform.to_gdal())
    return attributes


def place_attributes(
    crs: CRS | None, transform: Affine | None, dims: tuple[str, str], shape: tuple[int, int]
) -> dict[str, Any]:
    """Group attributes of the CF, proj: and spatial: conventions."""
    attributes: dict[str, Any] = {"Conventions": "CF-1.11", "zarr_conventions": [dict(c) for c in CONVENTIONS]}
    attributes |= {"spatial:dimensions": list(dims), "spatial:shape": list(shape)}
    if transform is not None:
        attributes["spatial:transform"] = [float(v) for v in tuple(transform)[:6]]
    if crs is not None:
        code = crs.to_authority()
        key, value = ("proj:code", ":".join(code)) if code else ("proj:wkt2", crs.to_wkt(version="WKT2_2019"))
        attributes[key] = value
    return attributes


class ZarrSink:
    """A raster (band, y, x) as Zarr, written by window, best full rows from top to bottom."""

    def __init__(self, path: Path, spec: RasterSpec, name: str = "values") -> None:
        """Create the store beside ``path``; raises GeoadaptError where that cannot be."""
        self.path = path
        self.spec = spec
        self._part = part_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove(self._part)
            self._array = _create(self._part, spec, name)
        except OSError as error:
            self.abort()
            raise self._explained(error) from error
        self._rows = RowGatherer(spec.count, spec.width, spec.dtype, self._array.shards[1], self._put)

    def write(self, window: Window, values: NDArray[np.generic]) -> None:
        """Put values (c, h, w) at ``window``; full rows in order are gathered into whole shards."""
        if values.shape != (self.spec.count, window.height, window.width):
            raise GeoadaptError(self.path, f"values {values.shape} do not fit {window}")
        if window.col == 0 and window.width == self.spec.width:
            self._rows.add(window.row, values)
        else:
            self._put(window, values)

    def commit(self) -> Path:
        """Flush, reopen, and rename into place."""
        try:
            self._rows.flush()
            with quiet_zarr():
                zarr.consolidate_metadata(self._part)
            _reopen(self._part, self.path)
            return publish(self._part, self.path)
        except OSError as error:
            raise self._explained(error) from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove whatever was written."""
        remove(self._part)

    def __enter__(self) -> Self:
        """This sink."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not committed."""
        self.abort()

    def _put(self, window: Window, values: NDArray[np.generic]) -> None:
        rows = slice(window.row, window.row + window.height)
        cols = slice(window.col, window.col + window.width)
        try:
            self._array[:, rows, cols] = values
        except OSError as error:
            raise self._explained(error) from error

    def _explained(self, error: OSError) -> GeoadaptError:
        return GeoadaptError(self.path, f"cannot be written: {error}", "check the free space and the folder's rights")


def _create(part: Path, spec: RasterSpec, name: str) -> Any:
    """An empty store with coordinates and attributes; returns its array."""
    attributes = place_attributes(spec.crs, spec.transform, ("y", "x"), (spec.height, spec.width))
    group = zarr.create_group(part, zarr_format=3, attributes={**attributes, **spec.tags})
    chunks, shards = _blocks((spec.count, spec.height, spec.width), CHUNK, SHARD)
    own: dict[str, Any] = {"grid_mapping": "spatial_ref"} if spec.crs else {}
    if spec.categories:
        own |= {
            "flag_values": [c.value for c in spec.categories],
            "flag_meanings": " ".join(c.name for c in spec.categories),
        }
    if (spec.scale, spec.offset) != (1.0, 0.0):
        own |= {"scale_factor": spec.scale, "add_offset": spec.offset}
    fill = 0 if spec.nodata is None else spec.nodata
    if spec.nodata is not None:
        own["_FillValue"] = spec.nodata
    array = group.create_array(
        name,
        shape=(spec.count, spec.height, spec.width),
        dtype=spec.dtype,
        chunks=chunks,
        shards=shards,
        fill_value=fill,
        dimension_names=("band", "y", "x"),
        attributes=own,
    )
    if spec.crs is not None:
        mapping = group.create_array(
            "spatial_ref", shape=(), dtype="int64", attributes=spatial_ref(spec.crs, spec.transform)
        )
        mapping[...] = 0
    if spec.transform is not None and spec.transform.is_rectilinear:
        _axis(group, "x", spec.width, spec.transform.a, spec.transform.c, spec.crs)
        _axis(group, "y", spec.height, spec.transform.e, spec.transform.f, spec.crs)
    return array


def axis_coordinate(
    name: str, size: int, step: float, start: float, crs: CRS | None
) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Pixel centres along ``x`` or ``y`` and their CF attributes."""
    geographic = crs is not None and crs.is_geographic
    standard = {"x": "longitude", "y": "latitude"}[name] if geographic else f"projection_{name}_coordinate"
    units = {"x": "degrees_east", "y": "degrees_north"}[name] if geographic else "m"
    centres = np.asarray(start + (np.arange(size) + 0.5) * step, np.float64)
    return centres, {"standard_name": standard, "units": units, "axis": name.upper()}


def _axis(group: Any, name: str, size: int, step: float, start: float, crs: CRS | None) -> None:
    values, attributes = axis_coordinate(name, size, step, start, crs)
    axis = group.create_array(name, shape=(size,), dtype="float64", dimension_names=(name,), attributes=attributes)
    axis[:] = values


def _spatial_dims(data: xr.Dataset, path: Path) -> tuple[str, str]:
    for rows, cols in (("y", "x"), ("latitude", "longitude")):
        if rows in data.dims and cols in data.dims:
            return rows, cols
    raise GeoadaptError(
        path, f"the cube has dims {list(map(str, data.dims))}", "expected (…, y, x) or (…, latitude, longitude)"
    )


def _group_attributes(data: xr.Dataset, rows: str, cols: str) -> dict[str, Any]:
    crs = transform = None
    if "spatial_ref" in data.coords or "spatial_ref" in data.data_vars:
        own = data["spatial_ref"].attrs
        wkt = own.get("crs_wkt") or own.get("spatial_ref")
        crs = CRS.from_wkt(wkt) if wkt else None
        if "GeoTransform" in own:
            transform = Affine.from_gdal(*map(float, str(own["GeoTransform"]).split()))
    return place_attributes(crs, transform, (rows, cols), (data.sizes[rows], data.sizes[cols]))


def _encoding(variable: xr.DataArray, rows: str, cols: str, chunk: int, shard: int) -> dict[str, Any]:
    if rows not in variable.dims or cols not in variable.dims:
        return {}
    shape = tuple(variable.sizes[d] if d in (rows, cols) else 1 for d in variable.dims)
    chunks, shards = _blocks(shape, chunk, shard)
    return {"chunks": chunks, "shards": shards}


def _blocks(shape: tuple[int, ...], chunk: int, shard: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunks and shards for a shape whose last two axes are spatial; a shard is whole chunks."""
    lead = shape[:-2]
    chunks = tuple(min(chunk, n) for n in shape[-2:])
    shards = tuple(c * max(1, min(shard // c, math.ceil(n / c))) for c, n in zip(chunks, shape[-2:], strict=True))
    return (*lead, *chunks), (*lead, *shards)


@contextmanager
def quiet_zarr() -> Iterator[None]:
    """Consolidated metadata spare a reader many small requests, and a reader that does not know them ignores them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", zarr.errors.ZarrUserWarning)
        yield


def _reopen(part: Path, path: Path) -> None:
    try:
        with xr.open_zarr(part, chunks=None) as written:
            written.load() if written.nbytes < 2**20 else written.isel({d: slice(1) for d in written.dims}).load()
    except (OSError, ValueError, KeyError) as error:
        raise GeoadaptError(path, f"cannot be read back after writing: {error}", "check the disk") from error
