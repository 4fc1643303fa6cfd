"""Scores of an ensemble forecast, streamed date by date: as fast as the ``scores`` library, and near one memory pass?

Run ``python -m benchmarks.speed.verification``. RMSE and ACC of the ensemble mean and the fair CRPS, weighted by cosine
of latitude, over arrays in memory; one process, one thread. The peer is ``scores`` with xarray, once over all dates and
once date by date, whichever is faster; its values must be ours. Rounds are interleaved, and the median of their ratios
is printed. Beside it: our time over one sequential pass (a sum) over the same arrays, and the peak memory of whole
processes that score forecasts of N and 4 N dates from Zarr stores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.verify import verify

LIMIT = 3.0
HEIGHT, WIDTH = 121, 240
NAMES = ("rmse", "acc", "crps")
LEADS = np.array([24], "timedelta64[h]")
AT_ONCE = 8 * 2**20
"""Of a stored forecast that is held at a time [bytes]."""
MEMBERS_STORED = 10

Values = NDArray[np.float32]
Found = tuple[float, float, float]


def sample(dates: int, members: int) -> tuple[Values, Values, Values]:
    """Forecasts (b, m, 1, h, w), truth and climatology (b, 1, h, w) [K]."""
    rng = np.random.default_rng(0)
    usual = (288 - 60 * np.sin(latitude() * np.pi / 180)[:, None] ** 2) * np.ones((dates, 1, 1, WIDTH))
    truth = (usual + rng.normal(0, 4, usual.shape)).astype(np.float32)
    forecast = truth[:, None] + rng.normal(0, 2, (dates, members, 1, HEIGHT, WIDTH)).astype(np.float32)
    return forecast, truth, usual.astype(np.float32)


def latitude() -> NDArray[np.float64]:
    return np.linspace(90, -90, HEIGHT)


def longitude() -> NDArray[np.float64]:
    return np.arange(WIDTH) * (360 / WIDTH)


def days(count: int) -> NDArray[np.datetime64]:
    return np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(1, "D")


def ours(forecast: Values, truth: Values, usual: Values) -> Found:
    """Streamed, one date at a time."""
    sums = Accumulator(["2m_temperature"], latitude(), longitude(), LEADS, NAMES)
    times = days(len(truth))
    for date in range(len(truth)):
        part = slice(date, date + 1)
        sums.add(times[part], 0, forecast[part], truth[part], usual[part])
    totals = sums.statistics().totals()
    rmse, acc, crps = (float(finish(name, totals)[0, 0, 0]) for name in NAMES)
    return rmse, acc, crps


def theirs(forecast: Values, truth: Values, usual: Values, at_once: int) -> Found:
    """By the library, ``at_once`` dates at a time; xarray where it has no such score."""
    from scores.continuous import mse
    from scores.functions import create_latitude_weights
    from scores.probability import crps_for_ensemble

    axes = {"latitude": latitude(), "longitude": longitude()}
    total = np.zeros(5)
    for start in range(0, len(truth), at_once):
        part = slice(start, start + at_once)
        members = xr.DataArray(forecast[part, :, 0], dims=("time", "number", *axes), coords=axes)
        true, mean_year = (xr.DataArray(v[part, 0], dims=("time", *axes), coords=axes) for v in (truth, usual))
        weights = create_latitude_weights(true["latitude"])
        mean = members.mean("number")
        a, b = mean - mean_year, true - mean_year
        found = [
            mse(mean, true, weights=weights),
            crps_for_ensemble(members, true, "number", method="fair", weights=weights),
            *(product.weighted(weights).mean() for product in (a * b, a * a, b * b)),
        ]
        total += np.array([float(v) for v in found]) * len(true)
    squares, crps, ab, aa, bb = total / len(truth)
    return float(np.sqrt(squares)), float(ab / np.sqrt(aa * bb)), float(crps)


def time_rounds(dates: int, members: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of ours, the peer and a pass, in interleaved rounds after one that is not counted and compares values."""
    arrays = sample(dates, members)
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: ours(*arrays),
        "scores, all dates at once": lambda: theirs(*arrays, at_once=dates),
        "scores, date by date": lambda: theirs(*arrays, at_once=1),
        "pass": lambda: float(arrays[0].sum()) + float(arrays[1].sum()),
    }
    first = {name: run() for name, run in runs.items()}
    for name in list(first)[1:3]:
        np.testing.assert_allclose(np.array(first["ours"]), np.array(first[name]), rtol=1e-5, err_msg=name)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - begin)
    return taken


def write_stores(folder: Path, dates: int) -> tuple[Path, Path]:
    """A forecast of noise and its truth, date by date."""
    paths = folder / f"forecast_{dates}.zarr", folder / f"truth_{dates}.zarr"
    axes = {"latitude": latitude(), "longitude": longitude()}
    for date, when in enumerate(days(dates)):
        forecast, truth, _ = sample(1, MEMBERS_STORED)
        said = xr.DataArray(
            forecast[None], dims=("prediction_timedelta", "time", "number", "level", *axes), coords=axes
        )
        said = said.assign_coords(time=[when], prediction_timedelta=LEADS.astype("timedelta64[ns]"), level=[850.0])
        true = xr.DataArray(truth, dims=("time", "level", *axes), coords=axes)
        true = true.assign_coords(time=[when + LEADS[0]], level=[850.0])
        for path, values in zip(paths, (said.transpose("time", ...), true), strict=True):
            data = values.to_dataset(name="temperature")
            more: dict[str, object] = {"append_dim": "time"} if date else {"mode": "w"}
            data.to_zarr(path, consolidated=False, **more)  # type: ignore[arg-type]
    return paths


def measure(forecast: Path, truth: Path) -> None:
    """Score two stores and print this process's peak memory [MiB]."""
    pair = [xr.open_zarr(path, chunks=None, consolidated=False) for path in (forecast, truth)]
    verify(*pair, scores=("rmse", "crps"), at_once=AT_ONCE)
    # Not getrusage: its maximum is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)


def peaks(dates: int) -> Iterator[tuple[int, float]]:
    """Dates, and the peak memory of a process that scores them [MiB]."""
    with tempfile.TemporaryDirectory() as name:
        for count in (dates, 4 * dates):
            stores = write_stores(Path(name), count)
            command = [sys.executable, "-m", "benchmarks.speed.verification", "--measure", *map(str, stores)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            yield count, float(done.stdout.splitlines()[-1])


def _print_table(runs: dict[str, list[float]], dates: int, members: int, say: Callable[[str], None]) -> None:
    say(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    say(f"{dates} dates × {members} members × {HEIGHT} × {WIDTH}, float32; {len(runs['ours'])} rounds, 1 thread")
    say(f"{'milliseconds per date':<52}{'median':>10}{'best':>10}")
    for name, seconds in runs.items():
        what = {"ours": "geoadapt, date by date", "pass": "one sum over forecast and truth"}.get(name, name)
        say(f"{what:<52}{1e3 * statistics.median(seconds) / dates:>10.2f}{1e3 * min(seconds) / dates:>10.2f}")


def _over(runs: dict[str, list[float]], above: str, below: str) -> float:
    return statistics.median(a / b for a, b in zip(runs[above], runs[below], strict=True))


def main() -> None:
    """Measure, print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dates", type=int, default=32)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--stored", type=int, default=32, help="dates N of the smaller store")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(*given.measure)
        return
    runs = time_rounds(given.dates, given.members, given.rounds)
    _print_table(runs, given.dates, given.members, print)
    speedup = min(_over(runs, name, "ours") for name in runs if name.startswith("scores"))
    over_pass = _over(runs, "ours", "pass")
    print(f"{'speedup_over_scores':<52}{speedup:>10.2f}  (limit {LIMIT:g}) {'ok' if speedup >= LIMIT else 'MISSED'}")
    print(f"{'over_memory_pass':<52}{over_pass:>10.2f}")
    for count, peak in peaks(given.stored):
        size = count * MEMBERS_STORED * HEIGHT * WIDTH * 4 / 2**20
        print(f"{f'peak memory over {count} stored dates ({size:.0f} MiB)':<52}{peak:>10.0f} MiB")
    ratios = {"speedup_over_scores": round(speedup, 3), "over_memory_pass": round(over_pass, 3)}
    print(json.dumps({"name": "verification", "ratios": ratios}))


def one_thread() -> None:
    """Start anew where linear algebra would take several threads: it reads their number when it is loaded."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        command = [sys.executable, "-m", "benchmarks.speed.verification", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    one_thread()
    main()
