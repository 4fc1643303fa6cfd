"""What the forecast baselines read: past states from a batch when they run, an archive block by block when fitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import Dates, History
from geoadapt.fields.types import Batch, Field

__all__ = ["blocks", "known_dates", "latitude_weights", "past_states", "seconds", "step_seconds", "valid_times"]

BLOCK = 2**28
"""Bytes of states that a fit holds at a time, about; one block always holds at least one state."""
LEAST_WEIGHT = 0.01
"""Of the rows at the poles, whose cosine is zero: they would be divided by it."""


class _Gridded(Protocol):
    channels: tuple[str, ...]
    frames: int
    shape: tuple[int, int]


def past_states(batch: Batch, model: _Gridded) -> Field:
    """The last ``frames`` states of ``batch`` with the model's channels in its order; ``times`` is never None.

    Raises GeoadaptError where a channel, the dates or enough past states are missing, or the grid is another.
    """
    if "atmosphere" not in batch.inputs:
        raise GeoadaptError("batch", f"has inputs {sorted(batch.inputs)}", "a forecast starts from 'atmosphere'")
    given = batch.inputs["atmosphere"]
    field = given if given.channels == model.channels else given.select(model.channels)
    if tuple(field.values.shape[-2:]) != model.shape:
        raise GeoadaptError(
            "batch", f"its grid is {tuple(field.values.shape[-2:])}", f"the baseline was fitted on {model.shape}"
        )
    if field.values.shape[1] < model.frames:
        raise GeoadaptError("batch", f"{field.values.shape[1]} past states", f"the baseline needs {model.frames}")
    if field.times is None:
        raise GeoadaptError("batch", "its states have no dates", "build it with forecast_batch")
    last = slice(field.values.shape[1] - model.frames, None)
    valid = None if field.valid is None else field.valid[:, last]
    return Field(field.values[:, last], field.channels, valid, field.times[:, last], field.grid)


def valid_times(field: Field, step: float, lead: int) -> Tensor:
    """Seconds since 1970 (b,) of the state ``lead`` steps after the last one."""
    if field.times is None:
        raise GeoadaptError("batch", "its states have no dates", "build it with forecast_batch")
    return field.times[:, -1] + round(step * lead)


def seconds(times: Dates) -> Tensor:
    """Dates as seconds since 1970 UTC."""
    return torch.from_numpy(times.astype("datetime64[s]").astype(np.int64))


def step_seconds(history: History) -> float:
    """The step of a forecast [s]."""
    return float(history.step / np.timedelta64(1, "s"))


def latitude_weights(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine of latitude (h,), kept above zero at the poles."""
    return np.maximum(np.cos(np.deg2rad(latitude)), LEAST_WEIGHT)


def known_dates(history: History, mask: NDArray[np.bool_], what: str) -> NDArray[np.intp]:
    """Places of the dates in ``mask`` (t,); raises GeoadaptError where it has another length or is empty."""
    if mask.shape != history.times.shape:
        raise GeoadaptError(history.name, f"{what} dates: {mask.shape} marks for {len(history.times)} dates")
    if not mask.any():
        raise GeoadaptError(history.name, f"no {what} dates", f"choose years between {_range(history)}")
    return np.flatnonzero(mask).astype(np.intp)


def blocks(history: History, places: NDArray[np.intp], reach: int = 1) -> Iterator[NDArray[np.intp]]:
    """``places`` in pieces whose states, ``reach`` for each place, fit into memory."""
    size = max(1, BLOCK // max(1, 8 * reach * int(np.prod(history.states.shape[1:]))))
    for start in range(0, len(places), size):
        yield places[start : start + size]


def _range(history: History) -> str:
    return f"{history.times[0].astype('datetime64[D]')} and {history.times[-1].astype('datetime64[D]')}"
