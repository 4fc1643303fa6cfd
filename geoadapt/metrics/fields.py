"""Whole fields of some dates at one lead, for statistics that look at more than one point at a time.

In: members (b, m, c, h, w) and truth (b, c, h, w). Out: what the statistics of neighbourhoods, spectra and structure
share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from geoadapt.metrics.weights import Space

__all__ = ["FieldSums", "Fields", "is_circle"]

Floats = NDArray[np.float64]
Values = NDArray[np.floating]


def is_circle(longitude: Floats) -> bool:
    """Whether evenly spaced longitudes (w,) go once around."""
    if longitude.size < 2:
        return False
    steps = np.diff(longitude)
    return bool(np.allclose(steps, steps[0], rtol=1e-3) and abs(abs(steps[0]) * longitude.size - 360) < 1e-3 * 360)


@dataclass
class Fields:
    """Members (b, m, c, h, w), truth (b, c, h, w), and which values count, None where all do."""

    forecast: Values
    truth: Values
    space: Space
    valid: NDArray[np.bool_] | None = None
    thresholds: Floats | None = None
    """(k, c), NaN where a channel has fewer."""
    windows: tuple[int, ...] = ()

    @cached_property
    def mean(self) -> Values:
        """Of the ensemble (b, c, h, w)."""
        return self.forecast[:, 0] if self.forecast.shape[1] == 1 else np.asarray(self.forecast.mean(axis=1))

    @property
    def circle(self) -> bool:
        """Whether rows are whole latitude circles."""
        return is_circle(self.space.longitude)

    def integrate(self, values: Values, valid: NDArray[np.bool_] | None = None) -> Floats:
        """Σ weight × value of maps (…, b, c, h, w), as (b, r, c, …)."""
        known = self.valid if valid is None else valid
        flat = values.reshape(*values.shape[:-2], -1)
        own = None if known is None else np.broadcast_to(known, values.shape).reshape(flat.shape)
        sums = self.space.integrate(flat, valid=own)
        return np.asarray(np.moveaxis(sums, (-3, -1, -2), (0, 1, 2)))

    def one(self, values: Values, date: int, channel: int) -> Floats:
        """One field (h, w) of values (b, c, h, w); what is known to be missing becomes the mean of the rest."""
        field = np.asarray(values[date, channel], np.float64)
        if self.valid is None:
            return field
        known = self.valid[date, channel]
        return np.asarray(np.where(known, field, field[known].mean() if known.any() else np.nan))

    def weigh(self, values: Floats) -> Floats:
        """Numbers per field (b, c), times the field's weight: dates with more valid points count more."""
        ones = np.ones((*values.shape, self.space.latitude.size, self.space.longitude.size))
        return np.asarray(values * self.integrate(ones)[:, 0])

    def whole_only(self, values: Floats) -> Floats:
        """Values (b, c, *extra) of whole domains as (b, r, c, *extra): NaN for every other region."""
        regions = len(self.space.regions)
        found = np.full((values.shape[0], regions, *values.shape[1:]), np.nan)
        found[:, 0] = values
        return found


FieldSums: TypeAlias = Callable[[Fields], dict[str, Floats]]
"""Name → sums over space (b, r, c, *extra)."""
