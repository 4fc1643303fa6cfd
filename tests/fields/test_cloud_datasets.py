"""Public data sets of clouds in their published folders, on tiny look-alikes that are written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import data_pipelines
from geoadapt.cli import main
from geoadapt.cubes.cloud_layouts import LAYOUTS
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.chips import RandomChips, read_sample
from geoadapt.fields.config import CloudDatasetConfig
from geoadapt.io.base import Window
from geoadapt.registry import build, from_plain

# What the labels 0, 1, 2, 3, 4 and 255 of each data set mean to us, written out by hand.
MEANING = {
    "hrc_whu": [0, 1, 255, 255, 255, 255],
    "gf12ms_whu_gf1": [0, 1, 255, 255, 255, 255],
    "gf12ms_whu_gf2": [0, 1, 255, 255, 255, 255],
    "cloudsen12_high_l1c": [0, 1, 2, 3, 255, 255],
    "cloudsen12_high_l2a": [0, 1, 2, 3, 255, 255],
    "l8_biome": [0, 3, 2, 1, 255, 255],
}
TESTED_ON = {"gf12ms_whu_gf1": "val", "gf12ms_whu_gf2": "val"}


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = "PNG" if path.suffix == ".png" else "GTiff"
    count, height, width = values.shape
    with rasterio.open(path, "w", driver=driver, count=count, height=height, width=width, dtype=values.dtype) as file:
        file.write(values)


def look_alike(root: Path, name: str, images: int = 3, ending: str = ".png") -> Path:
    """A data set in its folders: images (3, 40, 48) whose labels are 0 and 1 but for the first row's."""
    rng = np.random.default_rng(0)
    for split in ("train", TESTED_ON.get(name, "test")):
        for index in range(images):
            label = rng.integers(0, 2, (1, 40, 48)).astype(np.uint8)
            write(
                root / "img_dir" / split / f"urban_{index}{ending}", rng.integers(0, 256, (3, 40, 48)).astype(np.uint8)
            )
            write(root / "ann_dir" / split / f"urban_{index}{ending}", label)
    return root


def config(name: str, root: Path, **more: object) -> CloudDatasetConfig:
    return from_plain(CloudDatasetConfig, {"name": name, "root": str(root), "block": 8, **more}, "data")


def test_every_layout_is_a_choice_that_can_be_checked() -> None:
    assert set(LAYOUTS) == set(MEANING) <= set(DATASETS) and set(LAYOUTS) <= set(data_pipelines.PIPELINES)
    assert CloudDatasetConfig(name="l8_biome").root == "data/l8_biome"


@pytest.mark.parametrize("name", MEANING)
def test_labels_get_our_numbers_and_absent_classes_are_not_trained(tmp_path: Path, name: str) -> None:
    root = look_alike(tmp_path, name)
    raw = np.zeros((1, 40, 48), np.uint8)
    raw[0, 0, :6] = [0, 1, 2, 3, 4, 255]
    write(root / "ann_dir/train/urban_0.png", raw)
    data = build(DATASETS, config(name, root), seed=3)
    label = read_sample(data.train[0], Window(0, 0, 40, 48), data.channels, None).label
    assert label[0, :6].tolist() == MEANING[name]
    assert data.classes == tuple(sorted({*MEANING[name]} - {255}))
    assert [scene.name for scene in data.test] == [f"{TESTED_ON.get(name, 'test')}_urban_{i}" for i in range(3)]


@pytest.mark.parametrize(
    ("name", "stem", "told"),
    [
        ("l8_biome", "barren_LC81390292014135LGN00_patch_5632_512", "barren"),
        ("l8_biome", "grass_crops_LC81020802014100LGN00_patch_0_0", "grass_crops"),
        ("l8_biome", "urban_0", None),
        ("hrc_whu", "vegetation_12", "vegetation"),
        ("hrc_whu", "image_12", None),
        ("cloudsen12_high_l2a", "urban_0", None),
    ],
)
def test_land_cover_is_told_by_the_names_of_the_data_sets_that_do(
    tmp_path: Path, name: str, stem: str, told: str | None
) -> None:
    root = look_alike(tmp_path, name, images=1)
    for kind in ("img_dir", "ann_dir"):
        (root / kind / "test" / "urban_0.png").rename(root / kind / "test" / f"{stem}.png")
    (scene,) = build(DATASETS, config(name, root), seed=3).test
    assert scene.name == f"test_{stem}" and scene.land_cover == told


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_eight_bits_become_numbers_from_0_to_1_in_the_order_of_the_file(tmp_path: Path, ending: str) -> None:
    root = look_alike(tmp_path, "hrc_whu", ending=ending)
    values = np.stack([np.full((40, 48), v, np.uint8) for v in (0, 51, 255)])
    write(root / f"img_dir/train/urban_0{ending}", values)
    data = build(DATASETS, config("hrc_whu", root))
    sample = read_sample(data.train[0], Window(4, 5, 16, 16), ("blue", "red", "green"), None)
    assert sample.values[:, 0, 0].tolist() == pytest.approx([1.0, 0.0, 0.2])
    assert sample.valid.all() and data.channels == ("red", "green", "blue")


def test_chips_are_drawn_from_every_training_image_and_validation_never_overlaps(tmp_path: Path) -> None:
    data = build(DATASETS, config("l8_biome", look_alike(tmp_path, "l8_biome")))
    chips = RandomChips(data, 16, 9, seed=0)
    assert {chips[i].where.scene for i in range(9)} == {"train_urban_0", "train_urban_1", "train_urban_2"}
    for scene in data.train:
        assert not (data.train_blocks[scene.name].mask & data.val_blocks[scene.name].mask).any()


def test_files_are_open_only_while_they_are_read(tmp_path: Path) -> None:
    data = build(DATASETS, config("hrc_whu", look_alike(tmp_path, "hrc_whu")))
    read_sample(data.train[0], Window(0, 0, 16, 16), data.channels, None)
    opened = [link.resolve() for link in Path("/proc/self/fd").iterdir()] if Path("/proc/self/fd").is_dir() else []
    assert not [path for path in opened if tmp_path in path.parents]


def test_as_many_images_as_asked_for(tmp_path: Path) -> None:
    data = build(DATASETS, config("hrc_whu", look_alike(tmp_path, "hrc_whu"), images=2))
    assert [scene.name for scene in data.train] == ["train_urban_0", "train_urban_2"] and len(data.test) == 2


def test_a_label_of_another_size_is_named(tmp_path: Path) -> None:
    root = look_alike(tmp_path, "hrc_whu")
    write(root / "ann_dir/train/urban_1.png", np.zeros((1, 40, 47), np.uint8))
    with pytest.raises(GeoadaptError, match=r"urban_1\.png: has 40×47 px, its image 40×48"):
        build(DATASETS, config("hrc_whu", root))


@pytest.mark.parametrize(
    ("file", "values", "problem"),
    [
        ("img_dir/train/urban_0.png", np.zeros((1, 40, 48), np.uint8), "has 1 band of uint8"),
        ("img_dir/train/urban_0.png", np.zeros((3, 40, 48), np.uint16), "has 3 bands of uint16"),
        ("ann_dir/train/urban_0.png", np.zeros((3, 40, 48), np.uint8), "has 3 bands"),
    ],
)
def test_what_is_no_rgb_of_8_bits_is_refused_by_reading_and_by_prepare(
    tmp_path: Path, file: str, values: np.ndarray, problem: str
) -> None:
    root = look_alike(tmp_path, "hrc_whu")
    write(root / file, values)
    for step in (data_pipelines.ensure, lambda c: build(DATASETS, c)):
        with pytest.raises(GeoadaptError, match=problem):
            step(config("hrc_whu", root))


def test_prepare_says_what_to_download_and_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare", "data=gf12ms_whu_gf2", f"data.root={tmp_path / 'gf2'}"]
    assert main(words) != 0
    said = capsys.readouterr().err
    assert "download GF12MS_WHU, Gaofen-2" in said and "img_dir/train/NAME.png" in said
    look_alike(tmp_path / "gf2", "gf12ms_whu_gf2", images=12)
    assert main(words) == 0
    assert "24 images in" in (said := capsys.readouterr().out) and "train/urban_0" in said and "…" in said


def test_prepare_finds_a_lone_file_an_empty_folder_and_an_unknown_label(tmp_path: Path) -> None:
    root = look_alike(tmp_path, "hrc_whu")
    write(root / "ann_dir/test/urban_0.png", np.full((1, 40, 48), 2, np.uint8))
    with pytest.raises(GeoadaptError, match=r"holds the values \[2\]; hrc_whu has \[0, 1\]"):
        data_pipelines.ensure(config("hrc_whu", root))
    (root / "ann_dir/train/urban_1.png").unlink()
    with pytest.raises(GeoadaptError, match=r"1 file of train without a partner, first ann_dir/train/urban_1\.png"):
        data_pipelines.ensure(config("hrc_whu", root))
    for path in (root / "img_dir/train").iterdir():
        path.unlink()
    with pytest.raises(GeoadaptError, match=r"train: holds no \.png"):
        data_pipelines.ensure(config("hrc_whu", root))


@pytest.mark.parametrize("splits", [[], ["train", "test"]])
def test_the_test_is_never_trained_on(tmp_path: Path, splits: list[str]) -> None:
    with pytest.raises(GeoadaptError, match=r"data\.train_splits: .*name a folder other than 'test'"):
        config("hrc_whu", tmp_path, train_splits=splits)
