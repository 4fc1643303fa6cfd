"""Units: how they are spelled, what they become, and when values betray them."""

from __future__ import annotations

import numpy as np
import pytest

from geoadapt.cubes.units import check_plausible, conversion, convert, parse_units, reading_of
from geoadapt.cubes.variables import VARIABLES
from geoadapt.errors import GeoadaptError

SPELLINGS = {
    "m2 s-2": ["m**2 s**-2", "m^2/s^2", "m2/s2", "m+2 s-2", "J/kg"],
    "kg kg-1": ["kg kg**-1", "kg/kg", "1", "(0 - 1)", "dimensionless"],
    "m s-1": ["m/s", "m s**-1", "m.s-1", "m*s^-1", "meters/second"],
    "W m-2": ["W/m^2", "W m**-2", "W/m2", "J m-2 s-1"],
    "kg m-2 s-1": ["kg m**-2 s**-1", "kg/m2/s"],
    "K": ["kelvin", "degK", "Kelvin", "deg_K"],
    "Pa": ["pascal", "Pascals", "N m-2", "kg m-1 s-2"],
}


@pytest.mark.parametrize(("plain", "others"), SPELLINGS.items())
def test_all_spellings_of_a_unit_are_one(plain: str, others: list[str]) -> None:
    assert parse_units(plain) is not None
    assert {parse_units(text) for text in others} == {parse_units(plain)}


@pytest.mark.parametrize(
    ("text", "name", "value", "si"),
    [
        ("degC", "2m_temperature", 0.0, 273.15),
        ("C", "2m_temperature", -40.0, 233.15),
        ("degF", "2m_temperature", -40.0, 233.15),
        ("hPa", "mean_sea_level_pressure", 1013.25, 101325.0),
        ("millibars", "surface_pressure", 1000.0, 1e5),
        ("g/kg", "specific_humidity", 5.0, 0.005),
        ("percent", "relative_humidity", 50.0, 0.5),
        ("gpm", "geopotential", 5500.0, 53936.575),
        ("dam", "geopotential", 550.0, 53936.575),
        ("meters", "geopotential_at_surface", 100.0, 980.665),
        ("mm", "total_precipitation", 10.0, 0.01),
        ("kg m-2", "total_precipitation", 10.0, 0.01),
        ("m of water equivalent", "snowfall", 0.01, 0.01),
        ("mm day-1", "mean_total_precipitation_rate", 86.4, 1e-3),
        ("mm/hr", "mean_total_precipitation_rate", 3.6, 1e-3),
        ("m s-1", "mean_total_precipitation_rate", 1e-6, 1e-3),
        ("mm", "total_column_water_vapour", 30.0, 30.0),
        ("mb/day", "vertical_velocity", 86.4, 0.1),
        ("knots", "10m_wind_speed", 10.0, 5.144444),
    ],
)
def test_a_value_becomes_si(text: str, name: str, value: float, si: float) -> None:
    made = conversion(text, VARIABLES[name])
    assert made is not None
    assert made(np.array([value]))[0] == pytest.approx(si, rel=1e-6)


@pytest.mark.parametrize("text", ["", "unknown", "10 m", "mm/m", "hours since 1900-01-01", "K Pa", "degC m-1", "ids"])
def test_what_is_no_unit_of_temperature_is_none(text: str) -> None:
    assert conversion(text, VARIABLES["2m_temperature"]) is None


def test_height_stands_for_geopotential_only() -> None:
    assert conversion("m", VARIABLES["mean_sea_level_pressure"]) is None
    assert conversion("m", VARIABLES["vertical_velocity"]) is None
    assert conversion("m s-1", VARIABLES["vertical_velocity"]) is None


def test_values_in_si_keep_their_bits() -> None:
    values = np.float32([1.1, np.nan, -0.0, 3e-41])
    made = conversion("m/s", VARIABLES["10m_wind_speed"])
    assert made is not None and not made.changes
    assert made(values).tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("name", "low", "high", "unit"),
    [
        ("2m_temperature", 240, 310, "K"),
        ("2m_temperature", -30, 35, "degC"),
        ("mean_sea_level_pressure", 950, 1050, "hPa"),
        ("mean_sea_level_pressure", 95000, 105000, "Pa"),
        ("specific_humidity", 1e-6, 0.018, "kg kg-1"),
        ("specific_humidity", 1e-3, 18, "g kg-1"),
        ("relative_humidity", 0, 1.01, "1"),
        ("relative_humidity", 0, 100, "%"),
        ("geopotential", -900, 490000, "m2 s-2"),
        ("total_precipitation", 0, 40, "mm"),
    ],
)
def test_undeclared_units_are_told_where_one_reading_is_possible(name: str, low: float, high: float, unit: str) -> None:
    assert reading_of(VARIABLES[name], low, high, "a.nc").source == unit


@pytest.mark.parametrize(
    ("name", "low", "high", "message"),
    [
        ("geopotential", 0, 32000, "m2 s-2 and m are both plausible"),
        ("mean_sea_level_pressure", 0, 1e20, "fits no unit"),
        ("specific_humidity", 1e-9, 5e-6, "fits no unit"),
    ],
)
def test_undeclared_units_that_could_be_two_or_none_are_an_error(
    name: str, low: float, high: float, message: str
) -> None:
    with pytest.raises(GeoadaptError, match=message) as caught:
        reading_of(VARIABLES[name], low, high, "a.nc")
    assert f"say units={{'{name}': " in caught.value.hint


def test_declared_units_that_the_values_deny_are_an_error_with_those_that_fit() -> None:
    with pytest.raises(GeoadaptError, match=r"said to be in 'K' but holds -15…21; they would fit degC") as caught:
        check_plausible(VARIABLES["2m_temperature"], -15, 21, "K", "a.nc")
    assert caught.value.hint == "if they are, say units={'2m_temperature': 'degC'}"
    with pytest.raises(GeoadaptError, match="is missing data marked by a number"):
        check_plausible(VARIABLES["2m_temperature"], 250, 1e20, "K", "a.nc")


def test_units_of_two_kinds_do_not_convert() -> None:
    with pytest.raises(GeoadaptError, match="cannot be brought to"):
        convert(np.ones(3), "K", "Pa")
