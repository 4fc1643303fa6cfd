"""Acquisition times in file names: calendar dates, days of the year, and old Landsat scene identifiers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["time_in_name"]

_LANDSAT_ID = re.compile(r"^L[COTEM]\d{7}(\d{4})(\d{3})")
_CALENDAR = re.compile(
    r"(?<!\d)((?:19|20)\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?:T?(\d\d)(\d\d)(\d\d)?)?(?!\d)"
)
_ORDINAL = re.compile(r"(?<!\d)((?:19|20)\d\d)([0-3]\d\d)(?:T(\d\d)(\d\d)(\d\d))?(?!\d)")


def time_in_name(name: str) -> datetime | None:
    """The first date in a file or folder name, as UTC; None if there is none."""
    landsat = _LANDSAT_ID.match(name)
    if landsat:
        return _ordinal(int(landsat.group(1)), int(landsat.group(2)))
    for found in _CALENDAR.finditer(name):
        year, month, day, hour, minute, second = (int(g or 0) for g in found.groups())
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue
    for found in _ORDINAL.finditer(name):
        year, day, *clock = (int(g or 0) for g in found.groups())
        moment = _ordinal(year, day)
        if moment is not None:
            return moment + timedelta(hours=clock[0], minutes=clock[1], seconds=clock[2])
    return None


def _ordinal(year: int, day: int) -> datetime | None:
    if not 1 <= day <= 366:
        return None
    return datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
