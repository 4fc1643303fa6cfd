"""Which samples of a test are resampled as one: places, chips, or periods of one place's dates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geoadapt.fields.series import Sample
from geoadapt.training.removal_blocks import resampled
from tests.training.small_series import series

ONE = series("one", 3, side=8, dates=40)
NONE = np.zeros((8, 8), bool)


def test_many_places_are_resampled_as_they_are() -> None:
    samples = [Sample(replace(ONE, name=f"p{n % 8}"), n % 5, NONE) for n in range(24)]
    labels, words = resampled(samples)
    assert words == "8 places" and labels == tuple(f"p{n % 8}" for n in range(24))


def test_chips_stand_for_places_where_there_are_few() -> None:
    samples = [Sample(replace(ONE, name=f"p{n % 2}"), n, NONE, row=8 * (n // 2)) for n in range(16)]
    labels, words = resampled(samples)
    assert words == "16 chips of 2 places" and len(set(labels)) == 16


def test_one_chip_of_one_place_is_resampled_by_periods_of_its_dates() -> None:
    labels, words = resampled([Sample(ONE, n, NONE) for n in range(40)])
    days = (ONE.times - ONE.times[0]) / np.timedelta64(1, "D")
    length = days[-1] / 8
    assert words == f"{len(set(labels))} periods of {length:.0f} days" and len(set(labels)) >= 8
    for n, m in ((0, 1), (0, 39), (10, 11)):
        assert (labels[n] == labels[m]) == (int(days[n] // length) == int(days[m] // length))


def test_long_series_have_periods_of_a_season() -> None:
    long = replace(ONE, times=np.datetime64("1990-01-01", "s") + np.arange(40) * np.timedelta64(100, "D"))
    labels, words = resampled([Sample(long, n, NONE) for n in range(40)])
    assert words == "40 periods of 91 days" and len(set(labels)) == 40


def test_a_single_date_and_a_few_chips_are_chips() -> None:
    labels, words = resampled([Sample(ONE, 0, NONE, col=8 * n) for n in range(4)])
    assert words == "4 chips of one place" and len(set(labels)) == 4
