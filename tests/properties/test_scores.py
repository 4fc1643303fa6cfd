"""What must hold of scores whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.points import mean_difference

LEAD = [np.timedelta64(1, "D")]


def dates(count: int) -> np.ndarray:
    return np.datetime64("2008-01-01", "ns") + np.arange(count) * np.timedelta64(1, "D")


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.linspace(70, -60, height), np.linspace(0, 40, width)


def scored(forecast, truth, names, usual=None, pieces=None, **options):
    made = Accumulator(["x"], *grid(*truth.shape[-2:]), LEAD, names, **options)
    for piece in pieces or [slice(None)]:
        made.add(dates(len(truth))[piece], 0, forecast[piece], truth[piece], None if usual is None else usual[piece])
    totals = made.statistics().totals()
    return [finish(name, totals)[0, 0, 0] for name in names]


@st.composite
def ensembles(draw, most: int = 7):
    b, m = draw(st.integers(1, 6)), draw(st.integers(1, most))
    h, w = draw(st.integers(2, 7)), draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    centre = draw(st.sampled_from([0.0, 280.0, 1e5]))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    truth = (centre + rng.normal(0, 5, (b, 1, h, w))).astype(kind)
    members = (truth[:, None] + rng.normal(0.3, 2, (b, m, 1, h, w))).astype(kind)
    return members, truth, np.full_like(truth, centre + 1)


NAMES = ["rmse", "mae", "bias", "acc", "crps", "crps_plain", "rank_histogram"]


@settings(max_examples=40)
@given(ensembles(), st.data())
def test_any_chunking_of_dates_gives_the_whole(sample, data):
    members, truth, usual = sample
    cuts = sorted(data.draw(st.sets(st.integers(1, len(truth)), max_size=4)) | {0, len(truth)})
    pieces = [slice(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    order = data.draw(st.permutations(pieces))
    whole = scored(members, truth, NAMES, usual)
    parts = scored(members, truth, NAMES, usual, order)
    for name, one, other in zip(NAMES, whole, parts, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-12, err_msg=name)


@settings(max_examples=40)
@given(ensembles(), st.data())
def test_the_order_of_the_members_does_not_matter(sample, data):
    members, truth, usual = sample
    order = data.draw(st.permutations(range(members.shape[1])))
    for one, other in zip(
        scored(members, truth, NAMES, usual), scored(members[:, order], truth, NAMES, usual), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


@settings(max_examples=40)
@given(ensembles(1))
def test_crps_of_one_member_is_its_absolute_error(sample):
    members, truth, _ = sample
    fair, plain, almost, mae = scored(members, truth, ["crps", "crps_plain", "crps_almost_fair", "mae"])
    assert fair == plain == almost == mae


@settings(max_examples=40)
@given(ensembles())
def test_crps_is_that_of_its_definition(sample):
    members, truth, _ = sample
    m = members.shape[1]
    x, y = members.astype(float)[:, :, 0], truth.astype(float)[:, 0]
    pairs = np.abs(x[:, :, None] - x[:, None]).sum(axis=(1, 2))
    distance = np.abs(x - y[:, None]).mean(axis=1)
    fair, plain = ((distance - pairs / below).mean() for below in (2 * m * max(m - 1, 1), 2 * m * m))
    names = ["crps", "crps_plain", "crps_almost_fair"]
    got = scored(members, truth, names, weights="none")
    np.testing.assert_allclose(got, [fair, plain, 0.95 * fair + 0.05 * plain], rtol=1e-4, atol=1e-6)


@given(st.integers(2, 40), st.integers(0, 1000))
def test_mean_differences_are_those_of_all_pairs(members, seed):
    values = np.random.default_rng(seed).normal(size=(members, 5))
    expected = np.abs(values[:, None] - values).sum(axis=(0, 1)) / (members * (members - 1))
    np.testing.assert_allclose(mean_difference(values.copy()), expected, rtol=1e-10)


@settings(max_examples=10)
@given(st.integers(2, 12), st.integers(0, 1000))
def test_fair_crps_and_spread_are_right_for_ensembles_of_any_size(members, seed):
    """Truth and members drawn alike: fair CRPS is that of the distribution, spread equals skill, ranks are flat."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(280, 2, (40, members + 1, 1, 40, 50)).astype(np.float32)
    truth, forecast = drawn[:, 0], drawn[:, 1:]
    names = ["crps", "spread_skill", "rank_histogram", "unbiased_rmse"]
    crps, ratio, ranks, skill = scored(forecast, truth, names, weights="none")
    assert crps == pytest.approx(2 / np.sqrt(np.pi), rel=0.02)
    assert ratio == pytest.approx(1, abs=0.02) and skill == pytest.approx(2, rel=0.02)
    assert ranks == pytest.approx(1 / (members + 1), abs=0.01) and ranks.sum() == pytest.approx(1)


@settings(max_examples=30)
@given(ensembles())
def test_the_climatology_as_a_forecast_has_no_correlation(sample):
    _, truth, usual = sample
    acc, activity, rmse = scored(usual, truth, ["acc", "activity", "rmse"], usual)
    assert np.isnan(acc) and activity == 0 and rmse > 0


@settings(max_examples=40)
@given(ensembles(3), st.floats(-6, 6), st.sampled_from([1, 3, 5]))
def test_fractions_skill_lies_between_nothing_and_all(sample, limit, window):
    members, truth, usual = sample
    options = {"thresholds": {"x": [float(usual.flat[0]) + limit]}, "windows": [window]}
    ((got,),) = scored(members, truth, ["fss"], **options)[0]
    assert np.isnan(got) or -1e-12 <= got <= 1 + 1e-12


@settings(max_examples=40)
@given(ensembles(), st.floats(-6, 6))
def test_scores_of_events_lie_in_their_ranges(sample, limit):
    members, truth, usual = sample
    options = {"thresholds": {"x": [float(usual.flat[0]) + limit]}}
    brier, hits, alarms, csi, ets = scored(
        members, truth, ["brier", "hit_rate", "false_alarm_ratio", "csi", "ets"], **options
    )
    for (value,), low in ((brier, 0), (hits, 0), (alarms, 0), (csi, 0), (ets, -1 / 3)):
        assert np.isnan(value) or low - 1e-9 <= value <= 1 + 1e-9
    assert not hits > 0 or csi <= hits + 1e-9
