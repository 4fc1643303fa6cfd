"""Series split into training, validation and test: by place or by period, never by pixel.

In: series (t, c, h, w). Out: three of them that share no pixel, or no date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Series

__all__ = ["by_columns", "by_dates", "by_place", "with_dates"]

Three = tuple[tuple[Series, ...], tuple[Series, ...], tuple[Series, ...]]


def by_columns(series: Series, val: float, test: float) -> tuple[Series, Series, Series]:
    """West for training, a strip for validation, east for the test; raises GeoadaptError for too few columns."""
    cuts = _cuts(series.name, series.clear.shape[2], val, test, "columns")
    pieces = [series.part(cols=slice(a, b)) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    west, strip, east = (
        replace(piece, name=f"{series.name}_{where}")
        for piece, where in zip(pieces, ("west", "strip", "east"), strict=True)
    )
    return west, strip, east


def by_dates(series: Series, val: float, test: float) -> tuple[Series, Series, Series]:
    """The first dates for training, the next for validation, the last for the test; radar goes by the same days."""
    cuts = _cuts(series.name, len(series.times), val, test, "dates")
    first, middle, last = (with_dates(series, slice(a, b)) for a, b in zip(cuts[:-1], cuts[1:], strict=True))
    return first, middle, last


def by_place(series: Sequence[Series], val: float, test: float, seed: int) -> Three:
    """Whole places by lot, one or more for each part; of one alone its columns, and of two the second tests."""
    if len(series) == 1:
        first, second, third = ((part,) for part in by_columns(series[0], val, test))
        return first, second, third
    if len(series) == 2:
        west, strip, _ = by_columns(series[0], val, 0.0)
        return (west,), (strip,), (series[1],)
    order = [series[int(i)] for i in np.random.default_rng(seed).permutation(len(series))]
    held = max(1, min(round(test * len(order)), len(order) - 2))
    chosen = max(1, min(round(val * len(order)), len(order) - held - 1))
    return tuple(order[held + chosen :]), tuple(order[held : held + chosen]), tuple(order[:held])


def with_dates(series: Series, dates: slice | NDArray[np.bool_]) -> Series:
    """Some dates of a series, and of its radar those within their span, the nearest two at least."""
    part = series.part(dates)
    if series.radar is None:
        return part
    late = series.radar.times
    kept = (late >= part.times[0]) & (late <= part.times[-1])
    for day in (part.times[0], part.times[-1]):
        kept[np.abs((late - day).astype("timedelta64[s]").astype(np.int64)).argmin()] = True
    return replace(part, radar=replace(series.radar, values=series.radar.values[kept], times=late[kept]))


def _cuts(name: str, count: int, val: float, test: float, what: str) -> tuple[int, int, int, int]:
    """Where the parts begin and end; each holds two or more, but for a test that is not wanted."""
    last = count - round(test * count) if test else count
    first = last - max(2, round(val * count))
    if first < 2 or (test and count - last < 2):
        raise GeoadaptError(name, f"has {count} {what}, too few to be split", "give a longer or larger series")
    return 0, first, last, count
