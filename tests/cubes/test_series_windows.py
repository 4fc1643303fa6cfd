"""Windows of a series of mixed scenes agree with the whole, however they are read."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoadapt.cubes.series import SeriesSource, open_series
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from tests import synth
from tests.cubes.series_made import NAMES, labels, moved, other_zone, write

Whole = tuple[NDArray[np.float32], NDArray[np.bool_]]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of other lattices, resolutions and zones, with holes and clouds."""
    folder = tmp_path_factory.mktemp("mixed")
    write(folder, "20220601", 0, labels(seed=0))
    write(folder, "20220602", 1, labels(seed=1), place=moved(3.5, -2.25))
    write(folder, "20220603", 2, labels(seed=2), place=moved(-2, 1, 20))
    holes = synth.scene(3, seed=3)
    holes[:, 20:30, 10:20] = np.nan
    write(folder, "20220604", values=holes, mask=labels(seed=3), crs="EPSG:32632", place=other_zone())
    with rasterio.open(folder / "scene_20220604_mask.tif", "r+") as file:
        file.crs = "EPSG:32632"
    write(folder, "20220604", 4, labels(seed=4), tail="T120000", place=moved(0.5, 0.5, 5))
    return folder


@pytest.fixture(scope="module", params=["nearest", "bilinear", "cubic", "average"])
def series(request: pytest.FixtureRequest, mixed: Path) -> Iterator[SeriesSource]:
    with open_series(mixed, duplicates="mosaic", resampling=request.param) as found:
        yield found


@pytest.fixture(scope="module")
def whole(series: SeriesSource) -> Whole:
    return series.read()


@settings(max_examples=30)
@given(data=st.data())
def test_a_window_is_the_same_part_of_the_whole(series: SeriesSource, whole: Whole, data: st.DataObject) -> None:
    values, clear = whole
    top, left = data.draw(st.integers(0, 63)), data.draw(st.integers(0, 47))
    height, width = data.draw(st.integers(1, 64 - top)), data.draw(st.integers(1, 48 - left))
    part, seen = series.read(Window(top, left, height, width))
    np.testing.assert_array_equal(part, values[..., top : top + height, left : left + width])
    np.testing.assert_array_equal(seen, clear[..., top : top + height, left : left + width])


def test_what_is_clear_is_known(whole: Whole) -> None:
    values, clear = whole
    assert clear.any((1, 2)).all() and not clear.all((1, 2)).any()
    assert np.isfinite(values.transpose(0, 2, 3, 1)[clear]).all()


def test_few_handles_give_the_same_pixels(mixed: Path) -> None:
    with open_series(mixed, duplicates="mosaic") as many:
        few = SeriesSource(many._plan, many.info, None, handles=3)
        for window in (None, Window(5, 6, 20, 30), Window(30, 1, 9, 9)):
            np.testing.assert_array_equal(few.read(window)[0], many.read(window)[0])
        assert len(few._reader._open) == 1  # a scene and its mask; a second pair would be one too many
        few.close()


def test_a_series_that_keeps_no_file_open_gives_the_same_pixels(mixed: Path) -> None:
    with open_series(mixed, duplicates="mosaic") as series:
        window = Window(5, 6, 20, 30)
        before = series.read(window)
        assert series._reader._open
        series.keep_open(0)
        assert not series._reader._open
        again, other = series.read(window), series.reopened()
        np.testing.assert_array_equal(again[0], before[0])
        np.testing.assert_array_equal(again[1], before[1])
        np.testing.assert_array_equal(other.read(window)[0], before[0])
        assert not series._reader._open and not other._reader._open


def test_windows_that_leave_the_grid_are_refused(series: SeriesSource) -> None:
    with pytest.raises(GeoadaptError, match="leaves the grid of 64 × 48 px"):
        series.read(Window(0, 40, 10, 10))


def test_the_lazy_cube_holds_what_read_gives(mixed: Path) -> None:
    with open_series(mixed, duplicates="mosaic") as source:
        values, clear = source.read()
        cube = source.cube(chunks=20)
    assert cube["image"].dims == ("time", "band", "y", "x") and cube["clear"].dims == ("time", "y", "x")
    assert cube["image"].chunks is not None and cube["image"].chunks[2] == (20, 20, 20, 4)
    found = cube.compute(scheduler="threads")
    np.testing.assert_array_equal(found["image"].values, values)
    np.testing.assert_array_equal(found["clear"].values, clear)
    assert found["clear"].dtype == bool and found.rio.crs.to_epsg() == 32631
    assert found["band"].values.tolist() == list(NAMES)
    assert found.rio.transform() == synth.transform() and found["x"].values[0] == synth.LEFT + 5


def test_a_series_travels_to_another_process(mixed: Path) -> None:
    with open_series(mixed, duplicates="first") as source:
        values, _ = source.read(Window(3, 4, 5, 6))
        with pickle.loads(pickle.dumps(source)) as other:
            np.testing.assert_array_equal(other.read(Window(3, 4, 5, 6))[0], values)
