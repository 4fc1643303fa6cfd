"""``geoadapt predict``: what was typed reaches the engine, and what it says reaches the user."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from shapely.geometry import Polygon
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
        self,
        values: Tensor,
        valid: Tensor | None,
        *,
        time: datetime | None,
        resolution: float | None,
        sensor: str | None = None,
    ) -> Tensor:
        cloud = (values[:, :1] > 0.2).float()
        return torch.cat([1 - cloud, cloud], dim=1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an empty bundle, which loads as ``Threshold``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "bundle.json").write_text("{}")
    monkeypatch.setattr("geoadapt.bundle.load.load_bundle", lambda *args, **kwargs: Threshold())
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


def test_the_polygons_of_a_file_cut_the_scene(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(here / "a.tif")
    with rasterio.open(here / "a.tif") as source:
        left, top = source.transform.c, source.transform.f
        field = Polygon([(left, top), (left + 200, top), (left, top - 200)])
        geopandas.GeoDataFrame(geometry=[field], crs=source.crs).to_file(here / "my field.gpkg")
    assert main(["predict", "a.tif", "-b", "b", "-o", "out", "--aoi", "my field.gpkg", "--json"]) == 0
    with rasterio.open(json.loads(capsys.readouterr().out)[0]["files"]["labels"]) as labels:
        found = labels.read(1)
    assert found.shape == (20, 20) and found[0, 0] != 255 and found[-1, -1] == 255


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "predict: no scene is named"),
        (["a.tif", "-b", "b", "-o", "out", "--propose", "few"], "--propose: 'few'; write how many tiles to name"),
        (["a.tif", "-b", "b", "-o", "out", "--propose", "0"], "--propose: '0'"),
        (["a.tif", "--bundle", "b"], "--output: is missing"),
        (["a.tif", "--bundle", "nowhere", "--output", "out"], "nowhere: is no bundle"),
        (["a.tif", "-b", "b", "-o", "out", "--bbox", "1,2,3"], "--bbox: '1,2,3'; write four numbers"),
        (["a.tif", "-b", "b", "-o", "out", "--aoi", "nowhere.gpkg"], "--aoi: 'nowhere.gpkg' does not exist"),
        (["a.tif", "-b", "b", "-o", "out", "--aoi", "x", "--bbox", "1,2,3,4"], "--aoi: is given beside --bbox"),
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


def test_the_tiles_most_worth_labelling_are_named_a_line_each(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(here / "a.tif")
    (here / "bad.tif").write_bytes(b"II*\0 and no more")
    words = ["predict", "a.tif", "bad.tif", "-b", "b", "-o", "out", "infer.tile=16", "infer.overlap=8"]
    assert main([*words, "--propose", "2"]) == 1
    shown = capsys.readouterr().out
    assert "2 tiles most worth labelling next; see out/propose.geojson" in shown
    assert "  1  a  row " in shown and "  2  a  row " in shown and "  3  " not in shown
    assert "not asked: bad: failed" in shown
    assert len(json.loads((here / "out" / "propose.geojson").read_text())["features"]) == 2
    assert main([*words, "--propose", "99"]) == 1
    assert "6 tiles most worth labelling next (all there are; 99 were asked for)" in capsys.readouterr().out
    assert main([*words, "--propose", "1"]) == 1
    assert "1 tile most worth labelling next; see" in capsys.readouterr().out


def test_the_tiles_most_worth_labelling_are_in_the_json_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.tif", "c.tif"):
        _write(here / name)
    (here / "bad.tif").write_bytes(b"II*\0 and no more")
    words = ["predict", "a.tif", "bad.tif", "c.tif", "-b", "b", "-o", "out", "infer.tile=16", "infer.overlap=8"]
    assert main([*words, "--propose", "3", "--json"]) == 1
    said = {result["name"]: result for result in json.loads(capsys.readouterr().out)}
    features = json.loads((here / "out" / "propose.geojson").read_text())["features"]
    tiles = sorted((tile for result in said.values() for tile in result["proposed"]), key=lambda tile: tile["rank"])
    assert [tile["rank"] for tile in tiles] == [1, 2, 3]
    assert [(t["scene"], t["row"], t["col"]) for t in tiles] == [
        (f["properties"]["scene"], f["properties"]["row"], f["properties"]["col"]) for f in features
    ]
    assert said["bad"]["proposed"] == [] and "failed" in said["bad"]["not_asked"] and said["a"]["not_asked"] is None
    assert main([*words, "--json"]) == 1
    assert all("proposed" not in result for result in json.loads(capsys.readouterr().out))


def test_without_a_bundle_the_one_that_ships_is_run_with_the_weights_that_ship(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("geoadapt.shipped.FOLDER", here / "package")
    _write(here / "a.tif")
    assert main(["predict", "a.tif", "--output", "out"]) == 2
    assert "comes without a bundle; name one with --bundle" in capsys.readouterr().err
    assert not (here / "out").exists()
    for file in ("clouds/bundle.json", "small/weights.safetensors"):
        (here / "package" / file).parent.mkdir(parents=True)
        (here / "package" / file).write_text("{}")
    given: list[tuple[object, object]] = []

    def load(folder: object, **more: object) -> Threshold:
        given.append((folder, more["weights"]))
        return Threshold()

    monkeypatch.setattr("geoadapt.bundle.load.load_bundle", load)
    monkeypatch.setattr(
        "geoadapt.bundle.card.read_card", lambda folder: (SimpleNamespace(backbone={"name": "small"}), "")
    )
    assert main(["predict", "a.tif", "--output", "out"]) == 0
    assert given == [(here / "package" / "clouds", str(here / "package" / "small" / "weights.safetensors"))]
    assert "bundle   threshold, the one that ships with geoadapt" in capsys.readouterr().out
    assert main(["predict", "a.tif", "--bundle", "b", "--output", "out"]) == 0
    assert given[1] == (Path("b"), None)
    assert "bundle   threshold (b)" in capsys.readouterr().out


def test_a_dry_run_says_what_each_scene_needs_and_which_would_fail(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = SimpleNamespace(name="threshold", channels=("blue", "green", "red"), classes=CLOUD_CLASSES[:2])
    monkeypatch.setattr("geoadapt.bundle.card.read_card", lambda folder: (card, ""))
    _write(here / "a.tif")
    words = ["predict", "a.tif", "-b", "b", "-o", "out", "--dry-run"]
    assert main(words) == 0
    assert re.search(
        r"a\.tif -> out/a  \(30 × 40 px, \d+ MiB of memory .*, about 1 MiB on disk\)", capsys.readouterr().out
    )
    assert main([*words, "--bbox", "10,0,10.1,0.1"]) == 1
    assert "failing a: a.tif" in capsys.readouterr().err
    card.channels = ("blue", "swir16")
    assert main(words) == 1
    shown = capsys.readouterr()
    assert "swir16" in shown.err and "1 scene, of which 1 would fail" in shown.out
    (here / "text.gpkg").write_text("no polygons")
    assert main([*words, "--aoi", "text.gpkg"]) == 1
    assert "no vector file that can be read" in capsys.readouterr().err
    (here / "out").write_text("in the way")
    assert main(words) == 1
    assert "--output: 'out' is a file" in capsys.readouterr().err


def test_bbox_is_four_numbers() -> None:
    assert parse_bbox("-61.5,-3,-60,2e1") == (-61.5, -3.0, -60.0, 20.0)
    for text in ("a,b,c,d", "5,5,1,1", "1,2,3", "0,0,1,91", "nan,0,1,1"):
        with pytest.raises(GeoadaptError, match="west,south,east,north"):
            parse_bbox(text)
    assert parse_bbox("170,-5,-170,5") == (170.0, -5.0, -170.0, 5.0)  # across the antimeridian
