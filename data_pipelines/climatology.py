"""Climatologies in the layouts of WeatherBench 2 and ChaosBench; Prithvi WxC's is made by ``prithvi_climate``.

In: a lazy canonical cube of whole years. Out: a Zarr store, whole or absent.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
import zarr.errors
from numpy.typing import NDArray

from data_pipelines.moments import measure, values
from geoadapt.cubes.climatology import DAYS, build_climatology
from geoadapt.cubes.units import GRAVITY
from geoadapt.cubes.variables import channel_name
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import staged_folder

__all__ = ["chaosbench_climatology", "weatherbench_climatology"]

BAND = 2**30
"""Bytes of rows whose days are held together, about."""


def weatherbench_climatology(cube: xr.Dataset, path: Path, *, window: int = 61) -> Path:
    """WeatherBench 2's layout as Zarr, dims (hour, dayofyear, [level], latitude, longitude); one day is one chunk.

    ``NAME`` is the mean and ``NAME_std`` the standard deviation within ``window`` days (see ``build_climatology``).
    Variables are done one by one and rows band by band, so that memory does not grow with the archive.
    """
    moving = _moving(cube)
    hours = len(np.unique(moving["time"].dt.hour.values))
    with staged_folder(path) as part:
        for name, field in moving.data_vars.items():
            row = hours * DAYS * 8 * int(np.prod([n for d, n in field.sizes.items() if d not in ("time", "latitude")]))
            for first, band in enumerate(_bands(field.sizes["latitude"], max(1, BAND // row))):
                made = build_climatology(moving[[str(name)]].isel(latitude=band), window=window)
                if not first:
                    _allocate(part, made, {"latitude": moving["latitude"].values}, ("hour", "dayofyear"))
                _put(part, made, {"latitude": band})
        _seal(part)
    return path


def chaosbench_climatology(cube: xr.Dataset, path: Path) -> Path:
    """ChaosBench's numbers as Zarr: ``mean`` and ``sigma`` per channel over all days and grid points, and by day.

    ``doy_mean`` and ``doy_sigma`` have dims (channel, doy, latitude, longitude). Every grid point counts alike. Days
    are numbered within their year, so that those after a 29 February are not aligned with other years', and
    geopotential is in gpm, both as there. Raises GeoadaptError for more than one state a day.
    """
    moving = _moving(cube)
    if len(np.unique(moving["time"].dt.hour.values)) != 1:
        raise GeoadaptError("climatology", "ChaosBench has one state a day", "prepare the cube with interval=1d")
    places = [
        (str(n), i) for n, v in moving.data_vars.items() for i in range(v.sizes["level"] if "level" in v.dims else 1)
    ]
    names = [channel_name(n, float(cube["level"][i]) if "level" in cube[n].dims else None) for n, i in places]
    units = [GRAVITY if n == "geopotential" else 1.0 for n, _ in places]
    whole = measure(moving, {"value": values})
    scalars = {
        key: (
            "channel",
            np.array([getattr(whole[n]["value"], own)[i] / u for (n, i), u in zip(places, units, strict=True)]),
        )
        for key, own in (("mean", "mean"), ("sigma", "std"))
    }
    channel = {"channel": np.array(names, object)}
    with staged_folder(path) as part:
        xr.Dataset(scalars, coords=channel).to_zarr(part, mode="a", zarr_format=3, consolidated=False)
        for place, ((name, index), unit) in enumerate(zip(places, units, strict=True)):
            one = moving[[name]].isel({"level": index} if "level" in moving[name].dims else {}, drop=True)
            daily = build_climatology(one, window=1).isel(hour=0, drop=True).rename(dayofyear="doy")
            both = {"doy_mean": daily[name], "doy_sigma": daily[f"{name}_std"]}
            made = xr.Dataset({k: (v / np.float32(unit)).expand_dims("channel") for k, v in both.items()})
            if not place:
                _allocate(part, made, channel, ("channel",))
            _put(part, made, {"channel": slice(place, place + 1)})
        _seal(part)
    return path


def _bands(size: int, width: int) -> Iterator[slice]:
    for start in range(0, size, width):
        yield slice(start, min(start + width, size))


def _moving(cube: xr.Dataset) -> xr.Dataset:
    moving = cube[[n for n, v in cube.data_vars.items() if "time" in v.dims]]
    if not moving.data_vars:
        raise GeoadaptError("climatology", "the cube has no variable with dates", f"found {list(map(str, cube))}")
    return moving


def _allocate(store: Path, sample: xr.Dataset, whole: dict[str, NDArray[Any]], single: tuple[str, ...]) -> None:
    """Arrays like those of ``sample`` in a store, as long as the coordinates in ``whole``, chunk 1 along ``single``."""
    made = {}
    for name, field in sample.data_vars.items():
        shape = tuple(len(whole[str(d)]) if d in whole else n for d, n in field.sizes.items())
        chunks = tuple(1 if d in single else n for d, n in zip(field.dims, shape, strict=True))
        made[name] = xr.DataArray(da.empty(shape, dtype=np.float32, chunks=chunks), dims=field.dims, attrs=field.attrs)
    coords = {str(c): v for c, v in sample.coords.items() if c not in whole}
    empty = xr.Dataset(made, coords={**coords, **whole}, attrs=sample.attrs).drop_encoding()
    empty.to_zarr(store, mode="a", zarr_format=3, compute=False, consolidated=False)


def _put(store: Path, fields: xr.Dataset, region: dict[str, slice]) -> None:
    bare = fields.drop_vars(list(fields.coords))
    # Rows of a chunk may come one band after the other; nothing else writes at the same time.
    bare.to_zarr(store, mode="r+", region=region, safe_chunks=False, consolidated=False)


def _seal(store: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(store)
