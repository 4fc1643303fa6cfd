"""A weather pre-training end to end on two tiny planets: weights that load, a card that says what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.backbones.config import SmallWxConfig
from geoadapt.backbones.small_wx import build
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid, Where
from geoadapt.tasks.weather_pretraining import Reader, WeatherPretraining
from geoadapt.training.run import train
from tests.tiny import tiny_backbone
from tests.waves import TINY_WX, tiny_wx, write_planet


def job(root: Path, **train_keys: object) -> JobConfig:
    backbone = {key: value for key, value in TINY_WX.items() if key != "random_weights"}
    return job_from_plain(
        {
            "backbone": {"name": "small_wx", **backbone},
            "adapter": {"name": "none"},
            "head": {"name": "linear"},
            "task": {"name": "weather_pretraining", "window": [6, 8], "val_batches": 6, "frames": 2},
            "data": {"name": "weather_pretraining", "root": str(root), "planets": {"t31": 2, "t42": 0}, "real": False},
            "train": {"steps": 4, "val_every": 2, "batch": 4, "lr": 5e-3, "controls": "none"} | train_keys,
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planets")
    for number in range(2):
        write_planet(folder / "t31" / f"member_{number:02d}.zarr", number, 40)
    return folder


@pytest.fixture(scope="module")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    train(job(root), run, "geoadapt train experiment=weather_pretraining")
    return run


def test_a_run_leaves_weights_that_load_and_a_card(folder: Path) -> None:
    weights = folder / "backbone" / "small_wx"
    plain = {**TINY_WX, "random_weights": False}
    back = build(SmallWxConfig(**plain, weights=str(weights)))
    card = json.loads((weights / "card.json").read_text())
    assert sum(p.numel() for p in back.parameters()) == card["parameters"]
    assert back.source.sha256 == card["sha256"] and card["steps"] == 4 and len(card["loss_curve"]) == 2
    assert card["archives"] == ["simulated t31 member_00", "simulated t31 member_01"] and card["simulated_share"] == 1
    start = build(tiny_wx(seed=0)).state_dict()
    moved = [name for name, value in back.state_dict().items() if not torch.allclose(value, start[name], atol=2e-3)]
    assert any(name.startswith("readout") for name in moved) and any(name.startswith("blocks") for name in moved)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) >= {f"{who}/{kind}_mse" for who in ("test", "no_change") for kind in ("forecast", "paint")}
    assert metrics["no_change/forecast_mse"] == pytest.approx(1, rel=0.5), "targets are in usual changes"
    assert "Mean squared error on what was held out" in (folder / "report.html").read_text()


def test_the_same_run_again_is_the_same(root: Path, folder: Path, tmp_path: Path) -> None:
    train(job(root), tmp_path, "")
    file = Path("backbone") / "small_wx" / "small_wx.safetensors"
    assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_another_backbone_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="small_eo is not pre-trained so; choose backbone=small_wx"):
        train(replace(job(root), backbone=tiny_backbone()), tmp_path, "")


@pytest.mark.parametrize("patch", [1, 2])
def test_what_is_read_is_on_the_inputs_grid_in_the_order_of_its_channels(patch: int) -> None:
    reader = Reader(build(tiny_wx(patch_size=patch)))
    names = ("mean_sea_level_pressure", "temperature@850")
    values = torch.randn(2, 1, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    grid = LatLonGrid(torch.linspace(60, 40, 5), torch.arange(7.0))
    with torch.no_grad():
        one = reader(Batch({"atmosphere": Field(values, names, grid=grid)}))
        other = reader(Batch({"atmosphere": Field(values.flip(2), names[::-1], grid=grid)}))
    assert one.shape == (2, 1, 2, 5, 7)
    torch.testing.assert_close(other.flip(2), one, rtol=1e-4, atol=1e-5)


def test_forecasts_and_paintings_are_scored_apart() -> None:
    task = WeatherPretraining()
    tally = task.tally()
    grid = LatLonGrid(torch.tensor([60.0, 0.0]), torch.arange(3.0))
    weights = np.cos(np.deg2rad([60.0, 0.0]))
    weights = weights / weights.mean()
    for kind, size in (("forecast", 1.0), ("paint", 2.0)):
        target = torch.zeros(1, 1, 1, 2, 3)
        valid = torch.ones_like(target, dtype=torch.bool)
        valid[..., 0, 0] = False
        said = torch.tensor([[size], [2 * size]]).expand(1, 1, 1, 2, 3)
        batch = Batch({}, Field(target, ("a",), valid, None, grid), None, (Where("made", shift=kind),))
        tally.add(said, batch)
        expected = (2 * weights[0] * size**2 + 3 * weights[1] * 4 * size**2) / (2 * weights[0] + 3 * weights[1])
        assert float(task.loss(said, batch)) == pytest.approx(expected, rel=1e-5)
        assert tally.scores()[kind] == pytest.approx(expected, rel=1e-5)
    scores = tally.scores()
    assert scores["loss"] == pytest.approx((scores["forecast"] + scores["paint"]) / 2)
