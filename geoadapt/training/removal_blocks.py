"""Which samples of a cloud removal test are resampled as one, so that intervals count what is independent.

In: samples. Out: a label for each, and what the labels are in words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geoadapt.fields.series import Sample
from geoadapt.metrics.blocks import date_blocks

__all__ = ["resampled"]

FEWEST = 8
"""Of fewer blocks than this an interval says little, and the next kind of block is tried."""
SEASON = 91.0
"""A block of dates [days]: errors of neighbouring dates are alike, since they are made from the same clear dates."""


def resampled(samples: Sequence[Sample]) -> tuple[tuple[str, ...], str]:
    """A label of every sample (n,), and what the labels are: places, chips of a few places, or periods.

    Places where there are eight or more of them, else chips, else periods of the restored dates, together with all
    that is restored in them. Where none of the three is eight or more, the one that is most.
    """
    kinds = [_places(samples), _chips(samples), _periods(samples)]
    counts = [len(set(labels)) for labels, _ in kinds]
    enough = [n for n, count in enumerate(counts) if count >= FEWEST]
    best = enough[0] if enough else counts.index(max(counts))
    labels, words = kinds[best]
    return labels, f"{counts[best]} {words}"


def _places(samples: Sequence[Sample]) -> tuple[tuple[str, ...], str]:
    return tuple(sample.series.name for sample in samples), "places"


def _chips(samples: Sequence[Sample]) -> tuple[tuple[str, ...], str]:
    places = len({sample.series.name for sample in samples})
    words = "chips of one place" if places == 1 else f"chips of {places} places"
    return tuple(f"{s.series.name} {s.row} {s.col}" for s in samples), words


def _periods(samples: Sequence[Sample]) -> tuple[tuple[str, ...], str]:
    times = np.array([sample.series.times[sample.target] for sample in samples], "datetime64[s]")
    span = float((times.max() - times.min()) / np.timedelta64(1, "D"))
    # a short series has shorter blocks rather than too few
    days = max(1.0, min(SEASON, span / FEWEST))
    return tuple(f"period {n}" for n in date_blocks(times, days)), f"periods of {days:.0f} days"
