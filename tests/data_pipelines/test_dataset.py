"""Folders of simulated scenes: complete or not there, made once, never mixed with other people's files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

import data_pipelines
from data_pipelines.simulate.dataset import scene_specs, write_dataset
from data_pipelines.simulate.scene import simulate_scene
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig, SimulatedConfig
from geoadapt.fields.simulated import build

SENSORS = SimulatedConfig().sensors


def _config(root: Path, **changes: object) -> SimulatedConfig:
    return SimulatedConfig(**{"root": str(root), "scenes": 3, "size": 96, "test_scenes": 1, "block": 32, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated (1) [ü]")
    data_pipelines.ensure(_config(folder))
    return folder


def test_files_hold_what_was_simulated(root: Path) -> None:
    for name, spec in scene_specs(3, 96, 0, SENSORS).items():
        scene = simulate_scene(spec)
        with (
            rasterio.open(root / "images" / f"{name}.tif") as image,
            rasterio.open(root / "labels" / f"{name}.tif") as label,
        ):
            assert image.descriptions == scene.bands
            assert image.scales == (1e-4,) * 6 and image.nodata == 0
            assert image.crs == scene.crs == label.crs and image.transform == scene.transform == label.transform
            stored = image.read().astype(np.float32) * 1e-4
            assert np.allclose(stored, np.nan_to_num(scene.values), atol=1e-6)
            assert np.array_equal(label.read(1), scene.labels) and label.nodata == 255


def test_everything_calls_itself_simulated(root: Path) -> None:
    files = sorted([*(root / "images").iterdir(), *(root / "labels").iterdir()])
    assert len(files) == 6
    for path in files:
        assert path.name.startswith("simulated_")
        with rasterio.open(path) as raster:
            assert raster.tags()["SIMULATED"] == "yes"
    assert "SIMULATED" in (root / "README.txt").read_text()
    assert json.loads((root / "simulated.json").read_text())["simulated"] is True
    assert build(_config(root)).simulated


def test_asked_again_nothing_is_touched(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    data_pipelines.ensure(_config(root))
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("damage", ["unlink", "truncate", "manifest"])
def test_a_damaged_folder_is_made_whole(tmp_path: Path, damage: str) -> None:
    names = write_dataset(tmp_path, 1, 64, 0, SENSORS)
    image = tmp_path / "images" / f"{names[0]}.tif"
    whole = image.read_bytes()
    if damage == "unlink":
        image.unlink()
    elif damage == "truncate":
        image.write_bytes(whole[:100])
    else:
        (tmp_path / "simulated.json").write_text("{")
    write_dataset(tmp_path, 1, 64, 0, SENSORS)
    with rasterio.open(image) as raster:
        assert raster.read().any()


def test_another_spec_replaces_the_scenes_and_leaves_none_behind(tmp_path: Path) -> None:
    write_dataset(tmp_path, 2, 64, 0, SENSORS)
    names = write_dataset(tmp_path, 1, 64, 9, SENSORS)
    assert [path.stem for path in (tmp_path / "images").iterdir()] == names


def test_other_peoples_files_are_not_touched(tmp_path: Path) -> None:
    mine = tmp_path / "images" / "mine.tif"
    mine.parent.mkdir()
    mine.write_bytes(b"precious")
    with pytest.raises(GeoadaptError, match="not made by the simulator.*empty folder"):
        write_dataset(tmp_path, 1, 64, 0, SENSORS)
    assert mine.read_bytes() == b"precious"
    assert not (tmp_path / "simulated.json").exists()


def test_the_last_scenes_are_the_test_and_never_train(root: Path) -> None:
    data = build(_config(root))
    assert [scene.name for scene in data.test] == list(scene_specs(3, 96, 0, SENSORS))[2:]
    assert len(data.train) == 2
    assert data.channels == ("blue", "green", "red", "nir", "swir16", "swir22")


def test_every_scene_tells_its_landscape(root: Path) -> None:
    data = build(_config(root))
    told = {scene.name: scene.land_cover for scene in (*data.train, *data.test)}
    assert told == {name: spec.biome for name, spec in scene_specs(3, 96, 0, SENSORS).items()}
    assert None not in told.values()
    for name, word in told.items():
        with rasterio.open(root / "images" / f"{name}.tif") as image:
            assert image.tags()["landscape"] == word


def test_without_scenes_the_error_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="holds no simulated scenes.*geoadapt prepare data=simulated data.root="):
        build(_config(tmp_path))


def test_a_test_split_that_leaves_nothing_to_train_on_is_refused(root: Path) -> None:
    with pytest.raises(GeoadaptError, match="leave at least one"):
        build(_config(root, test_scenes=3))


def test_data_that_must_be_brought_are_left_alone(tmp_path: Path) -> None:
    data_pipelines.ensure(CsmaskConfig(root=str(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_no_scenes_or_no_sensor_is_an_error(tmp_path: Path) -> None:
    for scenes, sensors in ((0, SENSORS), (2, [])):
        with pytest.raises(GeoadaptError, match="at least one"):
            write_dataset(tmp_path, scenes, 64, 0, sensors)
