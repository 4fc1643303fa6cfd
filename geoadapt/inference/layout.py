"""From channels to the variables, levels and points of a forecast store, and back from a state to a Dataset.

In: channels ``variable@level`` on a latitude–longitude grid. Out: variables with their levels together, CF names and
units, and the rows and columns inside a box.
"""

from __future__ import annotations

from collections.abc import Sequence

from geoadapt.cubes.variables import find_variable, split_channel
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.forecast_spec import ForecastVariable

__all__ = ["choose_channels", "variables_of"]


def choose_channels(channels: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...]:
    """Positions of the channels that are wanted, by channel or by variable with all its levels; none = all.

    Raises GeoadaptError where one is not there.
    """
    variables = [split_channel(channel)[0] for channel in channels]
    chosen: list[int] = []
    for name in wanted:
        known = find_variable(name)
        names = {name, known.name} if known else {name}
        found = [i for i, (c, v) in enumerate(zip(channels, variables, strict=True)) if names & {c, v}]
        if not found:
            raise GeoadaptError(name, "is not predicted", nearest(name, [*channels, *variables]))
        chosen += found
    return tuple(sorted(set(chosen))) if wanted else tuple(range(len(channels)))


def variables_of(channels: Sequence[str], units: Sequence[str], chosen: Sequence[int]) -> tuple[ForecastVariable, ...]:
    """The arrays that hold the channels at the positions ``chosen``: levels of one variable together, ascending."""
    levels: dict[str, list[tuple[float | None, int]]] = {}
    for index in chosen:
        variable, level = split_channel(channels[index])
        levels.setdefault(variable, []).append((level, index))
    made = []
    for variable, found in levels.items():
        mixed = len(found) > 1 and any(level is None for level, _ in found)
        if mixed or len({level for level, _ in found}) < len(found):
            raise GeoadaptError(variable, "comes twice, or with a level and without", "name every channel once")
        ordered = sorted(found, key=lambda pair: pair[0] or 0.0)
        heights = tuple(level for level, _ in ordered if level is not None)
        unit = units[ordered[0][1]] if units else ""
        made.append(ForecastVariable(variable, tuple(i for _, i in ordered), heights, _attributes(variable, unit)))
    return tuple(made)


def _attributes(variable: str, units: str) -> dict[str, str]:
    """CF attributes; the standard name only where the table knows exactly one."""
    known = find_variable(variable)
    attributes = {"long_name": variable.replace("_", " ")}
    if known is not None and known.standard_names:
        attributes["standard_name"] = known.standard_names[0]
    if told := units or (known.units if known else ""):
        attributes["units"] = told
    return attributes
