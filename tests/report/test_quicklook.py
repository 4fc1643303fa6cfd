"""Pictures: the right colours in the right places, and missing pixels never black."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.report.quicklook import ERROR_KINDS, colour_errors, colour_labels, encode, rgb, shrink, write_png

CHANNELS = ("blue", "green", "red", "nir")


def test_red_green_blue_are_found_by_name_whatever_their_order() -> None:
    values = np.zeros((4, 8, 8), np.float32)
    values[2, :4] = 0.4
    values[0, 4:] = 0.4
    picture = rgb(values, CHANNELS)
    assert picture[0, 0, 0] > picture[0, 0, 2], "red reflectance in the upper half"
    assert picture[7, 0, 2] > picture[7, 0, 0], "blue reflectance in the lower half"


def test_missing_pixels_are_grey_and_do_not_move_the_stretch() -> None:
    values = np.random.default_rng(0).uniform(0.05, 0.3, (4, 32, 32)).astype(np.float32)
    holed = values.copy()
    holed[1, :4] = np.nan
    picture = rgb(holed, CHANNELS)
    assert (picture[:4] == 128).all()
    assert np.abs(picture[4:].astype(int) - rgb(values, CHANNELS)[4:]).mean() < 4


def test_clouds_do_not_turn_the_ground_black() -> None:
    values = np.random.default_rng(1).uniform(0.06, 0.12, (4, 64, 64)).astype(np.float32)
    values[:, :, 38:] = 0.9
    assert rgb(values, CHANNELS)[:, :38].mean() > 60


@pytest.mark.parametrize("fill", [np.nan, 0.0, 0.3])
def test_a_scene_of_one_value_or_none_is_a_picture_still(fill: float) -> None:
    assert rgb(np.full((4, 5, 7), fill, np.float32), CHANNELS).shape == (5, 7, 3)


def test_without_visible_bands_the_first_is_shown_in_grey() -> None:
    picture = rgb(np.random.default_rng(0).random((2, 9, 9)).astype(np.float32), ("vv", "vh"))
    assert (picture[..., 0] == picture[..., 1]).all() and np.ptp(picture) > 100


def test_values_and_channels_must_agree() -> None:
    with pytest.raises(GeoadaptError, match="expected \\(c, h, w\\)"):
        rgb(np.zeros((3, 4, 4), np.float32), CHANNELS)


def test_labels_take_their_class_colour_and_nodata_is_grey() -> None:
    labels = np.array([[0, 1], [3, 255]], np.uint8)
    picture = colour_labels(labels, CLOUD_CLASSES)
    assert tuple(picture[0, 1]) == CLOUD_CLASSES[1].colour
    assert tuple(picture[1, 0]) == CLOUD_CLASSES[3].colour
    assert tuple(picture[1, 1]) == (128, 128, 128)


def test_errors_are_told_apart_by_kind() -> None:
    truth = np.array([0, 0, 1, 1, 255], np.uint8)[None]
    guess = np.array([0, 1, 0, 2, 1], np.uint8)[None]
    kinds = [info.colour for info in ERROR_KINDS]
    assert [tuple(p) for p in colour_errors(truth, guess)[0]] == [*kinds, (128, 128, 128)]


def test_shrinking_labels_invents_no_colour() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (300, 500)).astype(np.uint8)
    small = shrink(colour_labels(labels, CLOUD_CLASSES), 100, smooth=False)
    assert small.shape == (60, 100, 3)
    assert {tuple(p) for p in small.reshape(-1, 3)} <= {info.colour for info in CLOUD_CLASSES}


def test_a_png_holds_exactly_the_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (11, 13, 3)).astype(np.uint8)
    path = write_png(tmp_path / "quick look.png", picture)
    assert np.array_equal(np.asarray(Image.open(path)), picture)
    assert [p.name for p in tmp_path.iterdir()] == ["quick look.png"]
    assert encode(picture, "JPEG")[:2] == b"\xff\xd8"
