"""What a run would cost, where it is a pre-training or a forecast; the estimate of a segmentation is in test_run.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoadapt.cli import main
from geoadapt.cli.compose import compose
from geoadapt.cli.train import make_data
from geoadapt.errors import GeoadaptError
from geoadapt.training.estimate import estimate
from tests.waves import TINY_WX, autumns, write_planet, write_slp

WX = ["backbone=small_wx", *(f"backbone.{key}={value}" for key, value in TINY_WX.items())]
CPU = ["train.batch=2", "train.steps=40", "runtime.device=cpu", "runtime.threads=1"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides of a small pre-training whose scenes are made."""
    root = tmp_path_factory.mktemp("scenes") / "made"
    typed = [
        *("task=pretraining", "backbone=small_eo", "backbone.width=32", "backbone.depth=2", "backbone.heads=2"),
        *("backbone.decoder_width=16", "backbone.decoder_depth=1", "backbone.decoder_heads=2", "data=pretraining"),
        *(f"data.root={root}", "data.scenes=2", "data.size=64", "data.block=32", "data.real=false"),
        *("train.steps=10", "train.batch=2", "train.chip=32", "runtime.device=cpu", "runtime.threads=1"),
    ]
    make_data(compose(typed))
    return typed


def test_all_of_a_pre_trained_backbone_is_trained_and_no_control_is_counted(words: list[str]) -> None:
    alone, beside = (estimate(compose([*words, f"train.controls={names}"])) for names in ("none", "all"))
    assert alone.count.trainable == alone.count.total > 10_000
    assert alone.disk == beside.disk > 0 and alone.seconds > 0


def test_a_chip_that_does_not_fit_is_said_by_a_dry_run(words: list[str]) -> None:
    with pytest.raises(GeoadaptError, match=r"train\.chip: 33 px is no multiple of \d px; choose 3\d"):
        estimate(compose([*words, "train.chip=33"]))


def test_a_dry_run_names_no_parts_that_a_pre_training_lacks(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "backbone  small_eo\n" in shown and "estimate" in shown
    assert "frozen" not in shown and "head" not in shown and "controls" not in shown
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def forecast_words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides of a small forecasting run."""
    path = write_slp(tmp_path_factory.mktemp("archive") / "slp.nc", autumns())
    data = ["data=weather", f"data.path={path}", "data.test_years=[2003]", "data.gaps=allow"]
    return ["task=forecasting", "task.frames=2", "task.leads=[24,72]", "head=linear", *WX, *data, *CPU]


def test_a_forecast_run_is_estimated_with_all_parts_of_its_roll_out_and_its_controls(
    forecast_words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def each(module: object, task: object, data: object, train: object, runtime: object, seed: int, fed: Any) -> float:
        target = next(iter(fed(0).train)).target
        seen.append(target.values.shape[1])
        return float(target.values.shape[1])

    monkeypatch.setattr("geoadapt.training.estimate.seconds_per_step", each)
    alone = estimate(compose([*forecast_words, "task.rollout=[1,3]", "train.controls=none"]))
    assert seen == [1, 3] and alone.seconds == 40 * 2
    beside = estimate(compose([*forecast_words, "train.controls=persistence,cnn,random_backbone"]))
    assert beside.seconds == 40 * 3 and beside.count.trainable < beside.count.total


def test_a_dry_run_of_a_forecast_says_what_it_takes(
    forecast_words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *forecast_words, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "estimate" in shown and "found     slp.nc" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_pre_training_of_weather_is_estimated(tmp_path: Path) -> None:
    for number in range(2):
        write_planet(tmp_path / "t31" / f"member_{number:02d}.zarr", number, 40)
    data = ["data=weather_pretraining", f"data.root={tmp_path}", "data.planets={t31:2,t42:0}", "data.real=false"]
    task = ["task=weather_pretraining", "task.window=[6,8]", "task.val_batches=2", "task.frames=2"]
    found = estimate(compose([*task, *(w for w in WX if "random_weights" not in w), *data, *CPU]))
    assert found.count.trainable == found.count.total > 1000 and found.seconds > 0
