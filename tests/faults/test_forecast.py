"""RELIABILITY.md, cases 4, 20, 28, 31, 41, 43–48 and 52, for forecasts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.inference.config import ForecastConfig
from geoadapt.inference.forecast import forecast, run_folder
from geoadapt.inference.predict import ItemResult
from geoadapt.inference.rollout import State
from tests.inference.forecasters import DAY, Convolved, archive, day, days
from tests.inference.test_forecast import contents, opened
from tests.inference.test_forecast_rollout import Exploding

ROOT = Path(__file__).parents[2]
CONFIG = ForecastConfig(lead=round(3 * DAY), batch=2)
SEVEN = (2, 3, 4, 5, 6, 7, 8)


def run(path: Path, *numbers: int, model: Convolved | None = None, **more: Any) -> list[ItemResult]:
    return forecast(more.pop("history", archive()), [model or Convolved()], days(*numbers), path, CONFIG, **more)


def hidden(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob(".*") if p.name != ".lock")


def test_a_failed_init_time_is_listed_and_does_not_stop_the_others(tmp_path: Path) -> None:
    history = archive()
    history.states[6, 0, 1, 1] = np.nan  # type: ignore[index]
    path = tmp_path / "fc.zarr"
    results = run(path, 0, *SEVEN, history=history)
    assert [r.name[8:10] for r in results if r.status == "failed"] == ["01", "07", "08"]
    assert "1 of its 288 input values are missing" in results[5].error
    found = opened(path)["temperature"]
    missing = found.isnull().all(("prediction_timedelta", "level", "latitude", "longitude"))
    assert [int(t.dt.day) for t in found["time"][missing]] == [1, 7, 8]
    assert found[~missing].notnull().all()
    said = json.loads((run_folder(path) / "run.json").read_text())
    assert said["counts"] == {"done": 5, "skipped": 0, "failed": 3, "not_reached": 0}
    assert hidden(tmp_path) == []


def test_what_failed_is_tried_again_once_the_archive_has_it(tmp_path: Path) -> None:
    holed = archive()
    holed.states[4, 0, 1, 1] = np.nan  # type: ignore[index]
    path, whole = tmp_path / "fc.zarr", tmp_path / "whole.zarr"
    assert [r.status for r in run(path, 2, 3, 4, 6, history=holed)] == ["done", "done", "failed", "done"]
    assert [r.status for r in run(path, 2, 3, 4, 6)] == ["skipped", "skipped", "done", "skipped"]
    run(whole, 2, 3, 4, 6)
    assert contents(path) == contents(whole)


def test_one_member_that_is_not_finite_leaves_nothing_of_its_init_time(tmp_path: Path) -> None:
    history = archive()
    history.states[4, 0, 0, 0] = 500  # type: ignore[index]
    config, path = replace(CONFIG, members=2), tmp_path / "fc.zarr"
    results = forecast(history, [Exploding()], days(2, 4, 6, 7), path, config)
    assert [r.status for r in results] == ["done", "failed", "done", "done"]
    assert results[1].error == "the forecast of member 0 is not finite 48 h ahead"
    found = opened(path)["temperature"].isnull()
    assert found[1].all() and not found[[0, 2, 3]].any()
    assert not (path / "temperature/c/1").exists() and hidden(tmp_path) == []


class Damaged:
    """An archive one of whose dates cannot be read."""

    def __init__(self, states: NDArray[np.float32], bad: int) -> None:
        self._states, self._bad, self.shape = states, bad, states.shape

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        if self._bad in np.atleast_1d(index):
            raise OSError("chunk c/5/0/0 is damaged")
        return self._states[index]


def test_a_damaged_date_fails_only_the_init_times_that_need_it(tmp_path: Path) -> None:
    history = archive()
    broken = replace(history, states=Damaged(np.asarray(history.states), 5), _place={})
    results = run(tmp_path / "fc.zarr", 3, 4, 5, 6, 7, history=broken)
    assert [r.status for r in results] == ["done", "done", "failed", "failed", "done"]
    assert "chunk c/5/0/0 is damaged" in results[2].error


@pytest.mark.parametrize("where", ["model", "writer", "consumer"])
def test_an_error_on_either_side_surfaces_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    if where == "writer":
        monkeypatch.setattr("geoadapt.inference.finished.Manifest.append", fail)
    model = Convolved(before=fail if where == "model" else None)
    begin = time.perf_counter()
    if where == "model":
        assert {r.error for r in run(tmp_path / "fc.zarr", 3, 4, model=model)} == {"OSError: the disk is gone"}
    else:
        with pytest.raises(OSError, match="the disk is gone"):
            run(tmp_path / "fc.zarr", 3, 4, consumers=[fail] if where == "consumer" else [])
    assert time.perf_counter() - begin < 3  # one for the store itself, on a machine that is busy
    assert hidden(tmp_path) == []


def test_two_runs_on_one_store_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fc.zarr"
    refused: list[str] = []

    def again(state: State) -> None:
        with pytest.raises(GeoadaptError) as error:
            run(path, 3, overwrite=True)
        refused.append(str(error.value))

    assert [r.status for r in run(path, 3, consumers=[again])] == ["done"]
    assert len(refused) == 3 and f"another run (process {os.getpid()}) is writing here" in refused[0]


def test_an_output_that_cannot_be_is_an_error_before_any_computation(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("…")
    model = Convolved()
    for path, said in (
        (tmp_path / "file" / "fc.zarr", "cannot be written to"),
        (tmp_path / "thesis", "exists, and is no forecast store"),
    ):
        with pytest.raises(GeoadaptError, match=said):
            run(path, 3, model=model, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "thesis"]
    assert model.seen == [] and (tmp_path / "thesis" / "chapter.tex").exists()


def test_names_of_all_sorts_are_stores(tmp_path: Path) -> None:
    path = tmp_path / "fc (1), [ü]=ö ☃.zarr"
    assert [r.status for r in run(path, 3)] == ["done"]
    assert opened(path)["temperature"].notnull().all()


def test_more_than_memory_or_disk_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what, said in (("shutil.disk_usage", "needs at least"), ("psutil.virtual_memory", "GiB of memory")):
        with monkeypatch.context() as patch:
            none = type("None_", (), {"free": 0, "available": 0})()
            patch.setattr(f"geoadapt.inference.outlook.{what}", lambda *_: none)  # noqa: B023
            with pytest.raises(GeoadaptError, match=said):
                run(tmp_path / "fc.zarr", 3)
    assert not (tmp_path / "fc.zarr").exists()


CHILD = """
import resource, signal, sys, time
from pathlib import Path
import numpy as np
from geoadapt.inference.forecast import forecast
from tests.faults.test_forecast import CONFIG, SEVEN
from tests.inference.forecasters import Convolved, archive, days
how, path = sys.argv[1], Path(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it
def linger_on():
    for _ in range(300):  # a signal that another thread took is seen between two naps
        time.sleep(0.1)
calls = [0]
def before(step):
    calls[0] += 1
    if how == "step" and calls[0] == 8:
        print("running", flush=True)
        linger_on()
if how == "move":
    from geoadapt.io import forecast_zarr
    move, moved = forecast_zarr._move, []
    def linger(part, final):
        moved.append(final)
        if len(moved) == 6:  # one variable of an init time is moved, the other is not
            print("running", flush=True)
            linger_on()
        move(part, final)
    forecast_zarr._move = linger
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
size = (40, 60) if how == "full" else (6, 8)
try:
    for r in forecast(archive(height=size[0], width=size[1]), [Convolved(before=before)], days(*SEVEN), path, CONFIG):
        print(r.status, r.error)
except KeyboardInterrupt:
    sys.exit(130)
"""


def child(how: str, path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, how, str(path)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("kind", "when"), [(signal.SIGKILL, "step"), (signal.SIGKILL, "move"), (signal.SIGINT, "step")]
)
def test_a_killed_run_is_resumed_to_the_same_bytes_and_computes_only_what_is_missing(
    tmp_path: Path, kind: signal.Signals, when: str
) -> None:
    path, whole = tmp_path / "fc.zarr", tmp_path / "whole.zarr"
    process = child(when, path)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().strip() == "running"
    sent = time.perf_counter()
    process.send_signal(kind)
    process.communicate(timeout=20)
    assert time.perf_counter() - sent < 10
    half = opened(path)["temperature"]
    complete = half.notnull().all(("prediction_timedelta", "level", "latitude", "longitude"))
    absent = half.isnull().all(("prediction_timedelta", "level", "latitude", "longitude"))
    if kind == signal.SIGINT:
        assert process.returncode == 130 and hidden(tmp_path) == []
    if when == "move":
        assert sorted(p.name for p in (path / "temperature/c").iterdir()) == ["0", "1", "2"]
        assert sorted(p.name for p in (path / "mean_sea_level_pressure/c").iterdir()) == ["0", "1"]
    else:
        assert complete.values.tolist() == [True, True] + [False] * 5 and (complete | absent).all()
    model = Convolved()
    statuses = [r.status for r in run(path, *SEVEN, model=model)]
    assert statuses == ["skipped"] * 2 + ["done"] * 5
    assert model.seen == [2, 2, 2, 2, 2, 2, 1, 1, 1]
    run(whole, *SEVEN)
    assert contents(path) == contents(whole)
    assert hidden(tmp_path) == []


def test_a_full_disk_is_an_error_that_keeps_what_was_finished(tmp_path: Path) -> None:
    path = tmp_path / "fc.zarr"
    process = child("full", path)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"GeoadaptError: {path}: cannot be written: File too large" in said
    with xr.open_dataset(path, engine="zarr", chunks=None) as found:
        assert found["temperature"].isnull().all()
    assert hidden(tmp_path) == []
    assert day(2) in found["time"].values
