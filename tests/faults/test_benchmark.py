"""RELIABILITY.md 41, 48: a benchmark that is killed goes on where it was, and its table is that of one that was not."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from geoadapt.cli import main
from geoadapt.leaderboard.records import RunRecord, read
from tests.folders import ROOT

SUITE = {
    "name": "tiny",
    "seeds": 1,
    "trials": 1,
    "space": {"scale": 100, "batch": [2]},
    "words": [
        *("train.steps=4", "train.val_every=2", "train.bootstrap=10", "train.chip=16", "runtime.threads=1"),
        *("backbone.width=32", "backbone.depth=1", "backbone.heads=2"),
    ],
    "datasets": {"clouds": {"task": "cloud_segmentation", "metric": "miou"}},
    "runs": {
        "clouds": {
            "words": [
                *("task=cloud_segmentation", "head=fcn", "data=simulated", "data.root={dir}/data", "data.scenes=2"),
                *("data.test_scenes=1", "data.size=64", "data.block=16"),
            ]
        }
    },
    "entries": [{"backbone": "small_eo", "adapter": name, "random": True} for name in ("none", "lora")],
    "controls": [{"name": "rule", "control": {"cloud_segmentation": "rule"}}],
    "groups": {"all": {"datasets": ["clouds"]}},
}
FITS = 4
"""A trial and a run of each entry."""
DYING = """
import os, signal, sys
import torch
from geoadapt.cli import main
honest, calls = torch.save, iter(range(100))
def save(state, path):
    honest(state, path)
    if next(calls) == 9:  # each fit writes three or four: the first entry is done, and the second is not
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = save
sys.exit(main(sys.argv[1:]))
"""


def words(tmp_path: Path, folder: str) -> list[str]:
    (tmp_path / "conf" / "suite").mkdir(parents=True, exist_ok=True)
    (tmp_path / "conf" / "suite" / "tiny.yaml").write_text(yaml.safe_dump(SUITE))
    return ["benchmark", "suite=tiny", "--config-dir", str(tmp_path / "conf"), f"hydra.run.dir={tmp_path / folder}"]


def score(run: RunRecord) -> tuple[object, ...]:
    """What must be the same however often the work was interrupted."""
    return run.identity, run.value, run.trainable, run.total, run.config_hash, run.extra


def test_killed_in_a_fit_and_started_again_it_repeats_nothing_and_gives_the_same_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path, "whole")) == 0
    whole = capsys.readouterr().out
    died = subprocess.run([sys.executable, "-c", DYING, *words(tmp_path, "parts")], cwd=ROOT, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    records = tmp_path / "parts" / "records.jsonl"
    before = records.read_text()
    assert [run.adapter for run in read(records).runs] == ["none", "none"], "the rule, and the first entry"
    bundle = next((tmp_path / "parts" / "runs").glob("*-none/*/bundle/bundle.json"))
    written = bundle.stat().st_mtime_ns
    assert main(words(tmp_path, "parts")) == 0
    parts = capsys.readouterr().out
    assert records.read_text().startswith(before), "records are appended, and never changed"
    assert bundle.stat().st_mtime_ns == written, "what was finished is not made again"
    table, closing = whole.split("\n\n")
    assert parts.split("\n\n")[0] == table
    assert f"{FITS} made, 0 found" in closing
    kept = [[score(run) for run in read(tmp_path / name).runs] for name in ("whole", "parts")]
    assert kept[0] == kept[1] and len(kept[0]) == 3
    assert all(math.isfinite(run.value) for run in read(records).runs)
    assert (tmp_path / "parts" / "leaderboard.html").is_file()
