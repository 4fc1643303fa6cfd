import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig
from geoadapt.fields.csmask import build as csmask
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
    with pytest.raises(GeoadaptError, match="30×20 px has 1 block of 64 px, 2 sides"):
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


def test_a_scene_named_twice_counts_once_and_the_key_of_a_wrong_name_is_said():
    assert choose_test(["a", "b", "c"], ["b", "b"], ["a", "a"], "data.test") == (["a"], ["b"])
    with pytest.raises(GeoadaptError, match=r"data\.train: there is no scene 'cc'; did you mean 'c'"):
        choose_test(["a", "b", "c"], ["b"], ["cc"], "data.test")


@pytest.mark.parametrize(
    ("image", "mask", "said"),
    [
        ((8, 9, 6), (8, 9, 2), r"img \(8, 9, 6\), msk \(8, 9, 2\); expected"),
        ((8, 9), (8, 9), r"img \(8, 9\), msk \(8, 9\); expected"),
        ((8, 9, 4), (8, 9, 1), r"img \(8, 9, 4\)"),
        ((8, 9, 6), (9, 8, 1), r"img \(8, 9, 6\), msk \(9, 8, 1\)"),
    ],
)
def test_a_file_of_another_layout_is_named_with_what_it_holds(tmp_path, image, mask, said):
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", img=np.zeros(image), msk=np.zeros(mask))
    with pytest.raises(GeoadaptError, match=r"[ab]\.npz: " + said):
        csmask(CsmaskConfig(root=str(tmp_path), test=["b"]))


def test_scaled_numbers_are_refused_and_infinite_pixels_are_missing(tmp_path):
    image = np.full((64, 128, 6), 0.2)
    image[0, 0] = np.inf
    np.savez(tmp_path / "a.npz", img=image, msk=np.zeros((64, 128)))
    assert csmask(CsmaskConfig(root=str(tmp_path))).train[0].shape == (64, 128)
    np.savez(tmp_path / "a.npz", img=image * 10000, msk=np.zeros((64, 128)))
    with pytest.raises(GeoadaptError, match=r"a\.npz: img reaches 2000; expected reflectance 0–1; divide by 10000"):
        csmask(CsmaskConfig(root=str(tmp_path)))
