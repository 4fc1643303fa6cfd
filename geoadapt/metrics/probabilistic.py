"""Scores of an ensemble: CRPS in three forms, spread, spread against skill, rank histogram, and events.

In: a block of points of members and truth. Out: maps to be integrated with weights; scores (…) from their sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.forecast import Map, mean_of, ratio, root_of
from geoadapt.metrics.points import Points
from geoadapt.metrics.statistics import Totals

__all__ = [
    "MAPS",
    "almost_fair_crps",
    "crps",
    "crpss",
    "gaussian_crps",
    "mean_spread",
    "mean_spread_skill",
    "plain_crps",
    "rank_histogram",
    "spread",
    "spread_skill",
    "unbiased_rmse",
]

Floats = NDArray[np.float64]
ALPHA = 0.95
"""Of the almost-fair CRPS (AIFS-CRPS, FourCastNet 3): how much of its spread term is the fair one's."""


def _ranks(at: Points) -> NDArray[np.floating]:
    """One-hot (m + 1, b, c, p): how many members lie below the truth; NaN stays NaN."""
    below = (at.deviations < 0).sum(axis=0)
    hot = (below == np.arange(len(at.deviations) + 1).reshape(-1, 1, 1, 1)).astype(at.error.dtype)
    return np.where(np.isnan(at.error), np.nan, hot)


def gaussian_crps(error: NDArray[np.floating], sigma: NDArray[np.floating]) -> NDArray[np.floating]:
    """CRPS of a normal distribution whose mean is off by −error: σ [z (2Φ(z) − 1) + 2φ(z) − 1/√π], z = error / σ."""
    z = error / sigma
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.asarray(sigma * (z * erf(z / np.sqrt(2)) + 2 * density - 1 / np.sqrt(np.pi)))


def _climatology_crps(at: Points) -> NDArray[np.floating]:
    if at.sigma is None:
        raise GeoadaptError("sigma", "is needed for the skill of a CRPS", "give the climatology's standard deviation")
    return gaussian_crps(at.truth_anomaly, at.sigma)


MAPS: dict[str, Map] = {
    "distance": lambda at: at.distance,
    "fair_difference": lambda at: at.difference / 2,
    "plain_difference": lambda at: at.difference * ((len(at.deviations) - 1) / (2 * len(at.deviations))),
    "variance": lambda at: at.variance,
    "variance_of_mean": lambda at: at.variance / len(at.deviations),
    "deviation": lambda at: np.sqrt(at.variance),
    "ranks": _ranks,
    "climatology_crps": _climatology_crps,
}
"""Statistic → its map (b, c, p), or with bins (k, b, c, p): mean |xᵢ − y|, ½ mean |xᵢ − xⱼ| over the pairs i ≠ j and
over all pairs, variances, their roots, ranks, and the CRPS of the climatology's normal distribution."""


def crps(totals: Totals) -> Floats:
    """Fair CRPS [units]: mean |xᵢ − y| − ½ mean over i ≠ j of |xᵢ − xⱼ|, for a single member the absolute error."""
    return mean_of(totals, "distance") - mean_of(totals, "fair_difference")


def plain_crps(totals: Totals) -> Floats:
    """CRPS of the members' empirical distribution [units]: the spread term over all m² pairs."""
    return mean_of(totals, "distance") - mean_of(totals, "plain_difference")


def almost_fair_crps(totals: Totals) -> Floats:
    """Between the two: 0.95 of the fair spread term, 0.05 of the plain one (AIFS-CRPS, Lang 2024)."""
    mixed = ALPHA * mean_of(totals, "fair_difference") + (1 - ALPHA) * mean_of(totals, "plain_difference")
    return mean_of(totals, "distance") - mixed


def crpss(totals: Totals) -> Floats:
    """1 − plain CRPS / CRPS of the climatology's normal distribution (ChaosBench)."""
    return 1 - ratio(plain_crps(totals), mean_of(totals, "climatology_crps"))


def spread(totals: Totals) -> Floats:
    """√ of the mean unbiased variance of the members [units]."""
    return root_of(mean_of(totals, "variance"))


def unbiased_rmse(totals: Totals) -> Floats:
    """RMSE of the mean of infinitely many members [units]: √<w ((x̄ − y)² − variance / m)>; NaN below 0."""
    return root_of(mean_of(totals, "squared_error") - mean_of(totals, "variance_of_mean"))


def spread_skill(totals: Totals) -> Floats:
    """Spread / unbiased RMSE: 1 where truth and members are exchangeable."""
    return ratio(spread(totals), unbiased_rmse(totals))


def mean_spread(totals: Totals) -> Floats:
    """Mean of the members' standard deviations [units] (ChaosBench)."""
    return mean_of(totals, "deviation")


def mean_spread_skill(totals: Totals) -> Floats:
    """Mean standard deviation / RMSE of the ensemble mean (ChaosBench): not 1 even for a perfect small ensemble."""
    return ratio(mean_spread(totals), root_of(mean_of(totals, "squared_error")))


def rank_histogram(totals: Totals) -> Floats:
    """Share of the points whose truth has 0, 1, … m members below it (…, m + 1): flat where they are exchangeable."""
    return mean_of(totals, "ranks")
