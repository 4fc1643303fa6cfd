"""Canonical fields of one file or of many, put together into one cube.

In: fields (…, latitude, longitude). Out: a Dataset in which every variable lies on the same grid and dates; pieces of a
variable are joined along the one dimension in which they differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import xarray as xr

from geoadapt.cubes.axes import CANONICAL
from geoadapt.cubes.calendar import check_times, shown
from geoadapt.errors import GeoadaptError
from geoadapt.words import counted

__all__ = ["merged"]

_GRID = ("latitude", "longitude")
_ALONG = ("level", "model_level", "number", "prediction_timedelta", "time")
_COORDINATES = {
    "latitude": {"units": "degrees_north", "standard_name": "latitude"},
    "longitude": {"units": "degrees_east", "standard_name": "longitude"},
    "level": {"units": "hPa", "standard_name": "air_pressure", "positive": "down"},
    "model_level": {"standard_name": "model_level_number", "positive": "down"},
    "number": {"standard_name": "realization"},
    "time": {"standard_name": "time"},
    "prediction_timedelta": {"standard_name": "forecast_period"},
}


def merged(fields: Sequence[xr.DataArray], where: str, *, duplicates: str, gaps: str) -> xr.Dataset:
    """One cube, with everything that was said about its fields in ``attrs["notes"]``.

    Raises GeoadaptError where fields lie on different grids or dates, are held twice, or dates are double or missing.
    """
    groups: dict[str, list[xr.DataArray]] = defaultdict(list)
    for field in fields:
        groups[str(field.name)].append(field)
    said = [note for field in fields for note in field.attrs["geoadapt_notes"]]
    _check_grids(fields, where)
    whole = {}
    for name, pieces in groups.items():
        joined = _joined(name, pieces, where, duplicates)
        if joined.attrs.get("kind") == "static" and "time" in joined.dims:
            said += [f"{name} is constant, and its first date is kept"] if joined.sizes["time"] > 1 else []
            joined = joined.isel(time=0, drop=True)
        if "time" in joined.dims:
            # Forecasts start when they start: a gap between two of them is said, and no error.
            allowed = "allow" if "prediction_timedelta" in joined.dims else gaps
            keep, gap = check_times(joined["time"].values, f"{where}: {name}", duplicates=duplicates, gaps=allowed)
            if keep.size < joined.sizes["time"]:
                said.append(
                    f"{counted(joined.sizes['time'] - keep.size, 'date')} occurred twice; the first of each is kept"
                )
                joined = joined.isel(time=keep)
            said += [f"dates have a gap: {gap}"] if gap else []
        whole[name] = joined
    said += _levels_in_common(whole)
    _check_dates(whole, where)
    for joined in whole.values():
        joined.attrs.pop("geoadapt_notes")
    cube = xr.Dataset(whole)
    for coordinate in cube.coords:
        cube[coordinate].attrs = dict(_COORDINATES.get(str(coordinate), {}))
    notes = "; ".join(dict.fromkeys(said))
    cube.attrs = {"source": where, **({"notes": notes} if notes else {})}
    return cube


def _joined(name: str, pieces: Sequence[xr.DataArray], where: str, duplicates: str) -> xr.DataArray:
    """Pieces of one variable as one array, joined along whatever they differ in."""
    parts = list(pieces)
    for dim in _ALONG:
        groups: dict[tuple[object, ...], list[xr.DataArray]] = defaultdict(list)
        for part in parts:
            groups[_signature(part, without=dim)].append(part)
        parts = [_concatenated(name, group, dim, where, duplicates) for group in groups.values()]
    if len(parts) > 1:
        kinds = " and ".join(f"{p.attrs['source_name']} {dict(p.sizes)}" for p in parts[:2])
        raise GeoadaptError(
            where, f"{name} is held in pieces that do not fit together: {kinds}", "open them one by one"
        )
    return parts[0]


def _signature(part: xr.DataArray, without: str) -> tuple[object, ...]:
    """What two pieces must share to be joined along one dimension: all the others."""
    return tuple((d, tuple(part[d].values.tolist())) for d in part.dims if d != without) + (without in part.dims,)


def _concatenated(name: str, group: list[xr.DataArray], dim: str, where: str, duplicates: str) -> xr.DataArray:
    """Pieces along ``dim``, sorted; dates may overlap, and are judged later."""
    if len(group) == 1:
        return group[0]
    if dim not in group[0].dims:
        sources = " and ".join(dict.fromkeys(f"'{p.attrs['source_name']}'" for p in group))
        if duplicates == "first":
            return group[0]
        raise GeoadaptError(where, f"{name} is held {len(group)} times, as {sources}", "name one: variables=['…']")
    group = sorted(group, key=lambda p: p[dim].values[0])
    whole = xr.concat(group, dim, coords="minimal", compat="override", join="override", combine_attrs="override")
    whole.attrs = {
        **group[0].attrs, "geoadapt_notes": tuple(n for p in group for n in p.attrs["geoadapt_notes"])
    }  # fmt: skip
    values = whole[dim].values
    order = np.argsort(values, kind="stable")
    if not (order == np.arange(order.size)).all():
        whole = whole.isel({dim: order})
    if dim != "time" and len(set(values.tolist())) < values.size:
        if duplicates != "first":
            raise GeoadaptError(where, f"{name} is held twice at the same {dim}", "open the files one by one")
        whole = whole.drop_duplicates(dim)
    return whole


def _check_grids(fields: Sequence[xr.DataArray], where: str) -> None:
    first = fields[0]
    for field in fields[1:]:
        for dim in _GRID:
            if not np.array_equal(field[dim].values, first[dim].values):
                raise GeoadaptError(
                    where,
                    f"lies on different grids: {_grid(first)} and {_grid(field)}",
                    "name variables of one grid with variables=[…], or open the files one by one",
                )


def _grid(field: xr.DataArray) -> str:
    """A grid in words: its size, its corners and where it comes from."""
    latitude, longitude = field["latitude"].values, field["longitude"].values
    reach = f"{latitude[0]:g}…{latitude[-1]:g}°N, {longitude[0]:g}…{longitude[-1]:g}°E"
    return f"'{field.attrs['source_name']}' {latitude.size} × {longitude.size} ({reach})"


def _levels_in_common(whole: dict[str, xr.DataArray]) -> list[str]:
    """Give every variable all levels that any has, NaN where it lacks one; says which it lacks."""
    said = []
    for dim in ("level", "model_level"):
        have = {n: a[dim].values.tolist() for n, a in whole.items() if dim in a.dims}
        union = list(dict.fromkeys(v for values in have.values() for v in values))
        if all(values == union for values in have.values()):
            continue
        union = sorted(union)
        for name, values in have.items():
            lacking = [v for v in union if v not in values]
            if lacking:
                said.append(f"{name} has no {dim} {', '.join(f'{v:g}' for v in lacking)}: NaN there")
            attrs = whole[name].attrs
            whole[name] = whole[name].reindex({dim: union}).assign_attrs(attrs)
    return said


def _check_dates(whole: dict[str, xr.DataArray], where: str) -> None:
    """Raise GeoadaptError where variables do not share their dates, members or lead times."""
    for dim in CANONICAL:
        having = {n: a for n, a in whole.items() if dim in a.dims}
        if dim in (*_GRID, "level", "model_level") or len(having) < 2:
            continue
        (first, one), *others = having.items()
        for name, other in others:
            if not np.array_equal(one[dim].values, other[dim].values):
                raise GeoadaptError(
                    where,
                    f"{first} has {_reach(one, dim)}, {name} has {_reach(other, dim)}",
                    "choose a period with start=…, end=…, or name variables that share it with variables=[…]",
                )


def _reach(field: xr.DataArray, dim: str) -> str:
    values = field[dim].values
    ends = [shown(v) if dim == "time" else str(v) for v in (values[0], values[-1])]
    return f"{values.size} × {dim} ({ends[0]} … {ends[1]})"
