"""What Prithvi WxC takes, from MERRA-2 by name and value: channels in order, levels, grid, static fields, dates.

In: fields under MERRA-2's names, dims (time, [model_level], latitude, longitude). Out: arrays in the model's own order.
Nothing is ever taken by position: a file may store levels upwards or downwards, rows and columns from either side.
Source: Prithvi WxC (arXiv 2409.13598) and its published configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = [
    "CHANNELS",
    "LEVELS",
    "STATIC",
    "SURFACE",
    "VERTICAL",
    "Sample",
    "model_form",
    "sample",
    "stacked",
    "static_fields",
]

# fmt: off
SURFACE = (
    "EFLUX", "GWETROOT", "HFLUX", "LAI", "LWGAB", "LWGEM", "LWTUP", "PS", "QV2M", "SLP",
    "SWGNT", "SWTNT", "T2M", "TQI", "TQL", "TQV", "TS", "U10M", "V10M", "Z0M",
)
VERTICAL = ("CLOUD", "H", "OMEGA", "PL", "QI", "QL", "QV", "T", "U", "V")
LEVELS = (34, 39, 41, 43, 44, 45, 48, 51, 53, 56, 63, 68, 71, 72)
# fmt: on
"""Model levels from the top down to the surface."""
STATIC = ("FRACI", "FRLAND", "FROCEAN", "PHIS")
CHANNELS = (*SURFACE, *(f"{name}@{level}" for name in VERTICAL for level in LEVELS))
"""All 160 in the model's order, vertical ones as ``name@model_level``."""
FILLED = {"GWETROOT": 1.0, "LAI": 0.0}
"""What stands where a field has no value: over the sea."""

Array = NDArray[np.float32]


def model_form(fields: xr.Dataset, where: str) -> xr.Dataset:
    """Fields on the model's grid: latitude from −90° on without the row at +90°, longitude from −180° on, 14 levels.

    Raises GeoadaptError where one of the 14 levels is missing.
    """
    named = fields.rename({a: b for a, b in _NAMES.items() if a in fields.dims})
    east = (named["longitude"].values.astype(np.float64) + 180) % 360 - 180
    placed = named.assign_coords(longitude=east).sortby(["latitude", "longitude"])
    placed = placed.isel(latitude=placed["latitude"].values < 90 - 1e-6)
    if "model_level" not in placed.dims:
        return placed
    held = placed["model_level"].values.astype(np.float64)
    missing = [level for level in LEVELS if level not in held]
    if missing:
        raise GeoadaptError(where, f"lacks model levels {missing}", f"Prithvi WxC takes {list(LEVELS)}")
    chosen = placed.sel(model_level=list(LEVELS))
    return chosen.assign_coords(model_level=("model_level", list(LEVELS), {"units": "layer", "positive": "down"}))


_NAMES = {"lat": "latitude", "lon": "longitude", "lev": "model_level"}


def stacked(cube: xr.Dataset) -> Array:
    """The 160 channels (160, h, w) of a cube of one date, whatever the order of its levels."""
    surface = [cube[name].values[None] for name in SURFACE]
    vertical = [cube[name].sel(model_level=list(LEVELS)).transpose("model_level", ...).values for name in VERTICAL]
    return np.concatenate([*surface, *vertical]).astype(np.float32, copy=False)


def static_fields(cube: xr.Dataset, time: np.datetime64, positions: str = "fourier") -> Array:
    """Position, day of the year and hour of ``time``, and the four static surface fields, (10 or 11, h, w).

    ``fourier`` positions are latitude and longitude [rad], ``absolute`` ones sin φ, cos λ, sin λ.
    """
    phi, lam = (np.deg2rad(cube[d].values.astype(np.float64)) for d in ("latitude", "longitude"))
    rows, columns = np.meshgrid(phi, lam, indexing="ij")
    known = {"fourier": (rows, columns), "absolute": (np.sin(rows), np.cos(columns), np.sin(columns))}
    if positions not in known:
        raise GeoadaptError("positions", f"'{positions}'", f"choose from {sorted(known)}")
    day, hour = _doy(time) / 366, _hour(time) / 24
    angles = (np.cos(2 * np.pi * day), np.sin(2 * np.pi * day), np.cos(2 * np.pi * hour), np.sin(2 * np.pi * hour))
    clock = [np.full(rows.shape, value) for value in angles]
    return np.stack([*known[positions], *clock, *(cube[name].values for name in STATIC)]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the model sees at once, and what it is to say, in physical units."""

    x: Array
    """(2, 160, h, w), the older state first."""
    y: Array
    """(160, h, w) at the target time."""
    static: Array
    """(10 or 11, h, w), of the newer input's time."""
    climate: Array | None
    """(160, h, w) at the target time."""
    input_time: float
    """[h] between both inputs."""
    lead_time: float
    """[h]; below zero it counts back from the older input."""


def sample(
    cube: xr.Dataset,
    time: np.datetime64,
    input_hours: int = 6,
    lead_hours: int = 6,
    *,
    positions: str = "fourier",
    climate: Callable[[int, int], Array] | None = None,
) -> Sample:
    """The sample whose newer input is at ``time``; ``climate`` gives the climatology (160, h, w) of a day and hour.

    Raises GeoadaptError where the cube lacks one of the three dates.
    """
    gap, lead = np.timedelta64(input_hours, "h"), np.timedelta64(lead_hours, "h")
    older = time - gap
    target = time + lead if lead_hours >= 0 else older + lead
    return Sample(
        np.stack([stacked(_at(cube, older)), stacked(_at(cube, time))]),
        stacked(_at(cube, target)),
        static_fields(cube, time, positions),
        None if climate is None else climate(min(_doy(target), 365), _hour(target)),
        float(input_hours),
        float(lead_hours),
    )


def _at(cube: xr.Dataset, time: np.datetime64) -> xr.Dataset:
    place = np.flatnonzero(cube["time"].values == time.astype("datetime64[ns]"))
    if not len(place):
        first, last = (str(t.astype("datetime64[h]")) for t in cube["time"].values[[0, -1]])
        raise GeoadaptError("time", f"the cube has no {time}", f"it reaches from {first} to {last}")
    return cube.isel(time=int(place[0]))


def _doy(time: np.datetime64) -> int:
    return int((time.astype("datetime64[D]") - time.astype("datetime64[Y]")).astype(int)) + 1


def _hour(time: np.datetime64) -> int:
    return int((time.astype("datetime64[h]") - time.astype("datetime64[D]")).astype(int))
