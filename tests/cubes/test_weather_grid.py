"""Latitude and longitude in one order, whatever the file's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.latlon import latitude_order, longitude_order, ordered
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from tests.cubes.weather_synth import cube, same, written


@pytest.mark.parametrize(
    ("stored", "canonical"),
    [
        (np.arange(-180.0, 180.0, 0.625), np.arange(0.0, 360.0, 0.625)),
        (np.arange(-179.5, 180.0), np.arange(0.5, 360.0)),
        (np.arange(0.0, 361.0), np.arange(0.0, 360.0)),
        (np.arange(-180.0, 181.0, 2.0), np.arange(0.0, 360.0, 2.0)),
        (np.arange(358.0, -1.0, -2.0), np.arange(0.0, 360.0, 2.0)),
        (np.array([0.0, 180.0]), np.array([0.0, 180.0])),
        (np.array([-70.0, -35.0, 0.0, 10.0]), np.array([-70.0, -35.0, 0.0, 10.0])),
        (np.array([290.0, 325.0, 0.0, 10.0]), np.array([-70.0, -35.0, 0.0, 10.0])),
        (np.array([290.0, 325.0, 360.0, 370.0]), np.array([-70.0, -35.0, 0.0, 10.0])),
        (np.array([-125.0, -66.0]), np.array([235.0, 294.0])),
        (np.array([170.0, 175.0, -180.0, -175.0]), np.array([170.0, 175.0, 180.0, 185.0])),
        (np.array([-10.0, 90.0, 180.0, -170.0]), np.array([-10.0, 90.0, 180.0, 190.0])),
        (np.array([-10.0]), np.array([350.0])),
    ],
)
def test_longitudes_come_out_from_west_to_east(stored: np.ndarray, canonical: np.ndarray) -> None:
    order = longitude_order(stored, "a.nc")
    np.testing.assert_array_equal(order.coordinates, canonical)
    np.testing.assert_array_equal(stored[order.positions] % 360, canonical % 360)


def test_single_and_double_precision_give_one_coordinate() -> None:
    steps = np.arange(-1800, 1800)
    double, single = steps / 10, (steps / 10).astype(np.float32)
    west = longitude_order(double, "a").coordinates
    assert west.tobytes() == longitude_order(single, "b").coordinates.tobytes()
    east = longitude_order(np.arange(3600) / 10, "c").coordinates
    assert (
        west.tobytes()
        == east.tobytes()
        == longitude_order((np.arange(3600) / 10).astype(np.float32), "d").coordinates.tobytes()
    )


def test_a_hair_west_of_greenwich_is_greenwich() -> None:
    merra = np.arange(-180.0, 180.0, 0.625)
    merra[288] = -1.79e-13
    order = longitude_order(merra, "a.nc")
    assert order.coordinates[0] == 0.0 and order.positions[0] == 288


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 1.0, 3.0, 2.0], "longitude is not monotonic: 3 is followed by 2 at 3 of 4"),
        ([0.0, 0.0, 1.0], "longitude is not monotonic: 0 is followed by 0"),
        ([0.0, np.nan, 1.0], "longitude 1 is missing"),
        ([0.0, 500000.0], "longitude reaches 0…500000"),
    ],
)
def test_longitudes_in_no_order_are_an_error(values: list[float], message: str) -> None:
    with pytest.raises(GeoadaptError, match=message):
        longitude_order(np.array(values), "a.nc")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([10.0, 20.0, 15.0], "latitude is not monotonic: 20 is followed by 15"),
        ([10.0, 10.0], "latitude is not monotonic"),
        ([91.0, 80.0], "latitude 91 lies beyond a pole"),
        ([[1.0, 2.0], [1.0, 2.0]], r"latitude is a table \(2, 2\): the grid is not lat–lon"),
    ],
)
def test_latitudes_in_no_order_are_an_error(values: list[float], message: str) -> None:
    with pytest.raises(GeoadaptError, match=message):
        latitude_order(np.array(values), "a.nc")


def test_a_lazy_array_is_sliced_and_not_shuffled() -> None:
    lazy = xr.DataArray(np.arange(720.0), dims="longitude").chunk(longitude=90)
    order = longitude_order(np.arange(-180.0, 180.0, 0.5), "a.nc")
    moved = ordered(lazy, "longitude", order)
    assert moved.chunks == ((90,) * 8,)
    np.testing.assert_array_equal(moved.values, np.roll(np.arange(720.0), -360))


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("disguise", ["flipped", "western", "wrapped", "transposed", "named", "all"])
def test_a_disguised_grid_comes_back_bit_for_bit(disguise: str, chunks: object, tmp_path: Path) -> None:
    plain = open_weather(written(cube(), tmp_path / "plain.nc"))
    made = cube()
    if disguise in ("flipped", "all"):
        made = made.isel(latitude=slice(None, None, -1))
    if disguise in ("western", "all"):
        made = made.roll(longitude=4, roll_coords=True)
        made = made.assign_coords(longitude=(made["longitude"] + 180) % 360 - 180)
    if disguise in ("wrapped", "all"):
        last = made.isel(longitude=[0]).assign_coords(longitude=made["longitude"].values[:1] + 360)
        made = xr.concat([made, last], "longitude")
    if disguise in ("transposed", "all"):
        made = made.transpose("longitude", "latitude", "level", "time")
    if disguise in ("named", "all"):
        made = made.rename(latitude="lat", longitude="lon", level="plev", mean_sea_level_pressure="psl")
        made = made.assign_coords(lat=made["lat"].astype(np.float32))
    same(open_weather(written(made, tmp_path / "odd.nc"), chunks=chunks), plain)
