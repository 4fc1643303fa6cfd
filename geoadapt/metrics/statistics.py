"""Weighted sums over space for every date, lead, region and channel: they add, and scores are finished from them.

In: sums of single dates. Out: totals (lead, region, channel, …) of all dates, or of resampled blocks of dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.blocks import date_blocks

__all__ = ["Statistics", "Totals", "common", "concatenate", "load_statistics", "save_statistics"]

Floats = NDArray[np.float64]
Totals = Mapping[str, Floats]
"""Name of a statistic → its sum (…, n, r, c, *extra): lead, region, channel, and what it has of its own."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums over space by init date d, lead n, region r, channel c; a date and lead that was never added weighs 0."""

    times: NDArray[np.datetime64]
    """(d,) init dates, ascending."""
    leads: NDArray[np.timedelta64]
    regions: tuple[str, ...]
    """The first, without a name, is the whole domain."""
    channels: tuple[str, ...]
    seen: NDArray[np.bool_]
    """(d, n): what was added."""
    sums: Mapping[str, Floats]
    """Name → (d, n, r, c, *extra)."""

    def totals(self) -> Totals:
        """Sums over all dates (n, r, c, *extra)."""
        return {name: values.sum(axis=0) for name, values in self.sums.items()}

    def blocks(self, days: float) -> Totals:
        """Sums over every block of ``days`` days (blocks, n, r, c, *extra)."""
        which = date_blocks(self.times, days)
        starts = np.flatnonzero(np.diff(which, prepend=-1))
        if starts.size == 0:
            return dict(self.sums)
        return {name: np.add.reduceat(values, starts, axis=0) for name, values in self.sums.items()}

    def at(self, dates: NDArray[np.bool_]) -> Statistics:
        """The dates that a mask (d,) keeps."""
        sums = {name: values[dates] for name, values in self.sums.items()}
        return replace(self, times=self.times[dates], seen=self.seen[dates], sums=sums)

    def only(self, channel: str) -> Statistics:
        """One channel."""
        at = self.channels.index(channel)
        sums = {name: values[:, :, :, at : at + 1] for name, values in self.sums.items()}
        return replace(self, channels=(channel,), sums=sums)


def _same_labels(parts: Sequence[Statistics], what: str) -> None:
    first = parts[0]
    for other in parts[1:]:
        for name in ("regions", "channels"):
            if getattr(first, name) != getattr(other, name):
                found, expected = getattr(other, name), getattr(first, name)
                raise GeoadaptError(what, f"{name} differ: {found} and {expected}", "score the same of both")
        if not np.array_equal(first.leads, other.leads):
            raise GeoadaptError(what, "lead times differ", "score the same leads of both")


def concatenate(parts: Sequence[Statistics]) -> Statistics:
    """What several workers added, sorted by date; raises GeoadaptError where a date and lead was added twice."""
    if not parts:
        raise GeoadaptError("statistics", "nothing to put together", "add a forecast first")
    _same_labels(parts, "statistics")
    if len({tuple(sorted(part.sums)) for part in parts}) > 1:
        raise GeoadaptError("statistics", "hold different sums", "ask for the same scores everywhere")
    times, place = np.unique(np.concatenate([part.times for part in parts]), return_inverse=True)
    seen = np.zeros((times.size, parts[0].leads.size), np.int64)
    np.add.at(seen, place, np.concatenate([part.seen for part in parts]))
    if (seen > 1).any():
        twice = times[(seen > 1).any(axis=1)][0]
        raise GeoadaptError("statistics", f"the forecast of {twice} was added twice", "give every date once")
    sums = {}
    for name in parts[0].sums:
        stacked = np.concatenate([part.sums[name] for part in parts])
        sums[name] = np.zeros((times.size, *stacked.shape[1:]))
        np.add.at(sums[name], place, stacked)
    return replace(parts[0], times=times, seen=seen > 0, sums=sums)


def common(models: Mapping[str, Statistics]) -> dict[str, Statistics]:
    """Every model on the dates and leads that all of them have; raises GeoadaptError where there are none."""
    parts = list(models.values())
    _same_labels(parts, "pairing")
    times = parts[0].times
    for part in parts[1:]:
        times = np.intersect1d(times, part.times)
    kept = {who: part.at(np.isin(part.times, times)) for who, part in models.items()}
    seen = np.logical_and.reduce([part.seen for part in kept.values()])
    if not seen.any():
        raise GeoadaptError("pairing", f"{', '.join(models)} share no date and lead", "score them on the same dates")
    return {who: part if (part.seen == seen).all() else _restricted(part, seen) for who, part in kept.items()}


def _restricted(part: Statistics, seen: NDArray[np.bool_]) -> Statistics:
    def keep(values: Floats) -> Floats:
        return np.where(seen.reshape(*seen.shape, *[1] * (values.ndim - 2)), values, 0)

    return replace(part, seen=seen, sums={name: keep(values) for name, values in part.sums.items()})


def save_statistics(statistics: Statistics, path: Path) -> None:
    """Write one ``.npz`` of plain arrays."""
    labels: dict[str, Any] = {
        "times": statistics.times.astype("datetime64[ns]"),
        "leads": statistics.leads.astype("timedelta64[ns]"),
        "regions": np.array(statistics.regions),
        "channels": np.array(statistics.channels),
        "seen": statistics.seen,
    }
    with path.open("wb") as file:
        arrays: dict[str, Any] = {f"sums/{name}": values for name, values in statistics.sums.items()}
        np.savez(file, **labels, **arrays)


def load_statistics(path: Path) -> Statistics:
    """Read what ``save_statistics`` wrote; nothing in the file is executed."""
    with np.load(path, allow_pickle=False) as stored:
        sums = {name[5:]: stored[name] for name in stored.files if name.startswith("sums/")}
        regions, channels = (tuple(str(v) for v in stored[name]) for name in ("regions", "channels"))
        return Statistics(stored["times"], stored["leads"], regions, channels, stored["seen"], sums)
