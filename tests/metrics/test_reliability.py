"""A predicted scale is judged by histograms that add up, and say what the pixels themselves would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.reliability import (
    LEVELS,
    aurc,
    calibration_error,
    calibration_factor,
    likelihood_factor,
    reliability,
    risk_coverage,
    scale_histograms,
    scale_levels,
)

Floats = NDArray[np.float64]


def laplace(seed: int = 0, shape: tuple[int, ...] = (2, 200, 200)) -> tuple[Floats, Floats]:
    """Scales, and errors that they describe."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.normal(-4, 0.7, shape))
    return scale, np.abs(rng.laplace(0, scale))


def histogram(scale: Floats, error: Floats) -> Floats:
    return scale_histograms(scale, error, np.ones(scale.shape, bool))


def test_a_true_scale_lies_on_the_diagonal_and_a_doubled_one_twice_as_far() -> None:
    scale, error = laplace()
    right, wrong = histogram(scale, error), histogram(2 * scale, error)
    curve = reliability(right[0], bins=8)
    assert len(curve.count) == 8 and (np.diff(curve.predicted) > 0).all()
    np.testing.assert_allclose(curve.observed, curve.predicted, rtol=0.06)
    assert calibration_error(right[0]) < 0.03 * error[0].mean()
    assert calibration_error(wrong[0]) == pytest.approx(error[0].mean(), rel=0.05)


@given(factor=st.floats(0.1, 10))
@settings(max_examples=10, deadline=None)
def test_calibration_finds_the_factor_that_a_scale_was_spoilt_by(factor: float) -> None:
    scale, error = laplace(shape=(2, 100, 100))
    true = histogram(scale, error)
    spoilt = histogram(scale / factor, error)
    np.testing.assert_allclose(calibration_factor(spoilt), factor * calibration_factor(true), rtol=1e-9)
    np.testing.assert_allclose(likelihood_factor(spoilt), factor * likelihood_factor(true), rtol=1e-9)
    found = calibration_factor(spoilt)
    assert found == pytest.approx([error[c].mean() / (scale[c] / factor).mean() for c in range(2)])
    assert calibration_error(spoilt[0], factor=float(found[0])) < 0.05 * error[0].mean()


def test_the_likelihood_factor_is_the_best_of_all() -> None:
    scale, error = laplace(3, (40, 40))
    scale = scale * 3.0
    best = float(likelihood_factor(histogram(scale, error)))

    def loss(factor: float) -> float:
        return float((error / (factor * scale) + np.log(2 * factor * scale)).mean())

    assert all(loss(best) < loss(best * (1 + step)) for step in (-0.01, 0.01))


def test_chips_add_up_to_the_whole_and_pixels_that_do_not_count_leave_no_trace() -> None:
    scale, error = laplace(1, (3, 32, 48))
    asked = np.random.default_rng(1).random(scale.shape) < 0.6
    scale[0, 0, :5], error[1, 3, :7] = np.nan, np.inf
    whole = scale_histograms(scale, error, asked)
    parts = [scale_histograms(scale[..., s], error[..., s], asked[..., s]) for s in (slice(0, 16), slice(16, 48))]
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-12)
    kept = asked & np.isfinite(scale) & np.isfinite(error)
    np.testing.assert_allclose(whole.sum(axis=-2)[:, 0], kept.sum(axis=(1, 2)))
    np.testing.assert_allclose(whole.sum(axis=-2)[:, 2], np.where(kept, error, 0).sum(axis=(1, 2)))


@given(size=st.integers(1, 60), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_risk_over_coverage_is_that_of_the_sorted_pixels(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = 2.0 ** (-10 + (rng.permutation(LEVELS - 120)[:size] + 0.5) / 16)
    error = rng.exponential(0.02, size)
    sums = histogram(scale[None], error[None])
    order = np.argsort(scale)
    risk = np.cumsum(error[order]) / np.arange(1, size + 1)
    coverage, found = risk_coverage(sums)
    np.testing.assert_allclose(coverage, np.arange(1, size + 1) / size)
    np.testing.assert_allclose(found, risk)
    assert float(aurc(sums)) == pytest.approx(risk.mean())
    least = np.cumsum(np.sort(error)) / np.arange(1, size + 1)
    assert float(aurc(sums)) >= least.mean() - 1e-12


def test_a_scale_that_says_nothing_has_the_mean_error_for_its_area() -> None:
    _, error = laplace(2, (50, 50))
    assert float(aurc(histogram(np.full_like(error, 0.03), error))) == pytest.approx(error.mean())


def test_levels_are_in_order_and_hold_what_lies_beyond_them() -> None:
    found = scale_levels(np.concatenate([[1e-30], np.geomspace(1e-6, 20, 500), [1e9]]))
    assert (np.diff(found) >= 0).all() and found.min() == 0 and found.max() == LEVELS - 1


def test_no_pixel_means_no_number_and_no_correction() -> None:
    empty = np.zeros((2, LEVELS, 4))
    assert np.isnan(aurc(empty)).all() and np.isnan(calibration_error(empty[0]))
    assert reliability(empty[0]).count.size == 0
    np.testing.assert_array_equal(calibration_factor(empty), [1, 1])
    np.testing.assert_array_equal(likelihood_factor(empty), [1, 1])


def test_a_scale_of_nothing_and_shapes_that_differ_are_errors() -> None:
    one = np.ones((4, 4))
    with pytest.raises(GeoadaptError, match="is 0 somewhere"):
        scale_histograms(0 * one, one, one > 0)
    with pytest.raises(GeoadaptError, match="expected the same"):
        scale_histograms(one, one[:3], one > 0)
