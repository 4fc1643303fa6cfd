"""Latitude and longitude in one order: north to south, west to east.

In: coordinates (h,) and (w,) [degrees] as a file has them. Out: which positions to take, in which order, and the
coordinates that they then have: latitude descending; longitude ascending, 0–360 where the grid goes around the globe
and in a region, and −180–180 in a region across Greenwich. Values are moved, never interpolated: they keep their bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["Order", "latitude_order", "longitude_order", "ordered"]

Degrees = NDArray[np.float64]
_NEAR = 1e-4
"""Closer than this part of a grid step, two longitudes are one."""


@dataclass(frozen=True, slots=True)
class Order:
    """Positions (n,) of an axis in canonical order, their coordinates (n,) [degrees], and what was done."""

    positions: NDArray[np.intp]
    coordinates: Degrees
    said: tuple[str, ...] = ()


def exact(values: NDArray[np.generic]) -> Degrees:
    """Coordinates as float64; a single-precision number stands for the shortest decimal that it prints as.

    So 0.1 stored in four bytes and in eight is one coordinate, before and after 360 is added to it.
    """
    array = np.asarray(values)
    if array.dtype == np.float32:
        return np.array([float(str(v)) for v in array.ravel()], np.float64).reshape(array.shape)
    return array.astype(np.float64)


def latitude_order(values: NDArray[np.generic], where: str) -> Order:
    """North to south; raises GeoadaptError where latitudes are not monotonic, double, or beyond a pole."""
    latitude = exact(values)
    _check_finite(latitude, "latitude", where)
    if np.abs(latitude).max() > 90 + _NEAR:
        worst = float(latitude[np.abs(latitude).argmax()])
        raise GeoadaptError(where, f"latitude {worst:g} lies beyond a pole", "expected degrees from −90 to 90")
    _check_monotonic(latitude, np.diff(latitude), "latitude", where)
    places = np.arange(latitude.size)
    if latitude.size > 1 and latitude[1] > latitude[0]:
        return Order(places[::-1], latitude[::-1].copy(), ("latitude was ascending",))
    return Order(places, latitude)


def longitude_order(values: NDArray[np.generic], where: str) -> Order:
    """West to east, without a second copy of the first meridian.

    Raises GeoadaptError where longitudes are neither ascending nor descending around the globe.
    """
    longitude = exact(values)
    _check_finite(longitude, "longitude", where)
    if longitude.size < 2:
        return Order(np.arange(longitude.size), longitude % 360.0)
    if longitude.min() < -360 - _NEAR or longitude.max() > 720 + _NEAR:
        raise GeoadaptError(where, f"longitude reaches {longitude.min():g}…{longitude.max():g}", "expected degrees")
    steps = (np.diff(longitude) + 180.0) % 360.0 - 180.0
    steps[np.diff(longitude) == 180.0] = 180.0
    _check_monotonic(longitude, steps, "longitude", where)
    said = []
    places = np.arange(longitude.size)
    if steps[0] < 0:
        places, steps = places[::-1], -steps[::-1]
        said.append("longitude was descending")
    span, step = float(steps.sum()), float(np.median(steps))
    while span > 360.0 - _NEAR * step and places.size > 2:
        places, span, steps = places[:-1], span - float(steps[-1]), steps[:-1]
        said.append("the last meridian repeated the first and was dropped")
    around = abs(span + step - 360.0) < 0.01 * step or span + step > 360.0
    east = _snapped(longitude[places] % 360.0, step)
    if around:
        first = int(east.argmin())
        rolled = np.roll(places, -first)
        if first:
            said.append("longitude was rolled to 0–360")
        return Order(rolled, np.roll(east, -first), tuple(dict.fromkeys(said)))
    turn = np.flatnonzero(np.diff(east) < 0)
    if turn.size:
        west = east.copy()
        west[: turn[0] + 1] -= 360.0
        return Order(places, np.where(np.abs(west) < 1e-9, 0.0, _decimal(west)), tuple(dict.fromkeys(said)))
    if (longitude[places] < -_NEAR * step).any():
        said.append("longitude was brought to 0–360")
    return Order(places, east, tuple(dict.fromkeys(said)))


def ordered(field: xr.DataArray, dim: str, order: Order) -> xr.DataArray:
    """The same values along ``dim`` in another order, copied bit by bit; lazy arrays are sliced, not shuffled."""
    parts = [field.isel({dim: piece}) for piece in _pieces(order.positions)]
    moved = parts[0]
    if len(parts) > 1:
        moved = xr.concat(parts, dim, coords="minimal", compat="override", join="override", combine_attrs="override")
    return moved.assign_coords({dim: (dim, order.coordinates)})


def _pieces(positions: NDArray[np.intp]) -> list[slice]:
    """Positions as slices, as few as there are runs of steps +1 or −1."""
    if positions.size < 2:
        return [slice(int(p), int(p) + 1) for p in positions] or [slice(0, 0)]
    breaks = np.flatnonzero(np.abs(np.diff(positions)) != 1) + 1
    return [_run(run) for run in np.split(positions, breaks)]


def _run(run: NDArray[np.intp]) -> slice:
    first, last = int(run[0]), int(run[-1])
    if last >= first:
        return slice(first, last + 1)
    return slice(first, last - 1 if last else None, -1)


def _snapped(east: Degrees, step: float) -> Degrees:
    """Longitudes in [0, 360) as decimals, what lies a hair west of Greenwich at 0."""
    return np.where(360.0 - east < _NEAR * step, 0.0, np.where(east < _NEAR * step * 1e-2, 0.0, _decimal(east)))


def _decimal(values: Degrees) -> Degrees:
    """Without the last digits, in which −0.1 + 360 and 359.9 differ; numbers that are no short decimals stay."""
    short = np.round(values, 9)
    return np.where(np.abs(values - short) < 1e-11, short, values)


def _check_finite(values: Degrees, name: str, where: str) -> None:
    if values.ndim != 1:
        raise GeoadaptError(
            where, f"{name} is a table {values.shape}: the grid is not lat–lon", "bring it to a lat–lon grid first"
        )
    if not np.isfinite(values).all():
        raise GeoadaptError(where, f"{name} {int(np.argmin(np.isfinite(values)))} is missing", "mend the coordinate")


def _check_monotonic(values: Degrees, steps: Degrees, name: str, where: str) -> None:
    if steps.size == 0:
        return
    wrong = np.flatnonzero(np.sign(steps) != np.sign(steps[0])) if steps[0] != 0 else np.array([0])
    if wrong.size:
        i = int(wrong[0])
        raise GeoadaptError(
            where,
            f"{name} is not monotonic: {values[i]:g} is followed by {values[i + 1]:g} at {i + 1} of {values.size}",
            "sort the file along it, or read the part that is in order",
        )
