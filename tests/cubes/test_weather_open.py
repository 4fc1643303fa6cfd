"""Weather files as archives lay them out: WeatherBench 2 and ARCO-ERA5, MERRA-2, CMIP, forecasts and ensembles."""

from __future__ import annotations

import pickle
from pathlib import Path

import dask.array
import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.inspect import inspect
from geoadapt.cubes.open import open_cube
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from tests.cubes.weather_synth import LATITUDE, LONGITUDE, cube, same, written

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


def surface(name: str, values: np.ndarray | float, **attrs: object) -> xr.DataArray:
    """One date on the small grid."""
    field = np.broadcast_to(np.float32(values), (1, LATITUDE.size, LONGITUDE.size))
    place = {"time": [np.datetime64("2020-01-01", "ns")], "latitude": LATITUDE, "longitude": LONGITUDE}
    return xr.DataArray(field, place, ("time", "latitude", "longitude"), name, attrs)


@pytest.mark.parametrize(
    "order", [("time", "level", "latitude", "longitude"), ("time", "level", "longitude", "latitude")]
)
def test_weatherbench_stores_open_in_either_order_of_their_axes(order: tuple[str, ...], tmp_path: Path) -> None:
    made = cube().transpose(*order).isel(latitude=slice(None, None, -1)).drop_attrs()
    for name, units in (("temperature", "K"), ("geopotential", "m**2 s**-2"), ("mean_sea_level_pressure", "Pa")):
        made[name].attrs["units"] = units
    made.to_zarr(tmp_path / "wb2.zarr", zarr_format=2)
    same(open_weather(tmp_path / "wb2.zarr"), open_weather(written(cube(), tmp_path / "plain.nc")))


def test_a_day_of_merra_2_on_model_levels(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lat, lon = np.arange(-90.0, 90.1, 30), np.arange(-180.0, 180.0, 45)
    lev, time = np.array([72.0, 63, 34]), np.arange(0, 1440, 180)
    above = rng.uniform(210, 300, (8, 3, lat.size, lon.size)).astype(np.float32)
    dims = ("time", "lev", "lat", "lon")
    day = xr.Dataset(
        {
            "T": (dims, above, {"units": "K", "standard_name": "air_temperature", "fmissing_value": 1e15}),
            "H": (dims, above * 10, {"units": "m", "long_name": "mid_layer_heights"}),
            "SLP": (("time", "lat", "lon"), above[:, 0] + 101000, {"units": "Pa"}),
            "PHIS": (("time", "lat", "lon"), above[:, 0], {"units": "m+2 s-2"}),
        },
        {
            "time": ("time", time, {"units": "minutes since 2020-01-01 00:00:00", "begin_date": 20200101}),
            "lev": ("lev", lev, {"units": "layer", "positive": "down"}),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )
    found = open_weather(written(day, tmp_path / "MERRA_pres_20200101.nc"), levels=[34, 63, 72])
    assert found["temperature"].dims == ("time", "model_level", "latitude", "longitude")
    np.testing.assert_array_equal(found["temperature"].values, np.roll(above[:, ::-1, ::-1], -4, axis=-1))
    np.testing.assert_allclose(found["geopotential"].values, found["temperature"].values * 98.0665, rtol=1e-6)
    np.testing.assert_array_equal(found["longitude"], np.arange(0, 360, 45))
    assert found["geopotential_at_surface"].dims == ("latitude", "longitude")
    assert str(found["time"].values[1])[:16] == "2020-01-01T03:00"


def test_two_days_of_surface_and_levels_become_one_cube(tmp_path: Path) -> None:
    made = cube()
    paths = [
        written(made[names].isel(time=days), tmp_path / f"{'_'.join(names)[:4]}{days.start}.nc")
        for days in (slice(2, 4), slice(0, 2))
        for names in (["mean_sea_level_pressure"], ["temperature", "geopotential"])
    ]
    same(open_weather(paths), open_weather(written(made, tmp_path / "whole.nc")))
    same(open_weather(str(tmp_path / "????[02].nc"), chunks={}), open_weather(tmp_path / "whole.nc"))


def test_members_in_files_of_their_own_become_a_dimension(tmp_path: Path) -> None:
    paths = [
        written((cube() + k).assign_coords(member=k + 1).expand_dims("member"), tmp_path / f"{k}.nc") for k in range(3)
    ]
    found = open_weather(paths, units={"temperature": "K", "geopotential": "m2 s-2", "mean_sea_level_pressure": "Pa"})
    assert found["temperature"].dims == ("time", "number", "level", "latitude", "longitude")
    np.testing.assert_array_equal(found["number"], [1, 2, 3])


def test_a_forecast_keeps_its_lead_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    made = xr.Dataset(
        {"2m_temperature": (("step", "time", "lat", "lon"), rng.uniform(250, 300, (3, 2, 5, 8)), {"units": "K"})},
        {
            "time": np.array(["2020-01-01", "2020-01-09"], "datetime64[ns]"),
            "step": ("step", [0, 6, 12], {"units": "hours"}),
            "lat": LATITUDE,
            "lon": LONGITUDE,
        },
    )
    found = open_weather(written(made, tmp_path / "a.nc"))
    assert found["2m_temperature"].dims == ("time", "prediction_timedelta", "latitude", "longitude")
    np.testing.assert_array_equal(
        found["prediction_timedelta"], np.array([0, 6, 12], "timedelta64[h]").astype("timedelta64[ns]")
    )
    np.testing.assert_array_equal(
        found["2m_temperature"], made["2m_temperature"].transpose("time", "step", "lat", "lon").astype(np.float32)
    )


@pytest.mark.parametrize("version", [2, 3])
def test_a_stored_forecast_keeps_its_lead_times(version: int, tmp_path: Path) -> None:
    leads = (np.arange(4) * np.timedelta64(6, "h")).astype("timedelta64[ns]")
    made = cube().rename(time="prediction_timedelta").assign_coords(prediction_timedelta=leads)
    made = made.expand_dims(time=[np.datetime64("2020-01-01", "ns")])
    made.to_zarr(tmp_path / "fc.zarr", zarr_format=version)
    found = open_weather(tmp_path / "fc.zarr")
    np.testing.assert_array_equal(found["prediction_timedelta"], leads)
    np.testing.assert_array_equal(found["temperature"], made["temperature"])


def test_the_layout_of_the_new_climate_data_store_opens(tmp_path: Path) -> None:
    made = cube().rename(time="valid_time", level="pressure_level", temperature="t", geopotential="z")
    made = made[["t", "z"]].assign_coords(number=0, expver=("valid_time", ["0001"] * 4))
    made["pressure_level"].attrs["units"] = "hPa"
    found = open_weather(written(made, tmp_path / "a.nc"))
    same(found, open_weather(written(cube(), tmp_path / "b.nc"), variables=["geopotential", "temperature"]))


@pytest.mark.parametrize(
    ("name", "height", "found"),
    [("air_temperature", 2.0, "2m_temperature"), ("t", 1.5, "2m_temperature"), ("u", 10.0, "10m_u_component_of_wind")],
)
def test_a_height_tells_what_a_name_does_not(name: str, height: float, found: str, tmp_path: Path) -> None:
    units = "K" if "temp" in found else "m s-1"
    field = surface(name, 280.0 if units == "K" else 8.0, units=units).assign_coords(height=height)
    assert list(open_weather(written(field.to_dataset(), tmp_path / "a.nc"))) == [found]


@pytest.mark.parametrize("height", [None, 80.0])
def test_a_temperature_at_no_known_height_is_not_guessed(height: float | None, tmp_path: Path) -> None:
    field = surface("t", 280.0, units="K")
    field = field if height is None else field.assign_coords(height=height)
    path = written(xr.Dataset({"t": field, "msl": surface("msl", 1e5, units="Pa")}), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="'t' cannot be told: it has no level and") as caught:
        open_weather(path)
    assert caught.value.hint == "leave it out with variables=['msl']"
    assert list(open_weather(path, variables=["msl"])) == ["mean_sea_level_pressure"]


def test_a_standard_name_that_denies_a_name_is_an_error(tmp_path: Path) -> None:
    field = surface("ps", 1e5, units="Pa", standard_name="air_pressure_at_sea_level")
    with pytest.raises(GeoadaptError, match="its name says surface_pressure, its standard name air_pressure_at_sea"):
        open_weather(written(field.to_dataset(), tmp_path / "a.nc"))


def test_a_standard_name_tells_an_unknown_name(tmp_path: Path) -> None:
    field = surface("field_17", 1e5, units="Pa", standard_name="air_pressure_at_sea_level")
    found = open_weather(written(field.to_dataset(), tmp_path / "a.nc"))
    assert list(found) == ["mean_sea_level_pressure"] and "told by its standard name" in found.attrs["notes"]


def test_a_variable_that_is_there_twice_is_asked_about(tmp_path: Path) -> None:
    both = xr.Dataset({"t2m": surface("t2m", 280.0, units="K"), "tas": surface("tas", 7.0, units="degC")})
    path = written(both, tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="2m_temperature is held 2 times, as 't2m' and 'tas'"):
        open_weather(path)
    assert open_weather(path, variables=["tas"])["2m_temperature"].attrs["source_name"] == "tas"


def test_an_unknown_variable_is_left_out_and_said_or_taken_as_it_is(tmp_path: Path) -> None:
    both = xr.Dataset({"t2m": surface("t2m", 280.0, units="K"), "chlorophyll": surface("chlorophyll", 3.0, units="mg")})
    path = written(both, tmp_path / "a.nc")
    assert "left out, for their names are not known: chlorophyll" in open_weather(path).attrs["notes"]
    found = open_weather(path, variables=["chlorophyll", "t2m"])
    assert list(found) == ["chlorophyll", "2m_temperature"] and found["chlorophyll"].attrs["units"] == "mg"


def test_an_axis_without_a_meaning_is_an_error_only_to_who_wants_it(tmp_path: Path) -> None:
    odd = surface("t2m", 280.0, units="K").expand_dims(expver=[1, 5])
    path = written(xr.Dataset({"t2m": odd, "msl": surface("msl", 1e5, units="Pa")}), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="dimension 'expver' of 2 that is none of"):
        open_weather(path)
    assert list(open_weather(path, variables=["msl"])) == ["mean_sea_level_pressure"]


def test_lazy_cubes_keep_the_chunks_of_the_store_and_travel_between_processes(tmp_path: Path) -> None:
    made = cube(6)
    made.to_zarr(tmp_path / "a.zarr", encoding={"temperature": {"chunks": (2, 1, 5, 8)}})
    lazy = open_weather(tmp_path / "a.zarr", chunks={}, variables=["t"])["temperature"]
    assert isinstance(lazy.data, dask.array.Array) and lazy.chunks == ((2, 2, 2), (1, 1), (5,), (8,))
    assert open_weather(tmp_path / "a.zarr", chunks={"time": 3}, variables=["t"])["temperature"].chunks[0] == (3, 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy)).compute(), made["temperature"])


def test_a_cube_larger_than_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoadapt.cubes.weather._MEMORY_SHARE", 1e-9)
    path = written(cube(), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="GiB of memory") as caught:
        open_weather(path)
    assert "lazily with chunks={}" in caught.value.hint
    assert open_weather(path, chunks={}).sizes["time"] == 4


def test_open_cube_gives_weather_in_its_canonical_form(tmp_path: Path) -> None:
    made = cube().isel(time=[0, 2, 3]).rename(mean_sea_level_pressure="psl")
    path = written(made, tmp_path / "a.nc")
    found = open_cube(path)
    assert isinstance(found, xr.Dataset) and "dates have a gap" in found.attrs["notes"]
    same(found, open_weather(path, gaps="allow"))
    assert open_cube([path], chunks=4)["temperature"].chunks[-1] == (4, 4)


def test_open_cube_leaves_other_fields_as_they_are(tmp_path: Path) -> None:
    field = surface("chlorophyll", 3.0, units="mg").to_dataset()
    assert list(open_cube(written(field, tmp_path / "a.nc"))) == ["chlorophyll"]


def test_inspect_tells_variables_levels_dates_and_what_was_converted(tmp_path: Path) -> None:
    made = cube()
    made["temperature"] = (made["temperature"].astype(np.float64) - 273.15).assign_attrs(units="degC")
    report = inspect(written(made.rename(temperature="ta"), tmp_path / "a.nc"))
    assert report.kind == "weather cube with time 4, level 2, latitude 5, longitude 8; level 500, 850"
    assert report.time == "2020-02-27 … 2020-03-01"
    assert "temperature [K] from 'ta'" in [b.name for b in report.bands]
    assert "'ta' was converted from degC to K" in report.warnings


def test_inspect_says_why_a_file_is_no_cube_yet(tmp_path: Path) -> None:
    report = inspect(written(surface("tas", 20.0, units="K").to_dataset(), tmp_path / "a.nc"))
    assert report.bands[0].name == "tas [K]"
    assert any(w.startswith("is no cube yet: 2m_temperature is said to be in 'K'") for w in report.warnings)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nc", None, "does not exist"),
        ("a.nc", b"CDF\x01", "no Zarr or NetCDF store that can be read"),
        ("a.txt", b"hello", "is a file of another kind"),
    ],
)
def test_what_is_no_weather_file_says_so(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(GeoadaptError, match=message):
        open_weather(tmp_path / name)
    with pytest.raises(GeoadaptError, match="matches nothing"):
        open_weather(str(tmp_path / "*.grib"))
    with pytest.raises(GeoadaptError, match="got no paths"):
        open_weather([])
