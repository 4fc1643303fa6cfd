"""Climatology by hour and day of the year: mean, spread, and for precipitation how often it is dry.

In: a canonical cube of whole years. Out: WeatherBench 2's layout, dims (hour, dayofyear, [level], latitude, longitude).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["DAYS", "build_climatology", "climatology_at"]

DAYS = 366
"""Every day of a leap year. A date is looked up by its own day of the year: in a year without a 29 February the days
after it stand one earlier, as in WeatherBench 2; with a window of weeks that does not show."""
AT_ONCE = 64
"""Fields that are read together."""
Floats = NDArray[np.float64]


def build_climatology(cube: xr.Dataset, variables: Sequence[str] | None = None, *, window: int = 61) -> xr.Dataset:
    """Mean ``NAME`` and standard deviation ``NAME_std`` of every variable, float32.

    Each day's statistics are those of all dates within a triangle of ``window`` days (odd) around it, over the turn of
    the year, weighted by nearness. Values are summed one date after the other in float64, so that the bits depend on
    neither chunks nor threads. NaN are left out; what has no value stays NaN. One field by hours and days is held in
    memory at a time. Raises GeoadaptError for a window that is none and where there is no date.
    """
    if window < 1 or window % 2 == 0 or window > DAYS:
        raise GeoadaptError("window", f"{window} days has no centre", f"choose an odd number up to {DAYS - 1}")
    names = [str(name) for name in (variables or cube.data_vars)]
    for name in names:
        if name not in cube:
            raise GeoadaptError("climatology", f"'{name}' is not in the cube", nearest(name, map(str, cube.data_vars)))
    if cube.sizes.get("time", 0) == 0:
        raise GeoadaptError("climatology", "the cube has no date", "give whole years")
    hours = np.unique(cube["time"].dt.hour.values)
    found = {}
    for name in names:
        own = cube[name].transpose("time", ..., "latitude", "longitude")
        mean, spread = _statistics(own, hours, window)
        dims = ("hour", "dayofyear", *own.dims[1:])
        attributes = {k: own.attrs[k] for k in ("units",) if k in own.attrs}
        found[name] = xr.DataArray(mean, dims=dims, attrs=attributes)
        found[f"{name}_std"] = xr.DataArray(spread, dims=dims, attrs=attributes)
    axes = {d: cube[d] for d in ("level", "latitude", "longitude") if any(d in v.dims for v in found.values())}
    made = xr.Dataset(found, coords={"hour": hours, "dayofyear": np.arange(1, DAYS + 1), **axes})
    years = cube["time"].dt.year.values
    made.attrs = {"first_year": int(years.min()), "last_year": int(years.max()), "window_days": window}
    return made


def _statistics(
    values: xr.DataArray, hours: NDArray[np.integer], window: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (hour, day, [level], latitude, longitude)."""
    shape = (len(hours), DAYS, *values.shape[1:])
    mean, spread = np.empty(shape, np.float32), np.empty(shape, np.float32)
    of_hour = [np.flatnonzero(values["time"].dt.hour.values == hour) for hour in hours]
    days = values["time"].dt.dayofyear.values
    for level in np.ndindex(*values.shape[1:-2]):
        for index, dates in enumerate(of_hour):
            parts = _sums(values[:, *level], dates, days)
            count, first, second = (_smooth(part, window) for part in parts[:3])
            with np.errstate(invalid="ignore", divide="ignore"):
                centre = first / count
                variance = np.maximum(second / count - centre**2, 0)
            mean[index, :, *level] = np.where(count > 0, centre + parts[3], np.nan)
            spread[index, :, *level] = np.where(count > 0, np.sqrt(variance), np.nan)
    return mean, spread


def _sums(
    values: xr.DataArray, dates: NDArray[np.intp], days: NDArray[np.integer]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Per day of the year: how many values, their sum and sum of squares about a reference, and the reference."""
    grid = values.shape[-2:]
    count, first, second = (np.zeros((DAYS, *grid)) for _ in range(3))
    reference = np.nan_to_num(np.asarray(values[int(dates[0])].values, np.float64))
    for some in np.split(dates, range(AT_ONCE, len(dates), AT_ONCE)):
        for day, field in zip(days[some] - 1, values[some].values, strict=True):
            deviation = field - reference
            known = np.isfinite(deviation)
            deviation = np.where(known, deviation, 0)
            count[day] += known
            first[day] += deviation
            second[day] += deviation * deviation
    return count, first, second, reference


def _smooth(values: Floats, window: int) -> Floats:
    """Weighted sums over the window around each day (days, h, w), added in a fixed order."""
    half = window // 2
    total = np.zeros_like(values)
    for offset in range(-half, half + 1):
        total += (1 - abs(offset) / (half + 1)) * np.roll(values, -offset, axis=0)
    return total


def climatology_at(climatology: xr.DataArray, times: NDArray[np.datetime64]) -> xr.DataArray:
    """The climatology (time, …) at valid times (t,), by their hour and day of the year.

    A climatology of a single hour, or without hours, serves all hours. Raises GeoadaptError for an hour or day that it
    lacks.
    """
    when = xr.DataArray(np.asarray(times, "datetime64[ns]"), dims="time")
    picked: dict[str, xr.DataArray] = {}
    asked = [("dayofyear", when.dt.dayofyear)]
    if climatology.sizes.get("hour", 1) > 1:
        asked.append(("hour", when.dt.hour))
    elif "hour" in climatology.dims:
        climatology = climatology.isel(hour=0, drop=True)
    for name, wanted in asked:
        if name not in climatology.dims or name not in climatology.coords:
            raise GeoadaptError("climatology", f"has no {name}", "expected dims (hour, dayofyear, …) with coordinates")
        known = climatology[name].values
        lacking = np.setdiff1d(wanted.values, known)
        if lacking.size:
            raise GeoadaptError("climatology", f"has no {name} {lacking[0]}", f"it has {known[0]} to {known[-1]}")
        order = np.argsort(known)
        picked[name] = xr.DataArray(order[np.searchsorted(known, wanted.values, sorter=order)], dims="time")
    return climatology.isel(picked).transpose("time", ...)
