"""Levels of the atmosphere, found by value: pressure in hPa, or the numbers of a model's own levels.

In: a level coordinate (l,) with or without units. Out: levels [hPa] as float64, or model levels; and the positions of
those that are wanted, in the order in which they are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.cubes.latlon import exact
from geoadapt.cubes.units import parse_units
from geoadapt.errors import GeoadaptError

__all__ = ["level_positions", "read_levels"]

_PASCAL = (-1, 1, -2, 0)
_STANDARD = frozenset(
    (1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700)
    + (750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000)
)
"""Pressure levels of ERA5 [hPa]."""
_NEAR = 1e-6


def read_levels(raw: xr.DataArray, role: str, where: str, units: str | None = None) -> tuple[str, NDArray[np.float64]]:
    """The role, ``level`` [hPa] or ``model_level``, and the levels (l,); ``units`` stand in for the file's own.

    Raises GeoadaptError where the units cannot be told, or a level is double or not positive.
    """
    values = np.atleast_1d(exact(raw.values))
    told = units or str(raw.attrs.get("units", ""))
    if units == "model_level" or (role == "model_level" and units is None):
        return "model_level", _checked(values, where, "model level")
    unit = parse_units(told) if told else None
    if unit is not None and unit.dimensions == _PASCAL:
        return "level", _checked(_hectopascal(values, unit.factor), where, "level [hPa]")
    if told and unit is not None and unit.dimensions != (0, 0, 0, 0):
        raise GeoadaptError(where, f"its levels are in '{told}', which is no pressure", "expected hPa or Pa")
    return "level", _checked(_undeclared(values, where), where, "level [hPa]")


def level_positions(levels: NDArray[np.float64], wanted: Sequence[float] | None, where: str) -> NDArray[np.intp]:
    """Where the ``wanted`` levels stand, in their order; all, ascending, where None.

    Raises GeoadaptError with the list of levels where one is missing.
    """
    if wanted is None:
        return np.argsort(levels, kind="stable")
    found = [np.flatnonzero(np.abs(levels - w) <= _NEAR * max(1.0, abs(w))) for w in wanted]
    missing = [f"{w:g}" for w, f in zip(wanted, found, strict=True) if not f.size]
    if missing:
        held = ", ".join(f"{v:g}" for v in np.sort(levels))
        raise GeoadaptError(where, f"has no level {', '.join(missing)}", f"it has {held}")
    return np.array([int(f[0]) for f in found], np.intp)


def _hectopascal(values: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Levels in hPa; round where the file's numbers are."""
    if factor == 100.0:
        return values
    return np.asarray(np.round(values * (factor / 100.0), 9), np.float64)


def _undeclared(values: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """Levels without units, where only one reading is possible: ERA5's own numbers as hPa, or as Pa."""
    if set(values.tolist()) <= _STANDARD and not _counted(values):
        return values
    if set((values / 100).tolist()) <= _STANDARD and values.max() > 1100:
        return values / 100
    raise GeoadaptError(
        where,
        f"its levels {values[0]:g}…{values[-1]:g} have no units",
        "say units={'level': 'hPa'}, 'Pa' or 'model_level'",
    )


def _counted(values: NDArray[np.float64]) -> bool:
    """Whether levels are counted 1, 2, 3, as those of models are."""
    return values.size > 1 and bool((np.diff(np.sort(values)) == 1).all())


def _checked(values: NDArray[np.float64], where: str, what: str) -> NDArray[np.float64]:
    if not np.isfinite(values).all() or (values <= 0).any():
        raise GeoadaptError(where, f"holds a {what} of {values.min():g}", "expected numbers above 0")
    if np.unique(values).size < values.size:
        ordered = np.sort(values)
        raise GeoadaptError(where, f"holds {what} {ordered[:-1][np.diff(ordered) == 0][0]:g} twice", "keep one of them")
    return values
