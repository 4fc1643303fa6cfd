import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoadapt.metrics.intervals import interval
from geoadapt.metrics.segmentation import accuracy, block_counts, bootstrap, confusion, f1, iou, mean_iou, scores

TRUTH = np.array([[0, 0, 1, 1], [3, 3, 255, 255]], np.uint8)
SAID = np.array([[0, 1, 1, 1], [3, 0, 0, 1]], np.uint8)


def test_the_matrix_counts_labelled_pixels_only_rows_truth_columns_prediction():
    assert confusion(TRUTH, SAID, (0, 1, 3)).tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0]]


def test_a_pixel_predicted_as_nodata_is_a_miss_and_not_forgotten():
    counts = confusion(np.array([[1, 1]]), np.array([[1, 255]]), (0, 1))
    assert counts[1].tolist() == [0, 1, 1]
    assert iou(counts)[1] == pytest.approx(0.5)
    assert accuracy(counts) == pytest.approx(0.5)


def test_scores_by_hand():
    counts = confusion(TRUTH, SAID, (0, 1, 3))
    assert iou(counts) == pytest.approx([1 / 3, 2 / 3, 1 / 2])
    assert f1(counts) == pytest.approx([1 / 2, 4 / 5, 2 / 3])
    assert mean_iou(counts) == pytest.approx(1 / 2)
    assert scores(counts, ["clear", "cloud", "shadow"])["iou/shadow"] == pytest.approx(0.5)


def test_a_class_that_never_occurs_has_no_score_and_does_not_lower_the_mean():
    counts = confusion(np.array([[0, 1]]), np.array([[0, 1]]), (0, 1, 2))
    assert np.isnan(iou(counts)[2])
    assert mean_iou(counts) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(0, 9))
def test_blocks_add_up_to_the_whole(height, width, block, seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 3, 255], (height, width)).astype(np.uint8)
    said = rng.choice([0, 1, 3, 255], (height, width)).astype(np.uint8)
    parts = block_counts(truth, said, (0, 1, 3), block)
    assert np.array_equal(parts.sum(axis=0), confusion(truth, said, (0, 1, 3)))


def test_differences_of_two_entries_are_paired_block_by_block():
    rng = np.random.default_rng(0)
    good = rng.integers(1, 50, (30, 2, 3))
    draws = bootstrap({"a": good, "b": good.copy()}, mean_iou, draws=200, seed=3)
    assert np.array_equal(draws["a"], draws["b"])
    low, high = interval(draws["a"])
    assert low < float(mean_iou(good.sum(axis=0))) < high


def test_an_interval_of_nothing_is_not_a_number():
    assert all(np.isnan(interval(np.full(5, np.nan))))


def test_without_a_labelled_block_every_draw_is_not_a_number():
    draws = bootstrap({"a": np.zeros((0, 2, 3), np.int64)}, iou, draws=7)
    assert draws["a"].shape == (7, 2) and np.isnan(draws["a"]).all()
