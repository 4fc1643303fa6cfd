"""Series of made scenes: dates, doubles, grids, masks, gaps, and windows that agree with the whole."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject, transform

from geoadapt.cubes import series_grid
from geoadapt.cubes.open import open_cube
from geoadapt.cubes.series import SeriesSource, open_series
from geoadapt.cubes.series_grid import Sampler
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from tests import synth

NAMES = ("blue", "green", "red")
Whole = tuple[NDArray[np.float32], NDArray[np.bool_]]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def moved(rows: float, cols: float, resolution: float = 10.0) -> Affine:
    """The grid of made scenes, its corner moved by pixels."""
    return synth.transform(resolution) * Affine.translation(cols, rows)


def write(
    folder: Path, date: str, seed: int = 0, mask: NDArray[np.uint8] | None = None, tail: str = "", **options: object
) -> Path:
    """A scene of three bands with its mask beside it."""
    place = options.get("place")
    values = options.pop("values", synth.scene(3, seed=seed))
    path = synth.write_tif(folder / f"scene_{date}{tail}.tif", values, names=NAMES, **options)  # type: ignore[arg-type]
    if mask is not None:
        synth.write_tif(folder / f"scene_{date}{tail}_mask.tif", mask[None], place=place)  # type: ignore[arg-type]
    return path


def labels(cloudy: float = 0.3, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((64, 48)) < cloudy, rng.integers(1, 4, (64, 48)), 0).astype(np.uint8)


def both(series: SeriesSource) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    with series:
        return series.read()


def test_a_folder_becomes_dates_in_order_with_their_masks(tmp_path: Path) -> None:
    for i, date in enumerate(("20220617", "20220601", "20220603")):
        write(tmp_path, date, i, labels(seed=i))
    with open_series(tmp_path) as series:
        values, clear = series.read()
        info = series.info
    assert info.times.astype("datetime64[D]").astype(str).tolist() == ["2022-06-01", "2022-06-03", "2022-06-17"]
    assert info.times.dtype == "datetime64[s]"
    assert (info.name, info.height, info.width, info.bands) == (tmp_path.name, 64, 48, NAMES)
    assert info.names == ("scene_20220601", "scene_20220603", "scene_20220617")
    assert info.crs is not None and info.crs.to_epsg() == 32631 and info.resolution == 10.0
    assert info.transform == synth.transform()
    for n, seed in enumerate((1, 2, 0)):
        np.testing.assert_array_equal(values[n], synth.scene(3, seed=seed))
        np.testing.assert_array_equal(clear[n], labels(seed=seed) == 0)
    assert info.notes == ("clear as labels says, from a file",)


def test_missing_pixels_are_nan_and_never_clear_and_whole_numbers_are_scaled(tmp_path: Path) -> None:
    stored = np.round(synth.scene(3) * 10000).astype(np.int16)
    stored[:, :5] = -9999
    stored[1, 9, 9] = -9999
    write(tmp_path, "20220601", values=stored, nodata=-9999, scale=1e-4)
    write(tmp_path, "20220602", 1)
    values, clear = both(open_series(tmp_path))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[0, 2, 5:], stored[2, 5:] / 1e4, atol=1e-6)
    assert np.isnan(values[0, :, :5]).all()
    assert np.isnan(values[0, 1, 9, 9]) and np.isfinite(values[0, 0, 9, 9])
    assert not clear[0, :5].any() and not clear[0, 9, 9]
    assert clear[0].sum() == 59 * 48 - 1 and clear[1].all()


def test_a_nodata_value_of_the_caller_keeps_fill_out_of_the_check_of_reflectance(tmp_path: Path) -> None:
    values = synth.scene(3)
    values[:, 10:] = -9999
    write(tmp_path, "20220601", values=values)
    with pytest.raises(GeoadaptError, match="reflectance is 0–1"):
        open_series(tmp_path)
    found, clear = both(open_series(tmp_path, nodata=-9999))
    assert np.isnan(found[0, :, 10:]).all() and clear[0, :10].all() and not clear[0, 10:].any()


def test_dates_without_any_data_and_dates_under_clouds_stay(tmp_path: Path) -> None:
    empty = np.full((3, 64, 48), np.nan, np.float32)
    for date in ("20220601", "20220701"):
        write(tmp_path, date, values=empty, mask=labels(0))
    write(tmp_path, "20220615", 1, labels(1.0))
    write(tmp_path, "20220715", 2, labels(0))
    values, clear = both(open_series(tmp_path))
    assert np.isfinite(values).any((1, 2, 3)).tolist() == [False, True, False, True]
    assert clear.any((1, 2)).tolist() == [False, False, False, True]


def test_start_and_end_choose_dates_and_leave_the_others_unopened(tmp_path: Path) -> None:
    for date in ("20220601", "20220610", "20220620T101500"):
        write(tmp_path, date)
    (tmp_path / "scene_20220630.tif").write_bytes(b"broken")
    with open_series(tmp_path, start="2022-06-10", end="2022-06-20") as series:
        assert series.info.names == ("scene_20220610", "scene_20220620T101500")
    with pytest.raises(GeoadaptError, match="scene_20220630"):
        open_series(tmp_path)
    with pytest.raises(GeoadaptError, match="holds no date between start and end"):
        open_series(tmp_path, start="2023-01-01")
    with pytest.raises(GeoadaptError, match="lies after end"):
        open_series(tmp_path, start="2022-06-10", end="2022-06-01")


def test_a_scene_without_a_date_is_an_error_unless_one_is_given(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    write(tmp_path, "last", 1)
    with pytest.raises(GeoadaptError, match="scene_last: has no date"):
        open_series(tmp_path)
    with open_series(tmp_path, times={"scene_last": "2022-05-01"}) as series:
        assert series.info.times.astype(str).tolist() == ["2022-05-01T00:00:00", "2022-06-01T00:00:00"]
        np.testing.assert_array_equal(series.read()[0][0], synth.scene(3, seed=1))


def test_two_scenes_of_a_day_are_an_error_that_names_both(tmp_path: Path) -> None:
    write(tmp_path, "20220601", 0, tail="T101010_a")
    write(tmp_path, "20220601", 1, tail="T101030_b")
    with pytest.raises(GeoadaptError, match="scene_20220601T101010_a: and scene_20220601T101030_b are both of 2022"):
        open_series(tmp_path)
    with open_series(tmp_path, duplicates="first") as series:
        assert series.info.names == ("scene_20220601T101010_a",)
        np.testing.assert_array_equal(series.read()[0][0], synth.scene(3, seed=0))
        assert any("1 scenes were left out" in note for note in series.info.notes)


def test_a_mosaic_takes_the_first_clear_pixel_else_the_first_that_is_known(tmp_path: Path) -> None:
    a, b = synth.scene(3, seed=0), synth.scene(3, seed=1)
    a[:, :, 30:] = np.nan
    one, two = labels(0), labels(0)
    one[:20], two[10:20] = 1, 1
    write(tmp_path, "20220601", values=a, mask=one, tail="T100000")
    write(tmp_path, "20220601", values=b, mask=two, tail="T110000")
    write(tmp_path, "20220605", 2, labels(0))
    with open_series(tmp_path, duplicates="mosaic") as series:
        values, clear = series.read()
        assert series.info.names == ("scene_20220601T100000 + scene_20220601T110000", "scene_20220605")
        assert str(series.info.times[0]) == "2022-06-01T10:00:00"
    np.testing.assert_array_equal(values[0, :, :10], b[:, :10])  # only the second is clear
    np.testing.assert_array_equal(values[0, :, 10:20, :30], a[:, 10:20, :30])  # neither: the first
    np.testing.assert_array_equal(values[0, :, 10:20, 30:], b[:, 10:20, 30:])  # neither, and the first knows nothing
    np.testing.assert_array_equal(values[0, :, 20:, :30], a[:, 20:, :30])  # both: the first
    assert clear[0, :10].all() and not clear[0, 10:20].any() and clear[0, 20:].all()
    np.testing.assert_array_equal(values[1], synth.scene(3, seed=2))


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
    with pytest.warns(UserWarning, match="1 scenes do not touch the grid.*scene_20220602"):
        series = open_series(tmp_path)
    with series:
        values, clear = series.read()
    assert np.isnan(values[1]).all() and not clear[1].any()


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


def other_zone(rows: int = 64, cols: int = 48) -> Affine:
    """A grid in the next UTM zone whose middle is that of the made scenes."""
    x, y = transform(synth.CRS, "EPSG:32632", [synth.LEFT + 240], [synth.TOP - 320])
    return Affine(10, 0, x[0] - cols * 5, 0, -10, y[0] + rows * 5)


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


def test_a_grid_of_the_caller_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    box = GeoBox((10, 12), moved(4, 5), synth.CRS)
    with open_series(tmp_path, grid=box) as series:
        np.testing.assert_array_equal(series.read()[0][0], synth.scene(3)[:, 4:14, 5:17])
    with open_series(tmp_path, resolution=20) as series:
        assert (series.info.height, series.info.width, series.info.resolution) == (32, 24, 20.0)
        means = synth.scene(3).reshape(3, 32, 2, 24, 2).mean((2, 4))
        np.testing.assert_allclose(series.read()[0][0], means, atol=1e-6)


def test_scenes_with_other_bands_need_a_choice(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    synth.write_tif(tmp_path / "scene_20220602.tif", synth.scene(2), names=("green", "red"))
    with pytest.raises(GeoadaptError, match=r"choose common ones: bands=\['green', 'red'\]"):
        open_series(tmp_path)
    values, _ = both(open_series(tmp_path, bands=("red", "green")))
    np.testing.assert_array_equal(values[0], synth.scene(3)[[2, 1]])
    np.testing.assert_array_equal(values[1], synth.scene(2)[::-1])


def test_scenes_without_a_place_are_one_stack_if_they_are_alike(tmp_path: Path) -> None:
    for i, date in enumerate(("20220601", "20220602")):
        synth.write_tif(tmp_path / f"scene_{date}.tif", synth.scene(3, seed=i), names=NAMES, crs=None)
    with open_series(tmp_path) as series:
        np.testing.assert_array_equal(series.read(Window(1, 2, 3, 4))[0][1], synth.scene(3, seed=1)[:, 1:4, 2:6])
        assert series.info.crs is None and series.info.transform is None and series.info.resolution is None
    write(tmp_path, "20220603")
    with pytest.raises(GeoadaptError, match="has no georeference, the other scenes have one"):
        open_series(tmp_path)


def test_masks_come_from_a_glob_a_mapping_or_nowhere(tmp_path: Path) -> None:
    for i, date in enumerate(("20220601", "20220602")):
        write(tmp_path / "scenes", date, i)
        synth.write_tif(tmp_path / "masks" / f"cloud_{date}.tif", labels(seed=i)[None])
    _, clear = both(open_series(tmp_path / "scenes", mask=str(tmp_path / "masks" / "*.tif")))
    np.testing.assert_array_equal(clear, np.stack([labels(seed=0), labels(seed=1)]) == 0)
    given_ = {
        "2022-06-01": tmp_path / "masks/cloud_20220602.tif",
        "scene_20220602": tmp_path / "masks/cloud_20220601.tif",
    }
    _, swapped = both(open_series(tmp_path / "scenes", mask=given_))
    np.testing.assert_array_equal(swapped, clear[::-1])
    with pytest.warns(UserWarning, match="no quality layer was found"), open_series(tmp_path / "scenes") as series:
        assert series.read()[1].all()
    with open_series(tmp_path / "scenes", mask="none") as series:
        assert series.read()[1].all() and series.info.notes == ()
    with pytest.raises(GeoadaptError, match="1 scenes have none: .'scene_20220602'"):
        open_series(tmp_path / "scenes", mask={"2022-06-01": "a.tif"})
    with pytest.raises(GeoadaptError, match="no mask for scene scene_20220602"):
        open_series(tmp_path / "scenes", mask=str(tmp_path / "masks" / "*0601.tif"))
    with pytest.raises(GeoadaptError, match="did you mean 'auto'"):
        open_series(tmp_path / "scenes", mask="autos")


def test_a_mask_that_only_some_scenes_have_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "20220601", 0, labels())
    write(tmp_path, "20220602", 1)
    with pytest.raises(GeoadaptError, match="scene_20220602: has no quality layer"):
        open_series(tmp_path)
    assert both(open_series(tmp_path, mask="none"))[1].all()


def test_a_damaged_mask_names_its_file(tmp_path: Path) -> None:
    write(tmp_path, "20220601", 0, np.full((64, 48), 77, np.uint8))
    with open_series(tmp_path) as series, pytest.raises(GeoadaptError, match=r"scene_20220601_mask.tif: holds \[77\]"):
        series.read()


def test_a_function_makes_masks_of_every_window_before_doubles_are_merged(tmp_path: Path) -> None:
    bright = synth.scene(3, seed=0)
    bright[:, :10] = 0.9
    write(tmp_path, "20220601", values=bright, tail="T100000")
    write(tmp_path, "20220601", 1, tail="T110000")
    shapes = []

    def masker(values: NDArray[np.float32]) -> NDArray[np.bool_]:
        shapes.append(values.shape)
        return values[:, 0] < 0.8

    with open_series(tmp_path, mask=masker, duplicates="mosaic") as series:
        values, clear = series.read(Window(0, 0, 20, 48))
    assert shapes == [(2, 3, 20, 48)] and clear.all()
    np.testing.assert_array_equal(values[0, :, :10], synth.scene(3, seed=1)[:, :10])
    np.testing.assert_array_equal(values[0, :, 10:], bright[:, 10:20])
    with (
        open_series(tmp_path, mask=lambda values: values[:, 0], duplicates="first") as wrong,
        pytest.raises(GeoadaptError, match="its function gave float32"),
    ):
        wrong.read()


def test_a_quality_band_in_the_file_is_read_raw(tmp_path: Path) -> None:
    flags = np.where(labels() == 0, 0, 4).astype(np.int16)
    for i, day in enumerate((108, 140)):
        stored = np.concatenate([np.round(synth.scene(3, seed=i) * 1e4).astype(np.int16), flags[None]])
        synth.write_tif(tmp_path / f"LT50350321984{day}XXX01_stack.tif", stored, nodata=-9999)
    with open_series(tmp_path, names=(*NAMES, "fmask"), scale=1e-4) as series:
        values, clear = series.read()
        assert series.info.bands == NAMES
        assert series.info.sensors == ("landsat5", "landsat5")
        assert any("clear as fmask says, from a band of the file" in note for note in series.info.notes)
    np.testing.assert_allclose(values[1], synth.scene(3, seed=1), atol=1e-4)
    np.testing.assert_array_equal(clear[0], flags == 0)


def test_a_landsat_folder_brings_its_own_quality_band(tmp_path: Path) -> None:
    product = synth.write_landsat(tmp_path, level="L2SP")
    flags = np.full((40, 30), 21824, np.uint16)
    flags[:9] = 22280
    synth.write_tif(product / f"{product.name}_QA_PIXEL.TIF", flags[None], place=synth.transform(30))
    with open_series(tmp_path, bands=("red", "nir")) as series:
        _, clear = series.read()
        assert any("landsat_c2_qa_pixel" in note for note in series.info.notes)
    assert not clear[0, :9].any() and clear[0, 9:, 1:].all() and not clear[0, :, 0].any()
    (product / f"{product.name}_QA_PIXEL.TIF").rename(product / f"{product.name}_BQA.TIF")
    with pytest.raises(GeoadaptError, match="Collection 1, but its product .* is of Collection 2"):
        open_series(tmp_path, bands=("red", "nir"))


def test_band_files_and_quality_files_of_one_glob_find_each_other(tmp_path: Path) -> None:
    for i, day in enumerate(("2022004T154109", "2022020T154109")):
        name = f"HLS.L30.T31UFS.{day}.v2.0"
        for band, values in zip(("B03", "B04"), synth.scene(2, seed=i), strict=True):
            synth.write_tif(tmp_path / f"{name}.{band}.tif", np.round(values * 1e4).astype(np.int16)[None])
        synth.write_tif(tmp_path / f"{name}.Fmask.tif", np.where(labels(seed=i) == 0, 64, 2).astype(np.uint8)[None])
    for paths in (tmp_path, f"{tmp_path}/*.tif", f"{tmp_path}/*.B0[34].tif"):
        values, clear = both(open_series(paths))
        np.testing.assert_allclose(values[1], synth.scene(2, seed=1), atol=1e-4)
        np.testing.assert_array_equal(clear[0], labels(seed=0) == 0)
    with pytest.raises(GeoadaptError, match="quality layers, but no images"):
        open_series(f"{tmp_path}/*Fmask.tif")


def test_a_safe_product_brings_its_scene_classification(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, level="2A", bands=("B04", "B11"))
    classes = np.full((60, 60), 4, np.uint8)
    classes[:, 30:] = 9
    image = next(product.rglob("*_B11_20m.jp2"))
    synth.write_tif(
        image.with_name(image.name.replace("B11_20m.jp2", "SCL_20m.tif")), classes[None], place=synth.transform(20)
    )
    with open_series(product) as series:
        values, clear = series.read()
        assert series.info.bands == ("red", "swir16")
        assert any("sentinel2_scl" in note for note in series.info.notes)
    assert clear.shape == (1, 120, 120)
    assert clear[0, 2:, :60].all() and not clear[0, :, 60:].any() and not clear[0, 0].any()


def write_items(folder: Path) -> Path:
    """A STAC item collection of two HLS-like scenes with a quality asset."""
    features = []
    for i, date in enumerate(("2022-06-03", "2022-06-01")):
        scene = f"HLS.L30.T31UFS.{date}"
        place: dict[str, object] = {}
        for band, values in zip(("red", "green"), synth.scene(2, seed=i), strict=True):
            synth.write_tif(folder / f"{i}" / f"{band}.tif", values[None])
            place[band] = {
                "href": f"./{i}/{band}.tif", "type": "image/tiff", "roles": ["data"],
                "eo:bands": [{"common_name": band}],
            }  # fmt: skip
        flags = np.where(labels(seed=i) == 0, 64, 2).astype(np.uint8)
        synth.write_tif(folder / f"{i}" / f"{scene}.v2.0.Fmask.tif", flags[None])
        place["Fmask"] = {"href": f"./{i}/{scene}.v2.0.Fmask.tif", "type": "image/tiff", "roles": ["metadata"]}
        features.append(
            {
                "type": "Feature", "stac_version": "1.0.0", "id": scene, "links": [], "assets": place,
                "properties": {"datetime": f"{date}T10:00:00Z"}, "geometry": None,
            }
        )  # fmt: skip
    path = folder / "found.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "stac_version": "1.0.0", "features": features}))
    return path


def test_the_answer_of_a_stac_search_is_a_series(tmp_path: Path) -> None:
    with open_series(write_items(tmp_path)) as series:
        values, clear = series.read()
        assert series.info.names == ("HLS.L30.T31UFS.2022-06-01", "HLS.L30.T31UFS.2022-06-03")
        assert str(series.info.times[0]) == "2022-06-01T10:00:00"
        assert any("hls_fmask" in note for note in series.info.notes)
    assert series.info.bands == ("green", "red")
    np.testing.assert_array_equal(values[0], synth.scene(2, seed=1)[::-1])
    np.testing.assert_array_equal(clear[0], labels(seed=1) == 0)


def stack(dates: int = 5) -> NDArray[np.float32]:
    return np.stack([synth.scene(3, seed=i) for i in range(dates)])


def write_store(path: Path, clear: bool = True) -> Path:
    values = stack()
    values[2] = np.nan
    times = np.array(["2022-06-01", "2022-06-08", "2022-07-01", "2022-07-05", "2022-09-30"], "datetime64[ns]")
    y, x = synth.TOP - 10 * (np.arange(64) + 0.5), synth.LEFT + 10 * (np.arange(48) + 0.5)
    cube = xr.Dataset(
        {"image": (("time", "band", "y", "x"), values)},
        coords={"time": times, "band": list(NAMES), "y": y, "x": x},
    )
    if clear:
        cube["clear"] = (("time", "y", "x"), np.stack([labels(seed=i) == 0 for i in range(5)]).astype(np.uint8))
    cube = cube.rio.write_crs(synth.CRS)
    if path.suffix == ".nc":
        cube.to_netcdf(path)
    else:
        cube.to_zarr(path, zarr_format=2, consolidated=True)
    return path


@pytest.mark.parametrize("name", ["series.zarr", "series.nc"])
def test_a_store_with_dates_is_a_series(tmp_path: Path, name: str) -> None:
    path = write_store(tmp_path / name)
    with open_series(path, bands=("red", "blue"), start="2022-06-08") as series:
        values, clear = series.read(Window(3, 4, 20, 30))
        assert series.info.names[0] == "series_2022-06-08" and len(series.info.times) == 4
        assert series.info.crs is not None and series.info.crs.to_epsg() == 32631
        assert series.info.transform == synth.transform()
        assert "clear as clear says, from 'clear'" in series.info.notes
    assert np.isnan(values[1]).all() and not clear[1].any()
    np.testing.assert_array_equal(values[[0, 2, 3]], stack()[[1, 3, 4]][:, [2, 0], 3:23, 4:34])
    np.testing.assert_array_equal(clear[0], (labels(seed=1) == 0)[3:23, 4:34])


def test_a_store_may_come_to_another_grid(tmp_path: Path) -> None:
    path = write_store(tmp_path / "series.zarr", clear=False)
    values, clear = both(open_series(path, grid=GeoBox((32, 24), moved(0, 0, 20), synth.CRS)))
    means = stack().reshape(5, 3, 32, 2, 24, 2).mean((3, 5))
    np.testing.assert_allclose(values[[0, 1, 3, 4]], means[[0, 1, 3, 4]], atol=1e-6)
    assert np.isnan(values[2]).all() and clear.any((1, 2)).tolist() == [True, True, False, True, True]


def test_a_store_may_have_a_variable_per_band_with_unsigned_numbers(tmp_path: Path) -> None:
    stored = np.round(stack(3) * 1e4).astype(np.uint16)
    stored[1] = 65535
    variables = {
        f"S2-L2A-B0{k + 2}": (("t", "y", "x"), stored[:, k].view(np.int16), {"_Unsigned": "true"}) for k in range(3)
    }
    times = np.array(["2022-06-01", "2022-07-01", "2022-08-01"], "datetime64[ns]")
    path = tmp_path / "inputs.nc"
    xr.Dataset(variables, coords={"t": times}).to_netcdf(path)
    values, clear = both(open_series(path, scale=1e-4, nodata=65535))
    np.testing.assert_allclose(values[[0, 2]], stack(3)[[0, 2]], atol=1e-4)
    assert np.isnan(values[1]).all() and clear.all((1, 2)).tolist() == [True, False, True]
    with pytest.raises(GeoadaptError, match="reflectance is 0–1"):
        open_series(path, nodata=65535)


def test_a_store_without_dates_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "one.nc"
    xr.Dataset({"height": (("y", "x"), np.zeros((4, 4), np.float32))}).to_netcdf(path)
    with pytest.raises(GeoadaptError, match=r"no image with dates .*found height"):
        open_series(path)


def test_files_whose_layers_are_dates_are_a_series(tmp_path: Path) -> None:
    values = stack(4)
    for k, name in enumerate(("blue", "mir")):
        synth.write_tif(tmp_path / f"{name}.tif", values[:, k])
    (tmp_path / "timeline").write_text("2007-09-14\n2007-09-30\n2007-11-01\n2008-01-01\n")
    with open_series(tmp_path, names={"mir": "swir22"}, end="2007-12-31") as series:
        found, clear = series.read(Window(2, 3, 10, 11))
        assert series.info.bands == ("blue", "swir22") and len(series.info.times) == 3
    np.testing.assert_array_equal(found, values[:3, :2, 2:12, 3:14])
    assert clear.all()
    one, _ = both(
        open_series({"red": tmp_path / "mir.tif"}, times=np.arange("2020-01", "2020-05", dtype="datetime64[M]"))
    )
    np.testing.assert_array_equal(one[:, 0], values[:, 1])
    with pytest.raises(GeoadaptError, match="holds 4 layers, but 2 dates were given"):
        open_series(tmp_path, times=["2020-01-01", "2020-02-01"])
    with pytest.raises(GeoadaptError, match="no dates"):
        open_series({"red": tmp_path / "mir.tif"})


def test_open_cube_points_here_where_grids_differ(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    write(tmp_path, "20220602", place=moved(1, 1))
    with pytest.raises(GeoadaptError, match="different grids.*open_series"):
        open_cube(tmp_path)
