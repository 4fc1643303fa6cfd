"""The inputs of a roll-out: which init times can start, what of the others is missing, and the batch of all of them.

In: an archive's history and init times. Out: a batch, and by position what is wrong; a place that cannot run is filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.calendar import shown
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import History, forecast_batch
from geoadapt.fields.types import Batch

__all__ = ["dates_of", "lacks", "never_known", "starting"]

Dates = NDArray[np.datetime64]


def starting(
    model: Forecaster, history: History, times: Dates, never: NDArray[np.bool_] | None
) -> tuple[Batch | None, dict[int, str]]:
    """The batch of all ``times``, None where none can run, and what is wrong with some: they repeat a good one.

    ``never`` (c, h, w) are points without a value at any date; None = every point may lack one.
    """
    problems = {k: problem for k, t in enumerate(times) if (problem := lacks(history, t, model.frames))}
    places = history.places(times)
    batch = None
    while len(problems) < len(times):
        good = next(k for k in range(len(times)) if k not in problems)
        filled = [places[good if k in problems else k] for k in range(len(times))]
        try:
            batch = forecast_batch(history, filled, model.frames, 0)
            found = {} if never is None else _missing(batch, model.channels, never)
        except (GeoadaptError, OSError, ValueError, RuntimeError):
            found = _unreadable(history, places, model.frames, set(range(len(times))) - problems.keys())
        if not found.keys() - problems.keys():
            break
        problems = found | problems
    return (batch if len(problems) < len(times) else None), problems


def lacks(history: History, time: np.datetime64, frames: int) -> str:
    """Which date is missing for a forecast from ``time``; empty where none is."""
    wanted = time.astype("datetime64[s]") - history.step * np.arange(frames - 1, -1, -1)
    places = history.places(wanted)
    if (places >= 0).all():
        return ""
    first = wanted[places < 0][-1]
    why = "" if first == wanted[-1] else f", which the model needs beside {shown(wanted[-1])}"
    return f"{history.name} lacks {shown(first)}{why}; {dates_of(history)}"


def dates_of(history: History) -> str:
    """The dates that an archive has, for people."""
    times = history.times.astype("datetime64[s]")
    return f"it has {shown(times[0])} to {shown(times[-1])}" if len(times) else "it has no date"


def _unreadable(history: History, places: NDArray[np.intp], frames: int, which: AbstractSet[int]) -> dict[int, str]:
    """Which samples cannot be read by themselves, and why; raises where all can, and only together they cannot."""
    found = {}
    for k in which:
        try:
            forecast_batch(history, [places[k]], frames, 0)
        except (GeoadaptError, OSError, ValueError, RuntimeError) as error:
            found[k] = str(error)
    if not found:
        raise GeoadaptError(history.name, f"{len(which)} dates cannot be read together", "choose a smaller --batch")
    return found


def _missing(batch: Batch, channels: tuple[str, ...], never: NDArray[np.bool_]) -> dict[int, str]:
    """Of each sample whose input lacks values that other dates have: how many."""
    seen = batch.inputs["atmosphere"].select(channels)
    if seen.valid is None:
        return {}
    lacking = ~seen.valid.numpy() & ~never
    counts = lacking.sum(axis=(1, 3, 4))
    told = {}
    for k in np.flatnonzero(counts.sum(axis=1)):
        first = channels[int(np.flatnonzero(counts[k])[0])]
        told[int(k)] = f"{counts[k].sum()} of its {lacking[k].size} input values are missing, first of {first}"
    return told


def never_known(history: History, channels: Sequence[str]) -> NDArray[np.bool_]:
    """Points (c, h, w) without a value at the first, the middle and the last date: sea in a land archive, say."""
    dates = np.unique([0, len(history.times) // 2, len(history.times) - 1])
    index = [history.channels.index(channel) for channel in channels]
    missing = ~np.isfinite(np.asarray(history.states[dates])[:, index])
    return np.asarray(missing.all(axis=0))
