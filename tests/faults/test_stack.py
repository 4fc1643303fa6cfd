"""RELIABILITY.md, cases 41, 43 and 46, for stacks: a killed run goes on where it was, to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from geoadapt.inference.restore import restore_stack
from tests.inference.stacks import SMALL, Blur, job, method, stack

ROOT = Path(__file__).parents[2]
CONFIG = replace(SMALL, composites=["median"])

CHILD = """
import resource, signal, sys, time
from pathlib import Path
from geoadapt.inference.restore import restore_stack
from tests.faults.test_stack import CONFIG
from tests.inference.stacks import Blur, job, method, stack
how, out = sys.argv[1], Path(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it
calls = [0]
def before(batch):
    calls[0] += 1
    if how == "blocks" and calls[0] > 6:
        print("running", flush=True)
        time.sleep(30)
if how == "rasters":
    from geoadapt.io import geotiff
    def linger(path, tiled, cog):
        if "20200127_clear" in path.name:
            print("running", flush=True)
            time.sleep(30)
    geotiff._compare = linger
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
result = restore_stack(job(stack(), out, method(Blur(before=before)), CONFIG))
print(result.status, result.error)
"""


def child(how: str, out: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, how, str(out)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files(folder: Path) -> dict[str, bytes]:
    """Everything that does not say when it was made."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "manifest.jsonl") and path.suffix != ".json"
    }


@pytest.mark.parametrize(
    ("kind", "when"), [(signal.SIGKILL, "blocks"), (signal.SIGINT, "blocks"), (signal.SIGKILL, "rasters")]
)
def test_a_killed_run_goes_on_where_it_was_and_gives_the_same_bytes(
    tmp_path: Path, kind: signal.Signals, when: str
) -> None:
    out = tmp_path / "out"
    process = child(when, out)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().strip() == "running", process.stderr.read()
    process.send_signal(kind)
    process.wait(timeout=20)
    process.stdout.close()
    process.stderr.close()
    assert not (out / "manifest.jsonl").exists()
    assert not (out / "place_20200127_clear.tif").exists() and not (out / "place_cube.zarr").exists()
    model = Blur()
    result = restore_stack(job(stack(), out, method(model), CONFIG))
    assert result.status == "done", result.error
    assert any("of 6 blocks were there from a run that was stopped" in note for note in result.notes)
    assert sorted(p.name for p in out.iterdir() if p.name.startswith(".")) == [".lock"]
    fresh = Blur()
    restore_stack(job(stack(), tmp_path / "whole", method(fresh), CONFIG))
    assert len(model.calls) < len(fresh.calls) and (when == "blocks" or not model.calls)
    assert files(out) == files(tmp_path / "whole")


def test_what_another_job_left_is_not_taken_up(tmp_path: Path) -> None:
    process = child("blocks", tmp_path)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().strip() == "running"
    process.kill()
    process.wait(timeout=20)
    process.stdout.close()
    process.stderr.close()
    model, fresh = Blur(), Blur()
    result = restore_stack(job(stack(), tmp_path, method(model), replace(CONFIG, keep_clear=False)))
    assert result.status == "done" and not any("were there" in note for note in result.notes)
    restore_stack(job(stack(), tmp_path / "more", method(fresh), replace(CONFIG, keep_clear=False)))
    assert len(model.calls) == len(fresh.calls)


def test_a_full_disk_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    said, problem = child("full", tmp_path).communicate(timeout=60)
    assert said.startswith("failed "), problem
    assert "cannot be written" in said, said
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "run.json"]
