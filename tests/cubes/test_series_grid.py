"""Series of made scenes on one grid: placed, resampled, reprojected, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject

from geoadapt.cubes import series_grid
from geoadapt.cubes.open import open_cube
from geoadapt.cubes.series import open_series
from geoadapt.cubes.series_grid import Sampler
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from tests import synth
from tests.cubes.series_made import NAMES, both, labels, moved, other_zone, write

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_scenes_of_one_lattice_are_placed_without_resampling(tmp_path: Path) -> None:
    write(tmp_path, "20220601", 0, labels(seed=0))
    write(tmp_path, "20220602", 1, labels(seed=1), place=moved(10, -7))
    values, clear = both(open_series(tmp_path))
    np.testing.assert_array_equal(values[1, :, 10:, :41], synth.scene(3, seed=1)[:, :54, 7:])
    np.testing.assert_array_equal(clear[1, 10:, :41], (labels(seed=1) == 0)[:54, 7:])
    assert np.isnan(values[1, :, :10]).all() and np.isnan(values[1, :, :, 41:]).all() and not clear[1, :10].any()
    with open_series(tmp_path, grid="union") as series:
        assert (series.info.height, series.info.width) == (74, 55)
        assert series.info.transform == moved(0, -7)
        wide, _ = series.read()
    np.testing.assert_array_equal(wide[:, :, :64, 7:], values)
    np.testing.assert_array_equal(wide[1, :, 10:, :48], synth.scene(3, seed=1))
    with open_series(tmp_path, grid="intersection") as series:
        assert (series.info.height, series.info.width) == (54, 41)
        np.testing.assert_array_equal(series.read()[0], values[:, :, 10:, :41])


def test_scenes_that_share_no_pixel_have_no_intersection(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    write(tmp_path, "20220602", place=moved(0, 500))
    with pytest.raises(GeoadaptError, match="share no pixel"):
        open_series(tmp_path, grid="intersection")
    with pytest.warns(UserWarning, match="1 scene off the grid.*scene_20220602"):
        series = open_series(tmp_path)
    with series:
        values, clear = series.read()
    assert np.isnan(values[1]).all() and not clear[1].any()


def test_a_small_scene_of_a_wide_union_is_not_said_to_be_off_the_grid(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    write(tmp_path, "20220602", 1, place=moved(9000, 9000))
    with open_series(tmp_path, mask="none", grid="union") as series:
        assert series.info.height > 9000 and not any("off the grid" in note for note in series.info.notes)
    with open_series(tmp_path, mask="none") as series:
        assert any("1 scene off the grid" in note for note in series.info.notes)


def test_a_coarser_scene_is_interpolated_and_a_finer_one_averaged(tmp_path: Path) -> None:
    y, x = np.mgrid[0:64, 0:48]
    plane = np.stack([0.1 + 0.002 * x + 0.001 * y] * 3).astype(np.float32)
    write(tmp_path, "20220601", values=plane)
    coarse = plane.reshape(3, 32, 2, 24, 2).mean((2, 4))
    write(tmp_path, "20220602", values=coarse, place=moved(0, 0, 20))
    fine = np.stack([0.1 + 0.002 * (x / 2 - 0.25) + 0.001 * (y / 2 - 0.25)] * 3).astype(np.float32)
    write(tmp_path, "20220603", values=fine, place=moved(0, 0, 5))
    with open_series(tmp_path) as series:
        values, _ = series.read()
        assert any("1 of 3 scenes are brought to the common grid by bilinear" in n for n in series.info.notes)
        assert any("1 of 3 scenes are brought to the common grid by average" in n for n in series.info.notes)
    np.testing.assert_allclose(values[1, :, 1:-1, 1:-1], plane[:, 1:-1, 1:-1], atol=1e-5)
    np.testing.assert_allclose(values[2, :, :32, :24], plane[:, :32, :24], atol=1e-5)
    assert np.isnan(values[2, :, 32:]).all()
    nearest, _ = both(open_series(tmp_path, resampling="nearest"))
    np.testing.assert_array_equal(nearest[1], coarse.repeat(2, 1).repeat(2, 2))


def test_cubic_convolution_keeps_a_parabola(tmp_path: Path) -> None:
    def surface(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.stack([0.1 + 0.001 * x + 2e-4 * (x - 20) ** 2 + 5e-5 * (y - 30) ** 2] * 3).astype(np.float32)

    y, x = np.mgrid[0:64, 0:48].astype(np.float64)
    write(tmp_path, "20220601", values=surface(x, y))
    write(tmp_path, "20220602", values=surface(x + 0.3, y - 0.4), place=moved(-0.4, 0.3))
    values, _ = both(open_series(tmp_path, resampling="cubic"))
    np.testing.assert_allclose(values[1, :, 2:-2, 2:-2], values[0, :, 2:-2, 2:-2], atol=2e-6)
    linear, _ = both(open_series(tmp_path, resampling="bilinear"))
    assert np.abs(linear[1] - linear[0])[:, 2:-2, 2:-2].min() > 1e-5


def test_a_scene_of_another_zone_lands_where_gdal_puts_it(tmp_path: Path) -> None:
    place = other_zone()
    write(tmp_path, "20220601")
    write(tmp_path, "20220602", 1, labels(seed=1), crs="EPSG:32632", place=place)
    (tmp_path / "scene_20220602_mask.tif").unlink()
    values, clear = both(open_series(tmp_path))
    wanted = np.full((3, 64, 48), np.nan, np.float32)
    reproject(
        synth.scene(3, seed=1), wanted, src_transform=place, src_crs="EPSG:32632", src_nodata=np.nan,
        dst_transform=synth.transform(), dst_crs=synth.CRS, dst_nodata=np.nan, resampling=Resampling.bilinear,
    )  # fmt: skip
    seen = np.isfinite(wanted[0]) & clear[1]
    assert 0.85 < seen.mean() < 0.99
    assert (np.isfinite(wanted[0]) != clear[1]).mean() < 0.03
    np.testing.assert_allclose(values[1][:, seen], wanted[:, seen], atol=5e-3)
    assert np.abs(values[1][:, seen] - wanted[:, seen]).mean() < 2e-4


def test_positions_between_a_lattice_are_those_of_the_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    own = GeoBox((64, 48), other_zone(), "EPSG:32632")
    target = GeoBox((640, 480), synth.transform(), synth.CRS)
    between = Sampler(own, target, "bilinear")._coordinates(Window(37, 101, 90, 75), 1)
    monkeypatch.setattr(series_grid, "_STEPS", ())
    exact = Sampler(own, target, "bilinear")._coordinates(Window(37, 101, 90, 75), 1)
    for one, other in zip(exact, between, strict=True):
        assert 0 < np.abs(one - other).max() < 1e-3


def test_a_grid_of_the_caller_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    box = GeoBox((10, 12), moved(4, 5), synth.CRS)
    with open_series(tmp_path, grid=box) as series:
        np.testing.assert_array_equal(series.read()[0][0], synth.scene(3)[:, 4:14, 5:17])
    with open_series(tmp_path, resolution=20) as series:
        assert (series.info.height, series.info.width, series.info.resolution) == (32, 24, 20.0)
        means = synth.scene(3).reshape(3, 32, 2, 24, 2).mean((2, 4))
        np.testing.assert_allclose(series.read()[0][0], means, atol=1e-6)


def test_scenes_without_a_place_are_one_stack_if_they_are_alike(tmp_path: Path) -> None:
    for i, date in enumerate(("20220601", "20220602")):
        synth.write_tif(tmp_path / f"scene_{date}.tif", synth.scene(3, seed=i), names=NAMES, crs=None)
    with open_series(tmp_path) as series:
        np.testing.assert_array_equal(series.read(Window(1, 2, 3, 4))[0][1], synth.scene(3, seed=1)[:, 1:4, 2:6])
        assert series.info.crs is None and series.info.transform is None and series.info.resolution is None
    write(tmp_path, "20220603")
    with pytest.raises(GeoadaptError, match="has no georeference, the other scenes have one"):
        open_series(tmp_path)


def test_open_cube_points_here_where_grids_differ(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    write(tmp_path, "20220602", place=moved(1, 1))
    with pytest.raises(GeoadaptError, match="different grids.*open_series"):
        open_cube(tmp_path)
