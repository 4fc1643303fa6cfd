"""Which variable a field is: by its name, its GRIB name, its CF standard name, and by the level or height it lies at.

In: a field with canonical dimensions and the attributes of its file. Out: ``Named``, or the reason why it has no name;
never the likeliest guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from geoadapt.cubes.axes import scalar_roles
from geoadapt.cubes.units import Conversion, conversion
from geoadapt.cubes.variables import VARIABLES, Variable, find_variable, name_and_level, named_in_standard

__all__ = ["Named", "Unnamed", "name_field", "with_units"]

_HEIGHT_COORDINATES = ("heightAboveGround", "height", "scalar_height", "heightAboveSea")


@dataclass(frozen=True, slots=True)
class Named:
    """A field's variable, the level [hPa] where its name carries one, and why it is this one, if that is not plain."""

    variable: Variable
    level: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Unnamed:
    """Why a field has no name; ``resembles`` a variable where something about it is missing or in contradiction."""

    why: str
    resembles: Variable | None = None


def name_field(array: xr.DataArray) -> Named | Unnamed:
    """What ``array`` is, by all that its file says."""
    name = str(array.name)
    on_levels = bool({"level", "model_level"} & {*map(str, array.dims), *scalar_roles(array)})
    standard = str(array.attrs.get("standard_name", ""))
    found = find_variable(name, on_levels=on_levels) or _by_grib(array, on_levels)
    if found is None and not on_levels and (carried := name_and_level(name)) is not None:
        return Named(VARIABLES[carried[0]], carried[1])
    if found is None:
        by_standard = named_in_standard(standard, on_levels=on_levels)
        if by_standard is None:
            return Unnamed("its name is not known")
        if not on_levels and standard in _NEEDS_HEIGHT:
            return _near_surface(array, by_standard)
        return Named(by_standard, said=f"'{name}' is told by its standard name {standard}")
    if standard and not _agrees(found, standard):
        return Unnamed(f"its name says {found.name}, its standard name {standard}", found)
    return _placed(array, found, on_levels)


def with_units(named: Named, declared: str) -> tuple[Named, Conversion] | Unnamed:
    """The variable that fits the declared units, itself or a twin of it (an amount, not a rate), and the conversion."""
    for name in (named.variable.name, *named.variable.twins):
        variable = VARIABLES[name]
        if variable.on_levels != named.variable.on_levels:
            continue
        converted = conversion(declared, variable)
        if converted is not None:
            return (named if variable is named.variable else Named(variable, named.level, named.said)), converted
    kinds = " or ".join(VARIABLES[n].units for n in (named.variable.name, *named.variable.twins))
    return Unnamed(
        f"it is said to be in '{declared}', which is no unit of {named.variable.name} ({kinds})", named.variable
    )


_NEEDS_HEIGHT = ("air_temperature", "specific_humidity", "relative_humidity", "eastward_wind", "northward_wind")


def _by_grib(array: xr.DataArray, on_levels: bool) -> Variable | None:
    """By the names that GRIB's own tables have for it."""
    for key in ("GRIB_cfVarName", "GRIB_shortName"):
        if key in array.attrs and (found := find_variable(str(array.attrs[key]), on_levels=on_levels)) is not None:
            return found
    return None


def _agrees(variable: Variable, standard: str) -> bool:
    """Whether a standard name is the variable's own or a twin's, or says nothing about any variable that is known."""
    own = (variable, *(VARIABLES[t] for t in variable.twins))
    if any(standard in v.standard_names for v in own):
        return True
    return not any(standard in v.standard_names for v in VARIABLES.values())


def _placed(array: xr.DataArray, found: Variable, on_levels: bool) -> Named | Unnamed:
    """The variable, where the field's dimensions are those it has."""
    name = str(array.name)
    if found.on_levels == on_levels:
        if found.name == "geopotential_at_surface" and find_variable(name) is not found:
            return _surface_geopotential(array, found)
        if not on_levels and find_variable(name) is not found and find_variable(name) is not None:
            return _near_surface(array, found)
        return Named(found)
    if on_levels:
        return Unnamed(f"{found.name} has no levels, but this field does", found)
    return Unnamed(f"{found.name} has levels, and it does not say which one this is", found)


def _near_surface(array: xr.DataArray, found: Variable) -> Named | Unnamed:
    """A field without levels that bears the name of one with levels: at 2 m or 10 m it is the surface's own."""
    height = next((float(array[c]) for c in _HEIGHT_COORDINATES if c in array.coords and not array[c].ndim), None)
    expected = (8.0, 12.0) if found.name.startswith("10m") else (1.0, 3.0)
    if height is not None and expected[0] <= height <= expected[1]:
        return Named(found, said=f"'{array.name}' lies {height:g} m above ground")
    told = "no height" if height is None else f"a height of {height:g} m"
    return Unnamed(f"it has no level and {told}, so it may be {found.name} or that of a level", found)


def _surface_geopotential(array: xr.DataArray, found: Variable) -> Named | Unnamed:
    """Geopotential without levels: orography where the file says surface, or where it is the same at all times."""
    words = f"{array.attrs.get('long_name', '')} {array.attrs.get('standard_name', '')}".lower()
    at_surface = array.attrs.get("GRIB_typeOfLevel") == "surface" or "surface" in words or "orograph" in words
    if at_surface or array.sizes.get("time", 1) == 1:
        return Named(found, said=f"'{array.name}' has no level and is taken as the height of the ground")
    return Unnamed("it has no level, and changes with time: say which level it lies at", found)
