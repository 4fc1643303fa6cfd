"""A block of grid points, small enough for the processor's cache, with what several statistics share.

In: forecasts (m, b, c, p), truth (b, c, p) and a climatology: members, dates, channels, points. Out: deviations,
their mean, variance and mean difference, each computed once and only if asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["Points", "comparators", "mean_difference"]

Values = NDArray[np.floating]


@lru_cache(maxsize=64)
def comparators(members: int) -> tuple[tuple[int, int], ...]:
    """The pairs that, ordered one after the other, sort: Batcher's merge exchange (Knuth 5.2.2, algorithm M)."""
    return tuple(_comparators(members))


def _comparators(members: int) -> Iterator[tuple[int, int]]:
    top = 1 << max(members - 1, 0).bit_length() - 1 if members > 1 else 0
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            yield from ((i, i + d) for i in range(members - d) if i & p == r)
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2


def mean_difference(members: Values) -> Values:
    """Mean |xᵢ − xⱼ| over the pairs i ≠ j of members (m, …); 0 for a single one.

    Whole arrays are compared and exchanged, so that the processor sorts many points at once: for up to a hundred
    members that is several times faster than sorting each point's. By the order statistics the sum over pairs i < j is
    Σ (m + 1 − 2k) (x₍ₘ₊₁₋ₖ₎ − x₍ₖ₎) over k ≤ m/2: differences of values that are close, so that nothing cancels.
    """
    count = len(members)
    total = np.zeros(members.shape[1:], members.dtype)
    if count < 2:
        return total
    rows = list(members.copy())
    spare = np.empty_like(rows[0])
    for low, high in comparators(count):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    for k in range(count // 2):
        np.subtract(rows[count - 1 - k], rows[k], out=spare)
        spare *= count - 1 - 2 * k
        total += spare
    total *= 2 / (count * (count - 1))
    return total


@dataclass
class Points:
    """Members, dates, channels, points; arrays of one floating type."""

    deviations: Values
    """(m, b, c, p): each member minus the truth. Small numbers, so that float32 is enough."""
    truth: Values
    climatology: Values | None = None
    """(b, c, p) at the valid time."""
    sigma: Values | None = None
    members: Values | None = None
    """(m, b, c, p) as they came: whether a value lies above a threshold bears no rounding."""
    thresholds: Values | None = None
    """(k, c), NaN where a channel has fewer."""
    extra: Mapping[str, Values] = field(default_factory=dict)
    """What single statistics need besides, by name, (b, c, p)."""

    @cached_property
    def error(self) -> Values:
        """Of the ensemble mean (b, c, p)."""
        if len(self.deviations) == 1:
            return np.asarray(self.deviations[0])
        total: Values = np.add.reduce(self.deviations, axis=0)
        total /= len(self.deviations)
        return total

    @cached_property
    def mean(self) -> Values:
        """Of the members (b, c, p)."""
        return self.own_members[0] if len(self.deviations) == 1 else np.asarray(self.own_members.mean(axis=0))

    @property
    def own_members(self) -> Values:
        """The members (m, b, c, p); the deviations with the truth added where only those are known."""
        return np.asarray(self.deviations + self.truth) if self.members is None else self.members

    @cached_property
    def truth_anomaly(self) -> Values:
        """Truth minus climatology (b, c, p)."""
        if self.climatology is None:
            raise GeoadaptError("climatology", "is needed for scores of anomalies", "give one, or leave them out")
        return np.asarray(self.truth - self.climatology)

    @cached_property
    def forecast_anomaly(self) -> Values:
        """Forecast minus climatology (b, c, p)."""
        return np.asarray(self.error + self.truth_anomaly)

    @cached_property
    def variance(self) -> Values:
        """Of the members, unbiased (b, c, p); NaN for a single one."""
        count = len(self.deviations)
        if count < 2:
            return np.full_like(self.error, np.nan)
        total = np.zeros_like(self.error)
        part = np.empty_like(total)
        for member in self.deviations:
            np.subtract(member, self.error, out=part)
            part *= part
            total += part
        total /= count - 1
        return total

    @cached_property
    def difference(self) -> Values:
        """Mean |xᵢ − xⱼ| of the pairs (b, c, p)."""
        return mean_difference(self.deviations)

    @cached_property
    def distance(self) -> Values:
        """Mean |xᵢ − y| over the members (b, c, p)."""
        total = np.zeros_like(self.error)
        part = np.empty_like(total)
        for member in self.deviations:
            np.abs(member, out=part)
            total += part
        total /= len(self.deviations)
        return total
