"""Batches of one block's dates as ``series_batch`` makes them, in memory that is used again from date to date.

In: a series (t, c, h, w). Out: batches whose samples end in the wanted dates. Such batches of dates that follow each
other differ in a few frames, and only these are written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from geoadapt.fields.series import Series, radar_field
from geoadapt.fields.types import Batch, Field, ProjectedGrid, Where

__all__ = ["DateBatches"]


class DateBatches:
    """Makes batches of one series; what a model keeps of one, or writes into it, changes no other."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self._values = np.empty((0, *series.values.shape), np.float32)
        self._valid = np.empty(self._values.shape, bool)
        self._places: list[list[int]] = []
        self._alone = self._references()
        self._radar = None if series.radar is None else radar_field([series.radar])

    def batch(self, dates: Sequence[int]) -> Batch:
        """A batch whose samples end in ``dates``; without a target."""
        series, count = self.series, len(dates)
        order = [[*(i for i in range(len(series.times)) if i != date), date] for date in dates]
        self._hold(order)
        seconds = torch.from_numpy(series.times.astype("datetime64[s]").astype(np.int64)[np.array(order)])
        grid = ProjectedGrid(torch.full((count,), series.resolution))
        field = Field(
            torch.from_numpy(self._values[:count]),
            series.channels,
            torch.from_numpy(self._valid[:count]),
            seconds,
            grid,
            (series.sensor,) * count,
        )
        inputs = {"optical": field}
        if self._radar is not None:
            inputs["radar"] = _repeated(self._radar, count)
        return Batch(inputs, where=(Where(series.name),) * count)

    def used(self, batch: Batch) -> None:
        """Hear that a model is done with ``batch``: where it wrote into it, everything is written anew next time."""
        field = batch.inputs["optical"]
        if any(each is not None and each._version for each in (field.values, field.valid)):
            self._places = []

    def _hold(self, order: Sequence[list[int]]) -> None:
        """Bring the frames into this order, writing those that are others than before."""
        if len(order) > len(self._places) or self._references() > self._alone:
            self._values = np.empty((len(order), *self.series.values.shape), np.float32)
            self._valid = np.empty(self._values.shape, bool)
            self._places = [[-1] * len(self.series.times) for _ in order]
        for n, places in enumerate(order):
            for frame, (place, before) in enumerate(zip(places, self._places[n], strict=True)):
                if place != before:
                    self._write(n, frame, place)
            self._places[n] = places

    def _write(self, n: int, frame: int, place: int) -> None:
        values, valid, image = self._values[n, frame], self._valid[n, frame], self.series.values[place]
        np.isfinite(image, out=valid)
        valid &= self.series.clear[place]
        values.fill(0)
        np.copyto(values, image, where=valid)

    def _references(self) -> int:
        """To both arrays: more than at first where a batch or a view of one lives, for a tensor holds its array."""
        return sys.getrefcount(self._values) + sys.getrefcount(self._valid)


def _repeated(field: Field, count: int) -> Field:
    """The one sample of ``field`` ``count`` times, in the same memory."""
    values, valid, times = (
        None if each is None else each.expand(count, *each.shape[1:])
        for each in (field.values, field.valid, field.times)
    )
    assert values is not None
    return replace(field, values=values, valid=valid, times=times)
