import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import MappedLabels, choose_test, split_blocks
from geoadapt.io.arrays import ArraySource
from geoadapt.io.base import Window


@given(st.integers(1, 300), st.integers(1, 300), st.integers(8, 64), st.integers(0, 5))
def test_sides_are_disjoint_and_together_are_the_scene(height, width, block, seed):
    blocks = -(-height // block) * -(-width // block)
    if blocks < 2:
        return
    sides = split_blocks(height, width, block, {"val": 0.2, "train": 0.8}, seed)
    whole = Window(0, 0, height, width)
    together = sum(side.pixels(whole).astype(int) for side in sides.values())
    assert np.array_equal(together, np.ones((height, width), int))
    assert all(side.windows(height, width) for side in sides.values())


def test_the_same_seed_splits_the_same_way_and_another_one_another_way():
    first, again, other = (split_blocks(512, 512, 64, {"val": 0.2, "train": 0.8}, s)["val"].mask for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_too_small_a_scene_says_how_many_blocks_it_has():
    with pytest.raises(GeoadaptError, match="30×20 px has 1 blocks of 64 px, 2 sides"):
        split_blocks(30, 20, 64, {"val": 0.2, "train": 0.8}, 0)


def test_a_mistyped_test_scene_gets_the_nearest_name():
    with pytest.raises(GeoadaptError, match=r"no scene 'landsat'; did you mean 'landsat7'"):
        choose_test(["landsat7", "sentinel2"], ["landsat"], [], "data.test")


def test_a_scene_cannot_be_on_both_sides():
    with pytest.raises(GeoadaptError, match="named for training and for test"):
        choose_test(["a", "b"], ["a"], ["a"], "data.test")


def test_naming_every_scene_as_test_leaves_nothing_to_train_on():
    with pytest.raises(GeoadaptError, match="no scene is left for training"):
        choose_test(["a", "b"], ["a", "b"], [], "data.test")


def test_label_values_without_a_class_are_ignored():
    source = ArraySource(np.array([[[0, 1, 2, 9]]], np.uint8), ("label",))
    assert MappedLabels(source, {0: 3, 1: 0, 2: 0}).read(Window(0, 0, 1, 4)).tolist() == [[[3, 0, 0, 255]]]
