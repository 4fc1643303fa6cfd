"""ERA5 as ARCO-ERA5 and WeatherBench 2 publish it, to a training cube: variables, levels, period, interval, grid.

In: a Zarr store in their layout, on disk or at ``gs://…``; or any archive that ``open_weather`` reads. Out: a training
cube (see ``chunks``). What is instantaneous is taken at the hour, or averaged; amounts are summed and fluxes averaged
over the interval that ends there.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_pipelines.chunks import TrainingCube, write_training
from data_pipelines.coarsen import Coarsening, coarse_grid
from data_pipelines.remote import open_archive
from geoadapt.cubes.variables import VARIABLES, Variable, find_variable
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["Era5Request", "prepare_era5", "training_cube"]

SUMMED = ("flux", "accumulation")
"""What a date of the archive says about the time since the date before."""


@dataclass(frozen=True, slots=True)
class Era5Request:
    """What of the archive is wanted; empty = all of it."""

    source: str
    """A path, or an address such as gs://weatherbench2/datasets/era5/1959-2023_01_10-6h-64x32_equiangular.zarr."""
    variables: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    """[hPa]."""
    start: str = ""
    end: str = ""
    interval: str = ""
    """Between two dates of the cube, such as 6h or 1d; empty = the archive's own."""
    average: bool = False
    """The mean over the interval that begins at each date, such as a daily mean, in place of the moment."""
    resolution: float = 0.0
    """Of the cube's grid [degrees]; 0 = the archive's own."""
    poles: bool = True
    """The coarser grid has points at the poles."""


def prepare_era5(request: Era5Request, path: Path, *, shard: int = 1) -> Path:
    """The training cube at ``path``, made unless it is there; an interrupted run is continued.

    Raises GeoadaptError where the archive lacks what is wanted, or has gaps in its dates.
    """
    return write_training(training_cube(request), path, shard=shard)


def training_cube(request: Era5Request) -> TrainingCube:
    """What ``prepare_era5`` writes."""
    archive = open_archive(request.source, request.variables, request.levels, request.start, request.end)
    source = _without_dates(archive)
    moving = source[[n for n, v in source.data_vars.items() if "time" in v.dims]]
    if not moving.data_vars:
        raise GeoadaptError(
            request.source, "holds no variable with dates", f"found {sorted(map(str, source.data_vars))}"
        )
    static = source[[n for n, v in source.data_vars.items() if "time" not in v.dims]].drop_vars("time", errors="ignore")
    summed = any(_variable(str(n)).kind in SUMMED for n in moving.data_vars)
    sampling = _Sampling.of(moving["time"].values, request, summed)
    coarse = _coarsening(source, request)
    names = {str(n): _renamed(str(n), sampling.every) for n in moving.data_vars}

    def region(dates: slice) -> xr.Dataset:
        fields = {names[str(n)]: sampling.taken(v, dates) for n, v in moving.data_vars.items()}
        made = xr.Dataset(fields)
        return made if coarse is None else coarse(made)

    still = static if coarse is None or not static.data_vars else coarse(static)
    label = {"pipeline": "era5", **asdict(request)}
    return TrainingCube(sampling.times, region, still.compute(), label)


def _without_dates(cube: xr.Dataset) -> xr.Dataset:
    """ARCO-ERA5 repeats what never changes at every hour: one is kept."""
    still = [n for n, v in cube.data_vars.items() if _variable(str(n)).kind == "static" and "time" in v.dims]
    return cube.assign({n: cube[n].isel(time=0, drop=True) for n in still})


def _variable(name: str) -> Variable:
    return find_variable(name) or Variable(name, "", 0, 0, "instant", False, (0, 0), (), (), ())


def _coarsening(source: xr.Dataset, request: Era5Request) -> Coarsening | None:
    if not request.resolution:
        return None
    own = tuple(np.asarray(source[d].values, np.float64) for d in ("latitude", "longitude"))
    return Coarsening((own[0], own[1]), coarse_grid(own[0], own[1], request.resolution, request.poles))


def _renamed(name: str, every: np.timedelta64) -> str:
    """An amount that bears its hours in its name bears others once it is summed."""
    base, _, hours = name.rpartition("_")
    if _variable(name).kind != "accumulation" or not (hours.endswith("hr") and hours[:-2].isdigit()):
        return name
    summed = f"{base}_{every // np.timedelta64(1, 'h')}hr"
    if summed not in VARIABLES:
        raise GeoadaptError(name, f"summed over {every}, it has no name", nearest(summed, VARIABLES))
    return summed


@dataclass(frozen=True, slots=True)
class _Sampling:
    """Which dates of the archive make each date of the cube."""

    times: NDArray[np.datetime64]
    first: int
    """Place of the first date of the cube in the archive."""
    length: int
    """Dates of the archive from one of the cube to the next."""
    average: bool
    every: np.timedelta64

    @classmethod
    def of(cls, archive: NDArray[np.datetime64], request: Era5Request, summed: bool) -> _Sampling:
        """Whole multiples of the interval since midnight, as far as what is ``summed`` or averaged is whole."""
        own = _regular(archive, request.source)
        every = _span(request.interval) if request.interval else own
        if every % own or (every < np.timedelta64(1, "D") and np.timedelta64(1, "D") % every):
            raise GeoadaptError("interval", f"{every} does not fit an archive of every {own}", "choose 6h, 12h or 1d")
        length = int(every / own)
        seconds = archive.astype("datetime64[s]").astype(np.int64)
        places = np.flatnonzero(seconds % int(every / np.timedelta64(1, "s")) == 0)
        before = length - 1 if summed and not request.average else 0
        after = length - (0 if summed else 1) if request.average and length > 1 else 0
        places = places[(places - before >= 0) & (places + after < len(archive))]
        if not len(places):
            raise GeoadaptError(request.source, f"holds no whole {every} in this period", "choose a longer one")
        return cls(archive[places], int(places[0]), length, request.average, every)

    def taken(self, field: xr.DataArray, dates: slice) -> xr.DataArray:
        """The cube's ``dates`` of a field of the archive, lazy."""
        start, stop = self.first + dates.start * self.length, self.first + dates.stop * self.length
        kind = _variable(str(field.name)).kind
        if self.length == 1 or (kind == "instant" and not self.average):
            return field.isel(time=slice(start, stop - self.length + 1, self.length))
        ahead = 1 if kind in SUMMED else 0
        ahead -= 0 if self.average else self.length
        window = field.isel(time=slice(start + ahead, stop + ahead)).chunk({"time": self.length}).drop_vars("time")
        parts = window.astype(np.float64).coarsen(time=self.length).construct(time=("time", "part"))
        made = parts.sum("part", skipna=False) if kind == "accumulation" else parts.mean("part", skipna=False)
        return made.assign_coords(time=self.times[dates]).astype(np.float32).assign_attrs(field.attrs)


def _regular(times: NDArray[np.datetime64], where: str) -> np.timedelta64:
    """The interval of an archive; raises GeoadaptError at the first gap."""
    if len(times) < 2:
        return np.timedelta64(1, "D")
    steps = np.diff(times)
    own = np.median(steps.astype(np.int64)).astype(np.int64).astype(steps.dtype)
    wrong = np.flatnonzero(steps != own)
    if len(wrong):
        raise GeoadaptError(
            where, f"after {times[wrong[0]]} its dates are not {own} apart", "choose a period without gaps"
        )
    return np.timedelta64(own, "s")


def _span(text: str) -> np.timedelta64:
    import pandas as pd

    try:
        span = np.timedelta64(pd.Timedelta(re.sub("d$", "D", text)).to_timedelta64(), "s")
    except ValueError as error:
        raise GeoadaptError("interval", f"'{text}' is no length of time", "write 6h, 12h or 1d") from error
    if span <= np.timedelta64(0, "s"):
        raise GeoadaptError("interval", f"'{text}'", "choose more than 0")
    return span
