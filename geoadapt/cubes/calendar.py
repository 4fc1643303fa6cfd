"""Dates of a cube: those that people type, the period between two of them, and what is double, missing or out of order.

In: datetime64[ns] (t,), or cftime where a calendar has other days, and ISO text. Out: a date, positions, or an error
that names the first date that is wrong.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import cftime
import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.words import counted

__all__ = ["check_times", "moment_of", "period", "shown"]

_SHORTEST_MONTH = 27 * 86400
_PARTIAL = re.compile(r"^\d{4}(?P<month>-\d\d)?(?P<day>-\d\d)?$")
_ISO = re.compile(r"^(\d{1,4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d))?)?)?)?)?(?:Z|\.0*)?$")


def moment_of(text: object) -> np.datetime64:
    """ISO text, with or without Z or an offset, a datetime or a datetime64, as UTC.

    Raises GeoadaptError where it is no date.
    """
    if isinstance(text, np.datetime64):
        return text.astype("datetime64[ns]")  # type: ignore[no-any-return]
    if isinstance(text, datetime):
        moment = text.astimezone(UTC).replace(tzinfo=None) if text.tzinfo else text
        return np.datetime64(moment, "ns")
    plain = str(text).strip()
    if re.search(r"(?:Z|[+-]\d\d:?\d\d|[+-]\d\d)$", plain[10:]):
        try:
            return moment_of(datetime.fromisoformat(plain))
        except ValueError as error:
            raise GeoadaptError(plain, "is no date", "expected such as 2020-01-01T00, 2020-01-01T00:00Z") from error
    try:
        found = np.datetime64(plain)
    except ValueError as error:
        raise GeoadaptError(plain, "is no date", "expected such as 2020-01-01T00, 2020-01-01T00:00Z") from error
    if np.isnat(found):
        raise GeoadaptError(plain, "is no date", "expected such as 2020-01-01T00, 2020-01-01T00:00Z")
    return found.astype("datetime64[ns]")  # type: ignore[no-any-return]


def period(times: NDArray[Any], start: object, end: object, where: str) -> slice:
    """Positions from ``start`` to ``end``, both included, perhaps none; ``2006`` as an end means all of 2006.

    Raises GeoadaptError where the dates are not in order.
    """
    inside = np.ones(times.size, np.bool_)
    if start is not None:
        inside &= _after(times, start)
    if end is not None:
        inside &= _until(times, end)
    found = np.flatnonzero(inside)
    if found.size == 0:
        return slice(0, 0)
    if found.size != found[-1] - found[0] + 1:
        raise _unsorted(times, where)
    return slice(int(found[0]), int(found[-1]) + 1)


def check_times(times: NDArray[Any], where: str, *, duplicates: str, gaps: str) -> tuple[NDArray[np.intp], str]:
    """Positions (n,) of the dates to keep, and a sentence on gaps that were allowed.

    Raises GeoadaptError naming the first date that is double, out of order, or missing.
    """
    if duplicates not in ("error", "first") or gaps not in ("error", "allow"):
        raise GeoadaptError(
            where, f"duplicates={duplicates!r}, gaps={gaps!r}", "duplicates: error, first; gaps: error, allow"
        )
    keep = np.arange(times.size)
    steps = _steps(times)
    if (steps < 0).any():
        raise _unsorted(times, where)
    if (steps == 0).any():
        twice = times[int(np.argmax(steps == 0))]
        if duplicates == "error":
            raise GeoadaptError(where, f"{shown(twice)} occurs twice", "duplicates='first' keeps the first of each")
        keep = np.concatenate([[0], np.flatnonzero(steps > 0) + 1])
    gap = _first_gap(times[keep])
    if gap is not None and gaps == "error":
        raise GeoadaptError(where, gap, "gaps='allow' keeps what there is")
    return keep, gap or ""


def shown(moment: Any) -> str:
    """A date as a person writes it, to the hour or as fine as it is."""
    text = str(moment.astype("datetime64[s]")) if isinstance(moment, np.datetime64) else moment.isoformat()
    return re.sub(r"T00:00:00$|(?<=T\d\d):00:00$|:00$", "", text)


def _after(times: NDArray[Any], start: object) -> NDArray[np.bool_]:
    """Which dates (t,) lie at or after ``start``."""
    bound = moment_of(start) if times.dtype.kind == "M" else _in_calendar(start, times[0].calendar)
    return np.asarray(times >= bound, np.bool_)


def _until(times: NDArray[Any], end: object) -> NDArray[np.bool_]:
    """Which dates (t,) lie at or before ``end``; a year, month or day as text includes all of it."""
    found = _PARTIAL.match(end.strip()) if isinstance(end, str) else None
    if times.dtype.kind == "M":
        if found is None or not isinstance(end, str):
            return np.asarray(times <= moment_of(end), np.bool_)
        moment_of(end)  # raises where it is no date
        unit = "datetime64[D]" if found["day"] else "datetime64[M]" if found["month"] else "datetime64[Y]"
        following = (np.array(end.strip(), unit) + 1).astype("datetime64[ns]")
        return np.asarray(times < following, np.bool_)
    calendar = times[0].calendar
    bound = _in_calendar(end, calendar)
    if found is None:
        return np.asarray(times <= bound, np.bool_)
    if found["day"]:
        follows = bound + timedelta(days=1)
    elif found["month"] and bound.month < 12:
        follows = bound.replace(month=bound.month + 1)
    else:
        follows = bound.replace(year=bound.year + 1, month=1)
    return np.asarray(times < follows, np.bool_)


def _in_calendar(given: object, calendar: str) -> cftime.datetime:
    """A date of ``calendar``; raises GeoadaptError where it has none such."""
    text = str(given.astype("datetime64[s]") if isinstance(given, np.datetime64) else given).strip()
    found = _ISO.match(text)
    try:
        if found is None:
            raise ValueError
        year, month, day, *clock = (int(part) if part else None for part in found.groups())
        return cftime.datetime(year, month or 1, day or 1, *(c or 0 for c in clock), calendar=calendar)
    except ValueError as error:
        raise GeoadaptError(text, f"is no date of the calendar '{calendar}'", "expected such as 2020-01-30") from error


def _steps(times: NDArray[Any]) -> NDArray[np.float64]:
    """Seconds between dates (t − 1,)."""
    if times.dtype.kind == "M":
        return np.diff(times) / np.timedelta64(1, "s")
    return np.array([(b - a).total_seconds() for a, b in zip(times[:-1], times[1:], strict=True)], np.float64)


def _first_gap(times: NDArray[Any]) -> str | None:
    """A sentence on the first step that is not like the others; None where dates are regular, in days or in months."""
    steps = _steps(times)
    if steps.size < 2 or (steps == steps[0]).all():
        return None
    monthly = bool(steps.min() >= _SHORTEST_MONTH)
    found = np.diff(_months(times)).astype(np.float64) if monthly else steps
    sizes, counts = np.unique(found, return_counts=True)
    usual = float(sizes[counts.argmax()])
    odd = np.flatnonzero(found != usual)
    if not odd.size:
        return None
    told = counted(usual, "month") if monthly else _length(usual)
    more = f" (and {odd.size - 1} more such places)" if odd.size > 1 else ""
    return f"{shown(times[odd[0]])} is followed by {shown(times[odd[0] + 1])}, where a step is {told}{more}"


def _months(times: NDArray[Any]) -> NDArray[np.int64]:
    """Dates (t,) counted in calendar months, wherever in the month they stand."""
    if times.dtype.kind == "M":
        return np.asarray(times.astype("datetime64[M]").astype(np.int64))
    return np.array([12 * t.year + t.month for t in times], np.int64)


def _length(seconds: float) -> str:
    return f"{seconds / 86400:g} d" if seconds >= 86400 else f"{seconds / 3600:g} h"


def _unsorted(times: NDArray[Any], where: str) -> GeoadaptError:
    place = int(np.argmax(_steps(times) < 0))
    told = f"{shown(times[place])} is followed by {shown(times[place + 1])}"
    return GeoadaptError(where, f"its dates are not in order: {told} (position {place + 1})", "sort the file by time")
