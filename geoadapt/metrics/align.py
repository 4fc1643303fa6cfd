"""A stored forecast, its truth and a climatology, brought together: same channels, same grid, same valid times.

In: datasets in WeatherBench 2's layout, lazily opened. Out: arrays (b, n, [m], c, h, w) of a few dates at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.cubes.climatology import climatology_at
from geoadapt.cubes.units import parse_units
from geoadapt.cubes.variables import channel_name
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["Archive", "Source", "check_forecast", "climate_reader", "open_source", "sources"]

Values = NDArray[np.floating]
TIME, LEAD, MEMBER, LEVEL = "time", "prediction_timedelta", "number", "level"
SPACE = ("latitude", "longitude")
OTHER_NAMES = {"init_time": TIME, "lead_time": LEAD, "step": LEAD, "realization": MEMBER, "member": MEMBER}
"""Of the same axes, in WeatherBench-X and elsewhere."""
UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
"""Of lead times that are stored as numbers [s]."""
TOLERANCE = 1e-3
"""Between the coordinates of two files that mean the same point [degrees]."""


@dataclass(frozen=True, slots=True)
class Source:
    """One variable of a forecast and, on the same points, of its truth."""

    name: str
    channels: tuple[str, ...]
    levels: tuple[float, ...]
    """Of the channels; none for a variable without levels."""
    forecast: xr.DataArray
    truth: xr.DataArray
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    """Where the forecast's latitudes and longitudes stand in the truth's."""


def check_forecast(forecast: xr.Dataset) -> xr.Dataset:
    """The forecast with its dims named as in WeatherBench 2; raises GeoadaptError where it is none."""
    known = {name for name in (*forecast.dims, *forecast.coords)}
    forecast = forecast.rename({k: v for k, v in OTHER_NAMES.items() if k in known and v not in known})
    for name in (TIME, LEAD, *SPACE):
        if name not in forecast.coords or forecast[name].ndim > 1:
            found = ", ".join(map(str, forecast.dims))
            raise GeoadaptError("forecast", f"has no axis '{name}', only {found}", "expected WeatherBench 2's layout")
    units = UNITS.get(str(forecast[LEAD].attrs.get("units", "")).lower())
    if forecast[LEAD].dtype.kind in "iuf" and units:
        seconds = np.round(forecast[LEAD].values.astype(np.float64) * units).astype("timedelta64[s]")
        forecast = forecast.assign_coords({LEAD: (forecast[LEAD].dims, seconds.astype("timedelta64[ns]"))})
    if forecast[LEAD].dtype.kind != "m":
        raise GeoadaptError("forecast", f"{LEAD} is {forecast[LEAD].dtype}, no duration", "set its units to 'hours'")
    if forecast[TIME].dtype.kind != "M":
        raise GeoadaptError("forecast", f"{TIME} is {forecast[TIME].dtype}, no date", "set its units and calendar")
    missing = [name for name in (TIME, LEAD) if name not in forecast.dims]
    return forecast.expand_dims(missing) if missing else forecast


def sources(
    forecast: xr.Dataset, truth: xr.Dataset, variables: Sequence[str] | None
) -> tuple[list[Source], tuple[str, ...]]:
    """What both hold, and sentences that name what only one of them holds.

    Raises GeoadaptError where an asked variable is missing, where nothing is common, and where grids differ.
    """
    names = [str(n) for n, v in forecast.data_vars.items() if {TIME, LEAD, *SPACE} <= set(v.dims)]
    for name in variables or ():
        for what, data in (("forecast", names), ("truth", [str(n) for n in truth.data_vars])):
            if name not in data:
                raise GeoadaptError(what, f"has no variable '{name}'", nearest(name, data))
    rows, columns = _places(forecast, truth)
    found, missing = [], []
    for name in variables or names:
        if name not in truth:
            missing.append(f"{name}: the truth does not have it")
            continue
        said, true = forecast[name], truth[name]
        _same_units(name, said, true, "truth")
        levels: tuple[float, ...] = ()
        if (LEVEL in said.dims) != (LEVEL in true.dims):
            raise GeoadaptError(name, "has levels in only one of forecast and truth", "select a level of the other")
        if LEVEL in said.dims:
            levels = tuple(float(v) for v in said[LEVEL].values if v in true[LEVEL].values)
            lacking = [f"{v:g}" for v in said[LEVEL].values if v not in true[LEVEL].values]
            missing += [f"{name}: the truth does not have {', '.join(lacking)} hPa"] if lacking else []
            if not levels:
                continue
        channels = tuple(channel_name(name, v) for v in levels) or (channel_name(name),)
        found.append(Source(name, channels, levels, said, true, rows, columns))
    if not found:
        raise GeoadaptError("truth", "has none of the forecast's variables", f"forecast: {', '.join(names)}")
    return found, tuple(missing)


def _same_units(name: str, forecast: xr.DataArray, other: xr.DataArray, what: str) -> None:
    """Raise GeoadaptError where both declare units that are known and differ."""
    pair = [str(data.attrs.get("units", "")) for data in (forecast, other)]
    read = [parse_units(text) for text in pair]
    if None not in read and read[0] != read[1]:
        problem = f"the forecast is in {pair[0]}, the {what} in {pair[1]}"
        raise GeoadaptError(name, problem, "open both with geoadapt.cubes.weather.open_weather, or convert one")


def _places(forecast: xr.Dataset, truth: xr.Dataset) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the forecast's rows and columns are in the truth; longitudes may count from 0 or from −180."""
    found = []
    for name in SPACE:
        if name not in truth.coords:
            raise GeoadaptError("truth", f"has no axis '{name}'", "expected a canonical cube")
        own, other = (np.asarray(data[name].values, np.float64) for data in (forecast, truth))
        gap = np.abs(own[:, None] - other)
        if name == "longitude":
            gap = np.minimum(gap % 360, -gap % 360)
        at = gap.argmin(axis=1)
        if gap[np.arange(own.size), at].max() > TOLERANCE:
            sizes = [f"{np.size(d['latitude'])} × {np.size(d['longitude'])}" for d in (forecast, truth)]
            worst = own[gap[np.arange(own.size), at].argmax()]
            raise GeoadaptError(
                "truth", f"has no {name} {worst:g}: grids {sizes[0]} and {sizes[1]} differ", "regrid one of them"
            )
        found.append(at.astype(np.intp))
    return found[0], found[1]


class Archive:
    """Fields (b, c, h, w) of one variable by date, on the forecast's points; each is read once while it is needed."""

    def __init__(self, source: Source, values: xr.DataArray) -> None:
        self._values = _ordered(source, values)
        self._rows, self._columns = source.rows, source.columns
        self._place = {t: i for i, t in enumerate(np.asarray(values[TIME].values, "datetime64[ns]"))}
        self._kept: dict[np.datetime64, Values] = {}

    def knows(self, times: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Which dates (…) there are."""
        flat = [t in self._place for t in np.asarray(times, "datetime64[ns]").ravel()]
        return np.asarray(flat, bool).reshape(np.shape(times))

    def load(self, times: NDArray[np.datetime64]) -> None:
        """Hold the fields of these dates, and forget the others."""
        wanted = [t for t in np.unique(np.asarray(times, "datetime64[ns]")) if t in self._place]
        self._kept = {t: self._kept[t] for t in wanted if t in self._kept}
        new = [t for t in wanted if t not in self._kept]
        if new:
            read = self._values.isel({TIME: [self._place[t] for t in new]}).values
            for time, field in zip(new, read, strict=True):
                self._kept[time] = field[..., self._rows, :][..., self._columns]

    def at(self, times: NDArray[np.datetime64]) -> Values:
        """The fields of dates that were loaded."""
        return np.stack([self._kept[t] for t in np.asarray(times, "datetime64[ns]")])


def _ordered(source: Source, values: xr.DataArray) -> xr.DataArray:
    """Dims (…, c, latitude, longitude): a channel axis whether there are levels or not."""
    if source.levels:
        where = [int(np.flatnonzero(values[LEVEL].values == level)[0]) for level in source.levels]
        values = values.isel({LEVEL: where})
    else:
        values = values.expand_dims({LEVEL: 1}, axis=-1)
    return values.transpose(..., LEVEL, *SPACE)


def open_source(source: Source) -> tuple[xr.DataArray, Archive]:
    """The forecast (time, lead, [member], c, latitude, longitude), and its truth by date."""
    own = _ordered(source, source.forecast)
    front = [d for d in (TIME, LEAD, MEMBER) if d in own.dims]
    spare = [str(d) for d in own.dims if d not in (*front, LEVEL, *SPACE)]
    if spare:
        raise GeoadaptError(source.name, f"has dims {', '.join(spare)} that are unknown here", "select one of each")
    return own.transpose(*front, LEVEL, *SPACE), Archive(source, source.truth)


def climate_reader(
    source: Source, climatology: xr.Dataset, name: str, yearly: bool = False
) -> Callable[[NDArray[Any]], Values] | None:
    """A function from valid times (b,) to fields (b, c, h, w) of ``name``; None where the climatology lacks it.

    ``yearly`` takes the mean over hours and days. The climatology must have the forecast's points.
    """
    if name not in climatology:
        return None
    rows, columns = _places(source.forecast.to_dataset(name="forecast"), climatology)
    if name == source.name:
        _same_units(name, source.forecast, climatology[name], "climatology")
    values = _ordered(source, climatology[name])
    if yearly:
        values = values.mean([d for d in ("hour", "dayofyear") if d in values.dims])
    if "dayofyear" not in values.dims:
        fixed = np.asarray(values.values)[..., rows, :][..., columns]
        return lambda times: np.broadcast_to(fixed, (len(times), *fixed.shape[-3:]))
    return lambda times: np.asarray(climatology_at(values, times).values)[..., rows, :][..., columns]
