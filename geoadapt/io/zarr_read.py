"""Zarr (v2, v3, consolidated or not, sharded) and NetCDF stores, read.

In: a folder or file. Out: a labelled Dataset, decoded once; or, for a store with an image, a Source of raw numbers.
"""

from __future__ import annotations

import zipfile
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.raster import check_window
from geoadapt.io.reason import reason

__all__ = ["StoreSource", "image_of", "is_netcdf", "is_store", "is_zarr", "open_store"]

_NETCDF_MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF\r\n\x1a\n")
_CONSOLIDATED = b'"consolidated_metadata"'
_Y_NAMES = ("y", "northing", "lat", "latitude")
_X_NAMES = ("x", "easting", "lon", "longitude")
_BAND_NAMES = ("band", "bands", "channel", "variable")


def is_zarr(path: Path) -> bool:
    """Whether ``path`` is a Zarr store: a folder with Zarr metadata, or a zipped one."""
    if path.is_dir():
        return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata", ".zarray"))
    return path.name.lower().endswith(".zarr.zip")


def is_netcdf(path: Path) -> bool:
    """Whether ``path`` is a NetCDF file, by its name and first bytes."""
    if path.suffix.lower() not in (".nc", ".nc4", ".cdf") or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(8).startswith(_NETCDF_MAGIC)


def is_store(path: Path) -> bool:
    """Whether ``path`` is a Zarr or NetCDF store."""
    return is_zarr(path) or is_netcdf(path)


def open_store(path: Path, chunks: object = None, *, decode: bool = True, decode_times: bool = True) -> xr.Dataset:
    """The Dataset of a store; lazy with dask where ``chunks`` is given. Raises GeoadaptError where it is damaged."""
    options: dict[str, Any] = {"chunks": chunks, "mask_and_scale": decode, "decode_coords": "all"}
    options["decode_times"] = decode_times
    try:
        if is_zarr(path):
            store, consolidated = _zarr_store(path)
            return xr.open_dataset(store, engine="zarr", consolidated=consolidated, **options)
        # An engine that is named keeps xarray from importing every other one, GRIB's among them, to ask if it would.
        return xr.open_dataset(path, engine="netcdf4", **options)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, zipfile.BadZipFile) as error:
        raise GeoadaptError(
            path, f"no Zarr or NetCDF store that can be read: {reason(error)}", "is it complete?"
        ) from error


def image_of(dataset: xr.Dataset) -> xr.DataArray | None:
    """The image in a dataset: one array with y, x and perhaps band and time, or its band variables stacked; else None.

    Dimensions come out as (time, band, y, x), where present; grids in degrees whose arrays have levels are no images.
    """
    arrays = {str(n): a for n, a in dataset.data_vars.items() if _is_image(a)}
    if not arrays:
        return None
    banded = {n: a for n, a in arrays.items() if any(d in _BAND_NAMES for d in a.dims)}
    if len(banded) == 1:
        return _canonical(next(iter(banded.values())))
    if banded or len({a.shape for a in arrays.values()}) > 1:
        return None
    if any(str(d) in ("lat", "latitude") for d in next(iter(arrays.values())).dims):
        return None
    stacked = xr.concat([_canonical(a) for a in arrays.values()], xr.DataArray(list(arrays), dims="band", name="band"))
    return stacked.transpose(*(["time"] if "time" in stacked.dims else []), "band", "y", "x")


class StoreSource:
    """An image in a Zarr or NetCDF store as a Source of raw numbers; one date."""

    def __init__(self, path: Path) -> None:
        """Open the store; raises GeoadaptError where it holds no single image, or more than one date."""
        self._dataset = open_store(path, decode=False)
        image = image_of(self._dataset)
        if image is None:
            listing = ", ".join(f"{n} {tuple(a.dims)}" for n, a in self._dataset.data_vars.items()) or "nothing"
            raise GeoadaptError(path, f"holds no image with y and x; found {listing}", "open it with open_cube")
        if image.sizes.get("time", 1) > 1:
            raise GeoadaptError(path, f"holds {image.sizes['time']} dates", "give one date, or use open_cube")
        time = image.coords["time"].values.reshape(-1)[0] if "time" in image.coords else None
        image = image.isel(time=0) if "time" in image.dims else image
        self._image = image if "band" in image.dims else image.expand_dims("band")
        self._info = _info(path, self._image, time, self._dataset)

    @property
    def info(self) -> SourceInfo:
        """What the image holds."""
        return self._info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``; raises GeoadaptError naming the store where a chunk is damaged."""
        check_window(window, self._info)
        rows, cols = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
        part = self._image if bands is None else self._image.isel(band=list(bands))
        try:
            values: NDArray[np.generic] = part.isel(y=rows, x=cols).transpose("band", "y", "x").values
        except (OSError, ValueError, RuntimeError) as error:
            raise GeoadaptError(
                self._info.origin,
                f"a chunk of '{self._image.name}' under {window} cannot be read: {error}",
                "copy it again",
            ) from error
        return values

    def close(self) -> None:
        """Release the store."""
        self._dataset.close()


def _zarr_store(path: Path) -> tuple[Any, bool]:
    """The store, and whether its metadata are consolidated; a zip often wraps the folder."""
    if path.is_dir():
        root = path / "zarr.json"
        return str(path), (path / ".zmetadata").is_file() or (root.is_file() and _CONSOLIDATED in root.read_bytes())
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.rsplit("/", 1)[-1] in ("zarr.json", ".zgroup", ".zmetadata")]
        top = min(names, key=lambda n: n.count("/"), default="").rpartition("/")[0]
        root_json = f"{top}/zarr.json".lstrip("/")
        consolidated = f"{top}/.zmetadata".lstrip("/") in names
        consolidated |= root_json in names and _CONSOLIDATED in archive.read(root_json)
    return f"zip://{top}::{path.resolve()}", consolidated


def _is_image(array: xr.DataArray) -> bool:
    names = {str(d).lower() for d in array.dims}
    extra = names - set(_Y_NAMES) - set(_X_NAMES) - set(_BAND_NAMES) - {"time"}
    return bool(names & set(_Y_NAMES)) and bool(names & set(_X_NAMES)) and not extra and array.dtype.kind in "fiu"


def _canonical(array: xr.DataArray) -> xr.DataArray:
    """The same array under the dimension names time, band, y, x, in that order."""
    renamed: dict[Hashable, str] = {}
    for known, name in ((_Y_NAMES, "y"), (_X_NAMES, "x"), (_BAND_NAMES, "band")):
        renamed |= {d: name for d in array.dims if str(d).lower() in known and str(d) != name}
    array = array.rename(renamed)
    return array.transpose(*[d for d in ("time", "band", "y", "x") if d in array.dims])


def _info(path: Path, image: xr.DataArray, time: Any, dataset: xr.Dataset) -> SourceInfo:
    bands = tuple(str(b) for b in image["band"].values) if "band" in image.coords else ()
    count = image.sizes["band"]
    scale, offset = float(image.attrs.get("scale_factor", 1.0)), float(image.attrs.get("add_offset", 0.0))
    fill = image.attrs.get("_FillValue", image.encoding.get("_FillValue", image.attrs.get("missing_value")))
    named = bands and not all(b.isdigit() for b in bands)
    return SourceInfo(
        origin=str(path),
        height=image.sizes["y"],
        width=image.sizes["x"],
        bands=bands if named else tuple(f"band_{i + 1}" for i in range(count)),
        dtype=image.dtype,
        crs=crs_of(image, dataset),
        transform=transform_of(image),
        nodata=None if fill is None else float(np.asarray(fill).reshape(-1)[0]),
        scale=() if scale == 1.0 else (scale,) * count,
        offset=() if offset == 0.0 else (offset,) * count,
        time=_moment(time, image),
        tags={str(k): str(v) for k, v in dataset.attrs.items()},
    )


def crs_of(image: xr.DataArray, dataset: xr.Dataset) -> CRS | None:
    """The CRS in the CF grid mapping, None where there is none."""
    name = str(image.attrs.get("grid_mapping", image.encoding.get("grid_mapping", "spatial_ref")))
    holder: Mapping[Hashable, Any] = {**dataset.variables, **image.coords}
    attributes = holder[name].attrs if name in holder else {}
    text = attributes.get("crs_wkt") or attributes.get("spatial_ref")
    try:
        return CRS.from_wkt(text) if text else None
    except CRSError as error:
        raise GeoadaptError(
            dataset.encoding.get("source", "store"), "its CRS cannot be read", "expected WKT"
        ) from error


def transform_of(image: xr.DataArray) -> Affine | None:
    """The affine transform of regular x and y coordinates, None where there are none; raises where irregular."""
    if (
        "x" not in image.coords
        or "y" not in image.coords
        or image["x"].ndim != 1
        or min(image.sizes["y"], image.sizes["x"]) < 2
    ):
        return None
    steps = []
    for name in ("x", "y"):
        values = image[name].values.astype(np.float64)
        step = (values[-1] - values[0]) / (values.size - 1)
        if np.abs(np.diff(values) - step).max() > abs(step) * 1e-3:
            raise GeoadaptError("store", f"its {name} coordinates are not evenly spaced", "bring it to a regular grid")
        steps.append((values[0] - step / 2, step))
    (left, width), (top, height) = steps
    return Affine(width, 0.0, left, 0.0, height, top)


def _moment(value: Any, image: xr.DataArray) -> datetime | None:
    if value is None:
        return None
    if not np.issubdtype(np.asarray(value).dtype, np.datetime64):
        decoded = xr.decode_cf(image.to_dataset(name="image"))["time"].values.reshape(-1)[0]
        if not np.issubdtype(np.asarray(decoded).dtype, np.datetime64):
            return None
        value = decoded
    seconds = np.datetime64(value, "us").astype(np.int64) / 1e6
    return None if np.isnat(value) else datetime.fromtimestamp(float(seconds), tz=UTC)
