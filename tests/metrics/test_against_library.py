"""Own scores against the ``scores`` library and against sorting and counting by hand."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest
import xarray as xr
from scores import categorical, continuous, probability
from scores.functions import create_latitude_weights

from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.points import comparators, mean_difference
from geoadapt.metrics.precipitation import seeps_map
from geoadapt.metrics.probabilistic import gaussian_crps

LATITUDE, LONGITUDE = np.linspace(75, -75, 11), np.arange(0, 360, 30.0)
RNG = np.random.default_rng(5)
TRUTH = RNG.normal(280, 8, (5, 11, 12))
MEMBERS = TRUTH[:, None] + RNG.normal(0.5, 2, (5, 6, 11, 12))
USUAL = np.full_like(TRUTH, 279.0)
SPACE = ("time", "latitude", "longitude")
AXES = {"latitude": LATITUDE, "longitude": LONGITUDE}
THEIR_TRUTH = xr.DataArray(TRUTH, dims=SPACE, coords=AXES)
THEIR_MEMBERS = xr.DataArray(MEMBERS, dims=("time", "number", "latitude", "longitude"), coords=AXES)
WEIGHTS = create_latitude_weights(THEIR_TRUTH["latitude"])


def ours(name: str, **options) -> np.ndarray:
    made = Accumulator(["x"], LATITUDE, LONGITUDE, [np.timedelta64(1, "D")], [name], **options)
    dates = np.datetime64("2008-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")
    made.add(dates, 0, MEMBERS[:, :, None], TRUTH[:, None], USUAL[:, None])
    return finish(name, made.statistics().totals())[0, 0, 0]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("rmse", lambda f, m: continuous.rmse(f, THEIR_TRUTH, weights=WEIGHTS)),
        ("mae", lambda f, m: continuous.mae(f, THEIR_TRUTH, weights=WEIGHTS)),
        ("bias", lambda f, m: continuous.additive_bias(f, THEIR_TRUTH, weights=WEIGHTS)),
        ("crps", lambda f, m: probability.crps_for_ensemble(m, THEIR_TRUTH, "number", method="fair", weights=WEIGHTS)),
        ("crps_plain", lambda f, m: probability.crps_for_ensemble(m, THEIR_TRUTH, "number", weights=WEIGHTS)),
    ],
)
def test_scores_are_those_of_the_library(name, theirs):
    expected = float(theirs(THEIR_MEMBERS.mean("number"), THEIR_MEMBERS))
    assert float(ours(name)) == pytest.approx(expected, rel=1e-10)


def test_brier_scores_are_those_of_the_library():
    expected = probability.brier_score_for_ensemble(
        THEIR_MEMBERS,
        THEIR_TRUTH,
        "number",
        278.0,
        fair_correction=False,
        weights=WEIGHTS,
        event_threshold_operator=operator.gt,
    )
    assert float(ours("brier", thresholds={"x": [278.0]})[0]) == pytest.approx(float(expected.squeeze()), rel=1e-10)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("hit_rate", "hit_rate"),
        ("false_alarm_ratio", "false_alarm_ratio"),
        ("csi", "critical_success_index"),
        ("ets", "equitable_threat_score"),
        ("frequency_bias", "frequency_bias"),
    ],
)
def test_the_table_of_sums_gives_what_the_table_of_points_does(name, method):
    mean, truth = THEIR_MEMBERS.mean("number"), THEIR_TRUTH
    for limit in (270.0, 283.0):
        manager = categorical.BinaryContingencyManager((mean > limit) * 1, (truth > limit) * 1)
        expected = float(getattr(manager.transform(), method)())
        got = ours(name, weights="none", thresholds={"x": [limit, 1000.0]})
        assert got[0] == pytest.approx(expected, rel=1e-10)
        assert np.isnan(got[1]), "nothing was ever above 1000"


def test_seeps_is_that_of_the_library():
    rng = np.random.default_rng(1)
    said, true = rng.exponential(0.8e-3, (2, 40, 11, 12))
    dry, heavy = rng.uniform(0, 1, (11, 12)), rng.uniform(0.5e-3, 2e-3, (11, 12))
    as_array = {k: xr.DataArray(v, dims=("latitude", "longitude")) for k, v in (("dry", dry), ("heavy", heavy))}
    fields = [xr.DataArray(v * 1000, dims=SPACE) for v in (said, true)]
    expected = categorical.seeps(
        *fields, as_array["dry"], as_array["heavy"] * 1000, dry_light_threshold=0.25, preserve_dims="all"
    )
    np.testing.assert_allclose(seeps_map(said, true, dry, heavy), expected.values, rtol=1e-10)


@pytest.mark.parametrize("members", [*range(1, 20), 50])
def test_the_network_sorts(members):
    rows = np.random.default_rng(members).permutation(members * 3).reshape(members, 3)
    expected = np.sort(rows, axis=0)
    for low, high in comparators(members):
        pair = np.sort(rows[[low, high]], axis=0)
        rows[low], rows[high] = pair
    np.testing.assert_array_equal(rows, expected)


def test_networks_of_few_members_sort_every_order():
    for order in itertools.permutations(range(6)):
        values = list(order)
        for low, high in comparators(6):
            values[low], values[high] = min(values[low], values[high]), max(values[low], values[high])
        assert values == sorted(order)


def test_small_differences_of_large_numbers_survive_single_precision():
    """A spread of 10 Pa about 10⁵ Pa."""
    members = (1e5 + np.random.default_rng(0).normal(0, 10, (10, 500))).astype(np.float32)
    exact = np.abs(members[:, None].astype(float) - members[None]).sum(axis=(0, 1)) / 90
    np.testing.assert_allclose(mean_difference(members), exact, rtol=1e-5)


def test_the_normal_crps_is_the_limit_of_the_ensembles():
    rng = np.random.default_rng(2)
    members = rng.normal(0, 2.0, 20_000)
    for truth in (-3.0, 0.0, 5.0):
        drawn = np.abs(members - truth).mean() - np.abs(members - rng.permutation(members)).mean() / 2
        assert gaussian_crps(np.array(truth), np.array(2.0)) == pytest.approx(drawn, rel=0.02, abs=0.01)
