"""What weather variables are called, in which units geoadapt holds them, and which numbers are plausible.

In: a name as ERA5, CMIP, MERRA-2, WFDE5 or GRIB spell it, or a CF standard name. Out: a ``Variable`` under the long
name that ERA5 has in WeatherBench 2, its SI units, and the range that tells K from °C. Channels are ``variable`` or
``variable@level`` [hPa].
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from geoadapt.cubes.variable_table import VARIABLES, Variable
from geoadapt.errors import GeoadaptError, nearest

__all__ = [
    "VARIABLES",
    "Variable",
    "channel_name",
    "find_variable",
    "name_and_level",
    "near_names",
    "named_in_standard",
    "split_channel",
]


_EXACT: dict[str, str] = {alias: v.name for v in VARIABLES.values() for alias in (v.name, *v.aliases)}
_LOWER: dict[str, str] = {alias.lower(): name for alias, name in reversed(list(_EXACT.items()))}
_STANDARD: dict[str, tuple[str, ...]] = {
    s: tuple(v.name for v in VARIABLES.values() if s in v.standard_names)
    for s in dict.fromkeys(s for v in VARIABLES.values() for s in v.standard_names)
}
_SUFFIXED = re.compile(r"^([A-Za-z]+)[_]?(\d{1,4})(?:hPa|mb)?$")


def find_variable(name: str, *, on_levels: bool | None = None) -> Variable | None:
    """The variable that ``name`` is an alias of, first as spelled, then without regard to case; None if of none.

    ``on_levels`` tells between meanings of one alias: ``z`` with levels is geopotential, without it is orography.
    """
    found = _EXACT.get(name) or _LOWER.get(name.lower())
    if found is None:
        return None
    variable = VARIABLES[found]
    if on_levels is None or variable.on_levels == on_levels:
        return variable
    return next((VARIABLES[t] for t in variable.twins if VARIABLES[t].on_levels == on_levels), variable)


def named_in_standard(standard_name: str, *, on_levels: bool) -> Variable | None:
    """The one variable with this CF standard name, with levels or without; None if none, or if several have it."""
    found = [VARIABLES[n] for n in _STANDARD.get(standard_name, ()) if VARIABLES[n].on_levels == on_levels]
    return found[0] if len(found) == 1 else None


def name_and_level(name: str) -> tuple[str, float] | None:
    """The long name and the level [hPa] of a name that carries one, such as ``ta850`` or ``Z_500``; else None."""
    found = _SUFFIXED.match(name)
    if name in _EXACT or found is None:
        return None
    variable = find_variable(found.group(1))
    level = float(found.group(2))
    if variable is None or not variable.on_levels or not 1 <= level <= 1100:
        return None
    return variable.name, level


def channel_name(variable: str, level: float | None = None) -> str:
    """``variable``, or ``variable@level`` with the level [hPa] without a trailing .0."""
    return variable if level is None else f"{variable}@{float(level):g}"


def split_channel(name: str) -> tuple[str, float | None]:
    """Variable and level [hPa] of a channel; raises GeoadaptError where the level is no number above 0."""
    variable, mark, text = name.partition("@")
    if not mark:
        return variable, None
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if not variable or not 0 < level < float("inf"):
        raise GeoadaptError(name, "is no channel", "expected variable or variable@level, such as temperature@850")
    return variable, level


def near_names(name: str, held: Iterable[str]) -> str:
    """A hint: which of the names that are ``held`` are meant by ``name``, or resemble it."""
    variable = find_variable(name)
    same = [] if variable is None else [h for h in held if find_variable(h) in (variable, *_twins(variable))]
    return f"did you mean '{same[0]}'?" if same else nearest(name, held)


def _twins(variable: Variable) -> list[Variable]:
    return [VARIABLES[t] for t in variable.twins]
