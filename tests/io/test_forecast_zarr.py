"""The forecast store: xarray finds WeatherBench 2's schema in it, and every init time is whole or absent."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.io import forecast_spec
from geoadapt.io.forecast_spec import ForecastSpec, ForecastVariable
from geoadapt.io.forecast_zarr import ForecastStore, create_store, label_of

LABEL = {"bundle": {"name": "b"}, "config": {"lead": 3}}
PRESSURE = ForecastVariable("mean_sea_level_pressure", (1,), attributes={"units": "Pa", "long_name": "pressure"})
TEMPERATURE = ForecastVariable("temperature", (2, 0), (500.0, 850.0), {"units": "K"})
WIND = ForecastVariable("u_component_of_wind", (3,), (200.0,), {"units": "m s-1"})


def spec(numbers: tuple[int, ...] | None = None, hours: int = 24) -> ForecastSpec:
    return ForecastSpec(
        np.asarray(["2008-01-01", "2008-01-02T06"], "datetime64[s]"),
        np.arange(1, 4) * np.timedelta64(3600 * hours, "s"),
        np.asarray([60.0, 55.0]),
        np.asarray([-5.0, 0.0, 5.0]),
        (PRESSURE, TEMPERATURE, WIND),
        numbers,
    )


def states(planned: ForecastSpec) -> NDArray[np.float32]:
    """All states (time, number, lead, channel, h, w)."""
    shape = (len(planned.init_times), len(planned.numbers or (0,)), len(planned.leads), 4, 2, 3)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def write(path: Path, planned: ForecastSpec, values: NDArray[np.float32]) -> None:
    create_store(path, planned, LABEL, path.parent / "part")
    with ForecastStore(path, planned, path.parent / "staging") as store:
        for lead in range(values.shape[2]):
            for number in range(values.shape[1]):
                store.write([0, 1], number, lead, values[:, number, lead])
        store.commit([0, 1])


def opened(path: Path, **more: object) -> xr.Dataset:
    """The store as xarray has it, with every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_dataset(path, engine="zarr", chunks=None, **more) as found:  # type: ignore[arg-type]
            return found.load()


def test_xarray_opens_it_as_weatherbench_2_has_it(tmp_path: Path) -> None:
    planned = spec()
    values = states(planned)
    write(tmp_path / "fc.zarr", planned, values)
    found = opened(tmp_path / "fc.zarr")
    surface = ("time", "prediction_timedelta", "latitude", "longitude")
    assert found["mean_sea_level_pressure"].dims == surface
    assert found["temperature"].dims == ("time", "prediction_timedelta", "level", "latitude", "longitude")
    np.testing.assert_array_equal(found["time"], planned.init_times.astype("datetime64[ns]"))
    np.testing.assert_array_equal(found["prediction_timedelta"], planned.leads.astype("timedelta64[ns]"))
    assert found["prediction_timedelta"].dtype == "timedelta64[ns]" and found["level"].dtype == np.int64
    assert found["level"].values.tolist() == [200, 500, 850] and found["level"].attrs["units"] == "hPa"
    assert found["temperature"].attrs["units"] == "K" and found["latitude"].attrs["units"] == "degrees_north"
    np.testing.assert_array_equal(found["mean_sea_level_pressure"], values[:, 0, :, 1])
    np.testing.assert_array_equal(found["temperature"].sel(level=850), values[:, 0, :, 0])
    np.testing.assert_array_equal(found["temperature"].sel(level=500), values[:, 0, :, 2])
    assert found["temperature"].sel(level=200).isnull().all()
    np.testing.assert_array_equal(found["u_component_of_wind"].sel(level=200), values[:, 0, :, 3])
    xr.testing.assert_identical(found, opened(tmp_path / "fc.zarr", consolidated=False))


def test_dates_are_stored_as_whole_numbers_with_units(tmp_path: Path) -> None:
    write(tmp_path / "fc.zarr", spec(), states(spec()))
    raw = zarr.open_group(tmp_path / "fc.zarr", mode="r")
    assert raw["time"].dtype == np.int64 and raw["time"].attrs["units"] == "hours since 1970-01-01"
    assert np.asarray(raw["prediction_timedelta"]).tolist() == [24, 48, 72]
    odd = ForecastSpec(
        np.asarray(["1955-03-01T00:00:07"], "datetime64[s]"),
        np.asarray([600, 1200], "timedelta64[s]"),
        np.asarray([0.0]),
        np.asarray([0.0]),
        (PRESSURE,),
    )
    create_store(tmp_path / "odd.zarr", odd, LABEL, tmp_path / "part")
    found = opened(tmp_path / "odd.zarr")
    assert found["time"].values[0] == np.datetime64("1955-03-01T00:00:07")
    assert found["prediction_timedelta"].values[0] == np.timedelta64(10, "m")


@pytest.mark.parametrize(
    ("chunk", "members"), [(24, None), (72, None), (24, 3), (48, 3), (100, 2), (200, 3), (10**6, 4)]
)
def test_chunks_of_any_size_give_back_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, members: int | None
) -> None:
    planned = spec(None if members is None else tuple(range(members)))
    values = states(planned)
    monkeypatch.setattr(forecast_spec, "CHUNK", chunk)
    write(tmp_path / "fc.zarr", planned, values)
    assert all(np.prod(planned.blocks(v)) * 24 <= chunk for v in planned.variables)
    found = opened(tmp_path / "fc.zarr")
    wanted = values if members is not None else values[:, 0]
    np.testing.assert_array_equal(found["mean_sea_level_pressure"], wanted[..., 1, :, :])
    np.testing.assert_array_equal(found["temperature"].sel(level=500), wanted[..., 2, :, :])


def test_an_init_time_has_files_of_its_own_and_an_unfinished_one_has_none(tmp_path: Path) -> None:
    planned, path = spec(), tmp_path / "fc.zarr"
    values = states(planned)
    create_store(path, planned, LABEL, tmp_path / "part")
    with ForecastStore(path, planned, tmp_path / "staging") as store:
        for lead in range(3):
            store.write([0, 1], 0, lead, values[:, 0, lead])
        made = store.commit([1])
    assert made == {1: [path / v.name / "c" / "1" for v in planned.variables]}
    assert all(folder.is_dir() for folder in made[1])
    assert not (path / "temperature" / "c" / "0").exists()
    assert not (tmp_path / "staging").exists()
    found = opened(path)["mean_sea_level_pressure"]
    assert found[0].isnull().all() and found[1].notnull().all()


def test_an_init_time_without_all_its_leads_is_not_committed(tmp_path: Path) -> None:
    planned, path = spec(), tmp_path / "fc.zarr"
    values = states(planned)
    create_store(path, planned, LABEL, tmp_path / "part")
    with ForecastStore(path, planned, tmp_path / "staging") as store:
        store.write([0], 0, 0, values[:1, 0, 0])
        with pytest.raises(GeoadaptError, match="lacks leads or members"):
            store.commit([1, 0])
        store.drop(0)
        with pytest.raises(GeoadaptError, match="cannot be written"):
            store.commit([0])
    assert list((path / "temperature" / "c").iterdir()) == []


def test_it_replaces_a_store_of_its_own_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "fc.zarr"
    write(path, spec(), states(spec()))
    assert label_of(path) == LABEL
    create_store(path, spec(), {"bundle": {}, "config": {}}, tmp_path / "part")
    assert opened(path)["temperature"].isnull().all()
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").write_text("…")
    for wrong in (other, other / "chapter.tex"):
        with pytest.raises(GeoadaptError, match="is no forecast store of geoadapt"):
            create_store(wrong, spec(), LABEL, tmp_path / "part")
    assert (other / "chapter.tex").read_text() == "…"
    (tmp_path / "file").write_text("")
    with pytest.raises(GeoadaptError, match="cannot be written"):
        create_store(tmp_path / "file" / "fc.zarr", spec(), LABEL, tmp_path / "part")
    assert not (tmp_path / "part").exists()
