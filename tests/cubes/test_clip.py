from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
from shapely.geometry import Polygon

from geoadapt.cubes.clip import clip
from geoadapt.cubes.scene import open_scene
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from tests.synth import scene, write_tif

NAMES = ("blue", "green", "red")
TRIANGLE = Polygon([(10, 5), (45, 5), (10, 38)])
"""In pixels: column, row."""


def place(path: Path) -> tuple[np.ndarray, object, object]:
    """A scene of 40 × 50 px stored as whole numbers, with no nodata declared."""
    values = np.round(scene(3, 40, 50, 0) * 10000).astype(np.uint16)
    write_tif(path, values, names=NAMES, scale=1e-4)
    info = open_scene(path).info
    return values, info.crs, info.transform


def test_only_pixels_whose_centre_lies_inside_are_left(tmp_path: Path) -> None:
    values, crs, transform = place(tmp_path / "a.tif")
    shape = Polygon([transform * point for point in TRIANGLE.exterior.coords])  # type: ignore[operator]
    area = tmp_path / "area.gpkg"
    geopandas.GeoDataFrame(geometry=[shape], crs=crs).to_crs(4326).to_file(area)
    part = clip(open_scene(tmp_path / "a.tif"), area)
    assert (part.info.height, part.info.width, part.info.bands) == (33, 35, NAMES)
    assert part.info.transform == transform * transform.translation(10, 5)  # type: ignore[attr-defined, operator]
    found = part.read(Window(0, 0, 33, 35))
    cols, rows = np.meshgrid(np.arange(10, 45) + 0.5, np.arange(5, 38) + 0.5)
    inside = (cols - 10) / 35 + (rows - 5) / 33 < 1
    clear = np.abs((cols - 10) / 35 + (rows - 5) / 33 - 1) > 1e-3
    assert np.array_equal(np.isfinite(found[0])[clear], inside[clear])
    expected = values[:, 5:38, 10:45] * np.float32(1e-4)
    np.testing.assert_allclose(found[:, inside & clear], expected[:, inside & clear], rtol=1e-6)
    piece = part.read(Window(7, 3, 11, 20), [2])
    assert piece.shape == (1, 11, 20)
    np.testing.assert_array_equal(piece[0], found[2, 7:18, 3:23], "a part read alone is another than in the whole")
    part.close()


def test_an_area_elsewhere_is_an_error_that_says_where_the_scene_is(tmp_path: Path) -> None:
    place(tmp_path / "a.tif")
    with pytest.raises(GeoadaptError, match="does not touch the area"):
        clip(open_scene(tmp_path / "a.tif"), Polygon([(-60, -3), (-59, -3), (-59, -2)]))
