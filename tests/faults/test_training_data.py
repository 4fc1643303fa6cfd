"""RELIABILITY.md 1, 17, 29 and 43–45 for training: what breaks while chips are read is named, at once and as it is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoadapt.cli import main
from geoadapt.config import TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import FolderConfig
from geoadapt.fields.folder import build
from geoadapt.fields.loaders import make_loaders
from geoadapt.fields.survey import survey
from geoadapt.heads.layers import Standardise
from tests.folders import ROOT
from tests.synth import scene, write_tif
from tests.tiny import TINY_WORDS

CHANNELS = ("blue", "green", "red")


def chips(root: Path, constant: bool = False) -> Path:
    """Two scenes of 200 px with labels; with ``constant`` the last band says nothing."""
    for seed, name in enumerate(("a", "b")):
        image = scene(3, 200, 200, seed).astype(np.float32)
        if constant:
            image[2] = 0.25
        labels = (image[:1] > np.median(image[0])).astype(np.uint8)
        for folder, values, names in (("images", image, CHANNELS), ("labels", labels, ("class",))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            write_tif(root / folder / f"{name}.tif", values, names=names)
    return root


def folder(root: Path) -> Any:
    return build(FolderConfig(root=str(root), test=["b"], block=32), 0)


def fit(workers: int = 0) -> TrainConfig:
    return TrainConfig(steps=8, batch=2, chip=32, workers=workers, augment=False)


@pytest.mark.parametrize("broken", ["images", "labels"])
@pytest.mark.parametrize("workers", [0, 1])
def test_01_45_a_file_cut_short_under_training_is_named_wherever_it_is_read(
    tmp_path: Path, broken: str, workers: int
) -> None:
    data = folder(chips(tmp_path))
    path = tmp_path / broken / "a.tif"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    begin = time.perf_counter()
    # torch rebuilds what a worker raises as a RuntimeError with the same words
    with pytest.raises(RuntimeError if workers else GeoadaptError, match=rf"{broken}/a\.tif: "):
        list(make_loaders(data, fit(workers), 0).train)
    assert time.perf_counter() - begin < 50, "it hung before it failed"


def test_17_a_file_removed_between_finding_and_reading_is_named(tmp_path: Path) -> None:
    data = folder(chips(tmp_path))
    (tmp_path / "images" / "a.tif").unlink()
    with pytest.raises(GeoadaptError, match=r"images/a\.tif"):
        list(make_loaders(data, fit(), 0).train)


def test_29_a_band_that_never_changes_gives_no_nan(tmp_path: Path) -> None:
    seen = survey(folder(chips(tmp_path, constant=True)), 0)
    assert np.isfinite(seen.mean).all() and (seen.std > 0).all()
    layer, image = Standardise(torch.from_numpy(seen.mean), torch.zeros(3)), torch.full((1, 3, 4, 4), 0.25)
    assert layer(image, None).isfinite().all(), "a stored standard deviation of 0 divides"


def test_44_a_run_folder_that_cannot_be_is_an_error_before_any_computation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import geoadapt.training.run as run

    monkeypatch.setattr(run, "train", lambda *_, **__: pytest.fail("it began to compute"))
    (tmp_path / "file").write_text("")
    words = ["train", "data=folder", f"data.root={chips(tmp_path / 'chips')}", "data.test=[b]"]
    assert main([*words, f"hydra.run.dir={tmp_path / 'file' / 'run'}"]) == 1
    said = capsys.readouterr().err
    assert "file" in said and "cannot be made" in said and len(said.strip().splitlines()) == 1


FULL = """
import resource, sys
import lightning
from geoadapt.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
sys.exit(main(sys.argv[1:]))
"""


def test_43_a_disk_that_fills_up_during_a_fit_is_said_with_the_file_and_leaves_no_half_of_it(tmp_path: Path) -> None:
    words = [
        *("train", "data=folder", f"data.root={chips(tmp_path / 'chips')}", "data.test=[b]", "data.block=32"),
        *TINY_WORDS,
        *("adapter=none", "head=unet", "head.width=16", "train.controls=none", "train.steps=2", "train.val_every=1"),
        *("train.chip=32", "runtime.threads=1", "runtime.device=cpu", f"hydra.run.dir={tmp_path / 'run'}"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert ".ckpt: the checkpoint cannot be written" in last and "check the free space" in last
    assert not [path for path in (tmp_path / "run").rglob("*") if path.suffix in (".ckpt", ".part")]
