"""Units as files spell them, brought to SI, and values held against what is plausible.

In: a unit text (``m**2 s**-2``, ``mb/day``, ``degC``, ``g/kg``) and values. Out: a ``Conversion`` (factor, offset) to
the units of a variable; or GeoadaptError, where the units are of another kind, or the values fit no reading of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.variables import Variable
from geoadapt.errors import GeoadaptError

__all__ = ["Conversion", "GRAVITY", "check_plausible", "conversion", "convert", "parse_units", "reading_of"]

GRAVITY = 9.80665
"""Standard gravity [m s-2]: geopotential = GRAVITY × geopotential height."""
_WATER = 1000.0
"""Density of liquid water [kg m-3]: 1 kg m-2 is 1 mm."""

Dimensions = tuple[int, int, int, int]
"""Exponents of metre, kilogram, second, kelvin."""


@dataclass(frozen=True, slots=True)
class Unit:
    """value in SI = value · factor + offset."""

    factor: float
    dimensions: Dimensions
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Conversion:
    """From a file's units to those of a variable: value · factor + offset."""

    source: str
    target: str
    factor: float
    offset: float = 0.0

    @property
    def changes(self) -> bool:
        """Whether it moves any value."""
        return self.factor != 1.0 or self.offset != 0.0

    def __call__(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Converted values as float32, computed in double precision; where nothing changes, the same bits."""
        if not self.changes:
            return np.asarray(values, np.float32)
        return (values.astype(np.float64) * self.factor + self.offset).astype(np.float32)


_ONE: Dimensions = (0, 0, 0, 0)
_BASE: dict[str, Unit] = {
    "m": Unit(1.0, (1, 0, 0, 0)),
    "g": Unit(1e-3, (0, 1, 0, 0)),
    "s": Unit(1.0, (0, 0, 1, 0)),
    "K": Unit(1.0, (0, 0, 0, 1)),
    "Pa": Unit(1.0, (-1, 1, -2, 0)),
    "N": Unit(1.0, (1, 1, -2, 0)),
    "J": Unit(1.0, (2, 1, -2, 0)),
    "W": Unit(1.0, (2, 1, -3, 0)),
    "bar": Unit(1e5, (-1, 1, -2, 0)),
    "atm": Unit(101325.0, (-1, 1, -2, 0)),
    "l": Unit(1e-3, (3, 0, 0, 0)),
}
_WORDS: dict[str, Unit] = {
    **_BASE,
    "degC": Unit(1.0, (0, 0, 0, 1), 273.15),
    "degF": Unit(5 / 9, (0, 0, 0, 1), 459.67 * 5 / 9),
    "min": Unit(60.0, (0, 0, 1, 0)),
    "h": Unit(3600.0, (0, 0, 1, 0)),
    "day": Unit(86400.0, (0, 0, 1, 0)),
    "kt": Unit(1852 / 3600, (1, 0, -1, 0)),
    "ft": Unit(0.3048, (1, 0, 0, 0)),
    "inch": Unit(0.0254, (1, 0, 0, 0)),
    "mmHg": Unit(133.322387415, (-1, 1, -2, 0)),
    "percent": Unit(0.01, _ONE),
    "1": Unit(1.0, _ONE),
}
_PREFIXES = {"h": 1e2, "k": 1e3, "da": 1e1, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "M": 1e6}
_SPELLED: dict[str, str] = {
    **dict.fromkeys(("meter", "meters", "metre", "metres", "gpm", "geopotential meter", "gpmetre"), "m"),
    **dict.fromkeys(("gpdam", "gpdm", "decametre", "decameter"), "dam"),
    **dict.fromkeys(("gram", "grams"), "g"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("kelvin", "kelvins", "degk", "deg_k", "degrees_kelvin", "degree_kelvin", "k"), "K"),
    **dict.fromkeys(
        (
            "c",
            "°c",
            "celsius",
            "degc",
            "deg_c",
            "degrees_celsius",
            "degree_celsius",
            "degreec",
            "degreesc",
            "degrees_c",
            "degree_c",
        ),
        "degC",
    ),
    **dict.fromkeys(("f", "°f", "fahrenheit", "degf", "deg_f", "degrees_fahrenheit"), "degF"),
    **dict.fromkeys(("pascal", "pascals"), "Pa"),
    **dict.fromkeys(("mb", "mbar", "mbars", "millibar", "millibars", "hectopascal", "hectopascals"), "hPa"),
    **dict.fromkeys(("watt", "watts"), "W"),
    **dict.fromkeys(("joule", "joules"), "J"),
    **dict.fromkeys(("minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "days"), "day"),
    **dict.fromkeys(("knot", "knots", "kts"), "kt"),
    **dict.fromkeys(("in", "inches"), "inch"),
    **dict.fromkeys(("%", "pct", "percentage"), "percent"),
    **dict.fromkeys(
        ("fraction", "proportion", "dimensionless", "unitless", "none", "~", "numeric", "n/a", "ratio"), "1"
    ),
}
_BARE = re.compile(r"^\(?\s*0\s*[-–]\s*1\s*\)?$")
_OF_WATER = re.compile(r"\s+(?:of\s+)?(?:water\s+equivalent|water|w\.?e\.?|liquid)\b", re.I)
_FACTOR = re.compile(r"^(?P<word>[^\d\s^*+-]+|1(?!\d))(?:\^|\*\*)?(?P<power>[+-]?\d+)?$")


def parse_units(text: str) -> Unit | None:
    """What ``text`` means in SI; None where it is no unit that is known."""
    plain = _OF_WATER.sub("", text.strip()).replace("·", " ").replace("−", "-")
    if _BARE.match(plain):
        return _WORDS["1"]
    whole = _word(plain.replace(" ", "_") if " " in plain else plain)
    if whole is not None:
        return whole
    factor, dimensions = 1.0, list(_ONE)
    for i, part in enumerate(plain.split("/")):
        pieces = [p for p in re.split(r"\s+|(?<![*])[*](?![*])|\.(?=[A-Za-z])", part) if p]
        if not pieces:
            return None
        for piece in pieces:
            found = _FACTOR.match(piece)
            unit = None if found is None else _word(found["word"])
            if found is None or unit is None or unit.offset:
                return None
            power = int(found["power"] or 1) * (-1 if i else 1)
            factor *= unit.factor**power
            dimensions = [d + power * e for d, e in zip(dimensions, unit.dimensions, strict=True)]
    return Unit(factor, (dimensions[0], dimensions[1], dimensions[2], dimensions[3]))


def conversion(text: str, variable: Variable) -> Conversion | None:
    """From units ``text`` to those of ``variable``; None where they are of another kind, or no units at all."""
    unit, target = parse_units(text), parse_units(variable.units)
    assert target is not None, variable.units
    if unit is None:
        return None
    scale = _bridge(unit.dimensions, target.dimensions, variable.name)
    if scale is None:
        return None
    factor = unit.factor * scale / target.factor
    return Conversion(text, variable.units, 1.0 if abs(factor - 1) < 1e-12 else factor, unit.offset)


def convert(values: NDArray[np.floating], source: str, target: str) -> NDArray[np.floating]:
    """Values from one unit to another of the same kind, in their own precision; raises GeoadaptError where unlike."""
    one, other = parse_units(source), parse_units(target)
    if one is None or other is None or one.dimensions != other.dimensions:
        raise GeoadaptError("units", f"'{source}' cannot be brought to '{target}'", "check the spelling of both")
    converted: NDArray[np.floating] = (values * one.factor + one.offset - other.offset) / other.factor
    return converted


def check_plausible(variable: Variable, lowest: float, highest: float, declared: str, where: str) -> None:
    """Raise GeoadaptError where converted values [SI] lie outside of what ``variable`` can be."""
    if variable.low <= lowest and highest <= variable.high:
        return
    back = conversion(declared, variable)
    assert back is not None, declared
    low, high = sorted(((lowest - back.offset) / back.factor, (highest - back.offset) / back.factor))
    fits = [c.source for c in _readings(variable, low, high)]
    hint = (
        f"if they are, say units={{'{variable.name}': '{fits[0]}'}}" if fits else "is missing data marked by a number?"
    )
    meant = f"; they would fit {' or '.join(fits)}" if fits else ""
    raise GeoadaptError(
        where,
        f"{variable.name} is said to be in '{declared}' but holds {low:.6g}…{high:.6g}{meant}",
        hint,
    )


def reading_of(variable: Variable, low: float, high: float, where: str) -> Conversion:
    """The one reading of undeclared units under which values from ``low`` to ``high`` are plausible.

    Raises GeoadaptError where there is none, or more than one.
    """
    fits = _readings(variable, low, high)
    if len(fits) == 1:
        return fits[0]
    found = f"{variable.name} declares no units and holds {low:.6g}…{high:.6g}"
    problem = (
        f"{found}: {' and '.join(c.source for c in fits)} are both plausible" if fits else f"{found}: fits no unit"
    )
    example = fits[0].source if fits else variable.units
    raise GeoadaptError(where, problem, f"say units={{'{variable.name}': '{example}'}}")


_ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "K": ("K", "degC"),
    "Pa": ("Pa", "hPa"),
    "m2 s-2": ("m2 s-2", "m", "dam"),
    "kg kg-1": ("kg kg-1", "g kg-1"),
    "1": ("1", "%"),
    "m": ("m", "mm"),
    "kg m-2 s-1": ("kg m-2 s-1", "mm day-1", "mm h-1"),
}


def _readings(variable: Variable, low: float, high: float) -> list[Conversion]:
    """The usual units of this kind under which a range of values is plausible."""
    found = []
    for text in _ALTERNATIVES.get(variable.units, (variable.units,)):
        reading = conversion(text, variable)
        assert reading is not None, text
        lowest, highest = low * reading.factor + reading.offset, high * reading.factor + reading.offset
        peak = max(abs(lowest), abs(highest))
        if variable.low <= lowest and highest <= variable.high and variable.peak[0] <= peak <= variable.peak[1]:
            found.append(reading)
    return found


def _bridge(source: Dimensions, target: Dimensions, name: str) -> float | None:
    """What to multiply by where one kind stands for another (height, depth of water); None where it doesn't."""
    if source == target:
        return 1.0
    lacks = tuple(t - s for s, t in zip(source, target, strict=True))
    if lacks == (1, 0, -2, 0) and name.startswith("geopotential"):
        return GRAVITY
    if lacks == (-3, 1, 0, 0):
        return _WATER
    if lacks == (3, -1, 0, 0):
        return 1 / _WATER
    return None


def _word(text: str) -> Unit | None:
    """A single unit, with a prefix or without."""
    spelled = _SPELLED.get(text.lower(), _SPELLED.get(text.lower().replace("_", " "), text))
    if spelled in _WORDS:
        return _WORDS[spelled]
    if not spelled:
        return None
    for prefix, factor in _PREFIXES.items():
        if spelled.startswith(prefix) and spelled[len(prefix) :] in _BASE:
            base = _BASE[spelled[len(prefix) :]]
            return Unit(factor * base.factor, base.dimensions)
    return None
