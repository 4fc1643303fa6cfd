"""Mean, spread and typical change of every channel over an archive's dates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.baselines.past import blocks
from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History

__all__ = ["Spread", "measure"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Per channel (c,), weighted by area: 1 stands for a spread that is zero."""

    mean: Array
    std: Array
    increment: Array
    """Standard deviation of the change over one step."""
    known: NDArray[np.bool_]
    """(c, h, w), whether any date has a value."""


def measure(history: History, places: NDArray[np.intp], weights: Array) -> Spread:
    """Over the dates at ``places`` (n,), rows weighted by ``weights`` (h,), each piece of the archive read once.

    Raises GeoadaptError where a channel has no value, or no two of the dates are a step apart.
    """
    chosen = np.zeros(len(history.times), bool)
    chosen[places] = True
    levels, changes = _Moments(history, weights), _Moments(history, weights)
    known = np.zeros(history.states.shape[1:], bool)
    for piece in blocks(history, places, 2):
        values = np.asarray(history.states[piece], np.float64)
        known |= np.isfinite(values).any(axis=0)
        levels.add(values)
        ahead = history.around(piece, 1, 1)[1][:, 0]
        pairs = (ahead >= 0) & chosen[ahead]
        if pairs.any():
            changes.add(np.asarray(history.states[ahead[pairs]], np.float64) - values[pairs])
    empty = [c for c, seen in zip(history.channels, known, strict=True) if not seen.any()]
    if empty:
        raise GeoadaptError(history.name, f"{empty} hold no value on any training date", "leave them out")
    if not changes.weight.all():
        raise GeoadaptError(history.name, "no two training dates are a step apart", "give more dates")
    level = np.abs(levels.mean)
    return Spread(levels.mean, _spread(levels, level), _spread(changes, level), known)


def _spread(of: _Moments, level: Array) -> Array:
    std = np.sqrt(of.square / of.weight)
    return np.where(std > 1e-6 * level, std, 1.0)  # float32 cannot tell less from rounding


class _Moments:
    """Weighted mean and sum of squared departures per channel, joined piece by piece (Chan 1983)."""

    def __init__(self, history: History, weights: Array) -> None:
        count = len(history.channels)
        self.rows = weights[:, None]
        self.weight, self.mean, self.square = np.zeros(count), np.zeros(count), np.zeros(count)

    def add(self, values: Array) -> None:
        """Take in (n, c, h, w), NaN = missing."""
        seen = np.isfinite(values)
        weight = (seen * self.rows).sum(axis=(0, 2, 3))
        safe = np.maximum(weight, np.finfo(np.float64).tiny)
        mean = (np.where(seen, values, 0.0) * self.rows).sum(axis=(0, 2, 3)) / safe
        apart = np.where(seen, values - mean[:, None, None], 0.0)
        square = (apart**2 * self.rows).sum(axis=(0, 2, 3))
        total = np.maximum(self.weight + weight, np.finfo(np.float64).tiny)
        self.square += square + (mean - self.mean) ** 2 * self.weight * weight / total
        self.mean += (mean - self.mean) * weight / total
        self.weight += weight
