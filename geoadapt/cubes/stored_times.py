"""Time as files store it, decoded once, in the calendar that the file has; a date is never shifted.

In: a coordinate of numbers ("days since …"), or of dates. Out: datetime64[ns] (t,), or cftime where the calendar has no
29 February or has 30 days in every month; lead times as timedelta64[ns].
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.io.reason import reason

__all__ = ["decode_times", "timedeltas"]

_STANDARD = ("standard", "gregorian", "proleptic_gregorian", "")
_CALENDARS = {"365_days": "noleap", "365_day": "noleap", "360_days": "360_day", "366_day": "all_leap"}
_SINCE = re.compile(r"^\s*(?P<unit>[A-Za-z]+)\s+since\s+(?P<origin>.+?)\s*$")
_MONTHS = ("month", "months", "mon")
_ABSOLUTE = re.compile(r"^day as %Y%m%d", re.I)
_SECONDS: dict[str, float] = {
    "hours": 3600,
    "hour": 3600,
    "h": 3600,
    "days": 86400,
    "day": 86400,
    "d": 86400,
    "minutes": 60,
    "seconds": 1,
}
_SECONDS |= {"minute": 60, "min": 60, "second": 1, "s": 1}
_SECONDS |= {"milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9, "ns": 1e-9}


def decode_times(raw: xr.DataArray, where: str, units: str | None = None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Dates (t,) of a time coordinate and what was said about them; ``units`` stand in for the file's own.

    Raises GeoadaptError where a date is missing, no units are declared, or a standard date lies outside 1678–2262.
    """
    values = np.atleast_1d(raw.values)
    if values.dtype.kind == "M":
        return _whole(values.astype("datetime64[ns]"), where), ()
    if values.dtype == object:
        return values, ()
    text = str(units or raw.attrs.get("units", ""))
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise GeoadaptError(where, f"date {int(np.argmin(np.isfinite(values)))} of {values.size} is missing", "mend it")
    if _ABSOLUTE.match(text):
        return _absolute(values), ()
    calendar = str(raw.attrs.get("calendar", "")).lower()
    calendar = _CALENDARS.get(calendar, calendar)
    since = _SINCE.match(text)
    if since is None:
        told = f" ('{raw.attrs['long_name']}')" if "long_name" in raw.attrs else ""
        raise GeoadaptError(
            where,
            f"its time is {values[0]:g}…{values[-1]:g}{told} without units that say since when",
            "say units={'time': 'days since 1979-01-01'}, or what they are",
        )
    origin, said = _origin(since["origin"], calendar, where)
    if since["unit"].lower() in _MONTHS:
        return _months(values, origin, calendar, where), said
    return _decoded(values, f"{since['unit'].lower()} since {origin}", calendar, where), (*said, *_doubt(raw, values))


def timedeltas(raw: xr.DataArray, where: str, units: str | None = None) -> NDArray[np.timedelta64]:
    """Lead times (n,) as timedelta64[ns]; raises GeoadaptError where numbers have no units."""
    values = np.atleast_1d(raw.values)
    if values.dtype.kind == "m":
        return values.astype("timedelta64[ns]")
    text = str(units or raw.attrs.get("units", "")).lower()
    if text not in _SECONDS:
        raise GeoadaptError(
            where, f"its lead times have units '{text}'", "say units={'prediction_timedelta': 'hours'}, or days"
        )
    return np.round(values.astype(np.float64) * _SECONDS[text] * 1e9).astype("timedelta64[ns]")


def _decoded(values: NDArray[Any], units: str, calendar: str, where: str) -> NDArray[Any]:
    parts = values.dtype.kind == "f" and bool((values != np.round(values)).any())
    variable = xr.Variable(("time",), values, {"units": units, "calendar": calendar or "standard"})
    try:
        coder = xr.coders.CFDatetimeCoder(time_unit="us" if parts else "s")
        found = xr.decode_cf(xr.Dataset({"time": variable}), decode_times=coder)["time"].values
    except (ValueError, OverflowError) as error:
        raise GeoadaptError(
            where, f"its time ('{units}', calendar '{calendar}') cannot be read: {reason(error)}", ""
        ) from error
    if found.dtype.kind != "M":
        if calendar in _STANDARD:
            raise GeoadaptError(where, f"its dates {found[0]}…{found[-1]} lie outside of 1678–2262", "take a part")
        return np.asarray(found)
    if parts:  # Days as decimals miss whole seconds by rounding.
        found = (found + np.timedelta64(500, "ms")).astype("datetime64[s]")
    years = found.astype("datetime64[Y]").astype(int) + 1970
    if years.min() < 1678 or years.max() > 2261:
        raise GeoadaptError(where, f"its dates {found[0]}…{found[-1]} lie outside of 1678–2262", "take a part")
    return np.asarray(found.astype("datetime64[ns]"))


def _origin(text: str, calendar: str, where: str) -> tuple[str, tuple[str, ...]]:
    """The date that time counts from; month 0 and day 0 of old climate models are the first of each."""
    text = re.sub(r"\s*(?:Z|UTC|GMT)$", "", text.strip())
    found = re.match(r"^(\d{1,4})-(\d{1,2})-(\d{1,2})(.*)$", text)
    if found is None:
        return text, ()
    year, month, day = (int(found[i]) for i in (1, 2, 3))
    if month and day and (year or calendar not in _STANDARD):
        return text, ()
    if calendar in _STANDARD:
        raise GeoadaptError(where, f"its time counts from {text}, a date that does not exist", "say units={'time': …}")
    whole = f"{year:04d}-{month or 1:02d}-{day or 1:02d}{found[4]}"
    return whole, (f"time counts from {text}, read as {whole}",)


def _months(values: NDArray[Any], origin: str, calendar: str, where: str) -> NDArray[Any]:
    """Dates counted in calendar months; raises where a part of a month is counted, whose length is not one number."""
    if (values != np.round(values)).any():
        raise GeoadaptError(where, "its time counts parts of months", "say units={'time': 'days since …'}")
    first = _decoded(np.array([0]), f"days since {origin}", calendar, where)[0]
    if not isinstance(first, np.datetime64):
        moved = [divmod(first.month - 1 + int(v), 12) for v in values]
        return np.array([first.replace(year=first.year + y, month=m + 1) for y, m in moved])
    month = first.astype("datetime64[M]")
    rest = first - month.astype("datetime64[ns]")
    return np.asarray((month + values.astype(np.int64)).astype("datetime64[ns]") + rest)


def _absolute(values: NDArray[Any]) -> NDArray[Any]:
    """Dates that are written as numbers, YYYYMMDD with the part of the day as decimals."""
    days = np.floor(values).astype(np.int64)
    text = [f"{d // 10000:04d}-{d // 100 % 100:02d}-{d % 100:02d}" for d in days]
    seconds = np.round((values - days) * 86400).astype("timedelta64[s]")
    return np.asarray((np.array(text, "datetime64[s]") + seconds).astype("datetime64[ns]"))


def _doubt(raw: xr.DataArray, values: NDArray[Any]) -> tuple[str, ...]:
    """A warning where an undeclared calendar is probably one without leap days."""
    if raw.attrs.get("calendar") or values.size < 8 or not str(raw.attrs.get("units", "")).startswith("day"):
        return ()
    if (np.abs(np.diff(values.astype(np.float64)) - 365.0) < 1e-6).all():
        return ("no calendar is declared and every step is 365 days: the dates drift, if the model had no leap years",)
    return ()


def _whole(times: NDArray[np.datetime64], where: str) -> NDArray[np.datetime64]:
    if np.isnat(times).any():
        raise GeoadaptError(where, f"date {int(np.argmax(np.isnat(times)))} of {times.size} is missing", "mend it")
    return times
