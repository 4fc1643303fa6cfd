"""Cases 1–18 of the fault list, as far as they are about opening and reading: each asserts the message."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.shutil import copy
from rasterio.warp import transform_bounds

from geoadapt.cubes.area import bounds_degrees
from geoadapt.cubes.open import open_cube
from geoadapt.cubes.scene import open_scene
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.raster import RasterSource
from tests import synth

NAMES = ("blue", "green", "red")


def tiled(path: Path, **options: object) -> Path:
    rng = np.random.default_rng(0)
    array = rng.integers(1, 9000, (3, 256, 256)).astype(np.uint16)
    return synth.write_tif(path, array, names=NAMES, tiled=True, blockxsize=64, blockysize=64, **options)


def vrt(path: Path, target: str, extra: str = "") -> Path:
    path.write_text(
        f'<VRTDataset rasterXSize="48" rasterYSize="64"><VRTRasterBand dataType="Float32" band="1">{extra}'
        f'<SimpleSource><SourceFilename relativeToVRT="1">{target}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


def test_01_a_truncated_file_names_itself_and_the_row(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    copy(tiled(tmp_path / "whole.tif"), path, driver="COG", blocksize=128, overviews="NONE")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(GeoadaptError, match=r"cut\.tif: its pixels cannot be read from row 128 of 256 on"):
        open_cube(path, scale=1e-4, offset=0.0)


def test_01_a_file_cut_in_its_header_is_no_raster(tmp_path: Path) -> None:
    path = tiled(tmp_path / "cut.tif")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(GeoadaptError, match="no raster that can be read"):
        RasterSource(path)


def test_01_a_truncated_jpeg2000_names_itself(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, bands=("B02", "B03"))
    image = next(product.rglob("*_B02.jp2"))
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.raises(GeoadaptError, match=r"_B02\.jp2"):
        open_cube(product)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", r"is empty \(0 bytes\)"), (b"garbage" * 99, "no raster that can be read")]
)
def test_02_garbage_and_empty_files_are_errors(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(content)
    with pytest.raises(GeoadaptError, match=message):
        open_cube(path)


def test_03_a_folder_without_rasters_lists_pattern_and_content(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(GeoadaptError, match=r"holds no raster \(\*\.tif.*found notes\.txt"):
        open_cube(tmp_path)


def test_04_nan_and_infinity_are_missing_at_their_own_pixels_only(tmp_path: Path) -> None:
    array = synth.scene(3)
    array[0, 3, 4], array[1, 5, 6], array[2, 7, 8] = np.nan, np.inf, -np.inf
    cube = open_cube(synth.write_tif(tmp_path / "a.tif", array, names=NAMES))
    assert np.argwhere(np.isnan(cube.values[0])).tolist() == [[0, 3, 4], [1, 5, 6], [2, 7, 8]]


def test_06_a_zero_border_warns_and_can_be_decided(tmp_path: Path) -> None:
    array = synth.scene(3)
    array[:, :20, :20] = 0
    path = synth.write_tif(tmp_path / "a.tif", array, names=NAMES)
    with pytest.warns(UserWarning, match="a border is all zero but no nodata is declared"):
        assert not np.isnan(open_cube(path).values).any()
    assert int(np.isnan(open_cube(path, zero_is_nodata="yes").values).sum()) == 3 * 400
    assert not np.isnan(open_cube(path, zero_is_nodata="no").values).any()
    with pytest.raises(GeoadaptError, match="zero_is_nodata"):
        open_cube(path, zero_is_nodata="maybe")


def test_07_a_nodata_of_nan_is_matched(tmp_path: Path) -> None:
    array = synth.scene(1)
    array[0, 0, 0] = np.nan
    cube = open_cube(synth.write_tif(tmp_path / "a.tif", array, names=("red",), nodata=float("nan")))
    assert int(np.isnan(cube.values).sum()) == 1


def test_08_missing_bands_list_wanted_and_found(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3))
    with pytest.raises(GeoadaptError, match=r"wanted \['red'\], found \['band_1', 'band_2', 'band_3'\].*have no names"):
        open_cube(path, bands=("red",))


def test_09_unscaled_numbers_are_refused_not_guessed(tmp_path: Path) -> None:
    whole = synth.write_tif(tmp_path / "a.tif", (synth.scene(3) * 10000).astype(np.uint16), names=NAMES)
    real = synth.write_tif(tmp_path / "b.tif", synth.scene(3) * 10000, names=NAMES)
    for path in (whole, real):
        with pytest.raises(GeoadaptError, match="and no scale is declared, but reflectance is 0–1"):
            open_cube(path)
        assert float(open_cube(path, scale=1e-4, offset=0.0).max()) == pytest.approx(synth.scene(3).max(), abs=1e-4)
    with pytest.raises(GeoadaptError, match="units"):
        open_cube(whole, units="percent")


def test_09_small_whole_numbers_are_refused_too(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", np.ones((1, 20, 20), np.uint8), names=("red",))
    with pytest.raises(GeoadaptError, match=r"whole numbers \(uint8\) and no scale is declared"):
        open_cube(path)


def test_09_numbers_that_still_hold_the_sentinel_offset_are_doubted(tmp_path: Path) -> None:
    array = (synth.scene(3) * 10000 + 1000).astype(np.uint16)
    path = synth.write_tif(tmp_path / "a.tif", array, names=NAMES)
    with pytest.warns(UserWarning, match="baseline 04.00 or newer, whose offset −1000"):
        open_cube(path, sensor="sentinel2_l2a")
    cube = open_cube(path, sensor="sentinel2_l2a", offset=-0.1, scale=1e-4)
    assert float(cube.max()) == pytest.approx(synth.scene(3).max(), abs=2e-4)


def test_10_saturated_pixels_are_warned_of_and_negative_ones_kept(tmp_path: Path) -> None:
    array = (synth.scene(1) * 10000).astype(np.uint16)
    array[0, :3] = 65535
    path = synth.write_tif(tmp_path / "a.tif", array, names=("red",), scale=1e-4)
    with pytest.warns(UserWarning, match=r"band 'red' is saturated \(65535\)"):
        assert float(open_cube(path).max()) == pytest.approx(6.5535)
    negative = np.full((1, 20, 20), -300, np.int16)
    cube = open_cube(synth.write_tif(tmp_path / "b.tif", negative, names=("red",), scale=1e-4))
    assert float(cube.min()) == pytest.approx(-0.03)


def test_11_bands_of_other_crs_or_resolution_are_brought_to_one_grid_and_said(tmp_path: Path) -> None:
    synth.write_tif(tmp_path / "x_red.tif", np.full((1, 60, 60), 0.2, np.float32))
    synth.write_tif(tmp_path / "x_nir.tif", np.full((1, 30, 30), 0.4, np.float32), place=synth.transform(20))
    left, bottom, right, top = transform_bounds(
        synth.CRS, "EPSG:32632", synth.LEFT, synth.TOP - 600, synth.LEFT + 600, synth.TOP
    )
    other = Affine(10, 0, left - 100, 0, -10, top + 100)
    size = (1, int((top - bottom + 200) / 10), int((right - left + 200) / 10))
    synth.write_tif(tmp_path / "x_blue.tif", np.full(size, 0.1, np.float32), crs="EPSG:32632", place=other, nodata=-1)
    cube = open_cube(tmp_path, bands=("red", "nir", "blue"))
    assert cube.rio.crs.to_epsg() == 32631
    assert cube.shape == (1, 3, 60, 60)
    for band, value in (("red", 0.2), ("nir", 0.4), ("blue", 0.1)):
        np.testing.assert_allclose(cube.sel(band=band).values, value, rtol=1e-6)
    assert "brought to one grid of 10: 1 of 20 by nearest, 1 of 10 EPSG:32632 by nearest" in cube.attrs["notes"]


def test_11_scenes_on_different_grids_are_an_error(tmp_path: Path) -> None:
    synth.write_tif(tmp_path / "a_20220101.tif", synth.scene(3), names=NAMES)
    synth.write_tif(tmp_path / "b_20220102.tif", synth.scene(3), names=NAMES, crs="EPSG:32632")
    with pytest.raises(GeoadaptError, match=r"different grids: .*EPSG:32631.*EPSG:32632"):
        open_cube(tmp_path)


def test_12_scenes_of_the_same_name_in_two_folders_stay_two(tmp_path: Path) -> None:
    for i, folder in enumerate(("one", "two")):
        synth.write_tif(tmp_path / folder / f"s_2022010{i + 1}.tif", synth.scene(3, seed=i), names=NAMES)
    cube = open_cube(str(tmp_path / "*" / "*.tif"))
    assert cube.sizes["time"] == 2
    same = [synth.write_tif(tmp_path / f / "s_20220101.tif", synth.scene(3), names=NAMES) for f in ("one", "two")]
    with pytest.raises(GeoadaptError, match="same date"):
        open_cube(same)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (3, 5), (209, 33)])
def test_13_tiny_and_narrow_scenes_are_read_whole(tmp_path: Path, height: int, width: int) -> None:
    array = synth.scene(3, height, width)
    cube = open_cube(synth.write_tif(tmp_path / "a.tif", array, names=NAMES))
    np.testing.assert_array_equal(cube.values[0], array)


def test_14_what_has_no_place_keeps_none_and_refuses_an_area(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES, crs=None)
    cube = open_cube(path)
    assert cube.rio.crs is None
    assert "x" not in cube.coords
    with pytest.raises(GeoadaptError, match="has no georeference, so that an area cannot be cut out"):
        open_cube(path, bbox=(0, 0, 1, 1))


def test_14_a_rotated_scene_keeps_its_transform(tmp_path: Path) -> None:
    rotated = synth.transform() * Affine.rotation(20)
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES, place=rotated)
    cube = open_cube(path)
    assert cube.rio.transform().almost_equals(rotated)
    assert open_scene(path).info.transform.almost_equals(rotated)


def test_15_a_huge_declared_size_is_refused_before_allocation(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    options = {"tiled": True, "blockxsize": 65536, "blockysize": 65536, "SPARSE_OK": "TRUE", "BIGTIFF": "YES"}
    with rasterio.open(path, "w", driver="GTiff", width=10**6, height=10**6, count=1, dtype="uint8", **options):
        pass
    assert path.stat().st_size < 100_000
    with pytest.raises(GeoadaptError, match=r"declares 1000000 × 1000000 px × 1 bands \(931 GiB\) in a file of"):
        open_cube(path)


def test_15_a_cube_larger_than_memory_is_refused_with_a_way_out(tmp_path: Path) -> None:
    synth.write_tif(tmp_path / "a.tif", synth.scene(1, 64, 48))
    path = vrt(tmp_path / "big.vrt", "a.tif")
    path.write_text(path.read_text().replace('"48"', '"900000"').replace('"64"', '"900000"'))
    with pytest.raises(GeoadaptError, match="are free; read a part with bbox=…, or lazily with chunks"):
        open_cube(path, units="raw", zero_is_nodata="no")


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../other.tif", "http://127.0.0.1:9/a.tif", "/vsicurl/http://127.0.0.1:9/a.tif"]
)
def test_16_a_vrt_that_points_elsewhere_is_refused(tmp_path: Path, target: str) -> None:
    synth.write_tif(tmp_path / "other.tif", synth.scene(1))
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(GeoadaptError, match="this VRT points outside its own folder"):
        open_cube(vrt(folder / "a.vrt", target))
    with pytest.raises(GeoadaptError, match="this VRT points outside its own folder"):
        open_cube(vrt(folder / "a.tif", target))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_16_a_vrt_beside_its_file_opens_and_elsewhere_only_when_allowed(tmp_path: Path) -> None:
    synth.write_tif(tmp_path / "a.tif", synth.scene(1))
    assert open_cube(vrt(tmp_path / "a.vrt", "a.tif")).shape == (1, 1, 64, 48)
    (tmp_path / "in").mkdir()
    outside = vrt(tmp_path / "in" / "b.vrt", "../a.tif")
    assert open_cube(outside, allow_external=True).shape == (1, 1, 64, 48)
    with pytest.raises(GeoadaptError, match="outside its own folder"):
        open_cube(vrt(tmp_path / "in" / "c.vrt", "b.vrt"))
    link = tmp_path / "in" / "link.tif"
    link.symlink_to(tmp_path / "a.tif")
    with pytest.raises(GeoadaptError, match="outside its own folder"):
        open_cube(vrt(tmp_path / "in" / "d.vrt", "link.tif"))


def test_16_a_vrt_with_code_is_refused_even_when_it_stays_inside(tmp_path: Path) -> None:
    synth.write_tif(tmp_path / "a.tif", synth.scene(1))
    code = "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    with pytest.raises(GeoadaptError, match="brings its own code"):
        open_cube(vrt(tmp_path / "a.vrt", "a.tif", code))


@pytest.mark.parametrize("path", ["<VRTDataset/>", "vrt://a.tif", "/vsistdin/"])
def test_16_connection_strings_are_no_files(path: str) -> None:
    with pytest.raises(GeoadaptError, match="connection string"):
        RasterSource(path)


@pytest.mark.parametrize("href", ["http://127.0.0.1:9/a.tif", "/vsicurl/http://127.0.0.1:9/a.tif"])
def test_16_a_stac_asset_elsewhere_is_refused(tmp_path: Path, href: str) -> None:
    with pytest.raises(GeoadaptError, match="lies elsewhere"):
        open_cube(synth.write_stac(tmp_path, href=href))


def test_17_a_file_changed_or_deleted_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "gone.tif", synth.scene(1))
    source = RasterSource(path)
    source.read(Window(0, 0, 2, 2))
    os.utime(path, (1, 1))
    with pytest.raises(GeoadaptError, match=r"gone\.tif: was changed or removed while it was being read"):
        source.read(Window(0, 0, 2, 2))
    source = RasterSource(path)
    path.unlink()
    with pytest.raises(GeoadaptError, match=r"gone\.tif: was changed or removed"):
        source.read(Window(0, 0, 2, 2))


def test_17_a_band_that_is_resampled_is_watched_too(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, bands=("B02", "B11"))
    source = open_scene(product)
    source.read(Window(0, 0, 2, 2))
    os.utime(next(product.rglob("*_B11.jp2")), (1, 1))
    with pytest.raises(GeoadaptError, match=r"_B11\.jp2: was changed or removed while it was being read"):
        source.read(Window(20, 0, 2, 2))


def test_17_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match=r"absent\.tif: does not exist"):
        open_cube(tmp_path / "absent.tif")


def test_18_bounds_cross_the_antimeridian_and_hold_the_pole() -> None:
    west, south, east, north = bounds_degrees(
        CRS.from_epsg(32660), Affine(100, 0, 600_000, 0, -100, 5_900_000), 2000, 2000
    )
    assert 178 < west < 180
    assert -180 < east < -178
    assert 51 < south < north < 54
    pole = bounds_degrees(CRS.from_epsg(3413), Affine(1000, 0, -500_000, 0, -1000, 500_000), 1000, 1000)
    assert pole[0] == -180
    assert pole[2:] == (180, 90)
    assert 83 < pole[1] < 86
    south_pole = bounds_degrees(CRS.from_epsg(3031), Affine(1000, 0, -500_000, 0, -1000, 500_000), 1000, 1000)
    assert south_pole[:3] == (-180, -90, 180)
    assert bounds_degrees(CRS.from_epsg(4326), Affine(1, 0, -180, 0, -1, 90), 180, 360) == (-180, -90, 180, 90)


def test_16_a_vrt_in_other_letters_or_from_the_current_folder_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synth.write_tif(tmp_path / "other" / "a.tif", synth.scene(1))
    synth.write_tif(tmp_path / "in" / "a.tif", synth.scene(1))
    path = vrt(tmp_path / "in" / "a.vrt", str(tmp_path / "other" / "a.tif"))
    path.write_text(path.read_text().replace("SourceFilename", "sourcefilename"))
    with pytest.raises(GeoadaptError, match="outside its own folder"):
        RasterSource(path)
    path = vrt(tmp_path / "in" / "b.vrt", "a.tif")
    path.write_text(path.read_text().replace('relativeToVRT="1"', 'relativeToVRT="0"'))
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(GeoadaptError, match="outside its own folder"):
        RasterSource(path)


@pytest.mark.parametrize("content", ["[1]", '{"type": "FeatureCollection", "features": [{}]}', '{"type": "Feature"'])
def test_a_broken_stac_file_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "search.json"
    path.write_text(content + ' "stac_version"')
    with pytest.raises(GeoadaptError, match=r"search\.json: no STAC item or collection"):
        open_cube(path)
