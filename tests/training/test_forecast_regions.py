"""A forecasting run scores its test by region as well, and says the same as ``evaluate --regions`` of its bundle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoadapt.cli import main
from geoadapt.errors import GeoadaptError
from geoadapt.metrics.weights import Box
from geoadapt.tasks.config import ForecastingConfig
from geoadapt.tasks.forecasting import Forecasting
from geoadapt.training import forecasting
from geoadapt.training.run import train
from tests.training.test_forecasting import HISTORY, SLP, job
from tests.waves import write_slp

WHOLE = (24, 48, 72)
REGIONS: dict[str, list[float]] = {"north": [300, 50, 335, 60], "east": [-40, 40, -24, 60]}
CONTROLS = ("persistence", "damped")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slp(tmp_path_factory.mktemp("archive") / "slp.nc", HISTORY)


@pytest.fixture(scope="module")
def folder(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with regions."""
    where = tmp_path_factory.mktemp("run")
    train(job(path, ",".join(CONTROLS), {"regions": REGIONS}), where, "geoadapt train task=forecasting")
    return where


def metrics_of(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return found


def of_regions(metrics: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if key.count("/") == 4}


def test_everyone_is_scored_in_every_region_at_every_lead_with_intervals_and_gains(folder: Path) -> None:
    said = metrics_of(folder)
    for who in ("test", *CONTROLS):
        for region in REGIONS:
            for hours in WHOLE:
                for metric in ("rmse", "rmse_low", "rmse_high", "mae", "bias", "acc"):
                    assert math.isfinite(said[f"{who}/{metric}/{SLP}/{hours}h/{region}"]), (who, metric, region, hours)
                if who != "test":
                    gain = said[f"{who}/rmse/{SLP}/{hours}h/{region}"] - said[f"test/rmse/{SLP}/{hours}h/{region}"]
                    assert said[f"{who}/rmse_gain/{SLP}/{hours}h/{region}"] == pytest.approx(gain, abs=1e-6)
    assert {key.rsplit("/", 1)[1] for key in of_regions(said)} == set(REGIONS)
    assert "By region and event" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_card_tells_the_whole_grid_alone(folder: Path) -> None:
    told = json.loads((folder / "bundle" / "bundle.json").read_text(encoding="utf-8"))["metrics"]
    assert f"test/rmse/{SLP}/24h" in told and not of_regions(told)


def test_the_scores_of_a_region_are_those_of_its_points(folder: Path) -> None:
    """Persistence, computed anew with numpy."""
    said = metrics_of(folder)
    states = np.asarray(HISTORY.states)[:, 0].astype(np.float64)
    weights = np.cos(np.deg2rad(HISTORY.latitude))[:, None] * np.ones(8)
    in_test = np.flatnonzero(HISTORY.times >= np.datetime64("2003-01-01"))
    inside = {"north": np.s_[:, :3, :], "east": np.s_[:, :, 4:]}
    for lead in (1, 2, 3):
        ends = in_test[lead + 1 :]
        squares = (states[ends] - states[ends - lead]) ** 2
        for region, part in inside.items():
            own = np.broadcast_to(weights, squares.shape)[part]
            expected = np.sqrt((squares[part] * own).sum() / own.sum())
            assert said[f"persistence/rmse/{SLP}/{24 * lead}h/{region}"] == pytest.approx(expected, rel=1e-4)


def test_evaluate_says_the_same_of_the_bundle(path: Path, folder: Path, tmp_path: Path) -> None:
    boxes = ";".join(f"{name}={','.join(map(str, edges))}" for name, edges in REGIONS.items())
    words = [str(path), "--bundle", str(folder / "bundle"), "--regions", boxes, f"hydra.run.dir={tmp_path / 'out'}"]
    words += ["data.test_years=[2003]", "data.gaps=allow", "train.bootstrap=20", "runtime.threads=1"]
    assert main(["evaluate", *words]) == 0
    run, again = (of_regions(metrics_of(one)) for one in (folder, tmp_path / "out"))
    assert set(run) == set(again) and len(run) > 100
    for key, value in run.items():
        assert again[key] == pytest.approx(value, rel=1e-4, abs=0.05), key


def test_without_regions_the_rest_is_the_same(
    path: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = replace(forecasting.KIND, page=lambda *told: told[-1] / "report.html")
    monkeypatch.setattr(forecasting, "KIND", bare)
    plain = train(job(path, ",".join(CONTROLS)), tmp_path / "plain", "").metrics
    said = metrics_of(folder)
    kept = {key for key in said if key.count("/") == 3}
    assert kept == {key for key in plain if key.count("/") == 3} and not of_regions(plain)
    for key in kept:
        assert said[key] == pytest.approx(plain[key], rel=1e-9, abs=1e-9), key


def test_a_region_without_a_point_is_refused_before_the_first_fit(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise AssertionError("a step was taken")

    monkeypatch.setattr(Forecasting, "loss", none)
    told = r"task\.regions\.tropics: .* holds no point of the grid; it reaches from 40 to 60° N, 300 to 335° E"
    with pytest.raises(GeoadaptError, match=told):
        train(job(path, task={"regions": {"tropics": [0, -20, 360, 20]}}), tmp_path / "run", "")


@pytest.mark.parametrize(
    ("name", "edges", "told"),
    [
        ("a", [0, 1, 2], r"task\.regions\.a: \[0, 1, 2\]; name west, south, east, north"),
        ("a", [0, 1, 2, "x"], r"task\.regions\.a: .*; name west, south, east, north"),
        ("a", [0, 1, 2, True], r"task\.regions\.a: .*; name west, south, east, north"),
        ("a", [0, 50, 10, 40], r"task\.regions\.a: south 50, north 40"),
        ("a", [math.nan, 0, 10, 40], r"task\.regions\.a: west nan"),
        ("a/b", [0, 40, 10, 50], r"task\.regions\.a/b: is no name for a region"),
        ("", [0, 40, 10, 50], r"task\.regions\.: is no name for a region"),
    ],
)
def test_a_region_that_is_no_box_is_refused(name: str, edges: list[Any], told: str) -> None:
    with pytest.raises(GeoadaptError, match=told):
        ForecastingConfig(regions={name: edges})


def test_whole_numbers_and_fractions_make_a_box() -> None:
    regions: dict[str, list[Any]] = {"south": [-70, 30, 10, 44.9]}
    assert ForecastingConfig(regions=regions).boxes() == {"south": Box(-70, 30, 10, 44.9)}
    assert ForecastingConfig().boxes() == {}
