"""Climatologies in the layouts of WeatherBench 2, ChaosBench and Prithvi WxC."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import geoadapt.cubes.climatology as cubes_climatology
from data_pipelines import climatology, prithvi_climate
from data_pipelines.climatology import chaosbench_climatology, weatherbench_climatology
from data_pipelines.merra2_layout import LEVELS, SURFACE, VERTICAL
from data_pipelines.prithvi_climate import climate_at, prithvi_climatology
from data_pipelines.scalers import write_prithvi_scalers
from geoadapt.cubes.climatology import build_climatology
from geoadapt.errors import GeoadaptError


def cube(years: tuple[str, str] = ("2019", "2020"), hours: int = 24) -> xr.Dataset:
    """A seasonal cycle and noise: geopotential on two levels, and one surface variable."""
    times = np.arange(f"{years[0]}-01-01", str(int(years[1]) + 1), hours, "datetime64[h]").astype("datetime64[ns]")
    rng = np.random.default_rng(0)
    season = np.cos(2 * np.pi * np.arange(len(times)) * hours / 24 / 365.25)[:, None, None]
    surface = 280 + 10 * season + rng.normal(size=(len(times), 3, 4))
    levels = 50000 + 1000 * season[:, None] + 100 * rng.normal(size=(len(times), 2, 3, 4))
    grid = {"latitude": [45.0, 0.0, -45.0], "longitude": [0.0, 90.0, 180.0, 270.0]}
    return xr.Dataset(
        {
            "2m_temperature": (("time", "latitude", "longitude"), surface.astype("f4"), {"units": "K"}),
            "geopotential": (("time", "level", "latitude", "longitude"), levels.astype("f4"), {"units": "m2 s-2"}),
        },
        coords={"time": times, "level": [500, 850], **grid},
    )


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_store_has_weatherbenchs_dims_one_day_a_chunk_and_no_trace_of_its_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for module in (climatology, cubes_climatology):  # 366 days take long to write
        monkeypatch.setattr(module, "DAYS", 15)
    given = cube(hours=12)[["geopotential"]]
    given = given.isel(time=given["time"].dt.dayofyear.values <= 15)
    whole = weatherbench_climatology(given, tmp_path / "whole.zarr", window=11)
    monkeypatch.setattr(climatology, "BAND", 15 * 2 * 8 * 4 * 2 * 2)
    banded = weatherbench_climatology(given.chunk(time=100), tmp_path / "banded.zarr", window=11)
    assert digest(whole) == digest(banded)
    with xr.open_zarr(whole, chunks=None) as made:
        assert made["geopotential"].dims == ("hour", "dayofyear", "level", "latitude", "longitude")
        assert made["geopotential"].encoding["chunks"] == (1, 1, 2, 3, 4)
        assert made["hour"].values.tolist() == [0, 12]
        expected = build_climatology(given, window=11)
        for name in ("geopotential", "geopotential_std"):
            xr.testing.assert_equal(made[name].drop_attrs(), expected[name].drop_attrs())


def test_chaosbenchs_numbers_are_plain_means_over_days_of_the_year_and_over_all(tmp_path: Path):
    given = cube()
    with xr.open_zarr(chaosbench_climatology(given, tmp_path / "chaos.zarr"), chunks=None) as made:
        assert made["channel"].values.tolist() == ["2m_temperature", "geopotential@500", "geopotential@850"]
        surface = given["2m_temperature"].values.astype("f8")
        height = given["geopotential"].sel(level=850).values.astype("f8") / 9.80665
        np.testing.assert_allclose(made["mean"], [surface.mean(), *_heights(given, "mean")], rtol=1e-10)
        np.testing.assert_allclose(made["sigma"], [surface.std(), *_heights(given, "std")], rtol=1e-8)
        # the 60th day is 1 March in 2019 and 29 February in 2020
        pair = height[[59, 365 + 59]]
        np.testing.assert_allclose(made["doy_mean"].sel(channel="geopotential@850", doy=60), pair.mean(0), rtol=1e-6)
        np.testing.assert_allclose(
            made["doy_sigma"].sel(channel="geopotential@850", doy=60), pair.std(0), rtol=1e-4, atol=1e-3
        )
        assert made["doy_mean"].sizes["doy"] == 366


def _heights(given: xr.Dataset, statistic: str) -> list[float]:
    return [float(getattr(given["geopotential"].sel(level=v).astype("f8"), statistic)()) / 9.80665 for v in (500, 850)]


def test_several_states_a_day_are_no_chaosbench(tmp_path: Path):
    with pytest.raises(GeoadaptError, match="one state a day"):
        chaosbench_climatology(cube(hours=12), tmp_path / "chaos.zarr")


@pytest.fixture(scope="module")
def three_years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a planet whose year has 6 days: files for 365 take long to write."""
    years = [np.datetime64(f"{year}-01-01", "h") + 24 * np.arange(6) for year in (2018, 2019, 2020)]
    times = np.concatenate(years).astype("datetime64[ns]")
    rng = np.random.default_rng(0)
    shape = (len(times), 2, 3)
    fields = {n: (("time", "latitude", "longitude"), rng.normal(280, 10, shape).astype("f4")) for n in SURFACE}
    for name in VERTICAL:
        values = rng.normal(5, 1, (len(times), 14, 2, 3)).astype("f4")
        fields[name] = (("time", "model_level", "latitude", "longitude"), values)
    grid = {"latitude": [-90.0, -89.5], "longitude": [-180.0, -179.375, -178.75]}
    made = xr.Dataset(fields, coords={"time": times, "model_level": list(LEVELS)[::-1], **grid})
    path = tmp_path_factory.mktemp("merra2") / "merra2.zarr"
    made.to_zarr(path, zarr_format=3, consolidated=False)
    return path


@pytest.fixture
def year_of_6_days(monkeypatch: pytest.MonkeyPatch, three_years: Path) -> Path:
    """The store, and the length of its year."""
    monkeypatch.setattr(prithvi_climate, "PRITHVI_DAYS", 6)
    monkeypatch.setattr(prithvi_climate, "BLOCK_DAYS", 2)
    return three_years


def test_prithvis_files_hold_the_mean_of_the_window_by_name_and_level(year_of_6_days: Path, tmp_path: Path):
    folder = prithvi_climatology(year_of_6_days, tmp_path / "climatology", window=5)
    names = sorted(p.name for p in folder.glob("*.nc"))
    assert len(names) == 2 * 6
    assert (names[0], names[-1]) == ("climate_surface_doy001_hour00.nc", "climate_vertical_doy006_hour00.nc")
    with xr.open_zarr(year_of_6_days, consolidated=False) as raw:
        day = raw["time"].dt.dayofyear
        for doy in (1, 4, 6):  # the first and last day look around the turn of the year
            near = [(doy - 1 + shift) % 6 + 1 for shift in range(-2, 3)]
            dates = day.isin(near)
            with xr.open_dataset(folder / f"climate_vertical_doy{doy:03d}_hour00.nc", engine="h5netcdf") as made:
                assert made["lev"].values.tolist() == list(LEVELS)
                for level in (34, 72):
                    expected = raw["QV"].sel(model_level=level)[dates].astype("f8").mean("time")
                    np.testing.assert_allclose(made["QV"].sel(lev=level), expected, rtol=1e-6)
            with xr.open_dataset(folder / f"climate_surface_doy{doy:03d}_hour00.nc", engine="h5netcdf") as made:
                assert list(made.data_vars) == list(SURFACE)
                np.testing.assert_allclose(made["T2M"], raw["T2M"][dates].astype("f8").mean("time"), rtol=1e-6)


def test_an_interrupted_climatology_ends_with_the_same_bytes(
    year_of_6_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = prithvi_climatology(year_of_6_days, tmp_path / "whole", window=3)
    monkeypatch.setattr(prithvi_climate, "TOGETHER", 1)
    honest = prithvi_climate._climate_block
    calls = []

    def stop(*args: object) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        honest(*args)

    monkeypatch.setattr(prithvi_climate, "_climate_block", stop)
    with pytest.raises(KeyboardInterrupt):
        prithvi_climatology(year_of_6_days, tmp_path / "again", window=3)
    assert not (tmp_path / "again").exists()
    prithvi_climatology(year_of_6_days, tmp_path / "again", window=3)
    assert len(calls) == 2 + 2  # of three blocks, one was finished
    assert digest(tmp_path / "again") == digest(whole)
    with pytest.raises(GeoadaptError, match="made from something else"):
        prithvi_climatology(year_of_6_days, tmp_path / "again", window=5)
    assert prithvi_climatology(year_of_6_days, tmp_path / "again", window=3) == tmp_path / "again"


def test_a_missing_value_or_variable_is_named(year_of_6_days: Path, tmp_path: Path):
    with xr.open_zarr(year_of_6_days, consolidated=False) as raw:
        broken = raw.load()
    broken["TS"][4, 0, 0] = np.nan
    broken.to_zarr(tmp_path / "gap.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(GeoadaptError, match="'TS' has missing values"):
        prithvi_climatology(tmp_path / "gap.zarr", tmp_path / "climatology", window=3)
    broken.drop_vars("TS").to_zarr(tmp_path / "less.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(GeoadaptError, match=r"lacks \['TS'\]"):
        prithvi_climatology(tmp_path / "less.zarr", tmp_path / "climatology", window=3)
    with pytest.raises(GeoadaptError, match="no centre"):
        prithvi_climatology(year_of_6_days, tmp_path / "climatology", window=4)


def test_the_spread_around_prithvis_climatology(year_of_6_days: Path, tmp_path: Path):
    folder = prithvi_climatology(year_of_6_days, tmp_path / "climatology", window=1)
    with xr.open_zarr(year_of_6_days, consolidated=False) as raw:
        write_prithvi_scalers(raw, tmp_path, partial(climate_at, folder))
        anomaly = raw["U"].load().groupby("time.dayofyear") - raw["U"].groupby("time.dayofyear").mean("time")
    with xr.open_dataset(tmp_path / "anomaly_variance_vertical.nc", engine="h5netcdf") as made:
        expected = [float(anomaly.sel(model_level=level).var()) for level in LEVELS]
        np.testing.assert_allclose(made["U"], expected, rtol=1e-5)
