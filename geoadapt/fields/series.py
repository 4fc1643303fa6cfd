"""Time series of one place as samples: one date to be restored, what of it is hidden, and all the other dates.

In: series (t, c, h, w) with what is clear. Out: batches whose last frame is the date to be restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, ProjectedGrid, Where

__all__ = ["Radar", "Sample", "Series", "SeriesData", "radar_field", "series_batch"]

Dates = NDArray[np.datetime64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Radar:
    """A second input of the same place and grid with dates of its own, such as Sentinel-1 [dB]."""

    values: Floats
    """(t, c, h, w), NaN where missing."""
    times: Dates
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """All dates of one place on one grid, in order."""

    name: str
    values: Floats
    """(t, c, h, w) [reflectance], NaN where missing; what clouds hide keeps the cloud's values."""
    clear: Bools
    """(t, h, w): neither missing, nor cloud, nor shadow."""
    times: Dates
    """(t,) ascending."""
    channels: tuple[str, ...]
    truth: Floats | None = None
    """(t, c, h, w): what lies under the clouds, where it is known; only simulations and pairs know it."""
    resolution: float = 30.0
    """[m]."""
    sensor: str | None = None
    radar: Radar | None = None
    land_cover: str | None = None
    """What most of the place is, in a word such as ``forest``; None = the data set does not tell."""

    def __post_init__(self) -> None:
        t, c, h, w = self.values.shape
        if self.clear.shape != (t, h, w) or self.times.shape != (t,) or len(self.channels) != c:
            raise GeoadaptError(
                self.name,
                f"values {self.values.shape}, clear {self.clear.shape}, {len(self.times)} dates, "
                f"{len(self.channels)} channels",
                "expected (t, c, h, w), (t, h, w), t and c",
            )
        if t > 1 and not (np.diff(self.times) > np.timedelta64(0)).all():
            raise GeoadaptError(self.name, "its dates are not ascending", "sort them, and drop doubles")

    def part(
        self,
        dates: slice | NDArray[np.intp] | Bools = slice(None),
        rows: slice = slice(None),
        cols: slice = slice(None),
    ) -> Series:
        """Some of its dates, rows and columns."""
        radar = None if self.radar is None else replace(self.radar, values=self.radar.values[..., rows, cols])
        return replace(
            self,
            values=self.values[dates][..., rows, cols],
            clear=self.clear[dates][..., rows, cols],
            times=self.times[dates],
            truth=None if self.truth is None else self.truth[dates][..., rows, cols],
            radar=radar,
        )


@dataclass(frozen=True, slots=True)
class SeriesData:
    """Series for training, for validation and for the test: other places, or other periods; never other pixels."""

    train: Sequence[Series]
    val: Sequence[Series]
    test: Sequence[Series]
    channels: tuple[str, ...]
    note: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """A chip of a series: the date to be restored, and what of it is hidden on purpose."""

    series: Series
    target: int
    """Which date."""
    hidden: Bools
    """(h, w): taken away from the target's date, though it may be clear; without a truth only what is clear counts."""
    row: int = 0
    col: int = 0
    shift: str = ""


def series_batch(samples: Sequence[Sample]) -> Batch:
    """Samples of one chip size as a batch; the last frame is the date to be restored, the others come by date.

    ``inputs["optical"]`` has values (b, t, c, h, w), 0 where not ``valid``: missing, cloudy or hidden. Series with
    fewer dates than the longest are filled up in front with frames without a valid pixel. ``inputs["radar"]`` is
    there where every series has one. ``target`` (b, 1, c, h, w) is what was to be seen, ``target.valid`` where it
    counts: hidden and clear, or with a truth all that is hidden or cloudy.
    """
    frames = max(len(sample.series.times) for sample in samples)
    first = samples[0].series
    shape = (len(samples), frames, *first.values.shape[1:])
    values, valid = np.zeros(shape, np.float32), np.zeros(shape, bool)
    times = np.zeros(shape[:2], np.int64)
    aim, counted = np.zeros((shape[0], 1, *shape[2:]), np.float32), np.zeros((shape[0], 1, *shape[2:]), bool)
    for n, sample in enumerate(samples):
        series, k = sample.series, sample.target
        order = [*(i for i in range(len(series.times)) if i != k), k]
        clear = series.clear[order][:, None] & np.isfinite(series.values[order])
        clear[-1] &= ~sample.hidden
        valid[n, -len(order) :] = clear
        values[n, -len(order) :] = np.where(clear, series.values[order], 0.0)
        dates = series.times[order].astype("datetime64[s]").astype(np.int64)
        times[n] = dates[0]
        times[n, -len(order) :] = dates
        true = series.values[k] if series.truth is None else series.truth[k]
        known = np.isfinite(true) & (series.clear[k] if series.truth is None else True)
        counted[n, 0] = known & (sample.hidden if series.truth is None else sample.hidden | ~series.clear[k])
        aim[n, 0] = np.where(known, true, 0.0)
    seconds = torch.from_numpy(times)
    grid = ProjectedGrid(torch.tensor([sample.series.resolution for sample in samples]))
    sensors = tuple(sample.series.sensor for sample in samples)
    inputs = {
        "optical": Field(torch.from_numpy(values), first.channels, torch.from_numpy(valid), seconds, grid, sensors)
    }
    if all(sample.series.radar is not None for sample in samples):
        inputs["radar"] = radar_field([sample.series.radar for sample in samples if sample.series.radar is not None])
    target = Field(torch.from_numpy(aim), first.channels, torch.from_numpy(counted), seconds[:, -1:], grid)
    where = tuple(Where(s.series.name, s.row, s.col, s.shift) for s in samples)
    return Batch(inputs, target, None, where)


def radar_field(all_: Sequence[Radar]) -> Field:
    """The radar of every sample (b, t, c, h, w) [dB], filled up in front where it has fewer dates than the longest."""
    frames = max(len(radar.times) for radar in all_)
    shape = (len(all_), frames, *all_[0].values.shape[1:])
    values, valid, times = np.zeros(shape, np.float32), np.zeros(shape, bool), np.zeros(shape[:2], np.int64)
    for n, radar in enumerate(all_):
        count = len(radar.times)
        known = np.isfinite(radar.values)
        valid[n, -count:], values[n, -count:] = known, np.where(known, radar.values, 0.0)
        dates = radar.times.astype("datetime64[s]").astype(np.int64)
        times[n], times[n, -count:] = dates[0], dates
    return Field(torch.from_numpy(values), all_[0].channels, torch.from_numpy(valid), torch.from_numpy(times))
