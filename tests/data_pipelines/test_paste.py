"""Simulated clouds over a real image: its ground stays, what is added is known, and everything says that it is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from data_pipelines.simulate.dataset import write_dataset
from data_pipelines.simulate.paste import ClearImage, simulate_over, write_over
from data_pipelines.simulate.scene import SceneSpec, simulate_scene
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import FolderConfig
from geoadapt.fields.folder import build


@pytest.fixture(scope="module")
def clear() -> ClearImage:
    """A stand-in for a real image, not square, with a hole."""
    made = simulate_scene(
        SceneSpec(160, 2, "landsat8", "2021-06-20", cloud_cover=0.0, biome="farmland", swath_edge=False)
    )
    values = made.values[:, :, :130].copy()
    values[:, :5, :9] = np.nan
    return ClearImage(values, made.bands, 30.0, "landsat8", made.crs, made.transform, made.sun)


def test_clear_ground_stays_and_clouds_are_brighter(clear: ClearImage) -> None:
    scene = simulate_over(clear, SceneSpec(seed=4, cloud_cover=0.3, sky="cumulus"))
    assert scene.values.shape == clear.values.shape and scene.labels.shape == clear.values.shape[1:]
    assert scene.crs == clear.crs and scene.transform == clear.transform
    change = (scene.values - clear.values)[0]
    assert np.median(np.abs(change[scene.labels == 0])) < 0.005
    assert np.median(change[scene.labels == 1]) > 0.05
    assert np.nanmedian((scene.values - clear.values)[3][scene.labels == 3]) < -0.03


def test_what_is_missing_stays_missing(clear: ClearImage) -> None:
    scene = simulate_over(clear, SceneSpec(seed=4, cloud_cover=0.3))
    gone = np.isnan(clear.values).all(axis=0)
    assert np.array_equal(np.isnan(scene.values).any(axis=0), gone)
    assert np.array_equal(scene.labels == 255, gone)


def test_the_same_sky_over_the_same_image_is_the_same_scene(clear: ClearImage) -> None:
    first, again = (simulate_over(clear, SceneSpec(seed=7, cloud_cover=0.4)) for _ in range(2))
    assert np.array_equal(first.values, again.values, equal_nan=True)
    other = simulate_over(clear, SceneSpec(seed=8, cloud_cover=0.4))
    assert not np.array_equal(first.labels, other.labels)


def test_an_image_without_a_pixel_is_refused(clear: ClearImage) -> None:
    with pytest.raises(GeoadaptError, match="no valid pixel"):
        simulate_over(replace(clear, values=np.full_like(clear.values, np.nan)), SceneSpec())


def test_a_folder_of_them_says_that_it_is_simulated_and_is_read_like_any(tmp_path: Path, clear: ClearImage) -> None:
    names = write_over(tmp_path, {"field": clear, "same": clear}, each=2, seed=1)
    assert len(names) == 4 and all(name.startswith("simulated_over_") for name in names)
    for name in names:
        with rasterio.open(tmp_path / "images" / f"{name}.tif") as image:
            assert image.tags()["SIMULATED"] == "yes" and image.descriptions == clear.bands
    assert "ground of these scenes is a real" in (tmp_path / "README.txt").read_text()
    data = build(FolderConfig(root=str(tmp_path), test=names[:1], block=32))
    assert len(data.train) == 3


def test_it_does_not_replace_simulated_scenes_nor_they_it(tmp_path: Path, clear: ClearImage) -> None:
    write_over(tmp_path / "over", {"field": clear}, each=1, seed=1)
    write_dataset(tmp_path / "whole", 1, 64, 0, ["sentinel2"])
    for attempt in (
        lambda: write_dataset(tmp_path / "over", 1, 64, 0, ["sentinel2"]),
        lambda: write_over(tmp_path / "whole", {"field": clear}, each=1, seed=1),
    ):
        with pytest.raises(GeoadaptError, match="was not made by the simulator"):
            attempt()


def test_nothing_to_do_is_an_error(tmp_path: Path, clear: ClearImage) -> None:
    for images, each in (({}, 1), ({"field": clear}, 0)):
        with pytest.raises(GeoadaptError, match="at least one"):
            write_over(tmp_path, images, each, 0)
