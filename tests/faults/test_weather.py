"""Cases 19–31 of the fault list, as far as they are about weather cubes: each asserts the message, or the same bits.

29 (a variable that is all NaN or constant) and 30 (a grid that is no multiple of the patch) are the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from geoadapt.fields.archive import history_of
from tests.cubes.weather_synth import LATITUDE, LEVELS, LONGITUDE, cube, same, written

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::UserWarning")


def stored(made: xr.Dataset, path: Path, **options: object) -> Path:
    """The dataset as Zarr, one date a chunk."""
    encoding = {n: {"chunks": tuple(1 if d == "time" else made.sizes[d] for d in a.dims)} for n, a in made.items()}
    made.to_zarr(path, encoding=encoding, **options)  # type: ignore[call-overload]
    return path


def chunk_files(array: Path) -> list[Path]:
    return sorted(p for p in array.rglob("*") if p.is_file() and p.name not in ("zarr.json", ".zarray", ".zattrs"))


def test_19_a_date_that_occurs_twice_is_named_or_the_first_is_kept(tmp_path: Path) -> None:
    made = cube()
    double = xr.concat([made.isel(time=slice(0, 3)), made.isel(time=slice(2, 4)) + 1], "time")
    path = written(double, tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match=r"a\.nc: geopotential: 2020-02-29 occurs twice") as caught:
        open_weather(path)
    assert "duplicates='first'" in caught.value.hint
    kept = open_weather(path, duplicates="first")
    np.testing.assert_array_equal(kept["time"], made["time"])
    np.testing.assert_array_equal(kept["temperature"][2], made["temperature"][2])
    assert "1 date occurred twice" in kept.attrs["notes"]


def test_19_a_date_in_two_files_is_the_first_files(tmp_path: Path) -> None:
    made = cube()
    later = (made + 1).isel(time=slice(2, 4))
    paths = [written(made.isel(time=slice(0, 3)), tmp_path / "a.nc"), written(later, tmp_path / "b.nc")]
    with pytest.raises(GeoadaptError, match="2020-02-29 occurs twice"):
        open_weather(paths)
    kept = open_weather(paths, duplicates="first")
    np.testing.assert_array_equal(kept["temperature"][2], made["temperature"][2])
    np.testing.assert_array_equal(kept["temperature"][3], made["temperature"][3] + 1)


def test_20_a_gap_between_dates_is_named(tmp_path: Path) -> None:
    path = written(cube(6).isel(time=[0, 1, 2, 4, 5]), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="2020-02-29 is followed by 2020-03-02, where a step is 1 d"):
        open_weather(path)
    assert open_weather(path, gaps="allow").sizes["time"] == 5


def test_20_dates_in_no_order_are_an_error(tmp_path: Path) -> None:
    path = written(cube().isel(time=[0, 2, 1, 3]), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="not in order: 2020-02-29 is followed by 2020-02-28"):
        open_weather(path)


def test_21_ascending_latitude_is_flipped_once_and_no_order_is_an_error(tmp_path: Path) -> None:
    flipped = open_weather(written(cube().isel(latitude=slice(None, None, -1)), tmp_path / "a.nc"))
    same(flipped, open_weather(written(cube(), tmp_path / "b.nc")))
    assert "latitude was ascending" in flipped.attrs["notes"]
    shuffled = written(cube().isel(latitude=[0, 2, 1, 3, 4]), tmp_path / "c.nc")
    with pytest.raises(GeoadaptError, match="latitude is not monotonic: 0 is followed by 30 at 2 of 5"):
        open_weather(shuffled)


def test_22_western_longitudes_and_a_wrap_column_give_the_same_bits(tmp_path: Path) -> None:
    plain = open_weather(written(cube(), tmp_path / "plain.nc"))
    wrap = xr.concat([cube(), cube().isel(longitude=[0]).assign_coords(longitude=[360.0])], "longitude")
    west = cube().roll(longitude=4, roll_coords=True)
    west = west.assign_coords(longitude=(west["longitude"] + 180) % 360 - 180)
    same(open_weather(written(wrap, tmp_path / "wrap.nc")), plain)
    same(open_weather(written(west, tmp_path / "west.nc")), plain)


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        (["2t"], r"holds no '2t', but msl \(mean_sea_level_pressure\), t \(temperature\)", "temperature"),
        (["prmsI"], "holds no 'prmsI'", "known|mean"),
        (["geopotental"], "holds no 'geopotental'", "did you mean 'geopotential'"),
        (["q850"], "holds no 'q850'", "known"),
    ],
)
def test_23_a_missing_variable_is_answered_with_what_there_is(
    wanted: list[str], message: str, hint: str, tmp_path: Path
) -> None:
    path = written(cube().rename(mean_sea_level_pressure="msl", temperature="t"), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match=message) as caught:
        open_weather(path, variables=wanted)
    assert any(part in caught.value.hint for part in hint.split("|"))


def test_23_a_missing_level_is_answered_with_those_there_are(tmp_path: Path) -> None:
    path = written(cube(), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="'temperature': has no level 700, 300; it has 500, 850"):
        open_weather(path, variables=["temperature"], levels=[700, 500, 300])


@pytest.mark.parametrize(
    ("name", "alias", "units", "disguise"),
    [
        ("temperature", "t", "degC", lambda v: v - 273.15),
        ("temperature", "ta", None, lambda v: v - 273.15),
        ("mean_sea_level_pressure", "slp", "hPa", lambda v: v / 100),
        ("mean_sea_level_pressure", "psl", None, lambda v: v / 100),
        ("geopotential", "zg", "m", lambda v: v / 9.80665),
    ],
)
def test_24_other_units_are_converted_by_attribute_or_by_the_only_plausible_reading(
    name: str, alias: str, units: str | None, disguise: Callable[[xr.DataArray], xr.DataArray], tmp_path: Path
) -> None:
    made = cube()
    odd = disguise(made[name].astype(np.float64)).rename(alias)
    odd.attrs = {} if units is None else {"units": units}
    found = open_weather(written(odd.to_dataset(), tmp_path / "a.nc"))
    np.testing.assert_allclose(found[name], made[name], rtol=1e-6)
    assert found[name].attrs["units"] == made[name].attrs["units"]
    assert f"'{alias}' " in found.attrs["notes"]


@pytest.mark.parametrize(
    ("alias", "units", "values", "message", "hint"),
    [
        ("tas", "K", (-20.0, 30.0), r"said to be in 'K' but holds .*; they would fit degC", "'2m_temperature': 'degC'"),
        ("psl", "Pa", (980.0, 1040.0), "said to be in 'Pa' .* would fit hPa", "'mean_sea_level_pressure': 'hPa'"),
        ("huss", "kg kg-1", (1.0, 18.0), "would fit g kg-1", "'2m_specific_humidity': 'g kg-1'"),
        ("tas", None, (0.0, 1e20), "declares no units .* fits no unit", "say units={'2m_temperature': 'K'}"),
        ("tas", "Pa", (250.0, 300.0), "'Pa', which is no unit of 2m_temperature", "say units={'tas': '…'}"),
        ("tp", "m", (0.0, 40.0), "would fit mm", "'total_precipitation': 'mm'"),
    ],
)
def test_24_units_that_the_values_deny_are_an_error_with_a_way_out(
    alias: str, units: str | None, values: tuple[float, float], message: str, hint: str, tmp_path: Path
) -> None:
    field = np.linspace(*values, 40).reshape(1, 5, 8)
    coordinates = {"time": [np.datetime64("2020-01-01", "ns")], "latitude": LATITUDE, "longitude": LONGITUDE}
    attrs = {} if units is None else {"units": units}
    array = xr.DataArray(field, coordinates, ("time", "latitude", "longitude"), alias, attrs)
    path = written(array.to_dataset(), tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match=message) as caught:
        open_weather(path)
    assert hint in caught.value.hint


def test_24_a_caller_who_knows_better_is_believed(tmp_path: Path) -> None:
    celsius = (cube()[["temperature"]].astype(np.float64) - 273.15).rename(temperature="t")
    celsius["t"].attrs["units"] = "K"
    path = written(celsius, tmp_path / "a.nc")
    for key in ("t", "temperature"):
        found = open_weather(path, units={key: "degC"})
        np.testing.assert_allclose(found["temperature"], cube()["temperature"], rtol=1e-6)
    with pytest.raises(GeoadaptError, match="units are given for 'tt', which it does not hold"):
        open_weather(path, units={"tt": "degC"})


@pytest.mark.parametrize(("units", "factor"), [("m", 1.0), ("mm", 1e3), ("kg m-2", 1e3)])
def test_24_an_amount_of_rain_is_no_rate_of_it(units: str, factor: float, tmp_path: Path) -> None:
    rain = np.random.default_rng(0).uniform(0, 0.02, (4, 5, 8)).astype(np.float32)
    dims = ("time", "latitude", "longitude")
    base = cube()[["mean_sea_level_pressure"]].drop_vars("mean_sea_level_pressure").drop_vars("level", errors="ignore")
    amount = base.assign(pr=(dims, rain * np.float32(factor), {"units": units}))
    rate = base.assign(tp=(dims, rain / np.float32(86400) * 1000, {"units": "kg m-2 s-1"}))
    one, other = open_weather(written(amount, tmp_path / "a.nc")), open_weather(written(rate, tmp_path / "b.nc"))
    np.testing.assert_allclose(one["total_precipitation"], rain, rtol=1e-6)
    np.testing.assert_allclose(other["mean_total_precipitation_rate"], rain / 86.4, rtol=1e-6)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_25_other_calendars_keep_their_dates_and_are_refused_where_real_ones_are_needed(
    calendar: str, tmp_path: Path
) -> None:
    made = cube().assign_coords(
        time=("time", [57, 58, 59, 60], {"units": "days since 2020-01-01", "calendar": calendar})
    )
    opened = open_weather(written(made, tmp_path / "a.nc"))
    found = [(t.calendar, t.month, t.day) for t in opened["time"].values]
    last = {"noleap": [(2, 27), (2, 28), (3, 1), (3, 2)], "360_day": [(2, 28), (2, 29), (2, 30), (3, 1)]}[calendar]
    assert found == [(calendar, *day) for day in last]
    with pytest.raises(GeoadaptError, match=f"its calendar is {calendar}; forecasts need real dates"):
        history_of(opened)


def test_25_the_29th_of_february_stays_where_it_is(tmp_path: Path) -> None:
    times = open_weather(written(cube(), tmp_path / "a.nc"), start="2020-02-29", end="2020-03-01")["time"].values
    np.testing.assert_array_equal(times.astype("datetime64[D]").astype(str), ["2020-02-29", "2020-03-01"])


@pytest.mark.parametrize("chunks", [None, {}])
def test_26_every_store_gives_the_same_values(chunks: object, tmp_path: Path) -> None:
    made = cube()
    plain = open_weather(written(made, tmp_path / "a.nc"))
    shards = {n: {"chunks": (1, *a.shape[1:]), "shards": (2, *a.shape[1:])} for n, a in made.items()}
    made.to_zarr(tmp_path / "sharded.zarr", encoding=shards, zarr_format=3)
    for version in (2, 3):
        for consolidated in (False, True):
            made.to_zarr(tmp_path / f"{version}{consolidated}.zarr", zarr_format=version, consolidated=consolidated)
    for path in sorted(tmp_path.glob("*.zarr")):
        same(open_weather(path, chunks=chunks), plain)


def test_27_missing_chunks_are_reported_and_a_real_nan_is_not(tmp_path: Path) -> None:
    made = cube()[["temperature"]]
    made["temperature"][2, 0, 0, 0] = np.nan
    path = stored(made, tmp_path / "a.zarr", zarr_format=3)
    assert "absent" not in open_weather(path).attrs.get("notes", "")
    chunk_files(path / "temperature" / "c")[1].unlink()
    found = open_weather(path)
    assert (
        "1 of 4 chunks of 'temperature' are absent and read as nan (first: temperature/c/1/0/0/0)"
        in found.attrs["notes"]
    )
    assert int(np.isnan(found["temperature"]).sum()) == 1 + LEVELS.size * LATITUDE.size * LONGITUDE.size


def test_27_missing_chunks_that_read_as_an_impossible_number_are_an_error(tmp_path: Path) -> None:
    made = cube()[["temperature"]]
    shape = made["temperature"].shape[1:]
    zero = {"temperature": {"chunks": (1, *shape), "fill_value": 0.0, "_FillValue": None}}
    made.to_zarr(tmp_path / "a.zarr", encoding=zero, zarr_format=3)
    path = tmp_path / "a.zarr"
    chunk_files(path / "temperature" / "c")[1].unlink()
    with pytest.raises(GeoadaptError, match=r"1 of 4 chunks of 'temperature' are absent and read as 0 .*, which is no"):
        open_weather(path, chunks={})


def test_27_packed_numbers_are_decoded_once(tmp_path: Path) -> None:
    made = cube()[["temperature"]]
    packed = {"temperature": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 260.0, "_FillValue": -32768}}
    made["temperature"][0, 0, 0, 0] = np.nan
    made.to_netcdf(tmp_path / "a.nc", encoding=packed, engine="h5netcdf")
    made.to_zarr(tmp_path / "a.zarr", encoding=packed)
    for name in ("a.nc", "a.zarr"):
        found = open_weather(tmp_path / name)["temperature"]
        np.testing.assert_allclose(found, made["temperature"], atol=0.0051)
        assert np.isnan(found[0, 0, 0, 0]) and not {"scale_factor", "_FillValue"} & {*found.attrs, *found.encoding}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("version", [2, 3])
def test_28_a_damaged_chunk_names_array_and_chunk(version: int, lazy: bool, tmp_path: Path) -> None:
    path = stored(cube()[["temperature"]], tmp_path / "a.zarr", zarr_format=version)
    chunk = {2: path / "temperature" / "2.0.0.0", 3: path / "temperature" / "c" / "2" / "0" / "0" / "0"}[version]
    chunk.write_bytes(chunk.read_bytes()[:-20] + b"\xff" * 3)
    key = str(chunk.relative_to(path))
    with pytest.raises(GeoadaptError, match=rf"a\.zarr: chunk '{key}' of array 'temperature' cannot be read"):
        open_weather(path, chunks={} if lazy else None).compute()


def test_28_a_damaged_shard_names_itself(tmp_path: Path) -> None:
    made = cube()[["temperature"]]
    shape = made["temperature"].shape[1:]
    sharded = {"temperature": {"chunks": (1, *shape), "shards": (2, *shape)}}
    made.to_zarr(tmp_path / "a.zarr", encoding=sharded, zarr_format=3)
    shard = chunk_files(tmp_path / "a.zarr" / "temperature" / "c")[1]
    shard.write_bytes(b"\x01" * shard.stat().st_size)
    with pytest.raises(GeoadaptError, match=r"chunk 'temperature/c/1/0/0/0' of array 'temperature' cannot be read"):
        open_weather(tmp_path / "a.zarr")


def test_28_a_damaged_netcdf_names_the_array(tmp_path: Path) -> None:
    made = cube(60)[["temperature"]]
    made.to_netcdf(
        tmp_path / "a.nc", encoding={"temperature": {"zlib": True, "chunksizes": (1, 2, 5, 8)}}, engine="h5netcdf"
    )
    data = bytearray((tmp_path / "a.nc").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xff" * 400
    (tmp_path / "a.nc").write_bytes(data)
    with pytest.raises(GeoadaptError, match=r"a\.nc: array 'temperature' cannot be read"):
        open_weather(tmp_path / "a.nc")


def test_28_a_store_without_metadata_is_an_error(tmp_path: Path) -> None:
    path = stored(cube()[["temperature"]], tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    (path / "temperature" / "zarr.json").write_text("{")
    with pytest.raises(GeoadaptError, match=r"a\.zarr: .*"):
        open_weather(path)


@pytest.mark.parametrize("text", ["2020-02-28T00:00Z", "2020-02-28T02:00+02:00", "2020-02-28"])
def test_31_dates_with_a_zone_are_taken_to_utc(text: str, tmp_path: Path) -> None:
    found = open_weather(written(cube(), tmp_path / "a.nc"), start=text, end=text)
    assert found["time"].values.astype(str)[0][:16] == "2020-02-28T00:00"
    assert found.sizes["time"] == 1


def test_31_a_date_outside_of_the_data_is_answered_with_their_reach(tmp_path: Path) -> None:
    path = written(cube(), tmp_path / "a.nc")
    with pytest.raises(
        GeoadaptError, match="no date from 2021-01-01 to its last; it reaches from 2020-02-27 to 2020-03-01"
    ):
        open_weather(path, start="2021-01-01")
    with pytest.raises(GeoadaptError, match="is no date"):
        open_weather(path, start="last week")
