"""One field brought to the canonical form: dates decoded, levels and period chosen, grid ordered, units converted.

In: a ``Wanted`` field, lazy, in its file's units. Out: float32 (…, latitude, longitude) with NaN where missing, in
memory or with dask, its origin in ``attrs``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.cubes.axes import CANONICAL, scalar_roles
from geoadapt.cubes.calendar import period
from geoadapt.cubes.latlon import Order, latitude_order, longitude_order, ordered
from geoadapt.cubes.levels import level_positions, read_levels
from geoadapt.cubes.naming import Named, Unnamed, with_units
from geoadapt.cubes.stored_times import decode_times, timedeltas
from geoadapt.cubes.units import Conversion, check_plausible, reading_of
from geoadapt.cubes.variables import Variable
from geoadapt.cubes.weather_files import Wanted
from geoadapt.errors import GeoadaptError

__all__ = ["Request", "finished", "selected"]

_SAMPLED_DATES = 2
_SAMPLED_SIDE = 512
_UNDECLARED = ("", "unknown", "-", "?", "undefined", "undef", "none")


@dataclass(frozen=True, slots=True)
class Request:
    """What of a file is wanted, and what to believe in place of what it says."""

    levels: tuple[float, ...] | None = None
    start: object = None
    end: object = None
    units: Mapping[str, str] = field(default_factory=dict)
    chunks: Any = None


def selected(wanted: Wanted, request: Request) -> xr.DataArray:
    """Wanted dates and levels of a field, perhaps no date, still lazy and in its own units.

    Its first and last date, before any were chosen, are in ``attrs["geoadapt_reach"]``.
    """
    candidate = wanted.candidate
    if isinstance(candidate.array, GeoadaptError):
        raise candidate.array
    where = str(candidate.path)
    array = _expanded(candidate.array, candidate.found)
    said = list(candidate.notes)
    if isinstance(candidate.found, Named) and candidate.found.said:
        said.append(candidate.found.said)
    if "time" in array.dims:
        times, about = decode_times(array["time"], where, request.units.get("time"))
        said += about
        array = array.assign_coords(
            time=("time", times),
        ).assign_attrs(geoadapt_reach=(times[0], times[-1]))
        if request.start is not None or request.end is not None:
            array = array.isel(time=period(times, request.start, request.end, where))
    if "prediction_timedelta" in array.dims:
        leads = timedeltas(array["prediction_timedelta"], where, request.units.get("prediction_timedelta"))
        array = array.assign_coords(prediction_timedelta=("prediction_timedelta", leads))
    array = _levelled(array, request, f"{where}: '{candidate.name}'")
    return array.assign_attrs(geoadapt_notes=tuple(said))


def finished(wanted: Wanted, array: xr.DataArray, request: Request) -> xr.DataArray:
    """Values read, or made lazy with dask; converted to SI, on an ordered grid, as float32."""
    where = str(wanted.candidate.path)
    said = list(array.attrs["geoadapt_notes"])
    orders: dict[str, Order] = {
        "latitude": latitude_order(array["latitude"].values, where),
        "longitude": longitude_order(array["longitude"].values, where),
    }
    said += [s for order in orders.values() for s in order.said]
    # A lazy array is sampled before dask has it: what tells units is a part of the first and last date.
    sample = _sample(array) if request.chunks is not None else None
    array = array.load() if request.chunks is None else array.chunk(_chunks(array, request.chunks))
    values = array.values if sample is None else sample
    variable, converted, about = _conversion(wanted, values, request)
    said += [*about, *_empty_fields(wanted.candidate.name, values)]
    if converted is not None and converted.changes:
        said.append(f"'{wanted.candidate.name}' was converted from {converted.source} to {converted.target}")
    attrs = _attrs(array, wanted, variable, converted, said)
    array = _in_si(array, converted)
    for dim, order in orders.items():
        if order.said or not np.array_equal(order.positions, np.arange(array.sizes[dim])):
            array = ordered(array, dim, order)
        else:
            array = array.assign_coords({dim: (dim, order.coordinates)})
    array = array.drop_vars([c for c in array.coords if c not in array.dims])
    array = array.transpose(*[d for d in CANONICAL if d in array.dims])
    array.attrs, array.encoding = attrs, {}
    return array.rename(wanted.name if variable is None else variable.name)


def _expanded(array: xr.DataArray, found: Named | Unnamed) -> xr.DataArray:
    """The array with dimensions of length one for what scalar coordinates say: date, level, member, lead time.

    A member or a lead time of 0 is that of an analysis, and no dimension.
    """
    static = isinstance(found, Named) and found.variable.kind == "static"
    for role, name in scalar_roles(array).items():
        value = array[name]
        if role == "time" and static:
            continue
        if role in ("number", "prediction_timedelta") and not np.asarray(value.values).astype(np.int64).any():
            continue
        kept = xr.DataArray(np.atleast_1d(value.values), dims=role, attrs=value.attrs)
        array = array.drop_vars(name).expand_dims({role: kept.values})
        array[role].attrs = kept.attrs
    if isinstance(found, Named) and found.level is not None:
        array = array.expand_dims(level=[found.level])
        array["level"].attrs = {"units": "hPa"}
    return array


def _levelled(array: xr.DataArray, request: Request, where: str) -> xr.DataArray:
    """The wanted levels, by value, in the order wanted; ascending where all are."""
    role = next((r for r in ("level", "model_level") if r in array.dims), None)
    if role is None:
        return array
    kind, levels = read_levels(array[role], role, where, request.units.get("level"))
    places = level_positions(levels, request.levels, where)
    array = array.drop_vars(role, errors="ignore").isel({role: places})
    array = array if kind == role else array.rename({role: kind})
    return array.assign_coords({kind: (kind, levels[places])})


def _conversion(
    wanted: Wanted, values: NDArray[Any], request: Request
) -> tuple[Variable | None, Conversion | None, list[str]]:
    """The variable that a field is held as, how it is brought to SI, and what was said about it.

    Raises GeoadaptError where units are of another kind, cannot be told, or do not fit the values.
    """
    candidate, found = wanted.candidate, wanted.candidate.found
    if isinstance(found, Unnamed) or isinstance(candidate.array, GeoadaptError):
        return None, None, []
    where = str(candidate.path)
    given = request.units.get(candidate.name, request.units.get(found.variable.name))
    declared = given if given is not None else str(candidate.array.attrs.get("units", "")).strip()
    finite = values[np.isfinite(values)]
    if declared.lower() in _UNDECLARED:
        if finite.size == 0:
            raise GeoadaptError(
                where, f"'{candidate.name}' has no units and no values", f"say units={{'{candidate.name}': '…'}}"
            )
        reading = reading_of(found.variable, float(finite.min()), float(finite.max()), where)
        about = [f"'{candidate.name}' declares no units; its values can only be {reading.source}"]
        return found.variable, reading, about
    fitting = with_units(found, declared)
    if isinstance(fitting, Unnamed):
        raise GeoadaptError(where, f"'{candidate.name}': {fitting.why}", f"say units={{'{candidate.name}': '…'}}")
    named, converted = fitting
    if finite.size:
        low, high = (float(v) * converted.factor + converted.offset for v in (finite.min(), finite.max()))
        _check_absent(wanted, named, converted, where)
        check_plausible(named.variable, low, high, declared, where)
    return named.variable, converted, []


def _empty_fields(name: str, values: NDArray[Any]) -> list[str]:
    """A sentence on fields (latitude, longitude) that hold no value at all, where others do."""
    empty = np.isnan(values).all(axis=(-2, -1)) if values.ndim > 2 and values.dtype.kind == "f" else np.zeros(1, bool)
    return [f"{int(empty.sum())} of {empty.size} fields of '{name}' hold no value"] if empty.any() else []


def _check_absent(wanted: Wanted, named: Named, converted: Conversion, where: str) -> None:
    """Raise where absent chunks read as a number that the variable cannot have."""
    fill = wanted.candidate.fill
    if fill is None or not np.isfinite(fill):
        return
    value = fill * converted.factor + converted.offset
    if not named.variable.low <= value <= named.variable.high:
        raise GeoadaptError(
            where,
            f"{wanted.candidate.notes[-1]}, which is no {named.variable.name}",
            "write them again, or fill with NaN",
        )


def _in_si(array: xr.DataArray, converted: Conversion | None) -> xr.DataArray:
    """Values as float32 [SI]; with dask block by block."""
    convert = converted if converted is not None else Conversion("", "", 1.0)
    if isinstance(array.data, np.ndarray):
        return array.copy(data=convert(array.data))
    return array.copy(data=array.data.map_blocks(convert, dtype=np.float32))


def _sample(array: xr.DataArray) -> NDArray[Any]:
    """Values of the first and last date, at most 512 a side, of the lowest and the highest level."""
    part = array
    for dim, size in array.sizes.items():
        if dim in ("latitude", "longitude"):
            part = part.isel({dim: slice(None, None, max(1, size // _SAMPLED_SIDE))})
        elif size > _SAMPLED_DATES:
            part = part.isel({dim: [0, size - 1]})
    return np.asarray(part.values)


def _chunks(array: xr.DataArray, chunks: Any) -> Any:
    """Chunks for the dimensions that the array has; an empty mapping means those of the file."""
    if not isinstance(chunks, Mapping):
        return chunks
    held = {d: c for d, c in (array.encoding.get("preferred_chunks") or {}).items() if d in array.dims}
    return {**held, **{d: c for d, c in chunks.items() if d in array.dims}}


def _attrs(
    array: xr.DataArray,
    wanted: Wanted,
    variable: Variable | None,
    converted: Conversion | None,
    said: Sequence[str],
) -> dict[str, Any]:
    """Units, kind and origin of a field; ``geoadapt_notes`` is taken off again when fields are merged."""
    units = converted.target if converted is not None else str(array.attrs.get("units", ""))
    attrs: dict[str, Any] = {"units": units, "source_name": wanted.candidate.name}
    if variable is not None:
        attrs |= {"kind": variable.kind, "source_units": "" if converted is None else converted.source}
    for key in ("long_name", "standard_name", "cell_methods", "GRIB_stepType"):
        if array.attrs.get(key) not in (None, "unknown"):
            attrs[key] = array.attrs[key]
    return {**attrs, "geoadapt_notes": tuple(dict.fromkeys(said))}
