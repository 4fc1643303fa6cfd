"""Neighbourhoods, spectra and similarity, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.neighbourhood import fractions
from geoadapt.metrics.similarity import ms_ssim
from geoadapt.metrics.spectral import spectral_distances, zonal_power

LATITUDE, LONGITUDE = np.linspace(75, -75, 11), np.arange(0, 360, 15.0)
RNG = np.random.default_rng(3)


def totals(forecast, truth, scores, longitude=LONGITUDE, **options):
    made = Accumulator(["x"], LATITUDE, longitude, [np.timedelta64(1, "D")], scores, **options)
    dates = np.datetime64("2008-01-01", "ns") + np.arange(len(truth)) * np.timedelta64(1, "D")
    made.add(dates, 0, forecast, truth)
    return made.statistics().totals()


def test_neighbourhoods_continue_across_the_ends_of_a_circle_and_stop_at_those_of_a_window():
    events = np.zeros((7, 8), bool)
    events[3, 0] = True
    around = fractions(events, 3, circle=True)
    assert around[2:5, [0, 1, 7]] == pytest.approx(1 / 9)
    assert around.sum() == pytest.approx(1)
    window = fractions(events, 3, circle=False)
    assert window[2:5, 1] == pytest.approx(1 / 9) and (window[:, [0, 7]] == 0).all()
    with pytest.raises(GeoadaptError, match="4 px has no centre"):
        fractions(events, 4, circle=True)


def test_a_shifted_event_is_forgiven_by_a_window_that_reaches_it():
    truth = np.zeros((1, 1, 11, 24))
    truth[0, 0, 4:7, 4:7] = 1
    forecast = np.roll(truth, 2, axis=-1)
    options = {"thresholds": {"x": [0.5]}, "windows": [1, 3, 5]}
    got = finish("fss", totals(forecast, truth, ["fss"], **options))[0, 0, 0, 0]
    assert got[0] < got[1] < got[2] < 1
    assert finish("fss", totals(truth, truth, ["fss"], **options))[0, 0, 0, 0] == pytest.approx(1)
    assert np.isnan(finish("fss", totals(0 * truth, 0 * truth, ["fss"], **options))).all()


def test_a_known_gap_excludes_the_neighbourhoods_that_it_touches():
    truth = RNG.normal(size=(1, 1, 11, 24))
    forecast = truth + 0.3
    truth[0, 0, 5, 3] = np.nan
    options = {"thresholds": {"x": [0.5]}, "windows": [1, 3]}
    assert np.isnan(finish("fss", totals(forecast, truth, ["fss"], **options))).all()
    got = finish("fss", totals(forecast, truth, ["fss"], missing="skip", **options))
    other = truth.copy()
    other[0, 0, 5, 3] = 99.0
    filled = totals(forecast, other, ["fss"], **options)
    said, true = (fractions(v > 0.5, 3, True)[0, 0] for v in (forecast, other))
    keep = np.ones((11, 24), bool)
    keep[4:7, 2:5] = False
    weights = np.where(keep, np.cos(np.deg2rad(LATITUDE))[:, None], 0)
    expected = 1 - (weights * (said - true) ** 2).sum() / (weights * (said**2 + true**2)).sum()
    assert got[0, 0, 0, 0, 1] == pytest.approx(expected)
    assert got[0, 0, 0, 0, 1] != pytest.approx(finish("fss", filled)[0, 0, 0, 0, 1], rel=1e-6)


def test_spectra_sum_to_the_mean_square_and_find_a_wave():
    field = RNG.normal(size=(2, 3, 11, 24))
    for values in (field, field[..., :23]):
        np.testing.assert_allclose(zonal_power(values).sum(axis=-1), (values**2).mean(axis=-1))
    wave = 3 * np.cos(np.deg2rad(LONGITUDE) * 5) * np.ones((1, 1, 11, 1))
    got = finish("spectrum", totals(wave, 2 * wave, ["spectrum", "truth_spectrum"]))[0, 0, 0]
    assert got[5] == pytest.approx(4.5) and np.delete(got, 5) == pytest.approx(0, abs=1e-20)
    ratio = finish("spectrum_ratio", totals(wave, 2 * wave, ["spectrum_ratio"]))[0, 0, 0]
    assert ratio[5] == pytest.approx(0.25)


def test_a_straight_slope_over_a_window_is_no_wave():
    window = np.linspace(-60, 0, 24)
    slope = np.linspace(0, 100, 24) * np.ones((1, 1, 11, 1))
    got = finish("spectrum", totals(slope, slope, ["spectrum"], longitude=window))[0, 0, 0]
    assert got[1:] == pytest.approx(0, abs=1e-9)


def test_a_smoothed_forecast_loses_its_small_scales():
    truth, other = RNG.normal(size=(2, 1, 1, 64, 128))
    smooth = truth
    for axis in (-1, -2):
        smooth = (np.roll(smooth, 1, axis) + 2 * smooth + np.roll(smooth, -1, axis)) / 4
    assert spectral_distances(truth, truth) == pytest.approx((0, 0), abs=1e-12)
    smoothed, drawn_again = (spectral_distances(field, truth, 0.5) for field in (smooth, other))
    assert smoothed[0] > 5 * drawn_again[0] and smoothed[1] > 5 * drawn_again[1]


def test_similarity_knows_structure_and_not_amplitude():
    smooth = np.cumsum(np.cumsum(RNG.normal(size=(40, 60)), axis=0), axis=1)
    found = ms_ssim(np.stack([smooth, 3 * smooth + 7, RNG.normal(size=(40, 60))]), np.stack([smooth] * 3))
    assert found[:2] == pytest.approx([1, 1])
    assert found[2] < 0.5


def test_structure_over_dates_is_the_mean_over_dates():
    truth = np.cumsum(RNG.normal(size=(4, 1, 11, 24)), axis=-1)
    forecast = truth + RNG.normal(size=truth.shape)
    got = totals(forecast, truth, ["ms_ssim", "specdiv", "specres"])
    assert finish("ms_ssim", got)[0, 0, 0] == pytest.approx(ms_ssim(forecast, truth).mean())
    each = [spectral_distances(f[None], t[None]) for f, t in zip(forecast, truth, strict=True)]
    assert finish("specdiv", got)[0, 0, 0] == pytest.approx(np.mean([e[0] for e in each]))
    assert finish("specres", got)[0, 0, 0] == pytest.approx(np.mean([e[1] for e in each]))


def test_the_energy_score_of_rows_is_that_of_its_definition():
    truth = RNG.normal(size=(2, 1, 11, 24))
    members = truth[:, None] + RNG.normal(size=(2, 3, 1, 11, 24))
    got = finish("energy", totals(members, truth, ["energy"], weights="none"))[0, 0, 0]
    distance = np.linalg.norm(members - truth[:, None], axis=-1).mean()
    pairs = [
        np.linalg.norm(members[:, i] - members[:, j], axis=-1).mean() for i in range(3) for j in range(3) if i != j
    ]
    assert got == pytest.approx(distance - 0.5 * np.mean(pairs))
