"""Composites of a whole archive: one image out of all dates, made of what is clear, and from how many dates.

In: a stack (t, c, h, w) with what is clear in it. Out: an image (c, h, w), NaN where no date is clear.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["METHODS", "composite", "masked_median"]

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Index = NDArray[np.int16]
Method = Literal["mean", "median", "best_pixel"]

METHODS: tuple[Method, ...] = ("mean", "median", "best_pixel")
AT_ONCE = 1 << 22
"""Values that are worked on at a time."""
SORTED_AT_ONCE = 1 << 20
"""Values that are sorted at a time."""
EQUAL = 1e-6
"""Distances that differ by less are equal: of two clear dates both are as far from their median, but for rounding."""
FEW = 8
"""So many dates are sorted plane by plane, which takes a number of steps that grows with their square."""


def composite(
    values: NDArray[np.floating],
    clear: Bools,
    times: NDArray[np.datetime64],
    method: Method = "median",
    day: np.datetime64 | None = None,
    middle: Floats | None = None,
) -> tuple[Floats, NDArray[np.int32], Index | None]:
    """An image (c, h, w) of all clear dates, their number (h, w), and which date each pixel is of (h, w) or None.

    ``mean`` and ``median`` take each band for itself. ``best_pixel`` takes all bands of one date: with ``day`` the
    clear date nearest to it, the earlier of two equally near; without, the medoid: the clear date whose bands lie
    nearest to their medians over all clear dates (Euclidean distance, the earlier of equals; Flood 2013). Of the clear
    dates only those with the most known bands are considered. The date's index is −1 where no date is clear.

    Args:
        values: (t, c, h, w) [reflectance], NaN where missing.
        clear: (t, h, w).
        times: (t,), in any order.
        method: one of ``METHODS``.
        day: for ``best_pixel``.
        middle: the median (c, h, w) of the clear dates, where it is known, for ``best_pixel`` without a day.

    Raises GeoadaptError for an unknown method, shapes that do not fit, or a day that nothing asks for.
    """
    if method not in METHODS:
        raise GeoadaptError("method", f"'{method}' is unknown", nearest(method, METHODS))
    if day is not None and method != "best_pixel":
        raise GeoadaptError("day", f"means nothing to '{method}'", "leave it out, or ask for method=best_pixel")
    t, c, h, w = values.shape
    if clear.shape != (t, h, w) or times.shape != (t,):
        raise GeoadaptError(
            "composite", f"values {values.shape}, clear {clear.shape}, {len(times)} dates", "expected one clear each"
        )
    image, count = np.full((c, h, w), np.nan, np.float32), np.zeros((h, w), np.int32)
    index: Index | None = np.full((h, w), -1, np.int16) if method == "best_pixel" else None
    rows = max(1, AT_ONCE // max(1, t * c * w))
    for row in range(0, h if t else 0, rows):
        part = np.s_[..., row : row + rows, :]
        block = np.asarray(values[part], np.float32)
        valid = clear[part][:, None] & np.isfinite(block)
        count[part] = valid.any(axis=1).sum(axis=0)
        if method == "mean":
            image[part] = _mean(block, valid)
        elif method == "median":
            image[part] = masked_median(block, valid)
        elif index is not None:
            image[part], index[part] = _best(block, valid, times, day, None if middle is None else middle[part])
    return image, count, index


def masked_median(values: NDArray[np.floating], valid: Bools) -> Floats:
    """Median (…) over the first axis (t, …) of what is valid, of an even number the mean of both middle values.

    NaN where nothing is. Sorting with time as the last, contiguous axis takes a fifteenth of ``np.nanmedian``'s time.
    """
    t, *rest = values.shape
    if t == 0:
        return np.full(rest, np.nan, np.float32)
    if values.size <= SORTED_AT_ONCE or not rest:
        return _few_median(values, valid) if t <= FEW else _many_median(values, valid)
    out = np.empty(rest, np.float32)
    step = max(1, SORTED_AT_ONCE * rest[0] // values.size)
    for start in range(0, rest[0], step):
        part = np.s_[:, start] if step == 1 else np.s_[:, start : start + step]
        out[part[1:]] = masked_median(values[part], valid[part])
    return out


def _many_median(values: NDArray[np.floating], valid: Bools) -> Floats:
    t, *rest = values.shape
    flat = np.empty((math.prod(rest), t), np.float32)
    np.copyto(flat, np.where(valid, values, np.nan).reshape(t, -1).T)
    flat.sort(axis=-1)
    count = valid.reshape(t, -1).sum(axis=0)
    rows = np.arange(len(flat))
    low, high = flat[rows, np.maximum(count - 1, 0) // 2], flat[rows, np.minimum(count // 2, t - 1)]
    return np.asarray(((low + high) / 2).reshape(rest), np.float32)


def _few_median(values: NDArray[np.floating], valid: Bools) -> Floats:
    planes = np.where(valid, values, np.inf).astype(np.float32, copy=False).reshape(len(values), -1)
    lesser = np.empty_like(planes[0])
    for end in range(len(planes) - 1, 0, -1):
        for low, high in zip(planes[:end], planes[1 : end + 1], strict=True):
            np.minimum(low, high, out=lesser)
            np.maximum(low, high, out=high)
            low[...] = lesser
    count = valid.sum(axis=0, dtype=np.uint8).ravel()
    lower, upper = planes[0], planes[0].copy()
    for place, plane in enumerate(planes[1 : len(planes) // 2 + 1], 1):
        np.copyto(upper, plane, where=count >= 2 * place)
        np.copyto(lower, plane, where=count > 2 * place)
    return np.where(count > 0, (lower + upper) / 2, np.float32(np.nan)).reshape(values.shape[1:])


def _mean(values: Floats, valid: Bools) -> Floats:
    total = np.where(valid, values, 0).sum(axis=0, dtype=np.float64)
    count = valid.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _best(
    values: Floats, valid: Bools, times: NDArray[np.datetime64], day: np.datetime64 | None, middle: Floats | None
) -> tuple[Floats, Index]:
    """One date's bands (c, h, w), and which date's (h, w)."""
    order = np.argsort(times, kind="stable")
    bands = valid.sum(axis=1)
    candidate = valid.any(axis=1) & (bands == bands.max(axis=0))
    if day is None:
        middle = masked_median(values, valid) if middle is None else middle
        away = np.sqrt(np.where(valid, (values - middle) ** 2, 0).sum(axis=1, dtype=np.float64))
    else:
        seconds = np.abs((times - day) / np.timedelta64(1, "s"))
        away = np.broadcast_to(seconds[:, None, None], candidate.shape)
    least = np.where(candidate, away, np.inf).min(axis=0)
    chosen = order[(candidate & (away <= least + EQUAL))[order].argmax(axis=0)]
    known = candidate.any(axis=0)
    picked = np.take_along_axis(values, chosen[None, None], axis=0)[0]
    shown = known & np.take_along_axis(valid, chosen[None, None], axis=0)[0]
    return np.where(shown, picked, np.nan), np.where(known, chosen, -1).astype(np.int16)
