"""Pictures of a stack before and after: one stretch, both halves, the right date above."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geoadapt.errors import GeoadaptError
from geoadapt.report.before_after import GAP, HEAD, SIDE, before_after, labelled, write_animation, write_quicklook

CHANNELS = ("blue", "green", "red")


def series(dates: int = 3) -> np.ndarray:
    ramp = np.linspace(0.02, 0.3, 20 * 30, dtype=np.float32).reshape(20, 30)
    return np.stack([np.stack([ramp, ramp, ramp])] * dates)


def test_equal_reflectance_has_one_colour_on_every_date_before_and_after() -> None:
    after = series()
    before = after.copy()
    before[1, :, :10] = 0.9
    before[2, :, :, :5] = np.nan
    pictures = list(before_after(before, after, CHANNELS))
    assert all(np.array_equal(pictures[0][1], picture) for _, picture in pictures)
    assert np.array_equal(pictures[1][0][10:], pictures[1][1][10:])
    assert (pictures[1][0][:10] == 255).all() and (pictures[2][0][:, :5] == 128).all()


def test_a_stack_without_any_value_is_grey() -> None:
    nothing = np.full((2, 3, 8, 8), np.nan, np.float32)
    assert all((both[0] == 128).all() and (both[1] == 128).all() for both in before_after(nothing, nothing, CHANNELS))


def test_before_and_after_of_other_shapes_are_refused() -> None:
    with pytest.raises(GeoadaptError, match=r"expected \(t, c, h, w\), alike"):
        list(before_after(series(2), series(3), CHANNELS))


@pytest.mark.parametrize(("shape", "size"), [((20, 30), (66, 20)), ((20, 50), (50, 46))])
def test_wide_pictures_stand_above_each_other(tmp_path: Path, shape: tuple[int, int], size: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 90, np.uint8)
    with Image.open(write_quicklook(tmp_path / "q.png", picture, picture)) as made:
        assert made.size == size


def test_an_animation_has_a_frame_per_date_with_its_words(tmp_path: Path) -> None:
    pictures = list(before_after(series(), series(), CHANNELS))
    path = write_animation(tmp_path / "a.webp", pictures, ["2020-01-05", "2020-01-16", "2020-01-27"])
    with Image.open(path) as moving:
        assert getattr(moving, "n_frames", 1) == 3 and moving.size == (2 * 30 + GAP, 20 + HEAD)
    one, other = (labelled(*pictures[0], label) for label in ("2020-01-05", "2020-01-16"))
    assert (one[:HEAD] != other[:HEAD]).any() and np.array_equal(one[HEAD:], other[HEAD:])
    assert SIDE >= 256
