"""Series of made scenes: dates in order, doubles, spans, and what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoadapt.cubes.series import open_series
from geoadapt.errors import GeoadaptError
from tests import synth
from tests.cubes.series_made import NAMES, both, labels, write

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


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


def test_a_date_for_a_scene_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    with pytest.raises(GeoadaptError, match=r"'scene_2022060' is no scene of these 1; did you mean 'scene_20220601'"):
        open_series(tmp_path, mask="none", times={"scene_2022060": "2022-06-02"})
    with open_series(tmp_path, mask="none", times={"scene_20220601": "2022-06-02"}) as series:
        assert str(series.info.times[0])[:10] == "2022-06-02"


def test_a_doubt_names_the_scene_that_it_is_about(tmp_path: Path) -> None:
    for day, more in (("20200601", 0), ("20220601", 1000)):
        stored = np.round(synth.scene(3) * 1e4).astype(np.uint16) + more
        write(tmp_path, day, values=stored, nodata=0)
    with pytest.warns(UserWarning, match="scene_20220601: the darkest pixels are .* baseline 04.00") as told:
        open_series(tmp_path, mask="none", sensor="sentinel2").close()
    assert not any("scene_20200601:" in str(each.message) for each in told)


def test_two_scenes_of_a_day_are_an_error_that_names_both(tmp_path: Path) -> None:
    write(tmp_path, "20220601", 0, tail="T101010_a")
    write(tmp_path, "20220601", 1, tail="T101030_b")
    with pytest.raises(GeoadaptError, match="scene_20220601T101010_a: and scene_20220601T101030_b are both of 2022"):
        open_series(tmp_path)
    with open_series(tmp_path, duplicates="first") as series:
        assert series.info.names == ("scene_20220601T101010_a",)
        np.testing.assert_array_equal(series.read()[0][0], synth.scene(3, seed=0))
        assert any("1 scene left out" in note for note in series.info.notes)


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


def test_scenes_with_other_bands_need_a_choice(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    synth.write_tif(tmp_path / "scene_20220602.tif", synth.scene(2), names=("green", "red"))
    with pytest.raises(GeoadaptError, match=r"choose common ones: bands=\['green', 'red'\]"):
        open_series(tmp_path)
    values, _ = both(open_series(tmp_path, bands=("red", "green")))
    np.testing.assert_array_equal(values[0], synth.scene(3)[[2, 1]])
    np.testing.assert_array_equal(values[1], synth.scene(2)[::-1])
