"""Which axis of a weather file is which.

In: a dataset as it was stored. Out: per dimension its role (``time``, ``level``, ``latitude`` …), told by standard
name, units and name, in this order of trust; and per field a DataArray whose dimensions are called by their roles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import xarray as xr

from geoadapt.errors import GeoadaptError

__all__ = ["CANONICAL", "CLIMATOLOGY", "fields_of", "role_of", "scalar_roles"]

CLIMATOLOGY: tuple[str, ...] = ("month", "season", "dayofyear", "hour")
"""Axes of a climatology, which take the place of time."""
CANONICAL: tuple[str, ...] = (
    *CLIMATOLOGY,
    *("time", "number", "prediction_timedelta", "level", "model_level", "latitude", "longitude"),
)
"""Every dimension that a canonical variable may have, in order."""

_STANDARD = {
    "latitude": "latitude",
    "longitude": "longitude",
    "time": "time",
    "forecast_reference_time": "time",
    "forecast_period": "prediction_timedelta",
    "realization": "number",
    "air_pressure": "level",
    "atmosphere_hybrid_sigma_pressure_coordinate": "model_level",
    "atmosphere_sigma_coordinate": "model_level",
    "model_level_number": "model_level",
}
_NAMES = {
    **dict.fromkeys(("lat", "latitude", "lats", "nav_lat"), "latitude"),
    **dict.fromkeys(("lon", "longitude", "lons", "long", "nav_lon"), "longitude"),
    **dict.fromkeys(("time", "valid_time", "init_time", "init", "forecast_time", "date_time", "datetime"), "time"),
    **dict.fromkeys(
        ("prediction_timedelta", "step", "lead_time", "lead", "leadtime", "forecast_period"), "prediction_timedelta"
    ),
    **dict.fromkeys(("number", "member", "realization", "ensemble", "ens", "sample"), "number"),
    **dict.fromkeys(("hybrid", "model_level", "hybridlevel", "generalverticallayer"), "model_level"),
    **{name: name for name in CLIMATOLOGY},
}
_LEVEL = re.compile(r"^(?:p?lev(?:el)?s?|isobaric(?:inh?pa)?|pressure(?:_level)?s?|air_pressure|plev)_?\d*$")
_PRESSURE_UNITS = re.compile(r"^(?:h?pa|mb|mbar|millibars?|hectopascals?|pascals?)$", re.I)
_MODEL_UNITS = ("layer", "layers", "level", "levels", "sigma_level", "hybrid_sigma_levels", "model_level")
_NORTH = re.compile(r"^degrees?[_ ]?n(?:orth)?$", re.I)
_EAST = re.compile(r"^degrees?[_ ]?e(?:ast)?$", re.I)


def role_of(name: str, attrs: Mapping[str, object]) -> str | None:
    """The role of a dimension or scalar coordinate; None where it has none that is known."""
    units = str(attrs.get("units", "")).strip()
    if _NORTH.match(units):
        return None if attrs.get("standard_name") == "grid_latitude" else "latitude"
    if _EAST.match(units):
        return None if attrs.get("standard_name") == "grid_longitude" else "longitude"
    standard = _STANDARD.get(str(attrs.get("standard_name", "")))
    if standard is not None:
        return standard
    lower = name.lower()
    if units.lower() in _MODEL_UNITS and (_LEVEL.match(lower) or _NAMES.get(lower) == "model_level"):
        return "model_level"
    if _PRESSURE_UNITS.match(units) or _LEVEL.match(lower):
        return "level"
    return _NAMES.get(lower)


def scalar_roles(array: xr.DataArray) -> dict[str, str]:
    """Role → name of the coordinates that hold one value for all of ``array``, of roles that no dimension has."""
    found: dict[str, str] = {}
    for name, coordinate in array.coords.items():
        role = None if coordinate.ndim else role_of(str(name).removeprefix("scalar_"), coordinate.attrs)
        if role in ("time", "number", "prediction_timedelta", "level", "model_level") and role not in array.dims:
            found[role] = str(name) if str(name) == role else found.get(role, str(name))
    return found


def fields_of(dataset: xr.Dataset, where: str) -> dict[str, xr.DataArray | GeoadaptError]:
    """Variables on a latitude and a longitude axis, dimensions called by their roles; scalars stay as coordinates.

    In place of a variable with a dimension that has no role stands the error for who wants it. Raises GeoadaptError
    where the dataset holds no field at all.
    """
    found: dict[str, xr.DataArray | GeoadaptError] = {}
    for name, array in dataset.data_vars.items():
        if array.dtype.kind not in "fiu" or "bnds" in str(name) or "bounds" in str(name):
            continue
        roles = {str(d): _dim_role(str(d), dataset) for d in array.dims}
        if {"latitude", "longitude"} <= set(roles.values()):
            try:
                found[str(name)] = _renamed(array, roles, f"{where}: '{name}'")
            except GeoadaptError as error:
                found[str(name)] = error
    if not found:
        raise GeoadaptError(where, _why_none(dataset), "bring it to a grid of latitudes and longitudes first")
    return found


def _dim_role(dim: str, dataset: xr.Dataset) -> str | None:
    return role_of(dim, dataset[dim].attrs if dim in dataset.coords else {})


def _renamed(array: xr.DataArray, roles: Mapping[str, str | None], where: str) -> xr.DataArray:
    """The array under canonical dimension names, dimensions of length one that have no role dropped."""
    for dim, role in roles.items():
        if role is None and array.sizes[dim] > 1:
            raise GeoadaptError(
                where,
                f"has a dimension '{dim}' of {array.sizes[dim]} that is none of {', '.join(CANONICAL)}",
                "choose one of them and store that, or rename the dimension",
            )
    doubled = [r for r in set(roles.values()) if r is not None and list(roles.values()).count(r) > 1]
    if doubled:
        both = " and ".join(d for d, r in roles.items() if r == doubled[0])
        raise GeoadaptError(where, f"has two dimensions of {doubled[0]}: {both}", "rename one of them")
    array = array.squeeze([d for d, r in roles.items() if r is None])
    clashing = [c for c in array.coords if c in CANONICAL and c not in array.dims and c not in roles]
    held = array.drop_vars([c for c in clashing if array[c].ndim])
    # A scalar coordinate of another meaning may bear the name that a dimension is about to get.
    scalars = {c: f"scalar_{c}" for c in held.coords if c in roles.values() and c not in roles and not held[c].ndim}
    held = held.rename(scalars)
    missing = [d for d, r in roles.items() if r in ("latitude", "longitude") and d not in held.coords]
    if missing:
        raise GeoadaptError(where, f"its dimension '{missing[0]}' has no coordinates", "store its degrees beside it")
    renamed = held.rename({d: r for d, r in roles.items() if r is not None and d != r})
    stored = array.encoding.get("preferred_chunks") or {}
    renamed.encoding["preferred_chunks"] = {roles[d] or d: c for d, c in stored.items() if d in roles}
    return renamed


def _why_none(dataset: xr.Dataset) -> str:
    """What the dataset is, in place of a lat–lon grid."""
    grid = {str(a.attrs["GRIB_gridType"]) for a in dataset.data_vars.values() if "GRIB_gridType" in a.attrs}
    listing = ", ".join(f"{n} {tuple(a.dims)}" for n, a in list(dataset.data_vars.items())[:4]) or "no variables"
    if grid:
        return f"its grid is not lat–lon but {', '.join(sorted(grid))}; found {listing}"
    for coordinate in dataset.variables.values():
        if role_of("", coordinate.attrs) == "latitude" and np.ndim(coordinate) == 2:
            return f"its grid is not lat–lon: latitude is a table over {tuple(coordinate.dims)}; found {listing}"
    return f"holds no field on latitude and longitude; found {listing}"
