from __future__ import annotations

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import SCORES, finish
from geoadapt.metrics.compare import flat
from geoadapt.metrics.statistics import concatenate, load_statistics, save_statistics
from geoadapt.metrics.weights import Box, latitude_weights

LATITUDE, LONGITUDE = np.linspace(60, 20, 9), np.arange(-80, 0, 10.0)
LEADS = np.array([24, 48], "timedelta64[h]")
DATES = np.datetime64("2008-01-01", "ns") + np.arange(6) * np.timedelta64(1, "D")
CHANNELS = ("temperature@850", "mean_sea_level_pressure")


def fields(seed: int = 0, members: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecast (d, n, m, c, h, w), truth and climatology (d, n, c, h, w), float32."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(280, 8, (6, 2, 2, 9, 8)).astype(np.float32)
    forecast = truth[:, :, None] + rng.normal(0.5, 2, (6, 2, members, 2, 9, 8)).astype(np.float32)
    return forecast, truth, np.full_like(truth, 279.0)


def accumulator(scores=("rmse",), **options) -> Accumulator:
    return Accumulator(CHANNELS, LATITUDE, LONGITUDE, LEADS, scores, **options)


def scored(forecast, truth, usual=None, **options):
    made = accumulator(**options)
    for lead in range(2):
        made.add(DATES, lead, forecast[:, lead], truth[:, lead], None if usual is None else usual[:, lead])
    return made.statistics()


def test_the_root_comes_after_the_mean_over_dates_and_space():
    forecast, truth, _ = fields(members=1)
    squares = (forecast[:, :, 0].astype(float) - truth) ** 2
    weights = latitude_weights(LATITUDE, "cos")[:, None]
    expected = np.sqrt((squares * weights).mean(axis=(0, 3, 4)))
    got = finish("rmse", scored(forecast, truth).totals())
    np.testing.assert_allclose(got[:, 0], expected, rtol=1e-6)
    roots = np.sqrt((squares * weights).mean(axis=(3, 4))).mean(axis=0)
    assert (np.abs(got[:, 0] - roots) > 1e-4).all()


def test_a_forecast_without_members_is_one_with_a_single_member():
    forecast, truth, _ = fields(members=1)
    with_axis = scored(forecast, truth)
    without = scored(forecast[:, :, 0], truth)
    np.testing.assert_array_equal(with_axis.sums["squared_error"], without.sums["squared_error"])


def test_regions_are_scored_as_their_cut_out_would_be():
    forecast, truth, _ = fields()
    whole = scored(forecast, truth, regions={"west": Box(-80, 30, -45, 60)})
    rows, columns = LATITUDE >= 30, LONGITUDE <= -45
    cut = Accumulator(CHANNELS, LATITUDE[rows], LONGITUDE[columns], LEADS, ("rmse",))
    for lead in range(2):
        cut.add(DATES, lead, forecast[:, lead][..., rows, :][..., columns], truth[:, lead][..., rows, :][..., columns])
    got = finish("rmse", whole.totals())[:, 1]
    np.testing.assert_allclose(got, finish("rmse", cut.statistics().totals())[:, 0], rtol=1e-12)
    assert "rmse/temperature@850/24h/west" in flat(whole, ["rmse"])


def test_an_unexpected_nan_is_seen_and_a_masked_one_is_left_out():
    forecast, truth, _ = fields()
    truth[2, 1, 0, 4, 4] = np.nan
    loud = finish("rmse", scored(forecast, truth).totals())[:, 0]
    assert np.isnan(loud).tolist() == [[False, False], [True, False]]
    masked = accumulator()
    for lead in range(2):
        masked.add(DATES, lead, forecast[:, lead], truth[:, lead], mask=np.isfinite(truth[:, lead]))
    skipped = scored(forecast, truth, missing="skip")
    got = finish("rmse", masked.statistics().totals())
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got, finish("rmse", skipped.totals()))
    squares = (forecast.astype(float).mean(axis=2) - truth)[:, 1, 0] ** 2
    weights = np.where(np.isnan(squares), 0, latitude_weights(LATITUDE, "cos")[:, None])
    expected = np.sqrt(np.nansum(squares * weights) / weights.sum())
    assert got[1, 0, 0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in SCORES if name not in ("seeps", "spectrum")])
def test_no_score_hides_a_nan(name):
    forecast, truth, usual = fields()
    truth[2, 0, 0, 4, 4] = np.nan
    options = {"thresholds": {"temperature@850": [280.0], "mean_sea_level_pressure": [281.0]}, "windows": [3]}
    made = accumulator((name,), **options)
    made.add(DATES, 0, forecast[:, 0], truth[:, 0], usual[:, 0], sigma=np.full_like(usual[:, 0], 8))
    got = finish(name, made.statistics().totals())[0, 0]
    assert np.isnan(got[0]).any(), f"{name} of a channel with a NaN is {got[0]}"
    assert np.isfinite(got[1]).all(), f"{name} of a channel without a NaN is {got[1]}"


def test_workers_parts_add_up_to_the_whole():
    forecast, truth, usual = fields()
    whole = scored(forecast, truth, usual, scores=("rmse", "acc", "crps"))
    parts = []
    for half in (slice(0, 2), slice(2, 6)):
        for lead in range(2):
            one = accumulator(("rmse", "acc", "crps"))
            one.add(DATES[half], lead, forecast[half, lead], truth[half, lead], usual[half, lead])
            parts.append(one.statistics())
    joined = concatenate(parts[::-1])
    assert joined.seen.all() and (joined.times == DATES).all()
    for name, values in whole.sums.items():
        np.testing.assert_allclose(joined.sums[name], values, rtol=1e-12, err_msg=name)


def test_a_forecast_that_is_added_twice_is_an_error():
    forecast, truth, _ = fields()
    made = accumulator()
    made.add(DATES, 0, forecast[:, 0], truth[:, 0])
    with pytest.raises(GeoadaptError, match=r"2008-01-03.*\+24 h was added twice"):
        made.add(DATES[2:3], 0, forecast[2:3, 0], truth[2:3, 0])
    part = made.statistics()
    with pytest.raises(GeoadaptError, match="added twice"):
        concatenate([part, part])
    fresh = accumulator()
    with pytest.raises(GeoadaptError, match="added twice"):
        fresh.add(DATES[[0, 1, 0]], 0, forecast[:3, 0], truth[:3, 0])
    assert fresh.empty


def test_statistics_come_back_from_a_file(tmp_path):
    found = scored(*fields()[:2], regions={"west": Box(-80, 30, -45, 60)})
    save_statistics(found, tmp_path / "sums.npz")
    back = load_statistics(tmp_path / "sums.npz")
    assert (back.channels, back.regions) == (found.channels, found.regions)
    assert (back.times == found.times).all() and (back.leads == found.leads).all() and back.seen.all()
    assert flat(back, ["rmse"]) == flat(found, ["rmse"])


def test_large_fields_are_cut_and_small_ones_gathered_without_a_difference(monkeypatch):
    forecast, truth, usual = fields()
    names = ("rmse", "acc", "crps", "rank_histogram", "brier")
    limits = {"temperature@850": [278.0, 284.0]}
    found = []
    for block in (7, 300, 1 << 18):
        monkeypatch.setattr("geoadapt.metrics.accumulate.BLOCK", block)
        found.append(scored(forecast, truth, usual, scores=names, thresholds=limits))
    for other in found[1:]:
        for name, values in found[0].sums.items():
            np.testing.assert_allclose(other.sums[name], values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forecast": np.zeros((6, 2, 9, 7))}, "forecast.*shape.*expected"),
        ({"truth": np.zeros((5, 2, 9, 8))}, "truth.*shape"),
        ({"climatology": np.zeros((2, 9, 8))}, "climatology.*shape"),
        ({"lead_index": 2}, "lead 2 of 2"),
    ],
)
def test_shapes_that_do_not_fit_are_errors(change, message):
    forecast, truth, usual = fields(members=1)
    given = {"forecast": forecast[:, 0, 0], "truth": truth[:, 0], "climatology": usual[:, 0], "lead_index": 0} | change
    with pytest.raises(GeoadaptError, match=message):
        accumulator().add(DATES, given["lead_index"], given["forecast"], given["truth"], given["climatology"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": ["rmsee"]}, "did you mean 'rmse'"),
        ({"missing": "drop"}, "propagate or skip"),
        ({"thresholds": {"temperatur@850": [1.0]}}, "did you mean 'temperature@850'"),
        ({"weights": "cosine"}, "weights: 'cosine' is unknown"),
    ],
)
def test_options_that_are_unknown_are_errors(options, message):
    with pytest.raises(GeoadaptError, match=message):
        accumulator(**options)


def test_a_score_that_was_not_summed_is_an_error():
    found = scored(*fields()[:2])
    with pytest.raises(GeoadaptError, match="scores.acc: .*anomaly_product"):
        finish("acc", found.totals())
    with pytest.raises(GeoadaptError, match="climatology: is needed"):
        scored(*fields()[:2], scores=("acc",))
    with pytest.raises(GeoadaptError, match="thresholds: are needed"):
        scored(*fields()[:2], scores=("csi",))
