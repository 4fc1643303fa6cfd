"""RELIABILITY.md 42, 49: a fit that is killed goes on as if it had not been; one that diverges says where it stood."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.cli import main
from geoadapt.cli.train import train
from geoadapt.errors import GeoadaptError
from tests.folders import ROOT
from tests.tiny import TINY_WORDS
from tests.training.small import labelled

TABLE = {0: 3, 1: 4, 3: 0}
STEPS = 24
DYING = """
import os, signal, sys
import torch
from geoadapt.cli import main
honest, calls = torch.save, iter(range(100))
def save(state, path):
    honest(state, path)
    if next(calls) == 3:  # best, last; best, last
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = save
sys.exit(main(sys.argv[1:]))
"""


SLOW = """
import sys, time
from geoadapt.cli import main
from geoadapt.tasks.cloud_segmentation import CloudSegmentation
honest = CloudSegmentation.loss
def loss(self, scores, batch):
    time.sleep(0.1)
    return honest(self, scores, batch)
CloudSegmentation.loss = loss
sys.exit(main(sys.argv[1:]))
"""
"""Time enough to be killed, on a busy machine too."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes in the layout of csmask."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed, name in enumerate(("a", "b")):
        scene = labelled(name, 96, 96, seed)
        label = scene.label._array[0]  # type: ignore[union-attr]
        mask = np.select([label == value for value in TABLE], list(TABLE.values())).astype(np.uint8)
        np.savez(folder / f"{name}.npz", img=scene.image._array.transpose(1, 2, 0), msk=mask[..., None])  # type: ignore[attr-defined]
    return folder


def words(root: Path) -> list[str]:
    """Overrides of a run in which dropout and every augmentation draw."""
    return [
        *TINY_WORDS,
        *("adapter=lora", "adapter.r=2", "adapter.dropout=0.1", "head=unet", "head.width=8"),
        *("data=csmask", f"data.root={root}", "data.test=[b]", "data.block=32"),
        *(f"train.{word}" for word in (f"steps={STEPS}", "batch=2", "chip=32", "val_every=4", "bootstrap=10")),
        *("train.controls=none", "infer.tile=64", "infer.overlap=16"),
        *("runtime.device=cpu", "runtime.threads=1", "runtime.precision=fp32"),
    ]


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train(words(root), folder)
    return folder


def start(command: list[str], cwd: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *command], cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def losses(folder: Path) -> dict[int, str]:
    with (folder / "curves.csv").open() as file:
        return {int(row["step"]): row["train/loss"] for row in csv.DictReader(file) if row["train/loss"]}


def same_end(folder: Path, whole: Path) -> None:
    """Every loss to the last digit, and every weight and moment to the last bit."""
    assert len(losses(whole)) == STEPS
    assert losses(folder) == losses(whole)
    found, expected = (torch.load(_last(f), weights_only=True) for f in (folder, whole))
    assert found["global_step"] == expected["global_step"] == STEPS
    for name, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][name], value), name
    for index, moments in expected["optimizer_states"][0]["state"].items():
        for name, value in moments.items():
            assert torch.equal(found["optimizer_states"][0]["state"][index][name], value), name


def _last(folder: Path) -> Path:
    (path,) = (folder / "checkpoints").glob(f"last-{STEPS}*")
    return path


def test_a_run_killed_between_two_steps_goes_on_with_the_same_losses(root: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    running = start(["-c", SLOW, "train", *words(root), f"hydra.run.dir={folder}"], tmp_path)
    deadline = time.monotonic() + 120
    while not list(folder.glob("fits/fit/checkpoints/last-*")) and time.monotonic() < deadline:
        assert running.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    assert running.wait(timeout=30) == -signal.SIGKILL
    assert not (folder / "metrics.json").exists(), "the run was over: nothing was interrupted"
    train([*words(root), f"train.resume={folder}"], folder)
    same_end(folder, whole)


def test_a_run_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(
    root: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    running = start(["-c", DYING, "train", *words(root), f"hydra.run.dir={folder}"], tmp_path)
    assert running.wait(timeout=120) == -signal.SIGKILL
    kept = folder / "fits" / "fit" / "checkpoints"
    assert [p.name for p in kept.glob("last-*")] == ["last-4.ckpt"], "half a checkpoint stands under its final name"
    assert list(kept.glob(".last-8*")), "the checkpoint was not being written"
    train([*words(root), f"train.resume={kept}"], folder)
    same_end(folder, whole)
    assert not list((folder / "checkpoints").glob(".*")), "half a checkpoint is kept"


def test_a_checkpoint_that_is_cut_short_is_passed_over_for_the_one_before(
    root: Path, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    newest = folder / "fits" / "fit" / "checkpoints" / f"last-{STEPS + 4}.ckpt"
    newest.write_bytes(_last(whole).read_bytes()[:5000])
    again = train([*words(root), f"train.resume={folder}"], folder)
    assert again.metrics["test/val_miou"] == json.loads((whole / "metrics.json").read_text())["test/val_miou"]
    assert f"last-{STEPS + 4}.ckpt is no checkpoint to resume from" in caplog.text
    same_end(folder, whole)
    with pytest.raises(GeoadaptError, match=r"last-28\.ckpt: is no checkpoint to resume from .*; name a run's folder"):
        train([*words(root), f"train.resume={newest}"], tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GeoadaptError, match=r"empty: holds no checkpoint; name a run's folder"):
        train([*words(root), f"train.resume={tmp_path / 'empty'}"], tmp_path / "other")


def test_a_loss_that_diverges_names_step_and_checkpoint_and_a_lower_rate_goes_on_from_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The learning rate is what the user changes, so that a resumed run must take it."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        spoil(patch, lambda loss: loss * float("nan"), call=6)
        assert main(["train", *words(root), f"hydra.run.dir={folder}"]) == 1
    said = capsys.readouterr().err
    found = re.search(r"train: the loss is nan at step 6; lower train\.lr, .* good checkpoint is (\S+\.ckpt)", said)
    assert found, said
    assert torch.load(found[1], weights_only=True)["global_step"] == 4
    train([*words(root), "train.lr=1e-5", f"train.resume={found[1]}"], folder)
    stored = torch.load(_last(folder), weights_only=True)
    assert stored["lr_schedulers"][0]["base_lrs"][0] == 1e-5


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of zero is zero, and its slope is infinite: the loss alone would not show it."""
    spoil(monkeypatch, lambda loss: loss + (loss - loss.detach()).sqrt(), call=5)
    with pytest.raises(
        GeoadaptError, match=r"train: the gradient is (nan|inf) at step 5; .* good checkpoint is .*-4\.ck"
    ):
        train(words(root), tmp_path / "run")


def test_steps_that_are_not_finite_may_be_left_out_and_are_counted(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The weights are as if the step had not been; the count goes on in a resumed run."""
    folder, allowed = tmp_path / "run", [*words(root), "train.most_skipped=1"]
    spoil(monkeypatch, lambda loss: loss * float("inf"), call=5)
    train(allowed, folder)
    assert "the loss is inf at step 5: left out, 1 of at most 1" in caplog.text
    stored = torch.load(_last(folder), weights_only=True)
    assert stored["skipped"] == 1 and stored["global_step"] == STEPS
    assert all(value.isfinite().all() for value in stored["state_dict"].values())
    moments = stored["optimizer_states"][0]["state"][0]
    assert int(moments["step"]) == STEPS - 1
    with monkeypatch.context() as patch:
        spoil(patch, lambda loss: loss * float("nan"), call=0)
        with pytest.raises(GeoadaptError, match=r"the loss is nan at step 24, after 1 that were left out; "):
            train([*allowed, f"train.steps={STEPS + 4}", f"train.resume={folder}"], folder)


def spoil(patch: pytest.MonkeyPatch, change: object, call: int) -> None:
    """Change the training loss of one call."""
    from geoadapt.tasks.cloud_segmentation import CloudSegmentation

    honest, calls = CloudSegmentation.loss, iter(range(1000))

    def loss(self: CloudSegmentation, scores: torch.Tensor, batch: object) -> torch.Tensor:
        good = honest(self, scores, batch)  # type: ignore[arg-type]
        return change(good) if scores.requires_grad and next(calls) == call else good  # type: ignore[operator,no-any-return]

    patch.setattr(CloudSegmentation, "loss", loss)
