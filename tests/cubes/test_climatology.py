from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.climatology import build_climatology, climatology_at
from geoadapt.errors import GeoadaptError

TIMES = np.arange(np.datetime64("2003-01-01"), np.datetime64("2005-01-01"), np.timedelta64(12, "h")).astype(
    "datetime64[ns]"
)


def cube(values: np.ndarray, dims=("time", "latitude", "longitude")) -> xr.Dataset:
    axes = {"time": TIMES, "level": [500, 850], "latitude": [50.0, 40.0], "longitude": [0.0, 10.0, 20.0]}
    kept = {d: axes[d] for d in dims}
    return xr.Dataset({"t": (dims, values.astype(np.float32), {"units": "K"})}, coords=kept)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(280, 5, shape)


def test_without_a_window_it_is_the_mean_of_each_day_and_hour():
    data = cube(noise(TIMES.size, 2, 3))
    made = build_climatology(data, window=1)
    assert made["t"].dims == ("hour", "dayofyear", "latitude", "longitude") and made["t"].dtype == np.float32
    assert made["hour"].values.tolist() == [0, 12] and made.sizes["dayofyear"] == 366
    same = data["t"].isel(time=(data.time.dt.dayofyear == 75) & (data.time.dt.hour == 12)).astype(float)
    assert same.sizes["time"] == 2
    np.testing.assert_allclose(made["t"].sel(hour=12, dayofyear=75), same.mean("time"), rtol=1e-6)
    np.testing.assert_allclose(made["t_std"].sel(hour=12, dayofyear=75), same.std("time"), rtol=1e-4)
    assert made["t"].attrs["units"] == "K"


def test_a_window_weighs_near_days_more_and_reaches_over_new_year():
    values = np.zeros((TIMES.size, 2, 3))
    day = TIMES.astype("datetime64[D]") == np.datetime64("2004-12-31")
    values[day] = 3.0
    made = build_climatology(cube(values), window=5)["t"].sel(hour=0).isel(latitude=0, longitude=0)
    assert made.sel(dayofyear=366) > made.sel(dayofyear=365) > made.sel(dayofyear=364) > 0
    assert made.sel(dayofyear=1) > made.sel(dayofyear=2) > 0
    assert (made.sel(dayofyear=slice(3, 363)) == 0).all()


def test_the_last_day_of_leap_years_has_a_climatology_even_without_one():
    short = cube(noise(TIMES.size, 2, 3)).sel(time="2003")
    assert np.isnan(build_climatology(short, window=1)["t"].sel(dayofyear=366)).all()
    assert np.isfinite(build_climatology(short, window=3)["t"]).all()


def test_the_bits_depend_on_neither_chunks_nor_the_order_of_reading(tmp_path, monkeypatch):
    data = cube(noise(TIMES.size, 2, 2, 3), ("time", "level", "latitude", "longitude"))
    first = build_climatology(data, window=9)
    assert first["t"].dims == ("hour", "dayofyear", "level", "latitude", "longitude")
    chunked = build_climatology(data.chunk(time=37, longitude=2), window=9)
    monkeypatch.setattr("geoadapt.cubes.climatology.AT_ONCE", 5)
    other = build_climatology(data, window=9)
    for again in (chunked, other):
        assert again["t"].values.tobytes() == first["t"].values.tobytes()
        assert again["t_std"].values.tobytes() == first["t_std"].values.tobytes()


def test_missing_values_are_left_out():
    values = noise(TIMES.size, 2, 3)
    values[5, 0, 0] = np.nan
    values[:, 1, 1] = np.nan
    made = build_climatology(cube(values), window=11)
    assert np.isfinite(made["t"][..., 0, 0]).all()
    assert np.isnan(made["t"][..., 1, 1]).all() and np.isnan(made["t_std"][..., 1, 1]).all()


def test_dates_find_their_hour_and_day():
    made = build_climatology(cube(noise(TIMES.size, 2, 3)), window=1)["t"]
    asked = np.array(["2004-02-29T12", "2003-12-31T00", "2010-03-01T00"], "datetime64[ns]")
    got = climatology_at(made, asked)
    for index, (hour, day) in enumerate([(12, 60), (0, 365), (0, 60)]):
        np.testing.assert_array_equal(got[index], made.sel(hour=hour, dayofyear=day))
    with pytest.raises(GeoadaptError, match="has no hour 6"):
        climatology_at(made, np.array(["2004-02-29T06"], "datetime64[ns]"))
    with pytest.raises(GeoadaptError, match="has no dayofyear 366"):
        climatology_at(made.isel(dayofyear=slice(0, 365)), np.array(["2004-12-31T00"], "datetime64[ns]"))
    daily = climatology_at(made.sel(hour=[0]), np.array(["2004-02-29T06"], "datetime64[ns]"))
    np.testing.assert_array_equal(daily[0], made.sel(hour=0, dayofyear=60))


@pytest.mark.parametrize("window", [0, 2, 367])
def test_a_window_without_a_centre_is_an_error(window):
    with pytest.raises(GeoadaptError, match="window"):
        build_climatology(cube(noise(TIMES.size, 2, 3)), window=window)


def test_an_unknown_variable_is_an_error():
    with pytest.raises(GeoadaptError, match="'tt' is not in the cube; did you mean 't'"):
        build_climatology(cube(noise(TIMES.size, 2, 3)), ["tt"])
