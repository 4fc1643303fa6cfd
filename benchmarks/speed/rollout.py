"""A forecast into a Zarr store over the model alone: what reading, checking, compressing and writing cost beside it.

Run ``python -m benchmarks.speed.rollout``. The model is small_wx with random weights and a linear head (speed does not
depend on the weights); 10 channels on a global grid, from several init times at once, 40 leads, one torch thread. The
limit is the model stepping from ready batches of the same init times, its states thrown away. Everything is in the
other time: the job's store, inputs from an archive in memory, NaN checks, chunks, fsync, hashes, manifest. Rounds are
interleaved, the median of their ratios is printed; beside it the ratio of the processor's time, which counts what the
writer's thread does on the other core, and which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geoadapt.adapters.config import HeadOnlyConfig
from geoadapt.backbones.config import SmallWxConfig
from geoadapt.bundle.forecaster import forecast_inputs
from geoadapt.fields.history import History, forecast_batch
from geoadapt.forecaster import AdaptedForecaster, Stepping
from geoadapt.heads.config import LinearConfig
from geoadapt.inference.config import ForecastConfig
from geoadapt.inference.ensemble import correlated_noise
from geoadapt.inference.forecast import forecast
from geoadapt.model import build_model
from geoadapt.standard import fit_standard

CHANNELS = (
    *(f"{name}@{level}" for name in ("geopotential", "temperature") for level in (500, 700, 850)),
    *("mean_sea_level_pressure", "2m_temperature", "10m_u_component_of_wind", "10m_v_component_of_wind"),
)
LEVEL = (54e3, 29e3, 14e3, 255.0, 273.0, 283.0, 101e3, 288.0, 0.0, 0.0)
SPREAD = (2e3, 1.5e3, 1e3, 8.0, 8.0, 9.0, 900.0, 10.0, 5.0, 5.0)
FRAMES, STEP, BATCH = 2, 6 * 3600, 4
LIMIT = 1.10
CPU = "_cpu"
"""Ending of the processor's time beside the wall time."""


def archive(height: int, width: int, dates: int) -> History:
    """Smooth fields every six hours that drift from one to the other; made up, and only their size matters."""
    latitude = 90 - (np.arange(height) + 0.5) * 180 / height
    longitude = np.arange(width) * 360 / width
    draw = np.random.default_rng(0)
    first, second = (correlated_noise(latitude, longitude, len(CHANNELS), 1500.0, draw) for _ in range(2))
    turn = np.linspace(0, np.pi / 2, dates)[:, None, None, None]
    level, spread = (np.asarray(values)[:, None, None] for values in (LEVEL, SPREAD))
    states = (level + spread * (first * np.cos(turn) + second * np.sin(turn))).astype(np.float32)
    states += draw.normal(0, 0.01, states.shape).astype(np.float32) * spread.astype(np.float32)
    times = np.datetime64("2008-01-01", "s") + np.arange(dates) * np.timedelta64(STEP, "s")
    return History(states, times, CHANNELS, latitude, longitude, np.timedelta64(STEP, "s"), name="made up")


def small_model(history: History, patch: int) -> AdaptedForecaster:
    """small_wx, whose tendencies are made small enough for a long roll-out to stay finite."""
    backbone = SmallWxConfig(random_weights=True, patch_size=patch)
    model = build_model(backbone, HeadOnlyConfig(), LinearConfig(), forecast_inputs(CHANNELS), CHANNELS, 0)
    for parameter in model.head.parameters():
        parameter.data.mul_(0.1)
    standard = fit_standard(history, np.ones(len(history.times), bool), "channel")
    made = AdaptedForecaster(model, standard, CHANNELS, Stepping(FRAMES, STEP))
    return made.eval().requires_grad_(False)


def model_alone(model: AdaptedForecaster, history: History, inits: NDArray[np.intp], batch: int, leads: int) -> float:
    """Seconds of the steps from ready batches."""
    ready = [forecast_batch(history, inits[i : i + batch], FRAMES, 0) for i in range(0, len(inits), batch)]
    begin = time.perf_counter()
    with torch.inference_mode():
        for one in ready:
            for _ in model.states(one, leads):
                pass
    return time.perf_counter() - begin


def whole_job(model: AdaptedForecaster, history: History, inits: NDArray[np.intp], folder: Path, leads: int) -> float:
    """Seconds of the whole job, from no store to a finished one."""
    config = ForecastConfig(lead=leads * STEP, batch=BATCH)
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.perf_counter()
    results = forecast(history, [model], history.times[inits], folder / "fc.zarr", config)
    taken = time.perf_counter() - begin
    assert all(result.status == "done" for result in results), results
    return taken


def time_rounds(
    model: AdaptedForecaster, history: History, inits: NDArray[np.intp], leads: int, rounds: int, folder: Path
) -> dict[str, list[float]]:
    """Interleaved rounds [s] after a short one that is not counted; who is first changes from round to round."""
    runs: dict[str, list[float]] = {name + clock: [] for name in ("model", "rollout") for clock in ("", CPU)}
    calls: dict[str, Callable[[int], float]] = {
        "model": lambda n: model_alone(model, history, inits, BATCH, n),
        "rollout": lambda n: whole_job(model, history, inits, folder / "job", n),
    }
    for index in range(rounds + 1):
        for name in list(calls)[:: 1 if index % 2 else -1]:
            begin = time.process_time()
            taken = calls[name](leads if index else 2)
            if index:
                runs[name].append(taken)
                runs[name + CPU].append(time.process_time() - begin)
    return runs


def _print_table(runs: dict[str, list[float]], bytes_out: int, stored: int) -> dict[str, float]:
    print(f"{'measured':<44}{'min':>9}{'median':>9}")
    for name, what in (("model", "model alone"), ("rollout", "roll-out into a Zarr store")):
        for clock, unit in (("", "s"), (CPU, "s of CPU")):
            seconds = runs[name + clock]
            print(f"{f'{what} [{unit}]':<44}{min(seconds):>9.2f}{statistics.median(seconds):>9.2f}")
    print(f"{'stored [MiB], of so many before compression':<44}{stored / 2**20:>9.1f}{bytes_out / 2**20:>9.1f}")
    ratios = {}
    for key, clock in (("rollout_over_model", ""), ("cpu_over_model", CPU)):
        pairs = zip(runs["rollout" + clock], runs["model" + clock], strict=True)
        ratios[key] = statistics.median(rollout / model for rollout, model in pairs)
        verdict = f"  (limit {LIMIT:g}) {'ok' if ratios[key] <= LIMIT else 'MISSED'}" if not clock else ""
        print(f"{key:<44}{ratios[key]:>18.3f}{verdict}")
    return ratios


def main() -> None:
    """Measure, print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=64, help="rows of the grid, half its columns")
    parser.add_argument("--patch", type=int, default=2, help="side of the model's patches")
    parser.add_argument("--inits", type=int, default=4, help=f"init times, {BATCH} at once")
    parser.add_argument("--leads", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where to put the store; a temporary folder if not given")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    history = archive(arguments.height, 2 * arguments.height, arguments.inits + FRAMES)
    model = small_model(history, arguments.patch)
    inits = np.arange(FRAMES - 1, FRAMES - 1 + arguments.inits)
    print(
        f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    shape = f"{arguments.height} × {2 * arguments.height} × {len(CHANNELS)}"
    print(f"torch {torch.__version__}, 1 thread; {shape}, {arguments.inits} init times × {arguments.leads} leads")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        runs = time_rounds(model, history, inits, arguments.leads, arguments.rounds, Path(name))
        stored = sum(p.stat().st_size for p in (Path(name) / "job/fc.zarr").rglob("*") if p.is_file())
    states = arguments.inits * arguments.leads
    bytes_out = 4 * states * len(CHANNELS) * 2 * arguments.height**2
    ratios = _print_table(runs, bytes_out, stored)
    print(json.dumps({"name": "rollout", "ratios": {key: round(value, 4) for key, value in ratios.items()}}))


if __name__ == "__main__":
    main()
