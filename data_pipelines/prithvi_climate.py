"""The climatology that Prithvi WxC reads: a file for every day of the year and hour, surface and levels apart.

In: a cube of ``merra2`` of whole years. Out: a folder, whole or absent; making it reads the archive several times and
goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed
from numpy.typing import NDArray

from data_pipelines.merra2_layout import LEVELS, SURFACE, VERTICAL
from data_pipelines.resume import Making, label_text
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import write_text
from geoadapt.io.zarr_read import open_store

__all__ = ["climate_at", "prithvi_climatology"]

PRITHVI_DAYS = 365
"""The 31 December of a leap year counts as the day before."""
BLOCK_DAYS = 30
"""Days of the year whose running sums start from one fresh sum."""
TOGETHER = 4
"""Tasks that run at once, each with the sums of one state in memory."""
ABOUT = "about.json"


def prithvi_climatology(source: Path, folder: Path, *, window: int = 61) -> Path:
    """Prithvi WxC's files ``climate_surface_doyDDD_hourHH.nc`` and ``climate_vertical_…`` from a cube of ``merra2``.

    Each is the mean over all years of the dates at its hour within ``window`` days around its day. Sums run from day
    to day in double precision, from a fresh one every ``BLOCK_DAYS`` days, one dask task each: the bits depend on
    neither interruptions nor workers. Raises GeoadaptError for an even window, a day without dates and missing values.
    """
    if window < 1 or window % 2 == 0 or window >= PRITHVI_DAYS:
        raise GeoadaptError("window", f"{window} days has no centre", f"choose an odd number below {PRITHVI_DAYS}")
    with _opened(source) as cube:
        times = cube["time"].values
        hours = np.unique(cube["time"].dt.hour.values)
    about = {"window": window, "first": str(times[0]), "last": str(times[-1]), "dates": len(times)}
    making = Making(folder, label_text({"pipeline": "prithvi_climatology", "source": str(source), **about}))
    if folder.exists():
        if (folder / ABOUT).is_file() and (folder / ABOUT).read_text(encoding="utf-8") == making.label:
            return folder
        raise GeoadaptError(folder, "exists, and was made from something else", "name another folder, or remove it")
    with making.alone():
        if not making.begun():
            making.product.mkdir()
            write_text(making.product / ABOUT, making.label)
            making.begin()
        parts = [(int(hour), block) for hour in hours for block in _bands(PRITHVI_DAYS, BLOCK_DAYS)]
        left = [
            p for p in parts if not making.has(_part_name(*p), (f for f in _paths(making.product, *p) if f.exists()))
        ]
        for some in (left[i : i + TOGETHER] for i in range(0, len(left), TOGETHER)):
            compute(*(delayed(_climate_block)(source, making.product, *p, window) for p in some))  # type: ignore[no-untyped-call]
            for part in some:
                making.note(_part_name(*part), _paths(making.product, *part))
        return making.publish()


def climate_at(folder: Path, field: xr.DataArray) -> xr.DataArray:
    """The climatology at the dates of a field (time, …) of a cube of ``merra2``, lazy, from the files in ``folder``."""
    when = [(min(int(t.day_of_year), PRITHVI_DAYS), int(t.hour)) for t in field.indexes["time"]]
    read = delayed(_climate_values)(folder, str(field.name), when)
    return field.copy(data=da.from_delayed(read, field.shape, np.float32))  # type: ignore[no-untyped-call]


def _climate_values(folder: Path, name: str, when: list[tuple[int, int]]) -> NDArray[np.float32]:
    kind = "vertical" if name in VERTICAL else "surface"
    files = (_file(folder / f"climate_{kind}_doy{day:03d}_hour{hour:02d}.nc") for day, hour in when)
    return np.stack([f[name].sel(lev=list(LEVELS)).values if kind == "vertical" else f[name].values for f in files])


@lru_cache(maxsize=16)
def _file(path: Path) -> xr.Dataset:
    if not path.is_file():
        raise GeoadaptError(path, "is not there", "make it with prithvi_climatology")
    with open_store(path) as stored:
        return stored.load()


def _climate_block(source: Path, folder: Path, hour: int, block: slice, window: int) -> None:
    """The files of the days in ``block`` (from 0) at one hour."""
    half = window // 2
    with _opened(source) as cube:
        days = np.minimum(cube["time"].dt.day_of_year.values, PRITHVI_DAYS)
        own = cube["time"].dt.hour.values == hour
        of_day = [np.flatnonzero((days == day) & own) for day in range(1, PRITHVI_DAYS + 1)]
        total = _Total(cube[[*SURFACE, *VERTICAL]], source)
        for day in range(block.start - half, block.start + half + 1):
            total.add(of_day[day % PRITHVI_DAYS], 1)
        for day in range(block.start, block.stop):
            if day > block.start:
                total.add(of_day[(day - half - 1) % PRITHVI_DAYS], -1)
                total.add(of_day[(day + half) % PRITHVI_DAYS], 1)
            _write_day(folder, hour, day, total.mean(day, hour), cube)


def _write_day(folder: Path, hour: int, day: int, mean: dict[str, NDArray[np.float32]], cube: xr.Dataset) -> None:
    grid = {"lat": cube["latitude"].values, "lon": cube["longitude"].values}
    surface = xr.Dataset({n: (("lat", "lon"), mean[n]) for n in SURFACE}, coords=grid)
    levels = {**grid, "lev": np.asarray(LEVELS, np.float64)}
    vertical = xr.Dataset({n: (("lev", "lat", "lon"), mean[n]) for n in VERTICAL}, coords=levels)
    for path, table in zip(_paths(folder, hour, slice(day, day + 1)), (surface, vertical), strict=True):
        table.to_netcdf(path, engine="h5netcdf")  # it counts once its block is noted as finished


class _Total:
    """Sums of all fields over a set of dates, one date after the other."""

    def __init__(self, cube: xr.Dataset, source: Path) -> None:
        self._cube, self._source, self._count = cube, source, 0
        self._sums = {str(n): np.zeros(v.shape[1:]) for n, v in cube.data_vars.items()}

    def add(self, dates: NDArray[np.intp], sign: int) -> None:
        """Take dates in (1) or out again (−1)."""
        for date in dates:
            for name, total in self._sums.items():
                total += sign * self._cube[name][int(date)].values.astype(np.float64)
        self._count += sign * len(dates)

    def mean(self, day: int, hour: int) -> dict[str, NDArray[np.float32]]:
        """What the sums make by name; raises GeoadaptError where there is no date, or a value was missing."""
        if not self._count:
            raise GeoadaptError(self._source, f"has no date near day {day + 1} at {hour:02d} h", "give whole years")
        lost = [name for name, total in self._sums.items() if not np.isfinite(total).all()]
        if lost:
            raise GeoadaptError(self._source, f"'{lost[0]}' has missing values", "fill them before, as merra2 does")
        return {name: (total / self._count).astype(np.float32) for name, total in self._sums.items()}


def _opened(source: Path) -> xr.Dataset:
    """A cube of ``merra2`` with levels from 34 to 72, read when asked for."""
    cube = open_store(source)
    missing = [name for name in (*SURFACE, *VERTICAL) if name not in cube]
    if missing:
        raise GeoadaptError(source, f"lacks {missing}", "make it with merra2")
    return cube.sel(model_level=list(LEVELS))


def _part_name(hour: int, block: slice) -> str:
    return f"hour{hour:02d}_doy{block.start + 1:03d}"


def _paths(folder: Path, hour: int, days: slice) -> list[Path]:
    return [
        folder / f"climate_{kind}_doy{day + 1:03d}_hour{hour:02d}.nc"
        for day in range(days.start, days.stop)
        for kind in ("surface", "vertical")
    ]


def _bands(size: int, width: int) -> Iterator[slice]:
    for start in range(0, size, width):
        yield slice(start, min(start + width, size))
