"""RELIABILITY.md, cases 4, 5, 12, 41 and 43–48, for running scenes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.config import InferConfig
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import StreamOptions
from geoadapt.inference.predict import predict
from geoadapt.inference.products import LabelProduct
from geoadapt.inference.stream import stream
from tests.inference.fakes import CountingSource, FakeBundle, MemorySink
from tests.synth import scene, write_tif

ROOT = Path(__file__).parents[2]
SMALL = InferConfig(tile=32, overlap=8, batch=2)


def write_scene(path: Path, height: int = 60, width: int = 50, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_tif(path, scene(3, height, width, seed), names=("blue", "green", "red"))


def hidden(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob(".*") if p.name != ".lock")


@pytest.mark.parametrize("where", ["reader", "model", "writer"])
def test_an_error_in_any_thread_surfaces_within_a_second(where: str) -> None:
    array = scene(3, 200, 60)
    source = CountingSource(array, fail_at=60 if where == "reader" else None)
    sink = MemorySink(1, 200, 60)

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    bundle = FakeBundle(before=fail if where == "model" else None)
    if where == "writer":
        sink.write = fail  # type: ignore[method-assign]
    begin = time.perf_counter()
    with pytest.raises(OSError, match="the disk is gone"):
        stream(
            source,
            lambda v, m: bundle.scores(v, m, time=None, resolution=None),
            [LabelProduct(sink, CLOUD_CLASSES)],
            StreamOptions(4, 32, 8, 2, 4),
        )
    assert time.perf_counter() - begin < 1


def test_out_of_memory_halves_the_batch_and_says_so(tmp_path: Path) -> None:
    def limited(values: torch.Tensor) -> None:
        if len(values) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    path = write_scene(tmp_path / "a.tif", 60, 200)
    config = InferConfig(tile=32, overlap=8, batch=4)
    (plain,) = predict([path], FakeBundle(), tmp_path / "plain", config)
    (result,) = predict([path], FakeBundle(before=limited), tmp_path / "out", config)
    assert result.status == "done", result.error
    assert "out of memory with 4 tiles at once; going on with 2" in result.notes
    assert result.counts["batch"] == 1
    assert result.files["labels"].read_bytes() == plain.files["labels"].read_bytes()


def test_out_of_memory_with_a_single_tile_is_an_error_that_names_the_tile(tmp_path: Path) -> None:
    def never(values: torch.Tensor) -> None:
        raise MemoryError

    (result,) = predict([write_scene(tmp_path / "a.tif")], FakeBundle(before=never), tmp_path / "out", SMALL)
    assert result.status == "failed"
    assert "even with one tile of 32 px; choose a smaller infer.tile" in result.error


def test_a_failed_scene_is_listed_and_does_not_stop_the_others(tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    write_scene(scenes / "a.tif")
    whole = write_scene(scenes / "b.tif", 300, 300).read_bytes()
    (scenes / "b.tif").write_bytes(whole[: len(whole) // 2])
    write_scene(scenes / "c.tif")
    results = predict([scenes], FakeBundle(), tmp_path / "out", SMALL)
    assert [r.status for r in results] == ["done", "failed", "done"]
    assert "b.tif" in results[1].error
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["counts"] == {"done": 2, "skipped": 0, "failed": 1, "not_reached": 0}
    assert not (tmp_path / "out/b_labels.tif").exists()
    assert hidden(tmp_path / "out") == []


def test_equal_names_in_two_folders_give_two_outputs(tmp_path: Path) -> None:
    for number, folder in enumerate(("x", "y")):
        write_scene(tmp_path / "in" / folder / "s.tif", seed=number)
    results = predict([tmp_path / "in"], FakeBundle(), tmp_path / "out", SMALL)
    assert [r.name for r in results] == ["x/s", "y/s"]
    results = predict([tmp_path / "in/x/s.tif", tmp_path / "in/y/s.tif"], FakeBundle(), tmp_path / "two", SMALL)
    assert len({r.files["labels"] for r in results}) == 2


def test_a_finished_scene_is_skipped_until_its_input_configuration_or_output_changes(tmp_path: Path) -> None:
    path, out = write_scene(tmp_path / "a.tif"), tmp_path / "out"

    def status(config: InferConfig = SMALL, **more: object) -> str:
        return predict([path], FakeBundle(), out, config, **more)[0].status  # type: ignore[arg-type]

    assert [status(), status()] == ["done", "skipped"]
    assert status(InferConfig(tile=32, overlap=8, batch=2, threshold=0.4)) == "done"
    assert status() == "done"
    assert status(bundle_hash="other") == "done"
    assert status() == "done"
    os.truncate(out / "a_labels.tif", 8)
    assert status() == "done"
    write_scene(tmp_path / "a.tif", seed=5)
    os.utime(path, (1, 1))
    assert status() == "done"
    labels = out / "a_labels.tif"
    stamp = labels.stat()
    data = bytearray(labels.read_bytes())
    data[-1] ^= 1
    labels.write_bytes(bytes(data))
    os.utime(labels, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert [status(), status(verify=True)] == ["skipped", "done"]


def test_an_output_folder_that_cannot_be_is_an_error_before_any_computation(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    bundle = FakeBundle()
    with pytest.raises(GeoadaptError, match="cannot be written to"):
        predict([write_scene(tmp_path / "a.tif")], bundle, tmp_path / "out", SMALL)
    assert bundle.calls == []


def test_two_runs_on_one_output_folder_are_refused(tmp_path: Path) -> None:
    path, out = write_scene(tmp_path / "a.tif"), tmp_path / "out"

    def again(values: torch.Tensor) -> None:
        with pytest.raises(GeoadaptError, match=f"another run .process {os.getpid()}. is writing here"):
            predict([path], FakeBundle(), out, SMALL)

    (result,) = predict([path], FakeBundle(before=again), out, SMALL)
    assert result.status == "done", result.error


def test_names_of_any_bytes_are_run_or_listed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("new\nline.tif", "100%;#?'.tif"):
        write_scene(folder / name)
    os.rename(write_scene(folder / "x.tif"), os.fsencode(folder) + b"/caf\xe9.tif")
    results = predict([folder], FakeBundle(), tmp_path / "out", SMALL)
    assert [r.status for r in results] == ["done", "failed", "done"]
    assert "no UTF-8, which GDAL cannot open" in results[1].error
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert [s["name"] for s in run["scenes"]] == [r.name for r in results]


CHILD = """
import resource, signal, sys, time
from pathlib import Path
from geoadapt.config import InferConfig
from geoadapt.inference.predict import predict
from tests.inference.fakes import FakeBundle
how, scenes, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it
calls = [0]
def before(values):
    calls[0] += 1
    if how == "slow" and calls[0] > 8:
        print("running", flush=True)
        time.sleep(0.5)
if how == "finalise":
    from geoadapt.io import geotiff
    def linger(path, tiled, cog):
        if path.name.startswith("b"):
            print("running", flush=True)
            time.sleep(30)
    geotiff._compare = linger
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
results = predict([scenes], FakeBundle(before=before), out, InferConfig(tile=32, overlap=8, batch=2))
for r in results:
    print(r.status, r.error)
"""


def child(how: str, scenes: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, how, str(scenes), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("kind", "when"), [(signal.SIGKILL, "slow"), (signal.SIGINT, "slow"), (signal.SIGKILL, "finalise")]
)
def test_a_killed_run_leaves_no_half_output_and_a_rerun_completes_it_byte_for_byte(
    tmp_path: Path, kind: signal.Signals, when: str
) -> None:
    scenes = tmp_path / "scenes"
    write_scene(scenes / "a.tif", 40, 40)
    write_scene(scenes / "b.tif", 200, 200)
    process = child(when, scenes, tmp_path / "out")
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "running"
    process.send_signal(kind)
    process.wait(timeout=20)
    process.stdout.close()
    out = tmp_path / "out"
    assert (out / "a_labels.tif").exists()
    assert not (out / "b_labels.tif").exists()
    if when == "finalise":
        assert any(name.startswith(".b_labels.tif.") and name.endswith(".part") for name in hidden(out))
    if kind == signal.SIGINT:
        assert hidden(out) == []
    results = predict([scenes], FakeBundle(), out, SMALL)
    assert [r.status for r in results] == ["skipped", "done"]
    assert hidden(out) == []
    predict([scenes], FakeBundle(), tmp_path / "whole", SMALL)
    for name in ("a_labels.tif", "b_labels.tif"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_full_disk_is_an_error_at_that_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "scenes/noise.tif"
    path.parent.mkdir()
    noise = np.random.default_rng(0).uniform(0, 0.7, (3, 300, 300)).astype(np.float32)
    write_tif(path, noise, names=("blue", "green", "red"))
    process = child("full", path.parent, tmp_path / "out")
    said, _ = process.communicate(timeout=60)
    assert said.startswith("failed "), said
    assert "noise_labels.tif: cannot be written" in said
    assert not (tmp_path / "out/noise_labels.tif").exists()
    assert hidden(tmp_path / "out") == []
