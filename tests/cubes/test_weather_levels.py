"""Levels are found by value: in hPa or Pa, ascending or not, as dimension, scalar or part of a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.levels import read_levels
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from tests.cubes.weather_synth import cube, same, written


@pytest.mark.parametrize("units", ["hPa", "millibars", "Pa", "kPa"])
@pytest.mark.parametrize("reverse", [False, True])
def test_levels_in_any_pressure_and_order_are_the_same(units: str, reverse: bool, tmp_path: Path) -> None:
    made = cube().isel(level=slice(None, None, -1 if reverse else 1))
    factor = {"Pa": 100.0, "kPa": 0.1}.get(units, 1.0)
    made = made.assign_coords(level=("level", made["level"].values * factor, {"units": units}))
    same(open_weather(written(made, tmp_path / "a.nc")), open_weather(written(cube(), tmp_path / "b.nc")))


def test_levels_come_in_the_order_in_which_they_are_asked_for(tmp_path: Path) -> None:
    path = written(cube(), tmp_path / "a.nc")
    both = open_weather(path, levels=[850, 500])
    np.testing.assert_array_equal(both["level"], [850, 500])
    np.testing.assert_array_equal(both["temperature"].sel(level=850), cube()["temperature"].sel(level=850))
    np.testing.assert_array_equal(
        open_weather(path, variables=["t850"])["temperature"][:, 0], both["temperature"][:, 0]
    )
    assert list(open_weather(path, variables=["temperature@500", "msl"])) == ["temperature", "mean_sea_level_pressure"]


def test_a_scalar_level_and_one_in_a_name_are_levels(tmp_path: Path) -> None:
    one = cube()[["temperature"]].sel(level=850)
    scalar = open_weather(written(one, tmp_path / "scalar.nc"))
    named = one.drop_vars("level").rename(temperature="ta850")
    for found in (scalar, open_weather(written(named, tmp_path / "named.nc"))):
        assert found["temperature"].dims == ("time", "level", "latitude", "longitude")
        np.testing.assert_array_equal(found["level"], [850])
        np.testing.assert_array_equal(found["temperature"].values[:, 0], one["temperature"].values)


def test_names_with_levels_become_one_variable(tmp_path: Path) -> None:
    made = cube()
    split = xr.Dataset({f"z{n}": made["geopotential"].sel(level=n).drop_vars("level") for n in (850, 500)})
    found = open_weather(written(split, tmp_path / "a.nc"))
    np.testing.assert_array_equal(found["level"], [500, 850])
    np.testing.assert_array_equal(found["geopotential"].values, made["geopotential"].values)


def test_model_levels_keep_their_numbers(tmp_path: Path) -> None:
    made = cube()[["temperature"]].rename(level="lev")
    made = made.assign_coords(lev=("lev", [72.0, 34.0], {"units": "layer", "positive": "down"}))
    path = written(made, tmp_path / "a.nc")
    found = open_weather(path, levels=[34, 72])
    assert found["temperature"].dims == ("time", "model_level", "latitude", "longitude")
    np.testing.assert_array_equal(found["model_level"], [34, 72])
    np.testing.assert_array_equal(found["temperature"].values[:, 0], made["temperature"].values[:, 1])
    with pytest.raises(GeoadaptError, match=r"has no level 500; it has 34, 72"):
        open_weather(path, levels=[500])


@pytest.mark.parametrize("values", [[1, 2, 3], [10, 11, 12], [400.5, 800.5], [1.0, 0.9]])
def test_numbers_without_units_that_could_be_anything_are_an_error(values: list[float]) -> None:
    with pytest.raises(GeoadaptError, match="have no units") as caught:
        read_levels(xr.DataArray(np.array(values), dims="level"), "level", "a.nc")
    assert "units={'level': 'hPa'}" in caught.value.hint
    levels = read_levels(xr.DataArray(np.array(values), dims="level"), "level", "a.nc", "hPa")
    np.testing.assert_array_equal(levels[1], values)


@pytest.mark.parametrize(
    ("values", "units", "message"),
    [([500, 500], "hPa", "500 twice"), ([0, 500], "hPa", "of 0"), ([500, 850], "m", "is no pressure")],
)
def test_levels_that_cannot_be_are_an_error(values: list[float], units: str, message: str) -> None:
    with pytest.raises(GeoadaptError, match=message):
        read_levels(xr.DataArray(np.array(values), dims="level", attrs={"units": units}), "level", "a.nc")


def test_variables_on_different_levels_share_one_axis_with_nan(tmp_path: Path) -> None:
    made = cube()
    lower = made["geopotential"].sel(level=[850]).rename(level="lev2")
    lower["lev2"].attrs["units"] = "hPa"
    found = open_weather(written(xr.Dataset({"t": made["temperature"], "z": lower}), tmp_path / "a.nc"))
    assert np.isnan(found["geopotential"].sel(level=500)).all()
    np.testing.assert_array_equal(found["geopotential"].sel(level=850), made["geopotential"].sel(level=850))
    assert "geopotential has no level 500: NaN there" in found.attrs["notes"]
