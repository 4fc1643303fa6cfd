"""Scaler files: numbers against numpy's, however the cube is cut up, in each model's own layout."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from data_pipelines import moments
from data_pipelines.merra2_layout import LEVELS, SURFACE, VERTICAL
from data_pipelines.moments import joined, measure, values
from data_pipelines.scalers import measure_scalers, read_scalers, write_prithvi_scalers, write_scalers
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError


def cube(count: int = 200, interval: int = 6) -> xr.Dataset:
    times = np.datetime64("2020-01-01", "h") + interval * np.arange(count)
    rng = np.random.default_rng(0)
    pressure = 101325 + 800 * rng.normal(size=(count, 3, 4)).cumsum(axis=0)
    warm = 250 + rng.normal(size=(count, 2, 3, 4)) * np.array([3, 9])[:, None, None]
    grid = {"latitude": [60.0, 0.0, -60.0], "longitude": [0.0, 90.0, 180.0, 270.0]}
    return xr.Dataset(
        {
            "mean_sea_level_pressure": (("time", "latitude", "longitude"), pressure.astype("f4"), {"units": "Pa"}),
            "temperature": (("time", "level", "latitude", "longitude"), warm.astype("f4"), {"units": "K"}),
            "land_sea_mask": (("latitude", "longitude"), np.ones((3, 4), "f4")),
        },
        coords={"time": times.astype("datetime64[ns]"), "level": [500, 850], **grid},
    )


def test_means_and_spreads_are_numpys_per_channel():
    given = cube()
    made = measure_scalers(given)
    assert made.channels == ("mean_sea_level_pressure", "temperature@500", "temperature@850")
    pressure, warm = given["mean_sea_level_pressure"].values.astype("f8"), given["temperature"].values.astype("f8")
    np.testing.assert_allclose(made.mean, [pressure.mean(), warm[:, 0].mean(), warm[:, 1].mean()], rtol=1e-12)
    np.testing.assert_allclose(made.std, [pressure.std(), warm[:, 0].std(), warm[:, 1].std()], rtol=1e-9)
    change = np.diff(pressure, axis=0)
    np.testing.assert_allclose(made.increment_std[0], change.std(), rtol=1e-6)
    assert (made.step_hours, made.units) == (6.0, ("Pa", "K", "K"))


def test_a_step_of_several_dates_and_weights_by_area():
    given = cube()
    made = measure_scalers(given, step="1d", weights="area")
    pressure = given["mean_sea_level_pressure"].values.astype("f8")
    rows = np.cos(np.deg2rad([60, 0, -60]))[:, None] * np.ones((3, 4))

    def spread(x: np.ndarray) -> tuple[float, float]:
        mean = np.average(x, weights=np.broadcast_to(rows, x.shape))
        return mean, np.sqrt(np.average((x - mean) ** 2, weights=np.broadcast_to(rows, x.shape)))

    np.testing.assert_allclose([made.mean[0], made.std[0]], spread(pressure), rtol=1e-9)
    np.testing.assert_allclose(made.increment_std[0], spread(pressure[4:] - pressure[:-4])[1], rtol=1e-6)
    assert made.step_hours == 24.0


def test_a_small_spread_around_a_large_mean_survives_any_cut(monkeypatch: pytest.MonkeyPatch):
    """A sum of squares in double precision would lose it: (1e9)² has no digits left for 1e-4."""
    fields = 1e9 + 0.01 * np.random.default_rng(0).normal(size=(500, 1, 1, 2))
    whole = moments._reduced(fields, np.ones(1))
    total = None
    for piece in np.array_split(fields, 37):
        part = moments._reduced(piece, np.ones(1))
        total = part if total is None else joined(total, part)
    assert whole.std[0] == pytest.approx(fields.std(), rel=1e-4)
    assert total.std[0] == pytest.approx(fields.std(), rel=1e-4)


def test_missing_values_are_left_out_and_the_bits_do_not_depend_on_chunks_or_workers(monkeypatch: pytest.MonkeyPatch):
    import dask

    monkeypatch.setattr(moments, "BLOCK", 12 * 4 * 7)
    given = cube()
    given["mean_sea_level_pressure"][10:50, 0, 0] = np.nan
    one, many = measure_scalers(given), measure_scalers(given.chunk(time=13))
    with dask.config.set(scheduler="synchronous"):
        alone = measure_scalers(given.chunk(time=50, longitude=2))
    assert one == many == alone
    known = given["mean_sea_level_pressure"].values.astype("f8")
    np.testing.assert_allclose(one.std[0], np.nanstd(known), rtol=1e-9)


def test_json_and_netcdf_hold_the_same_numbers(tmp_path: Path):
    made = measure_scalers(cube())
    again = read_scalers(write_scalers(made, tmp_path / "scalers.json"))
    assert again == made
    assert json.loads((tmp_path / "scalers.json").read_text())["channels"]["temperature@850"]["units"] == "K"
    with xr.open_dataset(write_scalers(made, tmp_path / "scalers.nc"), engine="h5netcdf") as table:
        assert table["channel"].values.tolist() == list(made.channels)
        assert tuple(table["increment_std"].values.tolist()) == made.increment_std
        assert table.attrs["step_hours"] == 6.0
    with pytest.raises(GeoadaptError, match="neither .json nor .nc"):
        write_scalers(made, tmp_path / "scalers.csv")
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(GeoadaptError, match="holds no scalers"):
        read_scalers(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("fill", "problem"), [(np.nan, "has no value on any date"), (101325.25, "is 101325 on every date")]
)
def test_a_channel_that_nothing_can_be_divided_by_is_refused(fill: float, problem: str):
    given = cube()
    given["mean_sea_level_pressure"][:] = fill
    with pytest.raises(GeoadaptError, match=problem):
        measure_scalers(given)


@pytest.mark.parametrize(
    ("step", "problem"), [("4h", "no multiple"), ("soon", "no length of time"), ("90d", "longer than the cube")]
)
def test_a_step_that_does_not_fit_is_an_error(step: str, problem: str):
    with pytest.raises(GeoadaptError, match=problem):
        measure_scalers(cube(), step=step)


def test_a_gap_between_dates_is_an_error():
    with pytest.raises(GeoadaptError, match="a date is missing"):
        measure_scalers(cube().isel(time=[0, 1, 2, 4, 5]))


def test_prithvis_four_files_by_name_and_level(tmp_path: Path):
    times = np.datetime64("2020-01-01", "h") + 3 * np.arange(16)
    rng = np.random.default_rng(0)
    fields = {n: (("time", "latitude", "longitude"), rng.normal(i, 1, (16, 2, 3))) for i, n in enumerate(SURFACE)}
    for i, name in enumerate(VERTICAL):
        means = np.asarray(LEVELS[::-1], float)[:, None, None] + i
        data = means + rng.normal(size=(16, 14, 2, 3)) * (i + 1)
        fields[name] = (("time", "model_level", "latitude", "longitude"), data)
    grid = {"latitude": [-90.0, -89.5], "longitude": [-180.0, -179.375, -178.75]}
    given = xr.Dataset(
        fields, coords={"time": times.astype("datetime64[ns]"), "model_level": list(LEVELS[::-1]), **grid}
    )
    usual = given.mean("time")

    def climate(block: xr.DataArray) -> xr.DataArray:
        return usual[str(block.name)].sel(model_level=list(LEVELS)) if block.ndim == 4 else usual[str(block.name)]

    paths = write_prithvi_scalers(given.chunk(time=4), tmp_path, climate)
    assert [p.name for p in paths] == [
        "musigma_surface.nc", "musigma_vertical.nc", "anomaly_variance_surface.nc", "anomaly_variance_vertical.nc"
    ]  # fmt: skip
    with h5py.File(tmp_path / "musigma_surface.nc") as file:
        assert list(file["statistic"][()]) == [b"mu", b"sigma"]
        assert set(SURFACE) <= set(file)
        np.testing.assert_allclose(file["T2M"][()], [given["T2M"].mean(), given["T2M"].std()], rtol=1e-10)
    with h5py.File(tmp_path / "musigma_vertical.nc") as file:
        assert file["lev"][()].tolist() == list(LEVELS)
        at = given["QV"].sel(model_level=63)
        np.testing.assert_allclose(file["QV"][()][:, LEVELS.index(63)], [at.mean(), at.std()], rtol=1e-10)
    with h5py.File(tmp_path / "anomaly_variance_surface.nc") as file:
        np.testing.assert_allclose(file["PS"][()], (given["PS"] - usual["PS"]).var(), rtol=1e-10)
    with h5py.File(tmp_path / "anomaly_variance_vertical.nc") as file:
        at = (given["V"] - usual["V"]).sel(model_level=34)
        np.testing.assert_allclose(file["V"][()][0], at.var(), rtol=1e-10)
    with pytest.raises(GeoadaptError, match=r"lacks \['Z0M'\]"):
        write_prithvi_scalers(given.drop_vars("Z0M"), tmp_path, climate)


def test_the_spread_of_real_pressure_in_one_pass(data_dir: Path):
    given = open_weather(data_dir / "weather/ncep_daily/ncep_slp_natl_2001_2008.nc", end="2006", chunks={})
    found = measure(given, {"value": values})["mean_sea_level_pressure"]["value"]
    raw = given["mean_sea_level_pressure"].values.astype("f8")
    np.testing.assert_allclose([found.mean[0], found.std[0]], [raw.mean(), raw.std()], rtol=1e-10)
