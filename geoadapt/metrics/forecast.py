"""Scores of a forecast as one field: errors, and what is left of them against a climatology.

In: a block of points of forecasts and truth. Out: maps to be integrated with weights; scores (…) from their sums.
An ensemble is scored by its mean here. Means are over dates and space together, and a root comes after them
(WeatherBench 2, eq. 1 and 4): a mean of the dates' roots would be another number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from geoadapt.metrics.points import Points
from geoadapt.metrics.statistics import Totals

__all__ = ["MAPS", "acc", "activity", "bias", "mae", "mean_of", "ratio", "rmse", "root_of", "unnormalised"]

Floats = NDArray[np.float64]
Map: TypeAlias = Callable[[Points], NDArray[np.floating]]

MAPS: dict[str, Map] = {
    "error": lambda at: at.error,
    "absolute_error": lambda at: np.abs(at.error),
    "squared_error": lambda at: at.error * at.error,
    "anomaly_product": lambda at: at.forecast_anomaly * at.truth_anomaly,
    "forecast_anomaly": lambda at: at.forecast_anomaly * at.forecast_anomaly,
    "truth_anomaly": lambda at: at.truth_anomaly * at.truth_anomaly,
}
"""Statistic → its map (b, c, p): e, |e|, e² [units²], and products of the anomalies of forecast and truth."""


def ratio(above: Floats, below: Floats) -> Floats:
    """One over the other (…), NaN where below is 0: a score of nothing is no number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below == 0, np.nan, above / np.where(below == 0, 1, below))


def mean_of(totals: Totals, name: str) -> Floats:
    """Σ w s / Σ w of the statistic called ``name``."""
    weight = totals["weight"]
    values = totals[name]
    return ratio(values, weight.reshape(*weight.shape, *[1] * (values.ndim - weight.ndim)))


def unnormalised(totals: Totals) -> Totals:
    """The same sums over the number of points that count, not over their weights.

    ChaosBench's scores of fields with missing values: its weights have mean 1 over the whole grid, and keep it.
    """
    return {**totals, "weight": totals["count"]}


def root_of(values: Floats) -> Floats:
    """√ of what cannot be negative but for sampling: NaN below 0."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(values)


def rmse(totals: Totals) -> Floats:
    """√(Σ w e² / Σ w) [units]; WeatherBench 2, eq. 1."""
    return root_of(mean_of(totals, "squared_error"))


def mae(totals: Totals) -> Floats:
    """Σ w |e| / Σ w [units]."""
    return mean_of(totals, "absolute_error")


def bias(totals: Totals) -> Floats:
    """Σ w e / Σ w [units]: forecast minus truth."""
    return mean_of(totals, "error")


def acc(totals: Totals) -> Floats:
    """Σ w a b / √(Σ w a² Σ w b²) of the anomalies of forecast and truth, not centred again; WeatherBench 2, eq. 4.

    NaN where either never leaves the climatology. ChaosBench's, whose weights cancel, is this one with weights=none.
    """
    return ratio(totals["anomaly_product"], np.sqrt(totals["forecast_anomaly"] * totals["truth_anomaly"]))


def activity(totals: Totals) -> Floats:
    """√(Σ w a² / Σ w) of the forecast's anomalies [units]: what a forecast that fades loses."""
    return root_of(mean_of(totals, "forecast_anomaly"))
