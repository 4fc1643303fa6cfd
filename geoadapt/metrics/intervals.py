"""From draws to intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "interval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A range that holds the given share of the draws."""

    low: float
    high: float


def interval(draws: NDArray[np.float64], share: float = 0.9) -> Interval:
    """The central ``share`` of the draws (n,), by percentiles; NaN draws are left out."""
    known = draws[~np.isnan(draws)]
    if known.size == 0:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - share) / 2, (1 + share) / 2])
    return Interval(float(low), float(high))
