"""A folder of one's own: labels as rasters or polygons, split by list or by blocks; its faults said clearly."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from shapely.geometry import box

from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import FolderConfig
from geoadapt.fields.folder import build
from geoadapt.io.base import Window
from tests.synth import scene, transform, write_tif

NAMES = ("blue", "green", "red", "nir")
WHOLE = Window(0, 0, 64, 48)


def labels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 1, 3, 255], (1, 64, 48)).astype(np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two georeferenced scenes with label rasters."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for seed, name in enumerate(("a (copy) [1]", "b")):
        write_tif(tmp_path / "images" / f"{name}.tif", scene(4, seed=seed), names=NAMES)
        write_tif(tmp_path / "labels" / f"{name}.tif", labels(seed))
    return tmp_path


def config(root: Path, **options: object) -> FolderConfig:
    return FolderConfig(root=str(root), block=16, **options)  # type: ignore[arg-type]


def test_images_and_label_rasters_are_paired_by_name(root: Path) -> None:
    data = build(config(root, test=["b"]))
    assert [s.name for s in data.train] == ["a (copy) [1]"] and [s.name for s in data.test] == ["b"]
    assert data.channels == NAMES and data.classes == (0, 1, 3)
    assert data.train[0].resolution == 10.0
    assert np.array_equal(data.train[0].label.read(WHOLE, [0]), labels(0))
    assert np.allclose(data.test[0].image.read(WHOLE), scene(4, seed=1))


def test_an_image_may_tell_its_land_cover_in_a_tag(root: Path) -> None:
    with rasterio.open(root / "images" / "b.tif", "r+") as file:
        file.update_tags(land_cover="forest")
    data = build(config(root, test=["b"]))
    assert [scene_.land_cover for scene_ in (*data.train, *data.test)] == [None, "forest"]


def test_without_test_scenes_every_scene_is_split_into_three_sides(root: Path) -> None:
    data = build(config(root))
    for scene_ in data.train:
        sides = [
            side[scene_.name].pixels(WHOLE).astype(int)
            for side in (data.train_blocks, data.val_blocks, data.test_blocks)
        ]
        assert np.array_equal(sum(sides), np.ones((64, 48), int)) and all(side.any() for side in sides)


def test_label_values_are_mapped_and_classes_come_from_the_map(root: Path) -> None:
    data = build(config(root, test=["b"], classes={"0": 0, "1": 2}))
    found = data.train[0].label.read(WHOLE, [0])[0]
    assert data.classes == (0, 2)
    assert np.array_equal(found == 2, labels(0)[0] == 1) and np.array_equal(
        found == 255, ~np.isin(labels(0)[0], [0, 1])
    )


def test_chosen_channels_keep_their_order(root: Path) -> None:
    data = build(config(root, test=["b"], channels=["nir", "blue"]))
    assert np.allclose(data.train[0].image.read(WHOLE), scene(4, seed=0)[[3, 0]])


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_polygons_are_drawn_on_the_images_grid_and_the_rest_is_ignored(root: Path, suffix: str) -> None:
    place = transform()
    west, north = place @ (8, 4)
    east, south = place @ (24, 20)
    frame = geopandas.GeoDataFrame({"kind": ["cloud"]}, geometry=[box(west, south, east, north)], crs="EPSG:32631")
    frame.to_crs(4326).to_file(root / f"clouds.{suffix}")
    data = build(config(root, test=["b"], labels=f"clouds.{suffix}", class_column="kind", classes={"cloud": 1}))
    found = data.train[0].label.read(WHOLE, [0])[0]
    expected = np.full((64, 48), 255)
    expected[4:20, 8:24] = 1
    assert np.array_equal(found, expected)


def test_a_missing_label_is_named(root: Path) -> None:
    (root / "labels" / "b.tif").unlink()
    with pytest.raises(GeoadaptError, match=r"labels: no label raster called 'b'; give every image a label"):
        build(config(root))


def test_labels_on_another_grid_are_refused(root: Path) -> None:
    write_tif(root / "labels" / "b.tif", labels()[:, :60])
    with pytest.raises(GeoadaptError, match=r"b\.tif: has 60×48 px, its image 64×48"):
        build(config(root))
    with rasterio.open(
        root / "labels" / "b.tif",
        "w",
        driver="GTiff",
        dtype="uint8",
        count=1,
        height=64,
        width=48,
        crs="EPSG:32631",
        transform=transform(20),
    ) as file:
        file.write(labels())
    with pytest.raises(GeoadaptError, match="lies on another grid than its image"):
        build(config(root))


def test_a_missing_band_gets_the_nearest_name(root: Path) -> None:
    with pytest.raises(GeoadaptError, match="has no band 'blu'; did you mean 'blue'"):
        build(config(root, channels=["blu"]))


def test_a_folder_without_images_lists_what_is_there(root: Path) -> None:
    with pytest.raises(GeoadaptError, match=r"pictures: is no folder; .*found \['images', 'labels'\]"):
        build(config(root, images="pictures"))


def test_a_class_that_the_task_does_not_know_is_refused(root: Path) -> None:
    with pytest.raises(GeoadaptError, match=r"data\.classes: maps to \[7\]; expected classes of the task"):
        build(config(root, classes={"1": 7}))


def test_names_for_the_values_of_a_raster_are_refused(root: Path) -> None:
    with pytest.raises(GeoadaptError, match=r"data\.classes: label rasters hold numbers, not \['cloud'\]; write"):
        build(config(root, classes={"cloud": 1}))
