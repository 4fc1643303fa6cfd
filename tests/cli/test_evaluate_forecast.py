"""``geoadapt evaluate`` on forecasts: a bundle on another archive, and anybody's stored forecast against truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.cli import main
from geoadapt.cli.evaluate_forecast import read_regions
from geoadapt.errors import GeoadaptError

SLP = "mean_sea_level_pressure"


def archive(path: Path, years: tuple[int, int], seed: int = 0) -> Path:
    """Daily pressure [Pa] on 5 × 8 cells, waves that travel and noise, under the name that NCEP gives it."""
    times = np.arange(f"{years[0]}-01-01", f"{years[1] + 1}-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    rng = np.random.default_rng(seed)
    days, lon = np.arange(len(times))[:, None, None], np.arange(8)[None, None]
    wave = 600 * np.sin(2 * np.pi * (lon / 8 - days / 9.0)) + 150 * rng.standard_normal((len(times), 5, 8))
    values = (101325 + wave * np.linspace(1, 0.5, 5)[:, None]).astype(np.float32)
    cube = xr.Dataset({"slp": (("time", "lat", "lon"), values, {"units": "Pa"})})
    cube = cube.assign_coords(time=times, lat=np.arange(40.0, 60, 4), lon=np.arange(-40.0, 0, 5))
    cube.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forecast")
    path = archive(folder / "early.nc", (2001, 2003))
    words = [
        *("experiment=slp_natl", f"data.path={path}", "data.test_years=[2003]", f"hydra.run.dir={folder / 'run'}"),
        *("backbone.random_weights=true", "backbone.width=16", "backbone.depth=1", "train.steps=4", "train.batch=4"),
        *("train.val_every=4", "task.leads=[24,72]", "train.bootstrap=20", "runtime.threads=1"),
        "train.controls=persistence,climatology,damped,eof_ridge,cnn,random_backbone",
    ]
    assert main(["train", *words]) == 0
    return folder / "run" / "bundle"


def test_a_bundle_is_scored_on_later_years_beside_all_that_it_carries(bundle: Path, tmp_path: Path) -> None:
    later = archive(tmp_path / "later.nc", (2009, 2009), seed=7)
    out = tmp_path / "out"
    words = [str(later), "--bundle", str(bundle), "--regions", "west=-41,39,-20,61", f"hydra.run.dir={out}"]
    assert main(["evaluate", *words, "train.bootstrap=20", "runtime.threads=1"]) == 0
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    for who in ("test", "persistence", "climatology", "damped", "eof_ridge", "cnn", "random_backbone"):
        for lead in ("24h", "72h"):
            assert metrics[f"{who}/rmse/{SLP}/{lead}"] > 0
            assert metrics[f"{who}/rmse/{SLP}/{lead}/west"] > 0
    with xr.open_dataset(later, engine="h5netcdf") as cube:
        values = cube["slp"].values.astype(np.float64)
    weights = np.cos(np.deg2rad(np.arange(40.0, 60, 4)))[:, None]
    # the model looks at three states, so the first forecast starts from the third; all entries share its dates
    off = values[3:] - values[2:-1]
    expected = np.sqrt((off**2 * weights).sum() / (weights.sum() * 8 * len(off)))
    assert metrics[f"persistence/rmse/{SLP}/24h"] == pytest.approx(expected, rel=1e-5)
    assert "this model" in (out / "report.html").read_text(encoding="utf-8")


def test_fields_without_dates_are_inputs_wherever_the_bundle_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = archive(tmp_path / "plain.nc", (2001, 2003))
    with xr.open_dataset(plain, engine="h5netcdf") as cube:
        ground = (("lat", "lon"), np.arange(40.0).reshape(5, 8), {"units": "m2 s-2"})
        cube.load().assign(geopotential_at_surface=ground).to_netcdf(tmp_path / "ground.nc", engine="h5netcdf")
    run = tmp_path / "run"
    words = [
        *("experiment=slp_natl", f"data.path={tmp_path / 'ground.nc'}", "data.test_years=[2003]", "data.variables=[]"),
        *("backbone.random_weights=true", "backbone.width=16", "backbone.depth=1", "train.steps=2", "train.batch=4"),
        *("train.val_every=2", "task.leads=[24]", "task.rollout=[1]", "train.bootstrap=20", "runtime.threads=1"),
        *("train.controls=none", f"hydra.run.dir={run}"),
    ]
    assert main(["train", *words]) == 0
    again = [str(tmp_path / "ground.nc"), "--bundle", str(run / "bundle"), "data.test_years=[2003]"]
    assert main(["evaluate", *again, f"hydra.run.dir={tmp_path / 'again'}", "train.bootstrap=20"]) == 0
    first, second = (json.loads((f / "metrics.json").read_text()) for f in (run, tmp_path / "again"))
    assert second[f"test/rmse/{SLP}/24h"] == pytest.approx(first[f"test/rmse/{SLP}/24h"], rel=1e-5)
    capsys.readouterr()
    without = [str(plain), "--bundle", str(run / "bundle"), f"hydra.run.dir={tmp_path / 'without'}"]
    assert main(["evaluate", *without]) == 1
    assert "geopotential_at_surface" in capsys.readouterr().err


def test_another_grid_is_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = archive(tmp_path / "moved.nc", (2009, 2009))
    with xr.open_dataset(path, engine="h5netcdf") as cube:
        cube.load().assign_coords(lon=cube["lon"].values + 10).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    words = [str(tmp_path / "other.nc"), "--bundle", str(bundle), f"hydra.run.dir={tmp_path / 'out'}"]
    assert main(["evaluate", *words]) == 1
    said = capsys.readouterr().err
    assert "longitude -30" in said and "the bundle was made on 320" in said


def test_a_stored_forecast_is_scored_against_truth(bundle: Path, tmp_path: Path) -> None:
    truth = archive(tmp_path / "truth.nc", (2009, 2009), seed=7)
    store = tmp_path / "fc.zarr"
    words = [str(truth), "--bundle", str(bundle), "--init", "2009-02-01/2009-02-20/24h", "--lead", "3d"]
    assert main(["forecast", *words, "--output", str(store)]) == 0
    out = tmp_path / "out"
    words = [str(store), "--truth", str(truth), "--weights", "cos", f"hydra.run.dir={out}", "train.bootstrap=20"]
    assert main(["evaluate", *words]) == 0
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    with xr.open_zarr(store) as forecast, xr.open_dataset(truth, engine="h5netcdf") as cube:
        said = forecast[SLP].isel(prediction_timedelta=0).load()
        true = cube["slp"].sel(time=said["time"].values + said["prediction_timedelta"].values)
        off = said.values - true.values[:, ::-1]
    weights = np.cos(np.deg2rad(np.arange(56.0, 36, -4)))[:, None]
    expected = np.sqrt((off.astype(np.float64) ** 2 * weights).sum() / (weights.sum() * 8 * len(off)))
    assert metrics[f"test/rmse/{SLP}/24h"] == pytest.approx(expected, rel=1e-5)
    assert f"test/acc/{SLP}/24h" not in metrics, "there is no climatology"


def test_words_that_cannot_be(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path / "absent.nc"), "--bundle", str(bundle)]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["evaluate", "--truth", str(tmp_path)]) == 2
    assert "takes one forecast" in capsys.readouterr().err
    with pytest.raises(GeoadaptError, match="is no box"):
        read_regions("here=1,2,3")
    assert read_regions("a=-10,35,40,70; b=0,0,10,10").keys() == {"a", "b"}
