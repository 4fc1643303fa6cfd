"""Scenes that cannot be read, and dates that are missing between others: errors, or options that say what they did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil

from geoadapt.cubes.series import open_series
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from tests import synth
from tests.cubes.series_made import NAMES, labels, write


def cut(path: Path, share: float) -> Path:
    """Keep the beginning of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def as_cog(path: Path, block: int = 128) -> Path:
    """The same pixels with the table of blocks in front, so that a cut file still opens."""
    cog = path.with_name(f"{path.stem}_cog.tif")
    rasterio.shutil.copy(path, cog, driver="COG", BLOCKSIZE=block, OVERVIEWS="NONE")
    cog.replace(path)
    return path


def garble(path: Path) -> None:
    """Overwrite the compressed bytes of the last block, so that only decoding it tells."""
    with rasterio.open(path) as file:
        height, width = file.block_shapes[0]
        last = f"{(file.width - 1) // width}_{(file.height - 1) // height}"
        start = int(file.get_tag_item(f"BLOCK_OFFSET_{last}", "TIFF", 1))
        size = int(file.get_tag_item(f"BLOCK_SIZE_{last}", "TIFF", 1))
    data = bytearray(path.read_bytes())
    data[start : start + size] = b"\xff" * size
    path.write_bytes(bytes(data))


def big(folder: Path, date: str, seed: int) -> Path:
    """A scene of four blocks of which the last is no part of what is looked at on opening."""
    return as_cog(write(folder, date, values=synth.scene(3, 256, 256, seed)))


def three(folder: Path) -> list[Path]:
    return [write(folder, date, i) for i, date in enumerate(("20220601", "20220611", "20220621"))]


@pytest.mark.parametrize("how", ["cut", "empty", "garbage", "header"])
def test_a_damaged_scene_is_an_error_that_names_it_or_is_left_out_and_told(tmp_path: Path, how: str) -> None:
    bad = three(tmp_path)[1]
    data = bad.read_bytes()
    bad.write_bytes({"cut": data[:300], "empty": b"", "garbage": bytes(range(256)) * 40, "header": data[:8]}[how])
    with pytest.raises(GeoadaptError, match=f"{bad.name}: "):
        open_series(tmp_path, mask="none")
    with pytest.warns(UserWarning, match=f"{bad.name} cannot be read and is left out: ") as said:
        series = open_series(tmp_path, mask="none", damaged="skip")
    assert sum(w.category is UserWarning for w in said) == 1
    with series:
        values, _ = series.read()
        assert series.info.names == ("scene_20220601", "scene_20220621")
        assert series.info.left_out == (str(bad),)
        assert series.info.notes == (f"1 of 3 scenes cannot be read and were left out: {bad.name}",)
    np.testing.assert_array_equal(values[1], synth.scene(3, seed=2))


def test_a_scene_that_is_cut_behind_its_header_is_found_before_its_pixels_are_read(tmp_path: Path) -> None:
    for i, date in enumerate(("20220601", "20220611")):
        big(tmp_path, date, i)
    bad = cut(tmp_path / "scene_20220611.tif", 0.95)
    with rasterio.open(bad) as file:
        file.read(1, window=((0, 8), (0, 8)))  # it opens, and its beginning is there
    with pytest.raises(GeoadaptError, match="scene_20220611.tif: is cut short"):
        open_series(tmp_path, mask="none")
    with (
        pytest.warns(UserWarning, match="scene_20220611.tif cannot be read"),
        open_series(tmp_path, mask="none", damaged="skip") as series,
    ):
        assert series.info.names == ("scene_20220601",)


def test_damage_that_only_a_block_shows_is_an_error_even_where_damaged_scenes_are_left_out(tmp_path: Path) -> None:
    paths = [big(tmp_path, date, i) for i, date in enumerate(("20220601", "20220611"))]
    with open_series(tmp_path, mask="none", units="raw", zero_is_nodata="no") as whole:
        whole.read(Window(192, 192, 64, 64))
    garble(paths[1])
    with open_series(tmp_path, mask="none", units="raw", zero_is_nodata="no", damaged="skip") as series:
        assert len(series.info.times) == 2
        series.read(Window(0, 0, 64, 64))
        with pytest.raises(GeoadaptError, match="scene_20220611.tif: its pixels cannot be read from row"):
            series.read(Window(192, 192, 64, 64))


def test_a_damaged_quality_layer_takes_its_scene_along(tmp_path: Path) -> None:
    for i, date in enumerate(("20220601", "20220611")):
        write(tmp_path, date, i, labels(seed=i))
    cut(tmp_path / "scene_20220611_mask.tif", 0.3)
    with pytest.raises(GeoadaptError, match="scene_20220611_mask.tif: "):
        open_series(tmp_path)
    with (
        pytest.warns(UserWarning, match="scene_20220611_mask.tif cannot be read"),
        open_series(tmp_path, damaged="skip") as series,
    ):
        assert series.info.names == ("scene_20220601",)


def test_what_is_asked_wrongly_is_no_damage(tmp_path: Path) -> None:
    three(tmp_path)
    synth.write_tif(tmp_path / "scene_20220701.tif", synth.scene(3) * 5000, names=NAMES)
    with pytest.raises(GeoadaptError, match="reflectance is 0–1"):
        open_series(tmp_path, mask="none", damaged="skip")
    with pytest.raises(GeoadaptError, match="nir"):
        open_series(tmp_path / "scene_20220601.tif", bands=("nir",), mask="none", damaged="skip")
    with pytest.raises(GeoadaptError, match="did you mean 'skip'"):
        open_series(tmp_path, damaged="skp")


def test_a_series_of_nothing_but_damaged_scenes_is_an_error(tmp_path: Path) -> None:
    for path in three(tmp_path):
        cut(path, 0.1)
    with pytest.raises(GeoadaptError, match=r"scene_20220601.tif: .*none of .*'s 3 scenes can be read"):
        open_series(tmp_path, mask="none", damaged="skip")


def test_a_damaged_scene_outside_of_the_span_is_not_looked_at(tmp_path: Path) -> None:
    cut(three(tmp_path)[2], 0.1)
    with open_series(tmp_path, mask="none", end="2022-06-15", damaged="skip") as series:
        assert series.info.left_out == () and len(series.info.times) == 2


def test_a_gap_is_an_error_that_names_the_dates_around_it(tmp_path: Path) -> None:
    paths = three(tmp_path)
    with open_series(tmp_path, mask="none", max_gap=10) as series:
        assert len(series.info.times) == 3
    with pytest.raises(
        GeoadaptError,
        match="has no date between 2022-06-01 and 2022-06-11; 2022-06-11 and 2022-06-21: 10 days .* 9 are allowed",
    ):
        open_series(tmp_path, mask="none", max_gap=9)
    cut(paths[1], 0.1)
    with (
        pytest.warns(UserWarning, match="scene_20220611.tif cannot be read"),
        pytest.raises(GeoadaptError, match="between 2022-06-01 and 2022-06-21: 20 days"),
    ):
        open_series(tmp_path, mask="none", max_gap=10, damaged="skip")
    with pytest.raises(GeoadaptError, match="max_gap: 0 days"):
        open_series(tmp_path, max_gap=0)
