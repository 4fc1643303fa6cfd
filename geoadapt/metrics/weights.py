"""How much a grid point counts: three conventions that are never mixed, and boxes on the sphere.

In: latitudes (h,) and longitudes (w,) [degrees]. Out: weights (h,) of mean 1, or (h·w, regions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["WEIGHTS", "Box", "Space", "latitude_weights", "make_space"]

Floats = NDArray[np.float64]

WHOLE = ""
"""The region that is the whole domain; it always comes first."""


@dataclass(frozen=True, slots=True)
class Box:
    """Between two meridians and two parallels [degrees]; west > east crosses the edge of the longitudes' range."""

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        if not -90 <= self.south < self.north <= 90:
            raise GeoadaptError("box", f"south {self.south:g}, north {self.north:g}", "give −90 ≤ south < north ≤ 90")
        if not all(-360 <= edge <= 360 for edge in (self.west, self.east)) or self.west == self.east:
            raise GeoadaptError("box", f"west {self.west:g}, east {self.east:g}", "give two longitudes [degrees]")

    def holds(self, latitude: Floats, longitude: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which latitudes (h,) and longitudes (w,) lie inside, edges included."""
        rows = (latitude >= self.south) & (latitude <= self.north)
        width = self.east - self.west
        if abs(width) >= 360:
            return rows, np.ones(longitude.shape, bool)
        return rows, (longitude - self.west) % 360 <= width % 360


@dataclass(frozen=True, slots=True)
class Space:
    """The weights (h·w, r) of every point in every region; the first region is the whole domain."""

    regions: tuple[str, ...]
    latitude: Floats
    longitude: Floats
    weights: Floats
    inside: NDArray[np.bool_]
    """(h·w, r): which points belong to a region, whatever they weigh."""

    def integrate(
        self, values: NDArray[np.floating], points: slice = slice(None), valid: NDArray[np.bool_] | None = None
    ) -> Floats:
        """Σ weight × value (…, r) over ``points`` of a map (…, p), in float64; where ``valid`` is false nothing counts.

        A NaN spoils the regions that it lies in, and no other.
        """
        flat = values.reshape(-1, values.shape[-1])
        if valid is not None:
            flat = np.where(np.broadcast_to(valid, values.shape).reshape(flat.shape), flat, 0)
        flat = flat.astype(np.float64, copy=False)
        weights, inside = self.weights[points], self.inside[points]
        with np.errstate(invalid="ignore"):
            sums: Floats = flat @ weights
        if not np.isfinite(sums).all() and not inside.all():
            for region in range(weights.shape[1]):
                own = inside[:, region]
                sums[:, region] = flat[:, own] @ weights[own, region]
        return sums.reshape(*values.shape[:-1], weights.shape[1])


def _cos(latitude: Floats) -> Floats:
    return np.cos(np.deg2rad(latitude))


def _area(latitude: Floats) -> Floats:
    """Between the midpoints of neighbours; the outermost cells reach half a spacing further, the pole at most."""
    if latitude.size < 2:
        raise GeoadaptError("weights", "a single latitude has no cell", "choose weights=cos or none")
    middle = (latitude[1:] + latitude[:-1]) / 2
    first, last = latitude[0] - (latitude[1] - latitude[0]) / 2, latitude[-1] + (latitude[-1] - latitude[-2]) / 2
    bounds = np.sin(np.deg2rad(np.clip(np.concatenate([[first], middle, [last]]), -90, 90)))
    return np.asarray(np.abs(np.diff(bounds)))


WEIGHTS: dict[str, Callable[[Floats], Floats]] = {"cos": _cos, "area": _area, "none": np.ones_like}
"""``cos``: cosine of latitude (ChaosBench); ``area``: cells' areas (WeatherBench 2); ``none``: every point alike."""


def latitude_weights(latitude: Floats, weights: str) -> Floats:
    """Weights (h,) of mean 1; raises GeoadaptError for an unknown convention and for latitudes that are none."""
    if weights not in WEIGHTS:
        raise GeoadaptError("weights", f"'{weights}' is unknown", nearest(weights, WEIGHTS))
    degrees = np.asarray(latitude, np.float64)
    if degrees.ndim != 1 or not (np.abs(degrees) <= 90).all():
        raise GeoadaptError("latitude", "is no list of degrees between −90 and 90", "give the grid's latitudes (h,)")
    found = WEIGHTS[weights](degrees)
    return np.asarray(found / found.mean())


def make_space(
    latitude: Floats, longitude: Floats, weights: str = "cos", regions: Mapping[str, Box] | None = None
) -> Space:
    """The whole domain and ``regions`` on a grid; raises GeoadaptError where a region holds no grid point."""
    rows_at, columns_at = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
    own = latitude_weights(rows_at, weights)
    masks = [np.ones((rows_at.size, columns_at.size), bool)]
    for name, box in (regions or {}).items():
        rows, columns = box.holds(rows_at, columns_at)
        if not name or "/" in name:
            raise GeoadaptError("regions", f"'{name}' is no name for a region", "choose a word without '/'")
        if not rows.any() or not columns.any():
            raise GeoadaptError(f"regions.{name}", f"{box} holds no point of the grid", "is it inside the domain?")
        masks.append(rows[:, None] & columns)
    inside = np.stack(masks, -1).reshape(-1, len(masks))
    every = np.repeat(own, columns_at.size)[:, None]
    return Space((WHOLE, *(regions or {})), rows_at, columns_at, np.where(inside, every, 0), inside)
