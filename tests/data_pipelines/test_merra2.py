"""MERRA-2 for Prithvi WxC: files made here in both layouts, channels by name, levels by value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from data_pipelines.merra2 import prepare_merra2
from data_pipelines.merra2_layout import (
    CHANNELS,
    LEVELS,
    STATIC,
    SURFACE,
    VERTICAL,
    model_form,
    sample,
    stacked,
    static_fields,
)
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError

LATITUDE = np.linspace(-90, 90, 5)
LONGITUDE = np.arange(-180, 180, 60.0)
PRODUCTS = {
    "tavg1_2d_flx_Nx": ("EFLUX", "HFLUX", "Z0M"),
    "tavg1_2d_lnd_Nx": ("GWETROOT", "LAI"),
    "tavg1_2d_rad_Nx": ("LWGAB", "LWGEM", "LWTUP", "SWGNT", "SWTNT"),
    "inst1_2d_asm_Nx": ("PS", "QV2M", "SLP", "T2M", "TQI", "TQL", "TQV", "TS", "U10M", "V10M"),
}
VALUES = {"PS": 1e5, "SLP": 1e5, "T2M": 280.0, "TS": 285.0, "T": 250.0, "PL": 5e4, "LWTUP": 240.0}


def value(name: str, level: float, hours: np.ndarray) -> np.ndarray:
    """A field that says which variable, level and hour it is: what is mixed up shows."""
    number = (*SURFACE, *VERTICAL).index(name)
    place = np.arange(5)[:, None] * 10 + np.arange(6)[None]
    return VALUES.get(name, 0.0) + number + 0.01 * level + 0.001 * place + 0.1 * hours[..., None, None]


def fields(names: tuple[str, ...], times: np.ndarray, levels: np.ndarray | None = None) -> xr.Dataset:
    hours = (times - np.datetime64("2020-01-01", "h")) / np.timedelta64(1, "h")
    made = {}
    for name in names:
        if levels is None:
            made[name] = (("time", "lat", "lon"), value(name, 0, hours).astype("f4"))
        else:
            stack = np.stack([value(name, level, hours) for level in levels], axis=1)
            made[name] = (("time", "lev", "lat", "lon"), stack.astype("f4"))
    coords = {"time": times.astype("datetime64[ns]"), "lat": LATITUDE, "lon": LONGITUDE}
    return xr.Dataset(made, coords={**coords, **({} if levels is None else {"lev": levels.astype("f8")})})


def static() -> xr.Dataset:
    rng = np.random.default_rng(0)
    grid = {"lat": LATITUDE, "lon": LONGITUDE}
    return xr.Dataset({n: (("lat", "lon"), rng.random((5, 6)).astype("f4")) for n in STATIC}, coords=grid)


def write(ds: xr.Dataset, path: Path) -> None:
    ds.to_netcdf(path, engine="h5netcdf")


def day_files(folder: Path, day: str, levels: np.ndarray, *, cf: bool = True) -> None:
    times = np.datetime64(day, "h") + 3 * np.arange(8)
    surface = fields(SURFACE, times)
    surface = surface.merge(static().expand_dims(time=surface["time"]))
    for name, ds in (("MERRA2_sfc", surface), ("MERRA_pres", fields(VERTICAL, times, levels))):
        if not cf:
            ds = ds.assign_coords(time=("time", 180 * np.arange(8)))
            ds["time"].attrs = {"begin_date": int(day.replace("-", "")), "begin_time": 0}
        write(ds, folder / f"{name}_{day.replace('-', '')}.nc")


def products(folder: Path, days: list[str], levels: np.ndarray) -> None:
    for day in days:
        stamp = day.replace("-", "")
        hour = np.datetime64(day, "h") + np.arange(24)
        for product, names in PRODUCTS.items():
            half = np.timedelta64(30, "m") if product.startswith("tavg") else np.timedelta64(0, "m")
            ds = fields(names, hour.astype("datetime64[m]") + half)
            if "GWETROOT" in names:
                ds = ds.where(ds["lon"] > 0)
            write(ds, folder / f"MERRA2_400.{product}.{stamp}.nc4")
        nv = fields(VERTICAL, np.datetime64(day, "h") + 3 * np.arange(8), levels)
        write(nv, folder / f"MERRA2_400.inst3_3d_asm_Nv.{stamp}.nc4")
    monthly = static().expand_dims(time=np.arange(12)).copy()
    write(monthly, folder / "MERRA2_101.const_2d_ctm_Nx.00000000.nc4")


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training cube of two days, from files with levels upwards."""
    folder = tmp_path_factory.mktemp("days")
    for day in ("2020-01-01", "2020-01-02"):
        day_files(folder, day, np.array(LEVELS)[::-1])
    return prepare_merra2(folder, folder / "cube.zarr", shard=8)


def test_there_are_160_channels_in_the_order_of_the_published_model():
    assert len(CHANNELS) == 160
    assert (CHANNELS[0], CHANNELS[12], CHANNELS[19]) == ("EFLUX", "T2M", "Z0M")
    for name, first in (("CLOUD", 20), ("H", 34), ("T", 118), ("U", 132), ("V", 146)):
        assert CHANNELS[first : first + 14] == tuple(f"{name}@{level}" for level in LEVELS)


@pytest.mark.parametrize(("order", "cf"), [("up", True), ("down", False), ("shuffled, with others", True)])
def test_levels_are_taken_by_value_from_files_in_any_order(tmp_path: Path, order: str, cf: bool):
    levels = {"up": np.array(LEVELS), "down": np.array(LEVELS)[::-1]}.get(
        order, np.random.default_rng(0).permutation(np.arange(30, 73))
    )
    day_files(tmp_path, "2020-01-01", levels, cf=cf)
    path = prepare_merra2(tmp_path, tmp_path / "cube.zarr", shard=8)
    with xr.open_zarr(path, chunks=None) as cube:
        assert cube.sizes == {"time": 8, "model_level": 14, "latitude": 4, "longitude": 6}
        assert cube["latitude"].values.tolist() == [-90, -45, 0, 45]  # the row at the north pole is dropped
        assert cube["longitude"].values.tolist() == LONGITUDE.tolist()
        made = stacked(cube.isel(time=2))
    for index, channel in enumerate(CHANNELS):
        name, _, level = channel.partition("@")
        expected = value(name, float(level or 0), np.array(6.0))[:4].astype("f4")
        np.testing.assert_array_equal(made[index], expected, err_msg=channel)


def test_the_agencys_products_give_the_same_states_with_hourly_means_brought_to_the_hour(tmp_path: Path):
    levels = np.arange(1.0, 73.0)
    products(tmp_path, ["2020-01-01", "2020-01-02"], levels)
    path = prepare_merra2(tmp_path, tmp_path / "cube.zarr", shard=8)
    with xr.open_zarr(path, chunks=None) as cube:
        # the mean before the first midnight is in a file of the day before
        assert str(cube["time"].values[0]).startswith("2020-01-01T03")
        assert cube.sizes["time"] == 15
        noon = cube.sel(time="2020-01-02T12")
        hours = np.array(36.0)
        for name in ("EFLUX", "SWGNT", "T2M", "PS"):
            np.testing.assert_allclose(noon[name], value(name, 0, hours)[:4], rtol=1e-6)
        np.testing.assert_allclose(noon["T"].sel(model_level=63), value("T", 63, hours)[:4], rtol=1e-6)
        over_sea = cube["longitude"] <= 0
        assert (noon["GWETROOT"].where(over_sea, drop=True) == 1).all()
        assert (noon["LAI"].where(over_sea, drop=True) == 0).all()
        np.testing.assert_allclose(noon["LAI"].values[:, 4:], value("LAI", 0, hours)[:4, 4:], rtol=1e-6)
        np.testing.assert_array_equal(cube["PHIS"], static()["PHIS"][:4])
        assert cube["T"].encoding["chunks"] == (1, 14, 4, 6)
        assert cube["T"].encoding["shards"] == (8, 14, 4, 6)


def test_a_grid_from_greenwich_and_from_the_north_is_brought_to_the_models():
    levels = np.array(LEVELS)
    given = fields(VERTICAL[:1], np.array(["2020-01-01T00"], "datetime64[h]"), levels)
    turned = given.assign_coords(lon=given["lon"] % 360).sortby("lon").isel(lat=slice(None, None, -1))
    xr.testing.assert_equal(model_form(turned, "turned"), model_form(given, "given"))


def test_both_inputs_the_target_and_the_static_fields_of_a_sample(two_days: Path):
    asked = []

    def climate(day: int, hour: int) -> np.ndarray:
        asked.append((day, hour))
        return np.zeros((160, 4, 6), np.float32)

    with xr.open_zarr(two_days, chunks=None) as cube:
        now = np.datetime64("2020-01-01T21")
        made = sample(cube, now, 6, 12, climate=climate)
        states = [stacked(cube.sel(time=t)) for t in ("2020-01-01T15", "2020-01-01T21", "2020-01-02T09")]
        back = sample(cube, now, 3, -6)
        np.testing.assert_array_equal(back.y, stacked(cube.sel(time="2020-01-01T12")))
        with pytest.raises(GeoadaptError, match="the cube has no 2020-01-03T09"):
            sample(cube, now, 6, 36)
    np.testing.assert_array_equal(made.x, states[:2])
    np.testing.assert_array_equal(made.y, states[2])
    assert (made.input_time, made.lead_time, asked) == (6.0, 12.0, [(2, 9)])
    assert made.static.shape == (10, 4, 6)
    np.testing.assert_allclose(made.static[0, :, 0], np.deg2rad([-90, -45, 0, 45]), rtol=1e-6)
    np.testing.assert_allclose(made.static[2:6, 0, 0], [np.cos(a) if i % 2 == 0 else np.sin(a) for i, a in
        enumerate([2 * np.pi / 366] * 2 + [2 * np.pi * 21 / 24] * 2)], rtol=1e-6)  # fmt: skip
    np.testing.assert_array_equal(made.static[6:], [static()[n][:4] for n in STATIC])


def test_absolute_positions_have_one_channel_more_and_other_names_are_refused():
    cube = static().rename(lat="latitude", lon="longitude")
    made = static_fields(cube, np.datetime64("2020-12-31T12"), "absolute")
    assert made.shape == (11, 5, 6)
    np.testing.assert_allclose(made[:3, 4, 0], [1, -1, 0], atol=1e-6)
    np.testing.assert_allclose(made[3], np.cos(2 * np.pi), rtol=1e-6)  # day 366 of 366
    with pytest.raises(GeoadaptError, match="choose from"):
        static_fields(cube, np.datetime64("2020-12-31T12"), "rotary")


def test_the_cube_opens_in_canonical_form_too(two_days: Path):
    cube = open_weather(two_days, variables=["2m_temperature"])
    assert cube["latitude"].values.tolist() == [45, 0, -45, -90]
    assert cube["longitude"].values.tolist() == [0, 60, 120, 180, 240, 300]
    hours = np.array(0.0)
    np.testing.assert_array_equal(cube["2m_temperature"][0, :, 0], value("T2M", 0, hours)[:4][::-1, 3].astype("f4"))


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(GeoadaptError, match="no NetCDF file with a date"):
        prepare_merra2(tmp_path, tmp_path / "cube.zarr", shard=8)
    day_files(tmp_path, "2020-01-01", np.array(LEVELS)[:-1])
    day_files(tmp_path, "2020-01-03", np.array(LEVELS)[:-1])
    with pytest.raises(GeoadaptError, match="2020-01-02 lacks the file of EFLUX"):
        prepare_merra2(tmp_path, tmp_path / "cube.zarr", shard=8)
    with pytest.raises(GeoadaptError, match=r"lacks model levels \[72\]"):
        prepare_merra2(tmp_path, tmp_path / "cube.zarr", "2020-01-01", "2020-01-01")
    with pytest.raises(GeoadaptError, match="no day from 2021-01-01"):
        prepare_merra2(tmp_path, tmp_path / "cube.zarr", "2021-01-01", "2021-01-02")
    for path in tmp_path.glob("MERRA_pres*"):
        path.unlink()
    with pytest.raises(GeoadaptError, match="no file holds .*CLOUD"):
        prepare_merra2(tmp_path, tmp_path / "cube.zarr", shard=8)
