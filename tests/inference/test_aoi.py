"""Only what lies inside the polygons of a file is labelled."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from shapely.geometry import Polygon, box

from geoadapt.config import InferConfig
from geoadapt.errors import GeoadaptError
from geoadapt.inference.predict import predict
from tests.inference.fakes import FakeBundle, expected_labels
from tests.synth import scene, write_tif

SMALL = InferConfig(tile=32, overlap=8)


def draw(path: Path, image: Path, *shapes: Polygon, crs: int = 4326) -> Path:
    """A vector file of polygons that are given in pixels of an image."""
    with rasterio.open(image) as source:
        place = source.transform
        found = [Polygon([place @ point for point in shape.exterior.coords]) for shape in shapes]
        geopandas.GeoDataFrame(geometry=found, crs=source.crs).to_crs(crs).to_file(path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "a.tif", scene(3, 80, 60), names=("blue", "green", "red"))


def test_pixels_inside_are_labelled_as_ever_and_those_outside_are_nodata(image: Path, tmp_path: Path) -> None:
    area = draw(tmp_path / "field.gpkg", image, Polygon([(10, 5), (50, 5), (10, 65)]), box(52, 70, 58, 78))
    (result,) = predict([image], FakeBundle(), tmp_path / "out", SMALL, aoi=area)
    assert result.status == "done", result.error
    with rasterio.open(result.files["labels"]) as labels, rasterio.open(image) as source:
        found = labels.read(1)
        assert labels.transform == source.transform @ rasterio.Affine.translation(10, 5)
        assert found.shape == (73, 48), "the rectangle around both polygons"
    cols, rows = np.meshgrid(np.arange(10, 58) + 0.5, np.arange(5, 78) + 0.5)
    side = (cols - 10) / 40 + (rows - 5) / 60
    inside = (side < 1) | ((cols > 52) & (rows > 70))
    clear = np.abs(side - 1) > 1e-3
    whole = expected_labels(scene(3, 80, 60))[5:78, 10:58]
    np.testing.assert_array_equal(found[clear], np.where(inside, whole, 255)[clear])
    assert any("lie outside the area" in note for note in result.notes)


def test_a_changed_area_is_run_again_and_the_same_one_is_not(image: Path, tmp_path: Path) -> None:
    area = draw(tmp_path / "field.geojson", image, box(5, 5, 40, 40))

    def status(aoi: Path | None) -> str:
        return predict([image], FakeBundle(), tmp_path / "out", SMALL, aoi=aoi)[0].status

    assert [status(area), status(area)] == ["done", "skipped"]
    draw(area, image, box(5, 5, 30, 40))
    assert [status(area), status(None)] == ["done", "done"]
    assert status(draw(tmp_path / "again.gpkg", image, box(5, 5, 30, 40))) == "done"
    assert json.loads((tmp_path / "out/run.json").read_text())["scenes"][0]["status"] == "done"


def test_a_scene_elsewhere_is_listed_and_the_others_go_on(image: Path, tmp_path: Path) -> None:
    far = write_tif(
        tmp_path / "b.tif",
        scene(3, 40, 40),
        names=("blue", "green", "red"),
        place=rasterio.Affine(10, 0, 9e5, 0, -10, 9e5),
    )
    area = draw(tmp_path / "field.gpkg", image, box(5, 5, 40, 40))
    results = predict([image, far], FakeBundle(), tmp_path / "out", SMALL, aoi=area)
    assert [result.status for result in results] == ["done", "failed"]
    assert "does not touch the area" in results[1].error


def test_what_is_no_area_is_an_error_before_any_computation(image: Path, tmp_path: Path) -> None:
    bundle = FakeBundle()
    area = draw(tmp_path / "field.gpkg", image, box(5, 5, 40, 40))
    (tmp_path / "text.gpkg").write_text("no polygons")
    for aoi, more, message in (
        (tmp_path / "absent.gpkg", {}, "absent.gpkg: does not exist"),
        (tmp_path / "text.gpkg", {}, "no vector file that can be read"),
        (area, {"bbox": (0, 0, 1, 1)}, "is given beside bbox"),
    ):
        with pytest.raises(GeoadaptError, match=message):
            predict([image], bundle, tmp_path / "out", SMALL, aoi=aoi, **more)  # type: ignore[arg-type]
    assert bundle.calls == [] and not (tmp_path / "out").exists()
