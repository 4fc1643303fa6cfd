"""Risk over coverage from histograms equals sorting all pixels, and blocks add up to the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoadapt.metrics.segmentation import bootstrap
from geoadapt.metrics.selective import LEVELS, aurc, block_histograms, least_aurc, levels, risk_coverage

Bools = NDArray[np.bool_]


def histogram(found: NDArray[np.uint8], wrong: Bools) -> NDArray[np.int64]:
    (counts,) = block_histograms(found[None], wrong[None], np.ones((1, len(found)), bool), len(found))
    return counts


def by_sorting(order: NDArray[np.intp], wrong: Bools) -> float:
    """The mean over all coverages of the share that is wrong among the pixels kept."""
    return float((np.cumsum(wrong[order]) / np.arange(1, len(wrong) + 1)).mean())


@settings(max_examples=50)
@given(size=st.integers(1, 40), seed=st.integers(0, 999))
def test_without_ties_the_area_is_that_of_the_sorted_pixels(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, wrong = rng.permutation(LEVELS)[:size].astype(np.uint8), rng.random(size) < 0.3
    counts = histogram(found, wrong)
    assert float(aurc(counts)) == pytest.approx(by_sorting(np.argsort(found), wrong))
    assert float(least_aurc(counts)) == pytest.approx(by_sorting(np.argsort(wrong, kind="stable"), wrong))
    assert float(least_aurc(counts)) <= float(aurc(counts)) + 1e-12


def test_ties_are_the_mean_over_their_orders() -> None:
    wrong = np.array([True, False, False, True, False])
    found = np.array([0, 3, 3, 3, 9], np.uint8)
    orders = [[0, *middle, 4] for middle in ([1, 2, 3], [1, 3, 2], [3, 1, 2])]
    expected = np.mean([by_sorting(np.array(order), wrong) for order in orders])
    assert float(aurc(histogram(found, wrong))) == pytest.approx(expected)


def test_a_doubt_that_says_nothing_has_the_error_rate_for_its_area() -> None:
    wrong = np.random.default_rng(0).random(5000) < 0.2
    assert float(aurc(histogram(np.zeros(5000, np.uint8), wrong))) == pytest.approx(wrong.mean())


def test_no_error_has_no_area_and_no_pixel_has_none_at_all() -> None:
    found = np.arange(20, dtype=np.uint8)
    assert float(aurc(histogram(found, np.zeros(20, bool)))) == 0
    assert np.isnan(aurc(np.zeros((3, LEVELS, 2)))).all()
    assert [len(part) for part in risk_coverage(np.zeros((LEVELS, 2), np.int64))] == [0, 0]


def test_levels_keep_the_order_from_sure_to_unsure_and_mark_what_is_unknown() -> None:
    doubts = np.concatenate([[0], np.geomspace(1e-7, 1, 1000)]).astype(np.float32)
    found = levels(doubts)
    assert (np.diff(found.astype(int)) >= 0).all()
    assert (found.min(), found.max()) == (0, LEVELS - 1) and len(np.unique(found)) == LEVELS
    assert levels(np.array([np.nan, 1.0], np.float32)).tolist() == [255, LEVELS - 1]


@settings(max_examples=30)
@given(height=st.integers(1, 30), width=st.integers(1, 30), block=st.integers(1, 16), seed=st.integers(0, 99))
def test_blocks_add_up_to_the_pixels_asked_for(height: int, width: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = rng.integers(0, LEVELS, (height, width)).astype(np.uint8)
    wrong, asked = rng.random((height, width)) < 0.3, rng.random((height, width)) < 0.7
    counts = block_histograms(found, wrong, asked, block)
    assert counts[..., 1].sum() == (wrong & asked).sum() and counts.sum() == asked.sum()
    assert (counts.sum(axis=(1, 2)) > 0).all(), "a block without a pixel must not be drawn"
    assert (counts.sum(axis=(0, 2)) == np.bincount(found[asked], minlength=LEVELS)).all()


def test_the_curve_ends_at_the_error_rate_of_all_pixels() -> None:
    wrong = np.array([False, False, True, True])
    coverage, risk = risk_coverage(histogram(np.array([1, 2, 3, 3], np.uint8), wrong))
    assert coverage.tolist() == [0.25, 0.5, 1] and risk.tolist() == [0, 0, 0.5]


def test_draws_over_blocks_are_paired() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (12, LEVELS, 2))
    drawn = bootstrap({"a": counts, "b": counts.copy()}, aurc, draws=40, seed=1)
    assert np.array_equal(drawn["a"], drawn["b"]) and drawn["a"].std() > 0
