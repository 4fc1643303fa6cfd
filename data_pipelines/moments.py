"""Mean and spread of every channel of an archive, in one pass over its dates.

In: a lazy cube with dims (time, [level or model_level], latitude, longitude). Out: ``Moments`` per variable, an entry
per level. Blocks of dates are reduced by dask, on threads or a cluster, each in two steps (mean, then departures), and
joined in the order of their dates (Chan, Golub & LeVeque 1983): no number depends on who computed what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["BLOCK", "Moments", "area_weights", "increments", "joined", "measure", "values"]

BLOCK = 2**26
"""Bytes of one field's dates that are reduced together."""
AT_ONCE = 32
"""Blocks that dask is given together, so that its graph stays small."""
Array = NDArray[np.float64]
View = Callable[[xr.DataArray, slice], xr.DataArray]
"""A whole field and a run of its dates → what is measured of them, lazy."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sum of weights, mean, and weighted sum of squared departures, one entry a level (l,)."""

    weight: Array
    mean: Array
    square: Array

    @property
    def std(self) -> Array:
        """Standard deviation over all dates and grid points (l,), NaN where there is no value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt(self.square / self.weight))


def measure(
    cube: xr.Dataset, views: Mapping[str, View], *, weights: Array | None = None
) -> dict[str, dict[str, Moments]]:
    """Moments of every variable with dates, as each of ``views`` sees it: variable → view → moments.

    Every block is read once for all views. Rows count by ``weights`` (h,), all alike where it is None.
    """
    rows = np.ones(cube.sizes["latitude"]) if weights is None else weights
    found: dict[str, dict[str, Moments]] = {}
    for name, field in cube.data_vars.items():
        if "time" not in field.dims:
            continue
        own = found[str(name)] = {}
        for batch in _batches(_tasks(field.transpose("time", ..., "latitude", "longitude"), views, rows)):
            parts = compute(*(task for _, task in batch))  # type: ignore[no-untyped-call]
            for (view, _), part in zip(batch, parts, strict=True):
                own[view] = joined(own[view], part) if view in own else part
        absent = [view for view in views if view not in own]
        if absent:
            raise GeoadaptError(str(name), f"has no date for its {absent[0]}", "choose a longer period")
    return found


def values(field: xr.DataArray, dates: slice) -> xr.DataArray:
    """The view of a field as it is."""
    return field.isel(time=dates)


def joined(one: Moments, other: Moments) -> Moments:
    """The moments of two sets together."""
    weight = one.weight + other.weight
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(weight > 0, other.weight / weight, 0.0)
    apart = other.mean - one.mean
    return Moments(weight, one.mean + apart * share, one.square + other.square + apart**2 * one.weight * share)


def increments(lag: int) -> View:
    """The view of its change over ``lag`` dates, at the earlier of the two."""

    def change(field: xr.DataArray, dates: slice) -> xr.DataArray:
        later = field.isel(time=slice(dates.start + lag, dates.stop + lag)).drop_vars("time")
        return later - field.isel(time=slice(dates.start, dates.start + later.sizes["time"])).drop_vars("time")

    return change


def area_weights(latitude: Array) -> Array:
    """Cosine of latitude (h,), of mean 1."""
    cosine = np.maximum(np.cos(np.deg2rad(latitude)), 0)
    return np.asarray(cosine / cosine.mean())


def _tasks(field: xr.DataArray, views: Mapping[str, View], rows: Array) -> Iterator[tuple[str, Any]]:
    length = max(1, BLOCK // max(1, field[:1].nbytes))
    for start in range(0, field.sizes["time"], length):
        dates = slice(start, min(start + length, field.sizes["time"]))
        for name, view in views.items():
            block = view(field, dates)
            if block.sizes["time"]:
                yield name, delayed(_reduced)(block.data, rows)


def _batches(tasks: Iterator[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    while held := list(islice(tasks, AT_ONCE)):
        yield held


def _reduced(block: NDArray[np.float32], rows: Array) -> Moments:
    """Moments of (t, [l], h, w); NaN are left out."""
    fields = np.asarray(block, np.float64)
    fields = fields[:, None] if fields.ndim == 3 else fields
    known = np.isfinite(fields)
    rows = rows[:, None]
    axes = (0, 2, 3)
    weight = (known * rows).sum(axis=axes)
    safe = np.where(weight > 0, weight, 1.0)
    mean = (np.where(known, fields, 0.0) * rows).sum(axis=axes) / safe
    apart = np.where(known, fields - mean[:, None, None], 0.0)
    return Moments(weight, mean, (apart**2 * rows).sum(axis=axes))
