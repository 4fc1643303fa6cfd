"""Weather fields from NetCDF, GRIB and Zarr as one canonical cube.

In: one path or several. Out: a Dataset (time, number, prediction_timedelta, level, latitude, longitude), each variable
with those that it has, under the long names of ERA5, in SI units, float32, NaN where missing; what was changed on the
way is said in ``attrs["notes"]``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import psutil
import xarray as xr

from geoadapt.cubes.calendar import shown
from geoadapt.cubes.weather_field import Request, finished, selected
from geoadapt.cubes.weather_files import Candidate, Wanted, candidates, checked_chunks, choose, wanted_levels
from geoadapt.cubes.weather_merge import merged
from geoadapt.errors import GeoadaptError
from geoadapt.io.paths import as_path

__all__ = ["cube_of", "open_weather"]

_MEMORY_SHARE = 0.8


def open_weather(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    variables: Sequence[str] | None = None,
    levels: Sequence[float] | None = None,
    start: object = None,
    end: object = None,
    duplicates: str = "error",
    gaps: str = "error",
    units: Mapping[str, str] | None = None,
    chunks: Any = None,
) -> xr.Dataset:
    """The canonical cube of one weather file or store, or of several that are joined along time or by variable.

    Dimensions are those of (time, number, prediction_timedelta, level, latitude, longitude) that a variable has, in
    this order; latitude descends; longitude ascends, in 0–360, or in −180–180 for a region across Greenwich; levels
    are in hPa, those of models in a dimension ``model_level``; ``time`` is datetime64[ns], or cftime in a calendar
    that has other days. Values that need no other units keep their bits.

    Args:
        path: NetCDF or GRIB file, Zarr store, a pattern, or a list of them.
        variables: names in any spelling (``t2m``, ``2m_temperature``, ``temperature@850``), or the file's own; a
            variable that has no known name comes as it is. None = all that have one.
        levels: [hPa], or numbers of model levels, in the order wanted; None = all, ascending.
        start: first date, as ISO text, with or without Z or an offset, or a datetime.
        end: last date, included; "2006" includes all of 2006.
        duplicates: ``error``, or ``first``: of dates that occur twice keep the first.
        gaps: ``error`` where a date is missing between two others, or ``allow``.
        units: what to believe in place of what a file says or fails to say, by variable; also of ``time`` ("days since
            1979-01-01") and ``level`` ("hPa", "Pa", "model_level").
        chunks: dask chunks by dimension; {} = as stored. None = read into memory.

    Raises GeoadaptError, with the file and what to try, where a variable, level or date is missing, units are not
    told or not plausible, the grid is not one of latitudes and longitudes, or something is damaged.
    """
    found = [c for p in _paths(path) for c in candidates(p)]
    return cube_of(
        found,
        variables=variables,
        levels=levels,
        start=start,
        end=end,
        duplicates=duplicates,
        gaps=gaps,
        units=units,
        chunks=chunks,
    )


def cube_of(
    found: Sequence[Candidate],
    *,
    variables: Sequence[str] | None = None,
    levels: Sequence[float] | None = None,
    start: object = None,
    end: object = None,
    duplicates: str = "error",
    gaps: str = "error",
    units: Mapping[str, str] | None = None,
    chunks: Any = None,
) -> xr.Dataset:
    """As ``open_weather``, of files that have been looked into already."""
    paths = list(dict.fromkeys(c.path for c in found))
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    held = wanted_levels(variables) if levels is None else [float(v) for v in levels]
    request = Request(None if held is None else tuple(held), start, end, dict(units or {}), chunks)
    _check_overrides(request.units, found, where)
    chosen, left_out = choose(found, variables, where)
    fields = _fields([replace(w, candidate=checked_chunks(w.candidate)) for w in chosen], request, where)
    cube = merged(fields, where, duplicates=duplicates, gaps=gaps)
    if left_out:
        notes = [cube.attrs["notes"]] if "notes" in cube.attrs else []
        cube.attrs["notes"] = "; ".join([*notes, f"left out, for their names are not known: {', '.join(left_out)}"])
    return cube


def _fields(chosen: Sequence[Wanted], request: Request, where: str) -> list[xr.DataArray]:
    """Every field, read only when all of them are known to fit into memory."""
    opened = [(w, selected(w, request)) for w in chosen]
    lazy = [(w, a) for w, a in opened if a.size]
    if not lazy:
        reaches = [a.attrs["geoadapt_reach"] for _, a in opened]
        raise GeoadaptError(
            where,
            f"has no date from {request.start or 'its first'} to {request.end or 'its last'}",
            f"it reaches from {shown(min(r[0] for r in reaches))} to {shown(max(r[1] for r in reaches))}",
        )
    wanted = sum(a.size for _, a in lazy) * 4
    free = psutil.virtual_memory().available * _MEMORY_SHARE
    if request.chunks is None and wanted > free:
        raise GeoadaptError(
            where,
            f"takes {wanted / 2**30:,.1f} GiB of memory, {free / 2**30:,.1f} GiB are free",
            "choose variables, levels or a period, or read lazily with chunks={}",
        )
    return [finished(w, a, request) for w, a in lazy]


def _paths(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Every file that is meant; a name that exists is itself, even where it looks like a pattern."""
    if not isinstance(path, str | os.PathLike):
        found = [p for one in path for p in _paths(one)]
        if not found:
            raise GeoadaptError("open_weather", "got no paths", "give at least one")
        return found
    literal = as_path(path)
    if literal.exists() or not has_magic(str(literal)):
        return [literal]
    matches = sorted(glob(str(literal), recursive=True))
    if not matches:
        raise GeoadaptError(path, "matches nothing", "check the pattern")
    return [Path(m) for m in matches]


def _check_overrides(units: Mapping[str, str], found: Sequence[Candidate], where: str) -> None:
    """Raise GeoadaptError for units of something that no file has."""
    known = {"time", "level", "prediction_timedelta", *(c.name for c in found), *(str(c.canonical) for c in found)}
    for name in units:
        if name not in known:
            held = ", ".join(sorted(known - {"None"}))
            raise GeoadaptError(where, f"units are given for '{name}', which it does not hold", f"it has {held}")
