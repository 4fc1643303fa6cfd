"""Roll-out: a forecaster steps from many init times at once, and every state is handed on and forgotten.

In: a forecaster, an archive's history and init times. Out: labelled states, lead by lead and in each lead member by
member, so that a store and a verification can both take them in one pass. What an init time gives does not depend on
which others failed or are finished: batches are cut from the whole list, and a place that cannot run is filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.cubes.latlon_box import Part, part_of
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import History
from geoadapt.fields.types import Batch
from geoadapt.inference.ensemble import SINGLE, Ensemble, member_states
from geoadapt.inference.layout import variables_of
from geoadapt.inference.starting import dates_of, lacks, never_known, starting
from geoadapt.io.forecast_spec import ForecastSpec, skeleton

__all__ = ["Consumer", "Failed", "State", "as_dataset", "check_leads", "dates_of", "lacks", "lead_times", "rollout"]

Dates = NDArray[np.datetime64]
Values = NDArray[np.float32]
_SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True, slots=True)
class State:
    """What is predicted for one lead time from several init times, SI units; NaN where the archive never has values."""

    init_times: Dates
    """(b,)."""
    number: int | None
    """The member; None for a single forecast."""
    lead: np.timedelta64
    values: Values
    """(b, c, h, w)."""
    channels: tuple[str, ...]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    units: tuple[str, ...] = ()


Consumer = Callable[[State], None]
"""Takes each state as it comes, and keeps no reference to its values unless it copies them."""
Failed = Callable[[np.datetime64, str], None]
"""Told of an init time that gives no forecast, and why; it may have given states before."""


def lead_times(lead: int, every: int, step: float) -> NDArray[np.timedelta64]:
    """Lead times (n,) up to ``lead``, ``every`` apart (0 = each ``step``) [s]; raises where no multiple of a step."""
    size = every or round(step)
    if lead < size or lead % size:
        raise GeoadaptError("--lead", f"{_hours(lead)} is no multiple of {_hours(size)}", "choose a multiple of it")
    leads = np.arange(size, lead + 1, size).astype("timedelta64[s]")
    check_leads(leads, step)
    return leads


def check_leads(leads: NDArray[np.timedelta64], step: float) -> list[int]:
    """Steps to each lead time; raises GeoadaptError where one is no multiple of the model's ``step`` [s]."""
    seconds = leads.astype("timedelta64[s]").astype(np.int64)
    wrong = seconds[(seconds <= 0) | (seconds % round(step) != 0)]
    if wrong.size:
        raise GeoadaptError("--lead", f"{_hours(wrong[0])} is no multiple of the model's {_hours(step)}", "choose one")
    return [int(count) for count in seconds // round(step)]


def rollout(
    model: Forecaster,
    history: History,
    init_times: Dates,
    leads: NDArray[np.timedelta64],
    *,
    ensemble: Ensemble = SINGLE,
    batch: int = 8,
    device: torch.device | str = "cpu",
    done: AbstractSet[int] = frozenset(),
    failed: Failed | None = None,
    gaps: bool = False,
) -> Iterator[State]:
    """States by batch of ``init_times``, then by lead, then by member; only one state of each member is held.

    Args:
        model: where members have models of their own, one of them.
        history: holds the model's channels, in steps of the model.
        init_times: when forecasts start; their last input state is that of the date itself.
        leads: which lead times are handed on, ascending.
        ensemble: what the members are.
        batch: init times at once; with dropout always one, whose noise then is its own.
        device: where the model is.
        done: positions of init times that are not wanted any more.
        failed: told of those that cannot run, or whose forecast is not finite; without it the first is an error.
        gaps: values may be missing, in the input as in the forecast, as where a verification leaves them out.

    Raises GeoadaptError where leads, channels or step do not fit the model.
    """
    wanted = dict(zip(check_leads(leads, model.step), leads, strict=True))
    _check_fit(model, history)
    told = failed or _raise
    size = 1 if ensemble.alone else batch
    never = None if gaps else never_known(history, model.channels)
    for first in range(0, len(init_times), size):
        places = list(range(first, min(first + size, len(init_times))))
        if all(i in done for i in places):
            continue
        inputs, problems = starting(model, history, init_times[places], never)
        for k, problem in sorted(problems.items()):
            if places[k] not in done:
                told(init_times[places[k]], problem)
        keep = [k for k, i in enumerate(places) if i not in done and k not in problems]
        if inputs is None or not keep:
            continue
        run = _Run(model, history, init_times[places], ensemble, never, device, told, keep)
        try:
            yield from run.states(inputs, wanted)
        except Exception as error:  # whatever a batch meets, the others go on and its init times are listed
            if failed is None:
                raise
            for k in run.keep:
                failed(init_times[places[k]], _explained(error, size))


def as_dataset(state: State, part: Part | None = None) -> xr.Dataset:
    """A state under its variables' names, with units and coordinates, as it stands in a forecast store."""
    points = part or part_of(state.latitude, state.longitude)
    variables = variables_of(state.channels, state.units, range(len(state.channels)))
    numbers = None if state.number is None else (state.number,)
    leads = np.asarray([state.lead])
    spec = ForecastSpec(state.init_times, leads, points.latitude, points.longitude, variables, numbers)
    made, values, levels = skeleton(spec), points.cut(state.values), spec.levels()
    for variable in variables:
        rows = [levels.index(level) for level in variable.levels] or [0]
        fields = np.full((len(values), max(1, len(levels)), *values.shape[-2:]), np.nan, np.float32)
        fields[:, rows] = values[:, list(variable.channels)]
        shaped = fields if variable.levels else fields[:, 0]
        made[variable.name] = (spec.dims(variable), shaped.reshape(spec.shape(variable)), dict(variable.attributes))
    return made


@dataclass(slots=True)
class _Run:
    """One batch on its way."""

    model: Forecaster
    history: History
    times: Dates
    ensemble: Ensemble
    never: NDArray[np.bool_] | None
    """Points without a value at any date; None = any value may be missing."""
    device: torch.device | str
    told: Failed
    keep: list[int]
    """Places in the batch that are still wanted, ascending."""
    units: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        units = dict(zip(self.history.channels, self.history.units or [""] * len(self.history.channels), strict=True))
        self.units = tuple(units[channel] for channel in self.model.channels)

    def states(self, inputs: Batch, wanted: dict[int, np.timedelta64]) -> Iterator[State]:
        """Step all members side by side, and hand on the leads that are wanted."""
        last = max(wanted)
        numbers = self.ensemble.numbers
        streams = [
            member_states(self.ensemble, self.model, inputs, self.times, number or 0, last, self.device)
            for number in numbers or (None,)
        ]
        for count in range(1, last + 1):
            for number, stream in zip(numbers or (None,), streams, strict=True):
                with torch.inference_mode():
                    predicted = next(stream)
                if count in wanted and self.keep:
                    yield from self._state(predicted, number, wanted[count])
            if not self.keep:
                return

    def _state(self, predicted: Tensor, number: int | None, lead: np.timedelta64) -> Iterator[State]:
        values = predicted[self.keep].to("cpu", torch.float32).numpy()
        if self.never is not None:
            values = self._finite(values, self.never, number, lead)
        if self.keep:
            times, places = self.times[self.keep], (self.history.latitude, self.history.longitude)
            yield State(times, number, lead, values, self.model.channels, *places, self.units)

    def _finite(self, values: Values, never: NDArray[np.bool_], number: int | None, lead: np.timedelta64) -> Values:
        """The forecasts that are finite wherever there is ever a value; of the others it is told."""
        known = np.isfinite(values)
        if never.any():
            values[:, never] = np.nan
            known |= never
        broken = ~np.asarray(known.all(axis=(1, 2, 3)))
        for place in np.flatnonzero(broken):
            member = "" if number is None else f" of member {number}"
            ahead = _hours(lead / _SECOND)
            self.told(self.times[self.keep[place]], f"the forecast{member} is not finite {ahead} ahead")
        if broken.any():
            values = values[~broken]
            self.keep = [k for k, bad in zip(self.keep, broken, strict=True) if not bad]
        return values


def _check_fit(model: Forecaster, history: History) -> None:
    missing = [channel for channel in model.channels if channel not in history.channels]
    if missing:
        raise GeoadaptError(history.name, f"lacks {', '.join(missing)}", f"it has {', '.join(history.channels)}")
    if not len(history.times):
        raise GeoadaptError(history.name, "holds no date", "name an archive that does")
    step = history.step / _SECOND
    if step != round(model.step):
        raise GeoadaptError(history.name, f"is in steps of {_hours(step)}, the model's are {_hours(model.step)}")


def _explained(error: Exception, batch: int) -> str:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return f"out of memory with {batch} init times at once; choose a smaller --batch"
    return f"{type(error).__name__}: {error}"


def _raise(time: np.datetime64, problem: str) -> None:
    raise GeoadaptError(time, problem, "leave it out, or pass failed")


def _hours(seconds: float) -> str:
    return f"{float(seconds) / 3600:g} h"
