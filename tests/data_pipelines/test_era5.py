"""ERA5 in the layouts of ARCO-ERA5 and WeatherBench 2 (stores made here), to training cubes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cloudpickle
import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr

from data_pipelines import chunks
from data_pipelines.coarsen import Coarsening, coarse_grid
from data_pipelines.era5 import Era5Request, prepare_era5
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from tests.folders import ROOT

HOURS = 48
UNITS = {
    "temperature": "K",
    "2m_temperature": "K",
    "10m_u_component_of_wind": "m s**-1",
    "total_precipitation": "m",
    "mean_surface_net_short_wave_radiation_flux": "W m**-2",
    "geopotential_at_surface": "m**2 s**-2",
}
LEVELS = [500, 850, 1000]


def arco(hours: int = HOURS) -> xr.Dataset:
    """Hourly fields as ARCO-ERA5 lays them out: latitude descending, what is static repeated at every hour."""
    rng = np.random.default_rng(0)
    grid = {"latitude": np.linspace(90, -90, 13), "longitude": np.arange(0, 360, 15.0)}
    time = np.datetime64("2020-02-28T00", "h") + np.arange(hours)
    shape = (hours, 13, 24)
    fields = {
        "2m_temperature": 280 + 10 * rng.random(shape),
        "10m_u_component_of_wind": 10 * rng.normal(size=shape),
        "total_precipitation": 1e-3 * rng.random(shape),
        "mean_surface_net_short_wave_radiation_flux": 300 * rng.random(shape),
        "geopotential_at_surface": np.broadcast_to(20000 * rng.random(shape[1:]), shape),
    }
    ds = xr.Dataset({n: (("time", "latitude", "longitude"), v.astype("f4")) for n, v in fields.items()})
    levels = 250 + 30 * rng.random((hours, 3, 13, 24))
    ds["temperature"] = (("time", "level", "latitude", "longitude"), levels.astype("f4"))
    for name, units in UNITS.items():
        ds[name].attrs["units"] = units
    return ds.assign_coords(time=time.astype("datetime64[ns]"), level=LEVELS, **grid)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arco") / "arco.zarr"
    arco().chunk({"time": 1}).to_zarr(path, zarr_format=2, consolidated=True)
    return path


def request(store: Path | str, **changes: object) -> Era5Request:
    wanted = ("temperature", "2m_temperature", "total_precipitation", "geopotential_at_surface")
    return replace(Era5Request(str(store), wanted, (850.0, 500.0), interval="6h"), **changes)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_one_date_is_whole_chunks_and_the_cube_opens_as_any_other(store: Path, tmp_path: Path):
    path = prepare_era5(request(store), tmp_path / "cube.zarr")
    group = zarr.open_group(path, mode="r")
    assert group["temperature"].chunks == (1, 2, 13, 24)
    assert group["2m_temperature"].chunks == (1, 13, 24)
    made, raw = open_weather(path), arco()
    # the first hours of rain since the step before are not in the archive
    assert str(made["time"].values[0]) == "2020-02-28T06:00:00.000000000"
    assert made.sizes["time"] == 7
    picked = raw.sel(time=made["time"])
    np.testing.assert_array_equal(made["2m_temperature"], picked["2m_temperature"])
    for level in (500, 850):
        np.testing.assert_array_equal(made["temperature"].sel(level=level), picked["temperature"].sel(level=level))
    rain = raw["total_precipitation"].sel(time=slice("2020-02-28T07", "2020-02-28T12")).astype("f8").sum("time")
    np.testing.assert_allclose(made["total_precipitation"].isel(time=1), rain, rtol=1e-6)
    assert made["geopotential_at_surface"].dims == ("latitude", "longitude")
    assert made["temperature"].attrs["units"] == "K"
    assert list(tmp_path.iterdir()) == [path]


def test_daily_means_begin_at_their_date_and_rates_count_from_the_hour_after(store: Path, tmp_path: Path):
    wanted = ("2m_temperature", "mean_surface_net_short_wave_radiation_flux")
    path = prepare_era5(request(store, variables=wanted, levels=(), interval="1d", average=True), tmp_path / "c.zarr")
    made, raw = open_weather(path), arco()
    assert made["time"].values.astype("datetime64[D]").astype(str).tolist() == ["2020-02-28"]
    day = raw["2m_temperature"].isel(time=slice(0, 24)).astype("f8").mean("time")
    np.testing.assert_allclose(made["2m_temperature"][0], day, rtol=1e-6)
    flux = raw["mean_surface_net_short_wave_radiation_flux"].isel(time=slice(1, 25)).astype("f8").mean("time")
    np.testing.assert_allclose(made["mean_surface_net_short_wave_radiation_flux"][0], flux, rtol=1e-5)


def test_the_layout_of_weatherbench_gives_the_same_bits_also_at_an_address(store: Path, tmp_path: Path):
    """Dims (time, level, longitude, latitude), latitude ascending; the address is one in memory."""
    turned = arco().isel(latitude=slice(None, None, -1)).drop_vars("geopotential_at_surface")
    turned["geopotential_at_surface"] = arco()["geopotential_at_surface"][0].drop_vars("time")
    turned = turned.transpose("time", "level", "longitude", "latitude")
    fsspec.filesystem("memory").store.clear()
    turned.to_zarr("memory://weatherbench/era5.zarr", zarr_format=2, consolidated=True)
    here = prepare_era5(request(store), tmp_path / "here.zarr")
    there = prepare_era5(request("memory://weatherbench/era5.zarr"), tmp_path / "there.zarr")
    xr.testing.assert_equal(open_weather(here), open_weather(there))


def test_an_address_that_cannot_be_opened_says_what_to_install_or_check():
    with pytest.raises(GeoadaptError, match="memory://nowhere.zarr: cannot be opened"):
        prepare_era5(Era5Request("memory://nowhere.zarr"), Path("unused.zarr"))
    with pytest.raises(GeoadaptError, match="fsspec knows"):
        prepare_era5(Era5Request("warp://nowhere.zarr"), Path("unused.zarr"))


def test_an_address_whose_file_system_is_not_installed_names_the_package(monkeypatch: pytest.MonkeyPatch):
    def absent(scheme: str) -> None:
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr(fsspec, "get_filesystem_class", absent)
    with pytest.raises(GeoadaptError, match="pip install gcsfs"):
        prepare_era5(Era5Request("gs://weatherbench2/era5.zarr"), Path("unused.zarr"))


def test_an_interrupted_run_ends_with_the_same_bytes(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The process is killed after its second region, the way SIGKILL does: nothing is cleaned up."""
    whole, shard = tmp_path / "whole.zarr", 3
    code = """
import os, sys
from data_pipelines import chunks, era5
from data_pipelines.chunks import write_training
from data_pipelines.era5 import Era5Request, training_cube
chunks.REGION = 1
request = Era5Request(sys.argv[1], ("temperature", "2m_temperature"), (850.0, 500.0), interval="6h", resolution=30.0)
def stop(done, total):
    if 0 < int(sys.argv[4]) <= done:
        os._exit(9)
write_training(training_cube(request), __import__("pathlib").Path(sys.argv[2]), shard=int(sys.argv[3]), progress=stop)
"""

    def run(path: Path, after: int) -> int:
        command = [sys.executable, "-c", code, str(store), str(path), str(shard), str(after)]
        return subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode

    path = tmp_path / "cube.zarr"
    assert run(path, 2 * shard) == 9
    assert not path.exists()
    journal = tmp_path / ".cube.zarr.making" / "done.jsonl"
    assert len(journal.read_text().splitlines()) == 2
    before = {p: p.stat().st_mtime_ns for p in journal.parent.rglob("c/0/**/*") if p.is_file()}
    journal.write_text(journal.read_text() + '{"part": "6-9", "by')  # a line cut short
    made = training(store)
    monkeypatch.setattr(chunks, "REGION", 1)
    chunks.write_training(made, path, shard=shard)
    chunks.write_training(made, whole, shard=shard)
    assert before
    assert digest(path) == digest(whole)
    assert all((path / p.relative_to(journal.parent / "product")).stat().st_mtime_ns == t for p, t in before.items())
    assert not journal.parent.exists()


def training(store: Path, **changes: object) -> chunks.TrainingCube:
    from data_pipelines.era5 import training_cube

    wanted = ("temperature", "2m_temperature")
    return training_cube(request(store, variables=wanted, resolution=30.0, **changes))


def test_a_region_whose_files_have_changed_is_made_again(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chunks, "REGION", 1)
    path, whole = tmp_path / "cube.zarr", tmp_path / "whole.zarr"

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chunks.write_training(training(store), path, progress=stop)
    damaged = tmp_path / ".cube.zarr.making/product/2m_temperature/c/1/0/0"
    damaged.write_bytes(damaged.read_bytes()[:20])
    chunks.write_training(training(store), path)
    chunks.write_training(training(store), whole)
    assert digest(path) == digest(whole)


def test_a_cluster_gives_the_bytes_of_threads(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from distributed import Client, LocalCluster

    monkeypatch.setattr(chunks, "REGION", 40_000)
    threads = prepare_era5(request(store, resolution=30.0), tmp_path / "threads.zarr", shard=2)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        worked = prepare_era5(request(store, resolution=30.0), tmp_path / "cluster.zarr", shard=2)
        steps = cluster.scheduler.transition_counter
    assert steps > 50  # its tasks, not a thread of this process
    assert digest(worked) == digest(threads)


def test_what_a_region_is_computed_from_can_be_sent_to_other_processes(store: Path):
    made = training(store)
    lazy = made.region(slice(0, 2))
    np.testing.assert_array_equal(
        cloudpickle.loads(cloudpickle.dumps(lazy))["temperature"], lazy["temperature"].compute()
    )


def test_a_finished_cube_is_left_alone_and_another_is_refused(store: Path, tmp_path: Path):
    path = prepare_era5(request(store), tmp_path / "cube.zarr")
    before = digest(path)
    assert prepare_era5(request(store), path) == path
    assert digest(path) == before
    with pytest.raises(GeoadaptError, match="made with another interval"):
        prepare_era5(request(store, interval="12h"), path)
    (tmp_path / "other").mkdir()
    with pytest.raises(GeoadaptError, match="no training cube"):
        prepare_era5(request(store), tmp_path / "other")


def test_two_processes_do_not_make_one_cube(store: Path, tmp_path: Path):
    def again(done: int, total: int) -> None:
        with pytest.raises(GeoadaptError, match="made by another process"):
            chunks.write_training(training(store), tmp_path / "cube.zarr")

    chunks.write_training(training(store), tmp_path / "cube.zarr", progress=again)


def test_a_date_without_any_value_is_a_chunk_like_any_other(tmp_path: Path):
    raw = arco(12)[["2m_temperature"]]
    raw["2m_temperature"][6] = np.nan
    raw.to_zarr(tmp_path / "raw.zarr", zarr_format=2)
    path = prepare_era5(Era5Request(str(tmp_path / "raw.zarr"), interval="6h"), tmp_path / "cube.zarr")
    assert len([p for p in (path / "2m_temperature" / "c").rglob("*") if p.is_file()]) == 2
    assert np.isnan(open_weather(path)["2m_temperature"][1]).all()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"variables": ("temprature",)}, "temprature"),
        ({"levels": (700.0,)}, "700"),
        ({"start": "2021"}, "2021"),
        ({"interval": "5h"}, "does not fit"),
        ({"interval": "soon"}, "no length of time"),
        ({"resolution": 7.0}, "does not divide"),
        ({"resolution": 5.0}, "is finer than the archive's 15"),
        ({"interval": "4d"}, "holds no whole"),
    ],
)
def test_what_the_archive_cannot_give_is_an_error(
    store: Path, tmp_path: Path, changes: dict[str, object], problem: str
):
    with pytest.raises(GeoadaptError, match=problem):
        prepare_era5(request(store, **changes), tmp_path / "cube.zarr")
    assert not (tmp_path / "cube.zarr").exists()


def test_a_coarser_grid_keeps_area_means_and_leaves_missing_values_out():
    latitude, longitude = np.linspace(90, -90, 37), np.arange(0, 360, 5.0)
    target = coarse_grid(latitude, longitude, 15.0)
    assert target[0].tolist() == list(np.arange(90, -91, -15.0))
    assert len(target[1]) == 24
    change = Coarsening((latitude, longitude), target)
    field = np.random.default_rng(0).normal(size=(2, 37, 72))

    def areas(points: np.ndarray) -> np.ndarray:
        edges = np.sin(np.deg2rad(np.clip([*(points + 180 / (len(points) - 1) / 2), -90], -90, 90)))
        return -np.diff(edges)

    fine = (field * areas(latitude)[:, None]).sum(axis=(1, 2)) / 72
    coarse = (change.mean(field) * areas(target[0])[:, None]).sum(axis=(1, 2)) / 24
    np.testing.assert_allclose(coarse, fine, atol=1e-6)
    np.testing.assert_allclose(change.mean(np.full((37, 72), 7.0)), 7.0)
    gaps = np.where(np.arange(72) % 3 == 0, np.nan, 7.0) * np.ones((37, 1))
    gaps[:18] = np.nan
    made = change.mean(gaps)
    assert np.isnan(made[:6]).all()
    np.testing.assert_allclose(made[7:], 7.0)


@pytest.mark.parametrize(("resolution", "poles", "shape"), [(1.5, True, (121, 240)), (5.625, False, (32, 64))])
def test_the_usual_grids_have_their_usual_shapes(resolution: float, poles: bool, shape: tuple[int, int]):
    latitude, longitude = coarse_grid(np.linspace(90, -90, 721), np.arange(0, 360, 0.25), resolution, poles)
    assert (len(latitude), len(longitude)) == shape
    assert latitude[0] == (90 if poles else 90 - resolution / 2)


def test_a_region_keeps_only_the_cells_that_it_covers():
    latitude, longitude = np.arange(70, 29, -2.5), np.arange(-70, 10.1, 2.5)
    rows, columns = coarse_grid(latitude, longitude, 5.0)
    assert rows.tolist() == [65, 60, 55, 50, 45, 40, 35]
    assert columns.tolist() == list(np.arange(-65, 6, 5.0))


def test_real_pressure_fields_become_a_training_cube(data_dir: Path, tmp_path: Path):
    source = data_dir / "weather/ncep_daily/ncep_slp_natl_2001_2008.nc"
    path = prepare_era5(Era5Request(str(source), start="2008-02", end="2008-03"), tmp_path / "slp.zarr", shard=10)
    made = open_weather(path)
    raw = open_weather(source, start="2008-02", end="2008-03")
    xr.testing.assert_equal(made, raw)
    assert made.sizes["time"] == 60
