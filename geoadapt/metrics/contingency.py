"""Did it happen, and was it forecast? Brier score and the scores of a two-by-two table, at thresholds.

In: members, truth and thresholds (k, c) by channel. Out: maps of events to be integrated; scores (…, k) from
their sums. The table's scores are those of the ``scores`` library, from sums that add.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.forecast import Map, mean_of
from geoadapt.metrics.points import Points
from geoadapt.metrics.statistics import Totals

__all__ = ["MAPS", "TABLE_SCORES", "brier"]

Floats = NDArray[np.float64]
Values = NDArray[np.floating]


def _thresholds(at: Points) -> Values:
    if at.thresholds is None:
        raise GeoadaptError("thresholds", "are needed for scores of events", "give them by channel")
    return at.thresholds[:, None, :, None]


def _known(at: Points, events: NDArray[np.generic]) -> Values:
    """Events (k, b, c, p) as numbers; NaN where a value or a threshold is: a comparison would pass over it."""
    unknown = np.isnan(at.error) | np.isnan(_thresholds(at))
    return np.where(unknown, np.nan, events.astype(at.error.dtype))


def _probability(at: Points) -> Values:
    limit = _thresholds(at)
    total = np.zeros(np.broadcast_shapes(limit.shape, at.truth.shape), at.error.dtype)
    for member in at.own_members:
        total += member > limit
    return np.asarray(total / len(at.deviations))


def _brier(at: Points) -> Values:
    return _known(at, (_probability(at) - (at.truth > _thresholds(at))) ** 2)


MAPS: dict[str, Map] = {
    "brier": _brier,
    "hits": lambda at: _known(at, (at.mean > _thresholds(at)) & (at.truth > _thresholds(at))),
    "forecast_events": lambda at: _known(at, at.mean > _thresholds(at)),
    "truth_events": lambda at: _known(at, at.truth > _thresholds(at)),
}
"""Statistic → its map (k, b, c, p): squared error of the probability; above the threshold in both, forecast, truth."""


def brier(totals: Totals) -> Floats:
    """Mean (p − o)² (…, k), p the share of the members above the threshold; of one forecast the share of errors."""
    return mean_of(totals, "brier")


def _table_score(name: str) -> Callable[[Totals], Floats]:
    def finish(totals: Totals) -> Floats:
        import xarray as xr
        from scores.categorical import BasicContingencyManager

        hits, said, true = (totals[k] for k in ("hits", "forecast_events", "truth_events"))
        weight = totals["weight"][..., None]
        # Rounding may leave a count a little below zero, and a division by it instead of by nothing.
        parts = (hits, said - hits, true - hits, weight - said - true + hits)
        tidy = [np.where(np.abs(part) < 1e-9 * weight, 0, part) for part in parts]
        names = ("tp_count", "fp_count", "fn_count", "tn_count")
        counts = {k: xr.DataArray(part) for k, part in zip(names, tidy, strict=True)}
        counts["total_count"] = xr.DataArray(np.broadcast_to(weight, hits.shape))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.asarray(getattr(BasicContingencyManager(counts), name)(), np.float64)
        return np.where(np.isfinite(found), found, np.nan)

    finish.__doc__ = f"The ``scores`` library's {name} (…, k); NaN where nothing could be counted."
    return finish


TABLE_SCORES: dict[str, tuple[Callable[[Totals], Floats], int]] = {
    "hit_rate": (_table_score("hit_rate"), 1),
    "false_alarm_ratio": (_table_score("false_alarm_ratio"), -1),
    "csi": (_table_score("critical_success_index"), 1),
    "ets": (_table_score("equitable_threat_score"), 1),
    "frequency_bias": (_table_score("frequency_bias"), 0),
}
"""Score → how it is finished, and whether more is better."""
