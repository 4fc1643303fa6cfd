"""A forecasting run end to end: what it writes, what its bundle says again, and what it must not read too early."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from geoadapt.bundle.forecaster import load_forecast_baselines, load_forecaster
from geoadapt.bundle.load import load_bundle
from geoadapt.config import FORECAST_CONTROLS, JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import forecast_batch
from geoadapt.tasks import TASKS
from geoadapt.tasks.forecasting import Forecasting
from geoadapt.training import forecasting
from geoadapt.training.forecast_controls import ForecastEntry
from geoadapt.training.forecast_setting import fit_forecaster, prepare
from geoadapt.training.kinds import KINDS, Kind, kind_of
from geoadapt.training.run import PRETRAININGS, train
from tests.waves import TINY_WX, autumns, write_slp

SLP = "mean_sea_level_pressure"
STORED = FORECAST_CONTROLS[:-1]
"""``zero_shot`` needs pre-trained weights."""
HISTORY = autumns()


def job(path: Path, controls: str = "none", task: dict[str, Any] | None = None, **train_keys: Any) -> JobConfig:
    return job_from_plain(
        {
            "backbone": {"name": "small_wx", **TINY_WX},
            "adapter": {"name": "lora", "r": 2},
            "head": {"name": "linear"},
            "task": {"name": "forecasting", "frames": 2, "leads": [24, 72], **(task or {})},
            "data": {"name": "weather", "path": str(path), "test_years": [2003], "gaps": "allow"},
            "train": {"steps": 6, "batch": 4, "val_every": 3, "bootstrap": 20, "controls": controls, **train_keys},
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slp(tmp_path_factory.mktemp("archive") / "slp.nc", HISTORY)


class Ran:
    """A finished run, and the forecasts of its entries as they were before anything was stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before: dict[str, np.ndarray] = {}
        self.metrics: dict[str, float] = {}


def rolled(model: Forecaster, steps: int = 3) -> np.ndarray:
    """Forecasts (lead, b, c, h, w) from a few dates of the test year."""
    with torch.no_grad():
        return np.stack([s.numpy() for s in model.states(forecast_batch(HISTORY, [260, 300, 333], 6, 0), steps)])


@pytest.fixture(scope="module")
def ran(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Every control, in one run."""
    run = Ran(tmp_path_factory.mktemp("run"))
    honest = forecasting.KIND.score

    def watched(setting: Any, entries: Mapping[str, ForecastEntry]) -> Any:
        run.before.update({who: rolled(entry.forecaster) for who, entry in entries.items()})
        return honest(setting, entries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecasting, "KIND", replace(forecasting.KIND, score=watched))
        run.metrics = train(job(path, "all", val_every=6), run.folder, "geoadapt train task=forecasting").metrics
    return run


@pytest.fixture
def pageless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without figures, which take longer than all the rest."""
    bare = replace(forecasting.KIND, page=lambda *told: told[-1] / "report.html")
    monkeypatch.setattr(forecasting, "KIND", bare)


def test_every_task_is_a_kind_or_a_pretraining() -> None:
    assert set(TASKS) == set(KINDS) | set(PRETRAININGS) and not set(KINDS) & set(PRETRAININGS)
    for name in KINDS:
        assert isinstance(kind_of(name), Kind)


def test_the_metrics_name_everyone_at_every_lead(ran: Ran) -> None:
    said = json.loads((ran.folder / "metrics.json").read_text())
    assert said[f"test/rmse/{SLP}/24h"] == pytest.approx(ran.metrics[f"test/rmse/{SLP}/24h"])
    for who in ("test", *STORED):
        for hours in (24, 48, 72):
            for metric in ("rmse", "rmse_low", "rmse_high", "mae", "bias"):
                assert np.isfinite(said[f"{who}/{metric}/{SLP}/{hours}h"]), (who, metric, hours)
            if who != "test":
                gain = said[f"{who}/rmse/{SLP}/{hours}h"] - said[f"test/rmse/{SLP}/{hours}h"]
                assert said[f"{who}/rmse_gain/{SLP}/{hours}h"] == pytest.approx(gain, rel=1e-4, abs=1e-2)
    assert not [key for key in said if key.startswith("zero_shot/")]
    assert said["test/parameters"] == said["random_backbone/parameters"] < said["full_finetune/parameters"]
    assert np.isfinite(said["test/val_error"])
    assert (ran.folder / "report.html").stat().st_size > 1000 and (ran.folder / "log.txt").exists()


def test_the_scores_are_those_of_the_forecasts_by_target_date(ran: Ran) -> None:
    """Persistence and climatology, computed anew with numpy from the file's values."""
    states = np.asarray(HISTORY.states)[:, 0].astype(np.float64)
    weights = np.cos(np.deg2rad(HISTORY.latitude))[:, None] * np.ones(8)
    in_test = np.flatnonzero(HISTORY.times >= np.datetime64("2003-01-01"))
    frames = max(model.frames for model in load_forecast_baselines(load_forecaster(ran.folder / "bundle")).values())
    for lead in (1, 2, 3):
        ends = in_test[lead + frames - 1 :]
        squares = (states[ends] - states[ends - lead]) ** 2
        expected = np.sqrt((squares * weights).sum() / weights.sum() / len(ends))
        assert ran.metrics[f"persistence/rmse/{SLP}/{24 * lead}h"] == pytest.approx(expected, rel=1e-4)
    assert ran.metrics[f"damped/rmse/{SLP}/24h"] < ran.metrics[f"persistence/rmse/{SLP}/24h"]
    assert ran.metrics[f"eof_ridge/rmse/{SLP}/24h"] < 0.9 * ran.metrics[f"damped/rmse/{SLP}/24h"], "the waves travel"


def test_the_bundle_forecasts_what_the_run_did(ran: Ran) -> None:
    model = load_forecaster(ran.folder / "bundle")
    assert (model.channels, model.frames, model.step, model.units, model.leads) == ((SLP,), 2, 86400, ("Pa",), (24, 72))
    np.testing.assert_allclose(rolled(model), ran.before["test"], rtol=1e-6, atol=0.05)
    usual = model.standard.std * model.standard.increment
    assert torch.equal(model.increment, usual) and 100 < float(usual) < 2000


def test_the_bundle_carries_every_control_as_it_was(ran: Ran) -> None:
    found = load_forecast_baselines(load_forecaster(ran.folder / "bundle"))
    assert set(found) == set(STORED)
    for name, model in found.items():
        exact = name in ("persistence", "climatology", "damped", "eof_ridge", "cnn")
        np.testing.assert_allclose(
            rolled(model), ran.before[name], rtol=0 if exact else 1e-6, atol=0 if exact else 0.05, err_msg=name
        )
        assert not any(p.requires_grad for p in model.parameters())  # type: ignore[attr-defined]


def test_the_card_says_what_it_is(ran: Ran) -> None:
    card = json.loads((ran.folder / "bundle" / "bundle.json").read_text())
    plain = card["forecast"]
    assert plain["latitude"] == np.linspace(60, 40, 5).tolist() and len(plain["longitude"]) == 8
    assert set(plain["baselines"]) == set(STORED) and plain["output"] == "tendency"
    assert "trained on 2001-2001" not in card["data"] and "trained on 2001, chosen on 2002" in card["data"]
    assert all(key.startswith("test/") for key in card["metrics"])
    assert (
        "Forecasts in steps of 24 h from 2 states; tested at 24, 72 h."
        in (ran.folder / "bundle" / "README.md").read_text()
    )


def test_a_changed_byte_or_the_wrong_loader_is_an_error(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="is a bundle of the task forecasting; geoadapt forecast FILE --bundle"):
        load_bundle(ran.folder / "bundle")
    for name in ("standard", "head", "baselines/cnn", "baselines/random_backbone"):
        copy = tmp_path / name.replace("/", "_")
        shutil.copytree(ran.folder / "bundle", copy)
        file = copy / f"{name}.safetensors"
        raw = bytearray(file.read_bytes())
        raw[-1] ^= 1
        file.write_bytes(raw)
        with pytest.raises(GeoadaptError, match="has changed since the bundle was written"):
            load_forecaster(copy)


@pytest.mark.usefixtures("pageless")
def test_the_test_year_is_not_read_before_the_end(path: Path, ran: Ran, tmp_path: Path) -> None:
    """Whatever it holds, the same is trained, chosen and stored."""
    with xr.open_dataset(path, engine="netcdf4") as cube:
        later = cube["time"].dt.year == 2003
        cube.assign(slp=cube["slp"].where(~later, 101325.0 + 0 * cube["slp"])).to_netcdf(tmp_path / "other.nc")
    controls = "damped,eof_ridge"
    other = train(job(tmp_path / "other.nc", controls, val_every=6), tmp_path / "other", "").metrics
    assert other["test/val_error"] == ran.metrics["test/val_error"]
    for file in ("head.safetensors", "standard.safetensors", "baselines/damped.safetensors"):
        one, two = ((folder / "bundle" / file).read_bytes() for folder in (ran.folder, tmp_path / "other"))
        assert one == two, file
    settings = [
        json.loads((folder / "bundle" / "bundle.json").read_text())["forecast"]["baselines"]["eof_ridge"]
        for folder in (ran.folder, tmp_path / "other")
    ]
    assert settings[0] == settings[1]
    assert other[f"test/rmse/{SLP}/24h"] != ran.metrics[f"test/rmse/{SLP}/24h"]


class KilledError(Exception):
    """Stands for a power cut."""


def losses(curves: Path) -> list[float]:
    """In the order of the steps."""
    with curves.open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]


@pytest.mark.usefixtures("pageless")
def test_a_killed_run_is_resumed_to_the_same_losses_and_weights(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = {"rollout": [1, 2]}
    whole = train(job(path, task=growing), tmp_path / "whole", "")
    honest, calls = Forecasting.loss, iter(range(100))

    def dying(self: Forecasting, output: torch.Tensor, batch: Any) -> torch.Tensor:
        if output.requires_grad and next(calls) == 4:
            raise KilledError
        return honest(self, output, batch)

    with pytest.raises(KilledError), monkeypatch.context() as patch:
        patch.setattr(Forecasting, "loss", dying)
        train(job(path, task=growing), tmp_path / "cut", "")
    again = train(job(path, task=growing, resume=str(tmp_path / "cut")), tmp_path / "cut", "")
    assert len(losses(tmp_path / "whole" / "curves.csv")) == 6 and losses(tmp_path / "cut" / "curves.csv") == losses(
        tmp_path / "whole" / "curves.csv"
    )
    assert again.metrics["test/val_error"] == whole.metrics["test/val_error"]
    for file in ("head.safetensors", "standard.safetensors"):
        assert (again.bundle / file).read_bytes() == (whole.bundle / file).read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"controls": "unet"}, r"train\.controls: unet is no control of a forecast; choose from persistence, .*cnn"),
        ({"controls": "zero_shot"}, r"train\.controls: only a pre-trained readout can forecast as it stands"),
        ({"select": "crafted_shifts"}, "select, start and cache are for segmentation"),
        ({"task": {"leads": [24, 30]}}, r"task\.leads: 30 h is no multiple of the step of 24 h"),
        ({"task": {"leads": [24 * 130]}}, "no sample of slp.nc has 2 past states and 130 targets among the validation"),
        ({"task": {"weights": {"temperature": 2.0}}}, r"task\.weights\.temperature: is no channel of the data"),
    ],
)
def test_what_cannot_be_is_said_before_the_first_fit(
    path: Path, tmp_path: Path, change: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise AssertionError("a step was taken")

    monkeypatch.setattr(Forecasting, "loss", none)
    with pytest.raises(GeoadaptError, match=said):
        train(job(path, **change), tmp_path / "run", "")


def test_data_of_another_task_are_refused(path: Path, tmp_path: Path) -> None:
    from geoadapt.fields.weather_config import WeatherConfig

    with pytest.raises(GeoadaptError, match=r"slp.nc"):
        prepare(replace(job(path), data=WeatherConfig(path=str(tmp_path / "slp.nc"), test_years=[2003])), tmp_path)


def test_a_rollout_of_states_with_pushforward_and_checkpointing_learns(path: Path, tmp_path: Path) -> None:
    task = {"rollout": [2], "through": "pushforward", "checkpointing": True, "output": "state", "anomalies": "place"}
    plan = job(path, task=task, steps=90, val_every=90, lr=1e-2, batch=16)
    _, result = fit_forecaster(prepare(plan, tmp_path), plan, "fit")
    found = losses(result.curves)
    assert np.mean(found[-10:]) < 0.75 * np.mean(found[:10])


@pytest.mark.usefixtures("pageless")
def test_missing_values_are_trained_around(path: Path, tmp_path: Path) -> None:
    with xr.open_dataset(path, engine="netcdf4") as cube:
        values = cube["slp"].values.copy()
        values[np.random.default_rng(0).random(values.shape) < 0.05] = np.nan
        values[:244, 1, 2] = np.nan  # seen in the test year alone
        cube.assign(slp=(cube["slp"].dims, values, cube["slp"].attrs)).to_netcdf(tmp_path / "holes.nc")
    metrics = train(job(tmp_path / "holes.nc", "persistence,damped"), tmp_path / "run", "").metrics
    assert all(np.isfinite(losses(tmp_path / "run" / "curves.csv")))
    assert 0 < metrics[f"test/rmse/{SLP}/24h"] < 2 * metrics[f"damped/rmse/{SLP}/24h"]
