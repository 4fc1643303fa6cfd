"""A weather archive as samples: states by date, which past states make an input, and which dates are whose.

In: a canonical cube. Out: states (t, c, h, w) by index, and batches of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid, Where

__all__ = ["History", "States", "forecast_batch"]

Dates = NDArray[np.datetime64]
Indices = NDArray[np.intp]


class States(Protocol):
    """States (t, c, h, w) read by index: an array in memory, or one that reads from disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(t, c, h, w)."""

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """States at the integers of an index array (n,), as (n, c, h, w)."""


@dataclass(frozen=True, slots=True)
class History:
    """States at regular dates, in SI units, NaN where missing; latitude descending, longitude ascending [degrees]."""

    states: States
    """(t, c, h, w) float32."""
    times: Dates
    """(t,) ascending; where dates are missing, a sample that would need one is left out."""
    channels: tuple[str, ...]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    step: np.timedelta64
    """Between two states of a forecast; a multiple of the archive's own interval."""
    units: tuple[str, ...] = ()
    static: NDArray[np.float32] | None = None
    """(s, h, w): orography and the like."""
    static_channels: tuple[str, ...] = ()
    simulated: bool = False
    note: str = ""
    name: str = "history"
    _place: dict[np.datetime64, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.times) > 1 and not (np.diff(self.times) > np.timedelta64(0)).all():
            raise GeoadaptError(self.name, "its dates are not ascending", "sort them, and drop doubles")
        self._place.update({t: i for i, t in enumerate(self.times.astype("datetime64[s]"))})

    def places(self, times: Dates) -> Indices:
        """Where dates (…) stand, −1 where the archive lacks one."""
        flat = [self._place.get(t, -1) for t in times.astype("datetime64[s]").ravel()]
        return np.asarray(flat, np.intp).reshape(times.shape)

    def samples(self, targets: NDArray[np.bool_], frames: int, steps: int) -> Indices:
        """Places (n,) of the last input state of every sample whose target dates all lie in ``targets`` (t,) bool.

        A sample needs ``frames`` past states and ``steps`` targets, each ``step`` apart.
        """
        past, ahead = self.around(np.arange(len(self.times)), frames, steps)
        known = (past >= 0).all(1) & (ahead >= 0).all(1) & targets[ahead].all(1)
        return np.flatnonzero(known).astype(np.intp)

    def around(self, places: Indices, frames: int, steps: int) -> tuple[Indices, Indices]:
        """Places of the past states (n, frames), oldest first, and of the targets (n, steps); −1 = missing."""
        last = self.times[places][:, None]
        past = self.places(last - self.step * np.arange(frames - 1, -1, -1))
        return past, self.places(last + self.step * np.arange(1, steps + 1))

    def grid(self) -> LatLonGrid:
        """The grid as tensors."""
        return LatLonGrid(torch.from_numpy(self.latitude.copy()), torch.from_numpy(self.longitude.copy()))


def forecast_batch(history: History, places: Sequence[int] | Indices, frames: int, steps: int) -> Batch:
    """Samples whose last input states stand at ``places``; with ``steps`` = 0 without a target.

    Missing values become 0 and are marked in ``valid``.
    """
    index = np.asarray(places, np.intp)
    past, ahead = history.around(index, frames, steps)
    if (past < 0).any() or (ahead < 0).any():
        raise GeoadaptError(history.name, "a sample needs a date that is missing", "choose places by History.samples")
    inputs = {"atmosphere": _field(history, past)}
    if history.static is not None:
        fixed = torch.from_numpy(history.static)[None, None].expand(len(index), 1, *history.static.shape)
        inputs["static"] = Field(fixed.float(), history.static_channels, grid=history.grid())
    target = _field(history, ahead) if steps else None
    lead = torch.full((len(index),), history.step / np.timedelta64(1, "s"), dtype=torch.float64)
    return Batch(inputs, target, lead, tuple(Where(history.name, int(i)) for i in index))


def _field(history: History, places: Indices) -> Field:
    flat = np.asarray(history.states[places.ravel()], np.float32)
    values = torch.from_numpy(flat.reshape(*places.shape, *flat.shape[1:]))
    known = values.isfinite()
    times = torch.from_numpy(history.times[places].astype("datetime64[s]").astype(np.int64))
    valid = None if bool(known.all()) else known
    return Field(torch.where(known, values, 0.0), history.channels, valid, times, history.grid())
