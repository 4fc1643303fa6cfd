"""``geoadapt evaluate`` on restorers: the run's own numbers again, other series, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from geoadapt.cli import main

COMPOSITES = ("temporal_mean", "temporal_median", "nearest_clear", "linear", "harmonic", "last_clear")
SMALL = ("runtime.threads=1", "train.bootstrap=20", "seed=3")


def data(root: Path) -> list[str]:
    sizes = ("data.train=2", "data.val=2", "data.test=2", "data.size=32", "data.dates=8")
    return ["data=simulated_series", f"data.root={root}", *sizes]


def run(verb: str, *words: str) -> dict[str, float]:
    folder = next(word for word in words if word.startswith("hydra.run.dir=")).partition("=")[2]
    assert main([verb, *words]) == 0
    found: dict[str, float] = json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))
    return found


class Trained:
    """A small run, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.places, self.bundle = folder / "places", folder / "run" / "bundle"
        self.metrics = run(
            *("train", "experiment=cloud_removal", *data(self.places), *SMALL, f"hydra.run.dir={folder / 'run'}"),
            *(
                "backbone=small_eo",
                "head=removal",
                "backbone.random_weights=true",
                "backbone.width=16",
                "backbone.depth=1",
                "backbone.heads=2",
            ),
            *("head.width=4", "train.steps=4", "train.batch=2", "train.val_every=2", "train.chip=16"),
            *("task.val_samples=4", "task.test_samples=6", "task.frames=3", "task.protocol=sen2_mtc_new"),
            "train.controls=linear,temporal_median,last_clear",
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("removal"))


def test_the_same_test_gives_the_numbers_of_the_run(trained: Trained, tmp_path: Path) -> None:
    words = [str(trained.bundle), *data(trained.places), *SMALL[:2], "train.batch=2"]
    again = run("evaluate", *words, f"hydra.run.dir={tmp_path / 'out'}")
    before = trained.metrics
    shared = [key for key in before if key.split("/")[0] in ("test", "linear", "temporal_median", "last_clear")]
    shared = [key for key in shared if key not in ("test/val_mae", "test/train_seconds", "test/mpx_per_second")]
    shared = [key for key in shared if not key.endswith("parameters")]
    assert len(shared) > 400
    for key in shared:
        if before[key] is None:
            assert again[key] is None, key
        else:
            assert again[key] == pytest.approx(before[key], rel=1e-6, abs=2e-8), key
    assert all(np.isfinite(again[f"{who}/mae/masked"]) for who in COMPOSITES)
    assert "the bundle was trained on" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_series_of_ones_own_are_scored_under_pasted_clouds(trained: Trained, tmp_path: Path) -> None:
    place = sorted((trained.places / "series").glob("*.zarr"))[0]
    words = [
        str(place),
        "--bundle",
        str(trained.bundle),
        *SMALL[:2],
        "task.test_samples=4",
        "task.protocol=radiometric",
    ]
    words += ["data.val_fraction=0.25", "data.test_fraction=0.25"]
    found = run("evaluate", *words, f"hydra.run.dir={tmp_path / 'east'}")
    whole = run("evaluate", *words, "--all", f"hydra.run.dir={tmp_path / 'all'}", "task.test_samples=12")
    for metrics, count in ((found, 4), (whole, 12)):
        assert metrics["test/samples"] == count
        for who in ("test", *COMPOSITES):
            assert metrics[f"{who}/mae/masked"] > 0
        assert not any("8bit" in key for key in metrics)
    html = (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    assert "12 samples of all series" in html and f"{place.stem}" in html


def test_what_cannot_be_evaluated_is_said(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert main(["evaluate", *words, f"hydra.run.dir={tmp_path / 'out'}"]) > 0
        return capsys.readouterr().err

    bundle = str(trained.bundle)
    assert "takes one folder of series" in said(bundle)
    assert "does not exist" in said(str(tmp_path / "absent"), "--bundle", bundle)
    assert "is for bundles of the task cloud_removal" in said("--truth", "x", "task.protocol=radiometric")
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_a_dry_run_names_bundle_and_series(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = sorted((trained.places / "series").glob("*.zarr"))[0]
    words = [str(place), "--bundle", str(trained.bundle), "--dry-run", "data.val_fraction=0.25"]
    assert main(["evaluate", *words, f"hydra.run.dir={tmp_path / 'out'}"]) == 0
    out = capsys.readouterr().out
    assert str(trained.bundle) in out and place.stem in out and "nothing was run" in out
