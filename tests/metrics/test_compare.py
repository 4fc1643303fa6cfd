from __future__ import annotations

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.compare import batch_means, bootstrap, compare, flat, key
from geoadapt.metrics.statistics import common

LATITUDE, LONGITUDE = np.linspace(60, 20, 5), np.arange(-80, -20, 10.0)
LEADS = np.array([24, 72], "timedelta64[h]")
DATES = np.datetime64("2008-01-01", "ns") + np.arange(70) * np.timedelta64(1, "D")
CHANNEL = "mean_sea_level_pressure"


def statistics(noise: float, dates=DATES, scores=("rmse", "acc", "bias"), leads=(0, 1), seed=1):
    made = Accumulator([CHANNEL], LATITUDE, LONGITUDE, LEADS, scores)
    for lead in leads:
        for date in dates:
            rng = np.random.default_rng([seed, lead, int((date - DATES[0]) / np.timedelta64(1, "D"))])
            truth, error = rng.normal(0, 1000, (1, 1, 5, 6)), rng.normal(0, 1, (1, 1, 5, 6))
            usual = np.zeros_like(truth)
            made.add([date], lead, 1e5 + truth + noise * error, 1e5 + truth, 1e5 + usual)
    return made.statistics()


def test_keys_are_those_of_metrics_json():
    assert key("rmse", CHANNEL, LEADS[1]) == "rmse/mean_sea_level_pressure/72h"
    assert key("acc", "temperature@850", np.timedelta64(90, "m"), "europe") == "acc/temperature@850/1.5h/europe"


def test_results_have_intervals_and_gains_that_tell_better_from_worse():
    found = compare({"test": statistics(400), "persistence": statistics(500)}, ["rmse", "acc", "bias"], draws=300)
    where = f"{CHANNEL}/24h"
    for who in ("test", "persistence"):
        assert found[f"{who}/rmse_low/{where}"] < found[f"{who}/rmse/{where}"] < found[f"{who}/rmse_high/{where}"]
    difference = found[f"persistence/rmse/{where}"] - found[f"test/rmse/{where}"]
    assert found[f"persistence/rmse_gain/{where}"] == pytest.approx(difference)
    assert found[f"persistence/acc_gain/{where}"] > found[f"persistence/acc_gain_low/{where}"] > 0
    assert f"persistence/bias_gain/{where}" not in found and f"test/rmse_gain/{where}" not in found
    worse = compare({"test": statistics(500), "persistence": statistics(400)}, ["rmse"], draws=300)
    assert worse[f"persistence/rmse_gain_high/{where}"] < 0


def test_differences_are_paired_block_by_block():
    same = {"test": statistics(400), "twin": statistics(400)}
    draws = bootstrap(same, "rmse", draws=50, seed=3)
    np.testing.assert_array_equal(draws["test"], draws["twin"])
    found = compare({"test": statistics(400), "persistence": statistics(500)}, ["rmse"], draws=300)
    where = f"{CHANNEL}/24h"
    paired = found[f"persistence/rmse_gain_high/{where}"] - found[f"persistence/rmse_gain_low/{where}"]
    alone = found[f"persistence/rmse_high/{where}"] - found[f"persistence/rmse_low/{where}"]
    assert paired < 0.5 * alone


def test_models_are_compared_on_the_dates_and_leads_that_all_have():
    long, late, short = statistics(400), statistics(500, DATES[20:]), statistics(300, leads=(0,))
    shared = common({"test": long, "late": late, "short": short})
    assert all(len(part.times) == 50 for part in shared.values())
    found = compare({"test": long, "late": late, "short": short}, ["rmse"], draws=20)
    assert found[f"test/rmse/{CHANNEL}/24h"] == pytest.approx(
        flat(statistics(400, DATES[20:]), ["rmse"])[f"rmse/{CHANNEL}/24h"]
    )
    assert np.isnan(found[f"test/rmse/{CHANNEL}/72h"])


def test_models_without_a_common_date_cannot_be_compared():
    with pytest.raises(GeoadaptError, match="share no date"):
        compare({"test": statistics(1, DATES[:5]), "other": statistics(1, DATES[5:9])}, ["rmse"])
    with pytest.raises(GeoadaptError, match="did you mean 'test'"):
        compare({"test": statistics(1, DATES[:5])}, ["rmse"], model="tests")


def test_a_single_block_has_no_interval():
    found = compare({"test": statistics(400, DATES[:6])}, ["rmse"], draws=20)
    assert np.isfinite(found[f"test/rmse/{CHANNEL}/24h"])
    assert np.isnan(found[f"test/rmse_low/{CHANNEL}/24h"])


def test_longer_blocks_give_wider_intervals_where_errors_persist():
    made = Accumulator([CHANNEL], LATITUDE, LONGITUDE, LEADS[:1], ["bias"])
    rng = np.random.default_rng(0)
    for start in range(0, 70, 7):
        level = rng.normal()
        for date in DATES[start : start + 7]:
            made.add([date], 0, np.full((1, 1, 5, 6), level), np.zeros((1, 1, 5, 6)))
    found = made.statistics()
    width = {days: np.ptp(bootstrap({"a": found}, "bias", 400, 0, days)["a"]) for days in (1, 7)}
    assert width[7] > 1.5 * width[1]


def test_the_mean_of_batches_is_not_the_score_of_all_dates():
    found = statistics(400)
    parts = [statistics(400, DATES[start : start + 32]) for start in (0, 32, 64)]
    expected = np.mean([finish("rmse", part.totals()) for part in parts], axis=0)
    np.testing.assert_allclose(batch_means(found, "rmse"), expected, rtol=1e-12)
    assert abs(expected - finish("rmse", found.totals())).max() > 1e-6


def test_totals_are_the_sum_of_the_blocks():
    found = statistics(400)
    for name, values in found.blocks(7).items():
        assert len(values) == 10
        np.testing.assert_allclose(values.sum(axis=0), found.totals()[name], rtol=1e-12)
    assert finish("rmse", found.totals())[0, 0, 0] == pytest.approx(400, rel=0.05)
