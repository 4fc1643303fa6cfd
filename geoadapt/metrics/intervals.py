"""From draws to intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["interval"]


def interval(draws: NDArray[np.float64], share: float = 0.9) -> tuple[float, float]:
    """Low and high end of the central ``share`` of the draws (n,), by percentiles; NaN draws are left out."""
    known = draws[~np.isnan(draws)]
    if known.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
