"""From a canonical weather cube to a history: which variables and levels, in which order, read when they are needed.

In: a Dataset (time, [level], latitude, longitude). Out: a ``History`` of states (t, c, h, w).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
import xarray as xr
from numpy.typing import NDArray

from geoadapt.cubes.variables import channel_name, split_channel
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.history import Dates, History, States

__all__ = ["CubeStates", "channels_of", "history_of", "parse_step"]

SHARE = 0.25
"""Of the free memory: a cube that needs less is read at once."""


class CubeStates:
    """States read from a cube by index; one read per variable, whatever lies behind it."""

    def __init__(self, cube: xr.Dataset, channels: Sequence[str]) -> None:
        self._parts = [_channel(cube, name) for name in channels]
        first = self._parts[0]
        self._shape = (first.sizes["time"], len(channels), first.sizes["latitude"], first.sizes["longitude"])

    @property
    def shape(self) -> tuple[int, ...]:
        """(t, c, h, w)."""
        return self._shape

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """States (n, c, h, w) at the integers of ``index`` (n,)."""
        # a store is read in ascending order, each date once
        wanted, back = np.unique(np.asarray(index), return_inverse=True)
        read = [part.isel(time=wanted).transpose("time", "latitude", "longitude").values for part in self._parts]
        return np.stack(read, 1).astype(np.float32, copy=False)[back]


def history_of(
    cube: xr.Dataset, channels: Sequence[str] | None = None, step: np.timedelta64 | str | None = None, name: str = ""
) -> History:
    """The history of a cube's ``channels`` (None = all) in steps of ``step`` (None = the cube's own interval).

    All variables of latitude and longitude alone become static fields, whatever ``channels`` names.
    Raises GeoadaptError for a channel that the cube lacks, or that has members or lead times, for a calendar without
    real dates, and for a step that does not fit.
    """
    told = name or str(cube.attrs.get("source", "cube"))
    moving = channels_of(cube)
    chosen = list(channels) if channels is not None else moving
    for wanted in chosen:
        if wanted not in moving:
            raise GeoadaptError(told, f"has no '{wanted}'", nearest(wanted, moving))
    if not chosen:
        raise GeoadaptError(told, "holds no variable with dates", f"found {list(map(str, cube.data_vars))}")
    for wanted in chosen:
        if more := _further(cube, wanted):
            problem = f"'{wanted}' has {more} too, beside time, level, latitude and longitude"
            raise GeoadaptError(told, problem, f"take one {more[0]} first, with xarray's isel")
    times = _times(cube, told)
    states: States = CubeStates(cube, chosen)
    if 4 * np.prod(states.shape) < SHARE * psutil.virtual_memory().available:
        used = list(dict.fromkeys(split_channel(c)[0] for c in chosen))
        # every variable once, with all of its levels, whatever the chunks of its store
        states = CubeStates(cube[used].load(), chosen)[np.arange(states.shape[0])]
    fixed = [str(n) for n, v in cube.data_vars.items() if set(v.dims) == {"latitude", "longitude"}]
    still = [np.asarray(cube[n].transpose("latitude", "longitude").values, np.float32) for n in fixed]
    return History(
        states=states,
        times=times,
        channels=tuple(chosen),
        latitude=np.asarray(cube["latitude"].values, np.float64),
        longitude=np.asarray(cube["longitude"].values, np.float64),
        step=_step(times, step, told),
        units=tuple(str(cube[split_channel(c)[0]].attrs.get("units", "")) for c in chosen),
        static=np.stack(still) if still else None,
        static_channels=tuple(fixed),
        simulated=str(cube.attrs.get("simulated", False)).lower() in ("true", "1"),
        note=str(cube.attrs.get("note", "")),
        name=told,
    )


def channels_of(cube: xr.Dataset) -> list[str]:
    """Every variable with dates, level by level, as ``variable`` or ``variable@level``."""
    found: list[str] = []
    for name, variable in cube.data_vars.items():
        if not {"time", "latitude", "longitude"} <= set(variable.dims):
            continue
        levels = cube["level"].values if "level" in variable.dims else [None]
        found += [channel_name(str(name), None if level is None else float(level)) for level in levels]
    return found


def parse_step(text: str) -> np.timedelta64:
    """A length of time such as ``24h``, ``6h``, ``1d``; raises GeoadaptError for anything else."""
    import pandas as pd

    try:
        # pandas is about to forget the small d
        step = pd.Timedelta(re.sub(r"(?<=\d)d$", "D", text.strip())).to_timedelta64().astype("timedelta64[s]")
    except ValueError as error:
        raise GeoadaptError("step", f"'{text}' is no length of time", "write 6h, 24h or 1d") from error
    if step <= np.timedelta64(0):
        raise GeoadaptError("step", f"'{text}'", "choose more than 0")
    return np.timedelta64(step, "s")


def _channel(cube: xr.Dataset, channel: str) -> xr.DataArray:
    variable, level = split_channel(channel)
    part: xr.DataArray = cube[variable]
    return part if level is None else part.sel(level=level)


def _further(cube: xr.Dataset, channel: str) -> list[str]:
    """Dimensions that a state has no place for, such as members."""
    known = {"time", "level", "latitude", "longitude"}
    return [str(dim) for dim in cube[split_channel(channel)[0]].dims if dim not in known]


def _times(cube: xr.Dataset, told: str) -> Dates:
    times = np.atleast_1d(cube["time"].values)
    if times.dtype.kind != "M":
        calendar = cube["time"].dt.calendar
        raise GeoadaptError(told, f"its calendar is {calendar}", "forecasts need real dates: convert it first")
    return times.astype("datetime64[s]")


def _step(times: Dates, step: np.timedelta64 | str | None, told: str) -> np.timedelta64:
    own = np.diff(times).min() if len(times) > 1 else np.timedelta64(86400, "s")
    wanted = own if step is None else parse_step(step) if isinstance(step, str) else step
    if len(times) > 1 and wanted % own != np.timedelta64(0):
        raise GeoadaptError("data.step", f"{wanted} is no multiple of the {own} between dates of {told}", "choose one")
    return np.timedelta64(wanted, "s")
