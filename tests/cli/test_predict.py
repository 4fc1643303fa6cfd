"""``geoadapt predict``: what was typed reaches the engine, and what it says reaches the user."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from torch import Tensor

from geoadapt.cli import main
from geoadapt.cli.predict import parse_bbox
from geoadapt.cubes.classes import CLOUD_CLASSES, ClassInfo
from geoadapt.errors import GeoadaptError
from tests.cli.test_grammar import ODD_NAMES

FILE_NAMES = [name for name in ODD_NAMES if "://" not in name]


class Threshold:
    """A bundle without a network: cloud where blue is above 0.2."""

    name = "threshold"
    channels = ("blue", "green", "red")
    multiple = 1
    threshold = None
    sha256 = "0" * 64
    classes: tuple[ClassInfo, ...] = CLOUD_CLASSES[:2]

    def scores(
        self, values: Tensor, valid: Tensor | None, *, time: datetime | None, resolution: float | None
    ) -> Tensor:
        cloud = (values[:, :1] > 0.2).float()
        return torch.cat([1 - cloud, cloud], dim=1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an empty bundle, which loads as ``Threshold``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "bundle.json").write_text("{}")
    monkeypatch.setattr("geoadapt.bundle.load_bundle", lambda *args, **kwargs: Threshold())
    return tmp_path


def _write(path: Path) -> None:
    profile = {"driver": "GTiff", "width": 40, "height": 30, "count": 3, "dtype": "float32", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", transform=from_origin(500000, 5e6, 10, 10), **profile) as made:
        made.write(np.linspace(0.01, 0.4, 3 * 30 * 40, dtype=np.float32).reshape(3, 30, 40))
        made.descriptions = ("blue", "green", "red")


def test_scenes_of_every_name_are_masked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in FILE_NAMES:
        _write(here / name)
    assert (
        main(["predict", *FILE_NAMES, "-b", "b", "-o", "out (1), [ü]", "infer.tile=16", "infer.overlap=4", "--json"])
        == 0
    )
    results = json.loads(capsys.readouterr().out)
    assert [result["source"] for result in results] == FILE_NAMES
    assert {result["status"] for result in results} == {"done"}
    with rasterio.open(results[0]["files"]["labels"]) as labels:
        assert labels.shape == (30, 40)


def test_a_failed_scene_is_listed_and_gives_status_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(here / "good.tif")
    (here / "bad.tif").write_bytes(b"II*\0 and no more")
    words = ["predict", "bad.tif", "good.tif", "--bundle", "b", "--output", "out"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert "failed   bad: " in shown.err
    assert "2 scenes: 1 done, 1 failed" in shown.out
    assert json.loads((here / "out" / "run.json").read_text())["command"] == "geoadapt " + " ".join(words)
    assert main(words) == 1
    assert "1 skipped, 1 failed" in capsys.readouterr().out


def test_a_bounding_box_cuts_the_scene_and_may_be_negative(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(here / "a.tif")
    assert main(["predict", "a.tif", "-b", "b", "-o", "out", "--bbox", "-61.2,-3,-61,-2", "--json"]) == 1
    assert "failed" in capsys.readouterr().out
    assert main(["predict", "a.tif", "-b", "b", "-o", "out", "--bbox", "14.9,45.1,15.001,45.2", "--json"]) == 0
    with rasterio.open(json.loads(capsys.readouterr().out)[0]["files"]["labels"]) as labels:
        assert labels.width < 40 and labels.bounds.left == 500000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "predict: no scene is named"),
        (["a.tif", "--output", "out"], "--bundle: is missing"),
        (["a.tif", "--bundle", "b"], "--output: is missing"),
        (["a.tif", "--bundle", "nowhere", "--output", "out"], "nowhere: is no bundle"),
        (["a.tif", "-b", "b", "-o", "out", "--bbox", "1,2,3"], "--bbox: '1,2,3'; write four numbers"),
        (["a.tif", "-b", "b", "-o", "out", "infer.tiel=3"], "infer.tiel: unknown key; did you mean 'infer.tile'?"),
        (["a.tif", "-b", "b", "-o", "out", "infer.overlap=300"], "infer.overlap: 300 px does not fit a tile of 256 px"),
    ],
)
def test_a_wrong_request_has_status_2_and_writes_nothing(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "out").exists()


def test_a_scene_that_is_not_there_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "absent (1).tif", "-b", "b", "-o", "out"]) == 1
    assert "absent (1).tif: does not exist" in capsys.readouterr().err


def test_bbox_is_four_numbers() -> None:
    assert parse_bbox("-61.5,-3,-60,2e1") == (-61.5, -3.0, -60.0, 20.0)
    with pytest.raises(GeoadaptError):
        parse_bbox("a,b,c,d")
