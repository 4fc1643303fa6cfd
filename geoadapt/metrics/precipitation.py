"""SEEPS: was it dry, light or heavy, judged against how often it is so at that place (Rodwell 2010).

In: precipitation [m] of forecast and truth, the dry days' share and the threshold to heavy. Out: a map of penalties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.forecast import Map, ratio
from geoadapt.metrics.points import Points
from geoadapt.metrics.statistics import Totals

__all__ = ["DRY", "MAPS", "seeps", "seeps_map"]

Floats = NDArray[np.float64]
Values = NDArray[np.floating]

DRY = 0.25e-3
"""Up to here it is dry [m]."""
CLIMATES = (0.1, 0.85)
"""Shares of dry dates between which a place is judged at all."""


def _category(values: Values, heavy: Values) -> NDArray[np.intp]:
    """0 dry, 1 light, 2 heavy."""
    return np.where(values <= DRY, 0, np.where(values < heavy, 1, 2))


def seeps_map(forecast: Values, truth: Values, dry_fraction: Values, wet_threshold: Values) -> Floats:
    """Penalty (…, h, w), 0 for the right category; NaN where the climate is too dry or too wet, and where data are.

    ``dry_fraction`` (broadcast) is the share of dry dates, ``wet_threshold`` the 2/3 quantile of the wet ones [m].
    """
    shape = np.broadcast_shapes(forecast.shape, truth.shape, dry_fraction.shape, wet_threshold.shape)
    p = np.broadcast_to(np.asarray(dry_fraction, np.float64), shape)
    judged = (p >= CLIMATES[0]) & (p <= CLIMATES[1])
    inner = np.where(judged, p, 0.5)
    zero = np.zeros(shape)
    # Rows: the forecast's category, columns: the truth's.
    table = (
        (zero, 1 / (1 - inner), 4 / (1 - inner)),
        (1 / inner, zero, 3 / (1 - inner)),
        (1 / inner + 3 / (2 + inner), 3 / (2 + inner), zero),
    )
    said, true = (np.broadcast_to(_category(v, wet_threshold), shape) for v in (forecast, truth))
    found = np.zeros(shape)
    for row in range(3):
        for column in range(3):
            found = np.where((said == row) & (true == column), table[row][column] / 2, found)
    unknown = np.isnan(forecast) | np.isnan(truth) | np.isnan(wet_threshold)
    return np.where(judged & ~unknown, found, np.nan)


def _penalties(at: Points) -> tuple[Floats, NDArray[np.bool_]]:
    missing = [name for name in ("dry_fraction", "wet_threshold") if name not in at.extra]
    if missing:
        raise GeoadaptError("seeps", f"{' and '.join(missing)} missing", "give the precipitation climatology")
    p, heavy = at.extra["dry_fraction"], at.extra["wet_threshold"]
    # A channel without thresholds is no precipitation and is not judged; a NaN in what is judged stays one.
    judged = (p >= CLIMATES[0]) & (p <= CLIMATES[1]) & ~np.isnan(heavy)
    return seeps_map(at.mean, at.truth, p, heavy), judged


def _judged_penalties(at: Points) -> Floats:
    penalties, judged = _penalties(at)
    return np.where(judged, penalties, 0)


MAPS: dict[str, Map] = {
    "seeps": _judged_penalties,
    "seeps_weight": lambda at: _penalties(at)[1].astype(np.float64),
}


def seeps(totals: Totals) -> Floats:
    """Mean penalty over the places that are judged: 0 is perfect, 1 what any constant forecast earns."""
    return ratio(totals["seeps"], totals["seeps_weight"])
