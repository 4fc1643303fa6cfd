from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest
from affine import Affine
from pystac.validation import validate
from rasterio.crs import CRS
from shapely.geometry import Point

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.io.stac_write import COG, OutputAsset, OutputItem, build_item, footprint, write_item

UTM60 = CRS.from_epsg(32660)
POLAR = CRS.from_epsg(3031)


def item(**more: object) -> OutputItem:
    asset = OutputAsset(
        "labels", Path("x_labels.tif"), COG, ("data",), dtype="uint8", nodata=255, classes=CLOUD_CLASSES
    )
    return OutputItem("x", 10, 20, (asset,), **more)  # type: ignore[arg-type]


def test_an_item_says_where_when_what_and_from_what(tmp_path: Path) -> None:
    path = write_item(
        item(
            crs=CRS.from_epsg(32631),
            transform=Affine(10, 0, 600000, 0, -10, 5700000),
            time=datetime(2023, 7, 14, tzinfo=UTC),
            derived_from=["https://example.org/in.json", str(tmp_path / "in.tif")],
            processing={"software": {"geoadapt": "0"}},
        ),
        tmp_path / "x.json",
    )
    plain = json.loads(path.read_text())
    read = pystac.Item.from_dict(plain)
    validate(pystac.Item.from_dict({**plain, "stac_extensions": []}))
    assert read.datetime == datetime(2023, 7, 14, tzinfo=UTC)
    assert plain["properties"]["proj:code"] == "EPSG:32631"
    assert plain["properties"]["proj:shape"] == [10, 20]
    assert plain["properties"]["proj:transform"][:3] == [10, 0, 600000]
    assert [c["name"] for c in plain["assets"]["labels"]["classification:classes"]] == [c.name for c in CLOUD_CLASSES]
    assert plain["assets"]["labels"]["raster:bands"] == [{"data_type": "uint8", "nodata": 255}]
    assert [link["href"] for link in plain["links"]] == ["https://example.org/in.json", "./in.tif"]
    assert plain["bbox"][0] < 4.5 < plain["bbox"][2] + 0.1


def test_an_image_without_a_place_has_a_null_geometry(tmp_path: Path) -> None:
    built = build_item(item(), tmp_path / "x.json")
    assert built.geometry is None and built.bbox is None
    assert built.properties["start_datetime"]


def test_a_scene_across_the_antimeridian_is_cut_in_two_and_its_box_runs_from_west_to_east(tmp_path: Path) -> None:
    place = Affine(30, 0, 700000, 0, -30, 5800000)
    area = footprint(6000, 6000, UTM60, place)
    assert area is not None and area.geom_type == "MultiPolygon"
    assert max(part.bounds[2] - part.bounds[0] for part in area.geoms) < 5
    wide = OutputItem("x", 6000, 6000, (), crs=UTM60, transform=place)
    west, _, east, _ = build_item(wide, tmp_path / "x.json").bbox or [0, 0, 0, 0]
    assert west > 170 and east < -170


def test_a_scene_over_the_pole_contains_it() -> None:
    area = footprint(100, 100, POLAR, Affine(20000, 0, -1e6, 0, -20000, 1e6))
    assert area is not None and area.is_valid
    assert area.contains(Point(12, -89)) and area.contains(Point(-170, -85))
    assert not area.contains(Point(12, -60))


@pytest.mark.parametrize(("name", "placed"), [("goes", True), ("world.byte", True), ("cog_nonearth", False)])
def test_real_grids_have_the_footprint_they_can_have(data_dir: Path, name: str, placed: bool) -> None:
    import rasterio

    with rasterio.open(data_dir / "geotiff" / f"{name}.tif") as file:
        area = footprint(file.height, file.width, file.crs, file.transform)
    assert (area is not None) == placed
    assert area is None or (area.is_valid and area.bounds[0] >= -180 and area.bounds[3] <= 90)
