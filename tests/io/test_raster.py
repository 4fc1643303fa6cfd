"""Windows of rasters and arrays; masks, mixed nodata, damaged windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.errors import GeoadaptError
from geoadapt.io.arrays import ArraySource
from geoadapt.io.base import Source, Window
from geoadapt.io.raster import RasterSource
from geoadapt.io.stack import CropSource, SelectSource, StackSource
from tests import synth

HEIGHT, WIDTH = 23, 17
ARRAY = synth.scene(4, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synth.write_tif(tmp_path_factory.mktemp("raster") / "a.tif", ARRAY, names=("blue", "green", "red", "nir"))


@given(
    row=st.integers(0, HEIGHT - 1),
    col=st.integers(0, WIDTH - 1),
    height=st.integers(1, HEIGHT),
    width=st.integers(1, WIDTH),
)
def test_any_window_equals_the_slice_of_the_whole(path: Path, row: int, col: int, height: int, width: int) -> None:
    window = Window(row, col, min(height, HEIGHT - row), min(width, WIDTH - col))
    wanted = ARRAY[:, row : row + window.height, col : col + window.width]
    raster, array = RasterSource(path), ArraySource(ARRAY)
    np.testing.assert_array_equal(raster.read(window), wanted)
    np.testing.assert_array_equal(array.read(window), wanted)
    np.testing.assert_array_equal(raster.read(window, [2, 0]), wanted[[2, 0]])
    raster.close()


def test_sources_tell_what_they_hold(path: Path) -> None:
    source = RasterSource(path, bands=[3, 0])
    assert isinstance(source, Source)
    assert isinstance(ArraySource(ARRAY), Source)
    assert source.info.bands == ("nir", "blue")
    assert source.info.crs.to_epsg() == 32631
    assert source.info.transform == synth.transform()
    assert (source.info.height, source.info.width, source.info.dtype) == (HEIGHT, WIDTH, np.float32)
    np.testing.assert_array_equal(source.read(Window(0, 0, HEIGHT, WIDTH)), ARRAY[[3, 0]])


@pytest.mark.parametrize("window", [Window(0, 0, 0, 1), Window(-1, 0, 2, 2), Window(20, 0, 5, 5), Window(0, 15, 1, 3)])
def test_a_window_outside_is_an_error(path: Path, window: Window) -> None:
    for source in (RasterSource(path), ArraySource(ARRAY)):
        with pytest.raises(GeoadaptError, match="leaves the raster of 23 × 17 px"):
            source.read(window)


def test_crops_selections_and_stacks_read_what_they_say(path: Path) -> None:
    source = RasterSource(path)
    crop = CropSource(source, Window(5, 3, 10, 8))
    np.testing.assert_array_equal(crop.read(Window(2, 1, 4, 5)), ARRAY[:, 7:11, 4:9])
    assert crop.info.transform.c == synth.LEFT + 30
    assert crop.info.transform.f == synth.TOP - 50
    chosen = SelectSource(crop, [3, 1], crop.info)
    np.testing.assert_array_equal(chosen.read(Window(0, 0, 2, 2), [1]), ARRAY[[1], 5:7, 3:5])
    stack = StackSource([(source, 2), (ArraySource(ARRAY), 0)], source.info)
    np.testing.assert_array_equal(stack.read(Window(0, 0, HEIGHT, WIDTH)), ARRAY[[2, 0]])
    stack.close()


def test_a_mask_becomes_nan_and_alpha_is_no_band(tmp_path: Path) -> None:
    path = tmp_path / "alpha.tif"
    values = np.full((4, 8, 8), 7, np.uint8)
    values[3] = 255
    values[3, :2] = 0
    shape = {"height": 8, "width": 8, "count": 4, "dtype": "uint8"}
    place = {"crs": synth.CRS, "transform": synth.transform()}
    with rasterio.open(path, "w", driver="GTiff", photometric="RGB", ALPHA="YES", **shape, **place) as sink:
        sink.write(values)
    source = RasterSource(path)
    assert len(source.info.bands) == 3
    raw = source.read(Window(0, 0, 8, 8))
    assert np.isnan(raw[:, :2]).all()
    assert (raw[:, 2:] == 7).all()


def test_a_given_nodata_holds_only_where_the_file_has_none(tmp_path: Path, path: Path) -> None:
    declared = synth.write_tif(tmp_path / "d.tif", np.ones((1, 4, 4), np.int16), nodata=-1)
    assert RasterSource(declared, nodata=0).info.nodata == -1
    assert RasterSource(path, nodata=0).info.nodata == 0


def test_wrong_numbers_of_names_or_bands_are_named(path: Path) -> None:
    with pytest.raises(GeoadaptError, match="4 bands, names were given for 2"):
        RasterSource(path, names=("a", "b"))
    with pytest.raises(GeoadaptError, match=r"has 4 bands, wanted positions \[7\]"):
        RasterSource(path, bands=[7])
    with pytest.raises(GeoadaptError, match=r"expected \(c, h, w\)"):
        ArraySource(ARRAY[0])
