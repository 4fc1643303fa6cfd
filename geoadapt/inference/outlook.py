"""What a forecast will take, before it is made: time, memory and disk.

In: what is to be stored, a forecaster and a configuration. Out: bytes, and seconds from one step that is tried.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import History
from geoadapt.inference.config import ForecastConfig
from geoadapt.inference.ensemble import make_ensemble
from geoadapt.inference.rollout import lacks, rollout
from geoadapt.io.forecast_spec import ForecastSpec

__all__ = ["Outlook", "check_room", "disk_needed", "memory_needed", "outlook"]

PACKED = 0.3
"""What lossless compression leaves of smooth fields, at best."""
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a forecast would take."""

    seconds: float
    memory: int
    """Of states and of chunks that wait, the model's own left out [bytes]."""
    disk: int
    """At most, before compression [bytes]."""
    problems: tuple[str, ...]
    """Why init times cannot start, one each; missing values inside a date's fields are found only when it is run."""


def outlook(
    history: History,
    models: Sequence[Forecaster],
    spec: ForecastSpec,
    config: ForecastConfig,
    device: torch.device | str = "cpu",
) -> Outlook:
    """The outlook of one job; one batch steps once to see how long that takes."""
    problems = [lacks(history, moment, models[0].frames) for moment in spec.init_times]
    ready = spec.init_times[[not problem for problem in problems]]
    seconds = _tried(history, models, ready[: config.batch], config, device)
    batches = 0 if not ready.size else len(ready) / len(ready[: config.batch])
    steps = float(spec.leads[-1] / np.timedelta64(1, "s")) / models[0].step
    told = tuple(problem for problem in problems if problem)
    return Outlook(seconds * batches * steps, memory_needed(spec, models[0], config), disk_needed(spec), told)


def memory_needed(spec: ForecastSpec, model: Forecaster, config: ForecastConfig) -> int:
    """Bytes of states on their way and of chunks that fill up; it does not grow with init times or lead times."""
    together = min(config.batch, len(spec.init_times))
    state = 4 * len(spec.latitude) * len(spec.longitude) * len(model.channels) * together
    chunks = sum(math.prod(spec.blocks(v)) for v in spec.variables)
    waiting = 4 * len(spec.latitude) * len(spec.longitude) * chunks * together
    return (model.frames + 2) * config.members * state + 3 * state + waiting


def disk_needed(spec: ForecastSpec) -> int:
    """Bytes of the store before compression."""
    return sum(4 * math.prod(spec.shape(variable)) for variable in spec.variables)


def check_room(spec: ForecastSpec, model: Forecaster, config: ForecastConfig, folder: Path) -> None:
    """Raise GeoadaptError where memory or disk cannot suffice, before anything is allocated."""
    memory, free_memory = memory_needed(spec, model, config), psutil.virtual_memory().available
    if memory > free_memory:
        problem = f"needs {memory / GIB:.1f} GiB of memory, {free_memory / GIB:.1f} are free"
        raise GeoadaptError("--batch", problem, "choose a smaller one, or fewer members")
    disk, free_disk = PACKED * disk_needed(spec), shutil.disk_usage(folder).free
    if disk > free_disk:
        problem = f"needs at least {disk / GIB:.1f} GiB, {free_disk / GIB:.1f} are free"
        raise GeoadaptError(folder.parent, problem, "choose another --output, or keep less with --variables or --every")


def _tried(
    history: History,
    models: Sequence[Forecaster],
    times: NDArray[np.datetime64],
    config: ForecastConfig,
    device: torch.device | str,
) -> float:
    """Seconds of one step of one batch, all members, the second time."""
    if not times.size:
        return 0.0
    ensemble = make_ensemble(models, config.members, config.perturb, seed=config.seed)
    step = np.asarray([round(models[0].step)], "timedelta64[s]")
    taken = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        for _ in rollout(
            models[0],
            history,
            times,
            step,
            ensemble=ensemble,
            batch=config.batch,
            device=device,
            failed=lambda *_: None,
        ):
            pass
        taken = time.perf_counter() - begin
    return taken
