"""Ranks, and how far down and up they may be.

In: scores, and replicates of them. Out: ranks from 1, with a range of ranks; who has no score has no rank.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from geoadapt.leaderboard.bootstrap import Floats

__all__ = ["rank_range", "ranks"]


def ranks(scores: Floats) -> Floats:
    """Ranks (entry, …) among the finite scores (entry, …): 1 is the highest, ties take the larger number."""
    known = np.isfinite(scores)
    found = rankdata(-np.where(known, scores, -np.inf), method="max", axis=0)
    return np.where(known, found, np.nan)


def rank_range(replicates: Floats, level: float = 0.9) -> tuple[Floats, Floats, Floats]:
    """Best and worst rank (entry,) at ``level``, and the share of replicates (entry, draw) in which an entry is first.

    An entry with a replicate that is NaN has no rank, and does not count for the others.
    """
    low, high, first = np.full((3, len(replicates)), np.nan)
    known = np.isfinite(replicates).all(1)
    if known.any():
        # those that tie share all the ranks that they take up
        best, worst = (rankdata(-replicates[known], method=method, axis=0) for method in ("min", "max"))
        tail = 100 * (1 - level) / 2
        low[known] = np.percentile(best, tail, axis=1, method="inverted_cdf")
        high[known] = np.percentile(worst, 100 - tail, axis=1, method="inverted_cdf")
        alone = best == 1
        first[known] = (alone / alone.sum(0)).mean(1)
    return low, high, first
