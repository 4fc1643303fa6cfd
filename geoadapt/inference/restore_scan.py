"""Composites of all dates of a block at once, where ``baselines.composites`` makes one date at a time.

In: values (t, c, h, w) by date and where they are clear. Out: for each wanted date the image that the composite of this
name gives, to the last bit, in a fortieth of the time for forty dates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.baselines.composites_archive import masked_median

__all__ = ["SCANS", "scan"]

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Index = NDArray[np.int16]
Images = Iterator[tuple[int, Floats]]

DAY = 86400.0
"""[s]."""


def scan(name: str, values: Floats, seen: Bools, times: NDArray[np.datetime64], dates: Sequence[int]) -> Images:
    """Position and image (c, h, w) of each of ``dates``, in any order; ``name`` is one of ``SCANS``."""
    seconds = times.astype("datetime64[s]").astype(np.int64)
    return SCANS[name](values, seen, seconds, dates)


def _median(values: Floats, seen: Bools, seconds: NDArray[np.int64], dates: Sequence[int]) -> Images:
    image = masked_median(values, seen) if dates else None
    yield from ((date, image) for date in dates if image is not None)


def _mean(values: Floats, seen: Bools, seconds: NDArray[np.int64], dates: Sequence[int]) -> Images:
    total, count = np.zeros(values.shape[1:]), np.zeros(values.shape[1:], np.int64)
    for image, clear in zip(values, seen, strict=True):
        np.add(total, image, out=total, where=clear)
        count += clear
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    yield from ((date, mean) for date in dates)


def _last(values: Floats, seen: Bools, seconds: NDArray[np.int64], dates: Sequence[int]) -> Images:
    for date, earlier, _ in _neighbours(seen, dates):
        yield date, _taken(values, earlier)


def _nearest(values: Floats, seen: Bools, seconds: NDArray[np.int64], dates: Sequence[int]) -> Images:
    for date, earlier, later in _neighbours(seen, dates):
        before, after = _away(seconds, date, earlier), _away(seconds, date, later)
        yield date, _taken(values, np.where(before <= after, earlier, later))


def _linear(values: Floats, seen: Bools, seconds: NDArray[np.int64], dates: Sequence[int]) -> Images:
    for date, earlier, later in _neighbours(seen, dates):
        before, after = _away(seconds, date, earlier), _away(seconds, date, later)
        both = (earlier >= 0) & (later >= 0)
        share = np.divide(before, before + after, out=np.zeros_like(before), where=both & (before > 0))
        first, last = _taken(values, earlier), _taken(values, later)
        between = (first + share * (last - first)).astype(np.float32)
        yield date, np.where(both, between, np.where(earlier >= 0, first, last))


SCANS: dict[str, Callable[[Floats, Bools, NDArray[np.int64], Sequence[int]], Images]] = {
    "temporal_mean": _mean,
    "temporal_median": _median,
    "nearest_clear": _nearest,
    "linear": _linear,
    "last_clear": _last,
}


def _neighbours(seen: Bools, dates: Sequence[int]) -> Iterator[tuple[int, Index, Index]]:
    """Per date, last one first, the positions (c, h, w) of the clear dates next to it on both sides; −1 without one.

    A pixel that is clear on the date itself is its own neighbour on both sides.
    """
    earlier = np.empty(seen.shape, np.int16)
    found = np.full(seen.shape[1:], -1, np.int16)
    for date, clear in enumerate(seen):
        found[clear] = date
        earlier[date] = found
    wanted = set(dates)
    found = np.full(seen.shape[1:], -1, np.int16)
    for date in reversed(range(len(seen))):
        found[seen[date]] = date
        if date in wanted:
            yield date, earlier[date], found


def _away(seconds: NDArray[np.int64], date: int, index: Index) -> NDArray[np.float64]:
    """Days between a date and those at ``index``, infinite where that is −1."""
    days = np.append(np.abs(seconds - seconds[date]) / DAY, np.inf)
    found: NDArray[np.float64] = days[index]
    return found


def _taken(values: Floats, index: Index) -> Floats:
    """Of each pixel the value of the date at ``index``, NaN where that is −1."""
    picked = np.take_along_axis(values, np.maximum(index, 0)[None].astype(np.intp), axis=0)[0]
    return np.where(index >= 0, picked, np.float32(np.nan))
