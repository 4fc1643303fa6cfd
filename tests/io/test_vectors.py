"""Polygons drawn as labels."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
from rasterio.crs import CRS
from shapely.geometry import Point, Polygon, box

from geoadapt.errors import GeoadaptError
from geoadapt.io.vectors import rasterise
from tests import synth

GRID = {"crs": CRS.from_string(synth.CRS), "transform": synth.transform(), "height": 20, "width": 30}


def square(row: int, col: int, side: int) -> Polygon:
    """The polygon around pixels [row, row + side) × [col, col + side)."""
    left, top = synth.LEFT + 10 * col, synth.TOP - 10 * row
    return box(left, top - 10 * side, left + 10 * side, top)


def save(path: Path, shapes: list[Polygon], kinds: list[object], crs: str | None = synth.CRS) -> Path:
    geopandas.GeoDataFrame({"class": kinds, "id": range(len(kinds))}, geometry=shapes, crs=crs).to_file(path)
    return path


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson"])
@pytest.mark.parametrize("stored", [synth.CRS, "EPSG:4326"])
def test_polygons_are_drawn_in_the_grid_of_the_image(tmp_path: Path, name: str, stored: str) -> None:
    frame = geopandas.GeoDataFrame(
        {"class": ["cloud", "clear"]}, geometry=[square(2, 3, 4), square(10, 12, 5)], crs=synth.CRS
    )
    frame.to_crs(stored).to_file(tmp_path / name)
    labels = rasterise(tmp_path / name, "class", {"cloud": 1, "clear": 0}, **GRID)
    wanted = np.full((20, 30), 255, np.uint8)
    wanted[2:6, 3:7], wanted[10:15, 12:17] = 1, 0
    np.testing.assert_array_equal(labels, wanted)


def test_numbers_are_labels_without_a_table_and_later_polygons_cover(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gpkg", [square(0, 0, 6), square(2, 2, 2)], [3, 1])
    labels = rasterise(path, "class", {}, **GRID, fill=9)
    assert labels[0, 0] == 3
    assert labels[3, 3] == 1
    assert labels[10, 10] == 9
    np.testing.assert_array_equal(labels, rasterise(path, "class", {1: 1, 3: 3}, **GRID, fill=9))


def test_errors_say_what_was_found(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gpkg", [square(0, 0, 6)], ["clud"])
    with pytest.raises(GeoadaptError, match="has no column 'kind'; columns: class, id"):
        rasterise(path, "kind", {}, **GRID)
    with pytest.raises(GeoadaptError, match="'clud', which is no known class; did you mean 'cloud'"):
        rasterise(path, "class", {"cloud": 1}, **GRID)
    with pytest.raises(GeoadaptError, match="map it to a label"):
        rasterise(path, "class", {}, **GRID)
    with pytest.raises(GeoadaptError, match="declares no CRS"):
        rasterise(save(tmp_path / "b.gpkg", [square(0, 0, 6)], [1], crs=None), "class", {}, **GRID)
    with pytest.raises(GeoadaptError, match="no polygon touches the image"):
        rasterise(save(tmp_path / "c.gpkg", [square(500, 500, 6)], [1]), "class", {}, **GRID)
    with pytest.raises(GeoadaptError, match="does not exist"):
        rasterise(tmp_path / "absent.gpkg", "class", {}, **GRID)
    (tmp_path / "bad.gpkg").write_bytes(b"garbage")
    with pytest.raises(GeoadaptError, match="no vector file that can be read"):
        rasterise(tmp_path / "bad.gpkg", "class", {}, **GRID)
    points = geopandas.GeoDataFrame({"class": [1]}, geometry=[Point(0, 0)], crs=synth.CRS)
    points.to_file(tmp_path / "points.gpkg")
    with pytest.raises(GeoadaptError, match="holds Point; expected polygons only"):
        rasterise(tmp_path / "points.gpkg", "class", {}, **GRID)
