"""Dates and lengths of time as people type them.

In: text. Out: datetime64 [s], seconds. A date without a zone is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["parse_length", "parse_times"]

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
MOST = 1_000_000


def parse_length(text: str, key: str) -> int:
    """Seconds of ``10d``, ``72h``, ``30min`` [s]; raises GeoadaptError."""
    found = _LENGTH.fullmatch(text.strip())
    seconds = float(found.group(1)) * _SECONDS[found.group(2)] if found else 0.0
    if seconds < 1 or seconds != round(seconds):
        raise GeoadaptError(key, f"'{text}' is no length of time", "write 10d, 72h or 30min")
    return round(seconds)


def parse_times(text: str, key: str) -> NDArray[np.datetime64]:
    """Dates (n,), ascending and once each, of dates and ranges FIRST/LAST/LENGTH between commas; the last is included.

    Raises GeoadaptError.
    """
    found: list[np.datetime64] = []
    for part in (part.strip() for part in text.split(",")):
        pieces = part.split("/")
        if len(pieces) == 1:
            found.append(_moment(part, key))
        elif len(pieces) == 3:
            first, last = _moment(pieces[0], key), _moment(pieces[1], key)
            every = np.timedelta64(parse_length(pieces[2], key), "s")
            if last < first:
                raise GeoadaptError(key, f"'{part}' ends before it begins", "write FIRST/LAST/24h")
            if (last - first) // every >= MOST:
                raise GeoadaptError(key, f"'{part}' has more than {MOST} dates", "choose a longer interval")
            found += list(np.arange(first, last + np.timedelta64(1, "s"), every))
        else:
            raise GeoadaptError(key, f"'{part}' is neither a date nor a range", "write 2008-01-01 or FIRST/LAST/24h")
    return np.unique(np.asarray(found, "datetime64[s]"))


def _moment(text: str, key: str) -> np.datetime64:
    """ISO text; what has a zone or an offset is brought to UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise GeoadaptError(
            key, f"'{text}' is no date", "write 2008-01-01, 2008-01-01T06 or 2008-01-01T06:00Z"
        ) from None
    plain = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    return np.datetime64(plain, "s")
