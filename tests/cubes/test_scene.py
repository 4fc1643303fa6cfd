"""Products in their real layouts: bands under common names, one grid, reflectance."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from geoadapt.cubes.open import open_cube
from geoadapt.cubes.scene import open_scene
from geoadapt.cubes.sensors import SENSORS
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, Window
from geoadapt.io.decode import decode
from tests import synth

SIX = ("blue", "green", "red", "nir", "swir16", "swir22")


@pytest.fixture(scope="module", params=["1C", "2A"])
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synth.write_safe(tmp_path_factory.mktemp("safe"), level=request.param)


def test_safe_bands_are_decoded_with_the_offset_of_their_baseline(product: Path) -> None:
    cube = open_cube(product, bands=("blue", "red"))
    stored = synth.safe_numbers("B04").astype(np.float64)
    wanted = np.where(stored == 0, np.nan, (stored - 1000) / 10000)
    np.testing.assert_allclose(cube.sel(band="red").values[0], wanted, atol=1e-6)
    assert str(cube["time"].values[0]) == "2023-07-14T10:56:29.024000000"
    assert cube.attrs["processing_baseline"] == "05.09"
    assert cube.rio.crs.to_epsg() == 32631


def test_coarse_safe_bands_repeat_their_pixels_on_the_finest_grid(product: Path) -> None:
    cube = open_cube(product, bands=("blue", "swir16", "coastal"))
    for band, name, times in (("swir16", "B11", 2), ("coastal", "B01", 6)):
        stored = synth.safe_numbers(name).astype(np.float64)
        repeated = np.where(stored == 0, np.nan, (stored - 1000) / 10000).repeat(times, 0).repeat(times, 1)
        np.testing.assert_allclose(cube.sel(band=band).values[0], repeated, atol=1e-6)
    assert "brought to one grid of 10: 1 of 20 by nearest, 1 of 60 by nearest" in cube.attrs["notes"]


def test_fine_safe_bands_are_averaged_onto_a_coarser_grid(product: Path) -> None:
    cube = open_cube(product, bands=("red", "swir16"), resolution=20)
    stored = synth.safe_numbers("B04").astype(np.float64)[2:, :]
    means = ((stored - 1000) / 10000).reshape(59, 2, 60, 2).mean((1, 3))
    assert cube.shape == (1, 2, 60, 60)
    np.testing.assert_allclose(cube.sel(band="red").values[0, 1:], means, atol=1e-4)
    assert "1 of 10 by average" in cube.attrs["notes"]


def test_a_baseline_before_4_has_no_offset(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, baseline="02.14", declare_offset=False, bands=("B02", "B03"))
    cube = open_cube(product, bands=("blue",))
    stored = synth.safe_numbers("B02")
    assert float(cube.max()) == pytest.approx(stored.max() / 10000)


def test_a_new_baseline_without_offset_is_refused(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, baseline="05.09", declare_offset=False, bands=("B02",))
    with pytest.raises(GeoadaptError, match="baseline 05.09 but declares no RADIO_ADD_OFFSET"):
        open_scene(product)


def test_safe_metadata_that_lead_out_of_the_product_are_refused(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, bands=("B02",))
    file = product / "MTD_MSIL1C.xml"
    file.write_text(file.read_text().replace("<IMAGE_FILE>GRANULE", "<IMAGE_FILE>../../GRANULE"))
    with pytest.raises(GeoadaptError, match="points outside its folder"):
        open_scene(product)


def test_safe_metadata_with_entities_are_refused(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, bands=("B02",))
    file = product / "MTD_MSIL1C.xml"
    file.write_text(file.read_text().replace("<n1:", '<!DOCTYPE x [<!ENTITY a "b">]><n1:', 1))
    with pytest.raises(GeoadaptError, match="defines XML entities"):
        open_scene(product)


def test_a_safe_folder_without_images_says_so(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, bands=("B02",))
    for image in product.rglob("*.jp2"):
        image.unlink()
    with pytest.raises(GeoadaptError, match="names 1 image, and none is there"):
        open_scene(product)


@pytest.mark.parametrize("mission", [5, 7, 8, 9])
@pytest.mark.parametrize("mtl", ["txt", "json"])
def test_landsat_level_1_is_reflectance_corrected_for_the_sun(tmp_path: Path, mission: int, mtl: str) -> None:
    cube = open_cube(synth.write_landsat(tmp_path, mission=mission, mtl=mtl, sun=30.0), bands=SIX)
    number = {5: 4, 7: 4}.get(mission, 5)
    stored = synth.landsat_numbers(number).astype(np.float64)
    wanted = np.where(stored == 0, np.nan, (stored * 2e-5 - 0.1) / math.sin(math.radians(30)))
    np.testing.assert_allclose(cube.sel(band="nir").values[0], wanted, atol=1e-6)
    assert cube.attrs["sensor"] == f"landsat{mission}"
    assert str(cube["time"].values[0])[:16] == "2021-07-05T10:33"


@pytest.mark.parametrize("mission", [5, 7, 8, 9])
@pytest.mark.parametrize("mtl", ["txt", None])
def test_landsat_level_2_is_surface_reflectance_by_its_definition(
    tmp_path: Path, mission: int, mtl: str | None
) -> None:
    cube = open_cube(synth.write_landsat(tmp_path, mission=mission, level="L2SP", mtl=mtl), bands=SIX)
    number = {5: 7, 7: 7}.get(mission, 7)
    stored = synth.landsat_numbers(number).astype(np.float64)
    wanted = np.where(stored == 0, np.nan, stored * 2.75e-5 - 0.2)
    np.testing.assert_allclose(cube.sel(band="swir22").values[0], wanted, atol=1e-6)


def test_landsat_numbers_without_metadata_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        GeoadaptError, match=r"no scale is declared, but reflectance is 0–1; put the scene's \*_MTL\.txt"
    ):
        open_scene(synth.write_landsat(tmp_path, mtl=None))


def test_panchromatic_is_read_only_when_asked_for(tmp_path: Path) -> None:
    folder = synth.write_landsat(tmp_path)
    assert "pan" not in open_scene(folder).info.bands
    source = open_scene(folder, channels=("pan", "red"))
    assert source.info.bands == ("pan", "red")
    assert (source.info.height, source.info.width) == (80, 60)


def test_names_of_landsat_toa_files_keep_their_own_reflectance(tmp_path: Path) -> None:
    for number, value in ((2, 0.1), (3, 0.2), (4, 0.3)):
        array = np.full((1, 20, 20), value, np.float32)
        synth.write_tif(tmp_path / f"LC80130312015295LGN00_B{number}_toa.tif", array)
    source = open_scene(tmp_path)
    assert source.info.bands == ("blue", "green", "red")
    values, _ = decode(source.read(Window(0, 0, 1, 1)), source.info)
    np.testing.assert_allclose(values.ravel(), [0.1, 0.2, 0.3], rtol=1e-6)


def test_files_named_by_common_names_make_a_scene(tmp_path: Path) -> None:
    for name in ("red", "blue", "nir"):
        synth.write_tif(tmp_path / f"place_{name}.tif", synth.scene(1))
    assert open_scene(tmp_path).info.bands == ("blue", "red", "nir")


def test_numbered_files_of_an_unknown_sensor_are_refused_until_it_is_named(tmp_path: Path) -> None:
    for number in (2, 3, 4):
        synth.write_tif(tmp_path / f"image_B{number}.tif", synth.scene(1))
    with pytest.raises(GeoadaptError, match="unknown sensor"):
        open_scene(tmp_path)
    assert open_scene(tmp_path, sensor="landsat7").info.bands == ("green", "red", "nir")
    assert open_scene(tmp_path, sensor="landsat8").info.bands == ("blue", "green", "red")


def test_hls_files_are_scaled_and_dated(tmp_path: Path) -> None:
    for band in ("B02", "B05"):
        array = np.full((1, 16, 16), 2500, np.int16)
        array[0, 0, 0] = -9999
        synth.write_tif(tmp_path / f"HLS.L30.T10TGS.2018285T184513.v2.0.{band}.tif", array)
    cube = open_cube(tmp_path)
    assert list(cube["band"].values) == ["blue", "nir"]
    assert float(cube.max()) == pytest.approx(0.25)
    assert int(np.isnan(cube.values).sum()) == 2
    assert str(cube["time"].values[0])[:19] == "2018-10-12T18:45:13"


@pytest.mark.parametrize("name", SENSORS)
def test_every_sensor_has_what_cloud_models_ask_for(name: str) -> None:
    assert set(SIX) <= set(SENSORS[name].bands.values())


def test_an_unknown_sensor_gets_the_nearest_name() -> None:
    with pytest.raises(GeoadaptError, match="did you mean 'sentinel2'"):
        open_scene("anything.tif", sensor="sentinel-2")


def test_sources_fulfil_the_protocol(tmp_path: Path) -> None:
    assert isinstance(open_scene(synth.write_landsat(tmp_path)), Source)


def test_windows_of_a_resampled_scene_equal_the_whole(tmp_path: Path) -> None:
    source = open_scene(synth.write_safe(tmp_path, bands=("B02", "B11", "B01")))
    whole = source.read(Window(0, 0, 120, 120))
    for window in (Window(0, 0, 7, 7), Window(13, 59, 31, 44), Window(119, 119, 1, 1)):
        rows, cols = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
        np.testing.assert_array_equal(source.read(window), whole[:, rows, cols])
        np.testing.assert_array_equal(source.read(window, [2]), whole[[2], rows, cols])
