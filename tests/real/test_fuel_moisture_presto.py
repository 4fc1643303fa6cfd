"""Presto on live fuel moisture: a published model on a published number, without any training of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoadapt.config import job_from_plain
from geoadapt.training.labelled_controls import CONTROLS
from geoadapt.training.labelled_scoring import score_samples
from geoadapt.training.labelled_setting import prepare

NAME = "rmse/fuel_moisture"


def rmse(folder: Path, control: str, root: Path, **backbone: object) -> float:
    """Of a control on the set's own test [%]."""
    job = job_from_plain(
        {
            "backbone": {"name": "presto", **backbone},
            "adapter": {"name": "none"},
            "head": {"name": "pooled"},
            "task": {"name": "regression"},
            "data": {"name": "fuel_moisture", "root": str(root)},
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )
    setting = prepare(job, folder)
    entry = CONTROLS[control](setting, 0.0)
    found = score_samples({"test": entry.predictor}, setting.data.test, setting.data, setting.task, size=64)
    return float(setting.task.finish(found.sums["test"].sum(0))[NAME])


def test_frozen_features_beat_raw_inputs_and_random_weights(tmp_path: Path, data_dir: Path, weights_dir: Path) -> None:
    root = data_dir / "benchmark" / "presto_fuel_moisture"
    weights = {"weights": str(weights_dir / "presto")}
    assert rmse(tmp_path, "rule", root, **weights) == pytest.approx(36.9, abs=0.1)
    assert rmse(tmp_path, "simple", root, **weights) == pytest.approx(29.27, abs=0.15)
    frozen = rmse(tmp_path, "frozen_ridge", root, **weights)
    assert frozen < 26
    random = [rmse(tmp_path, "frozen_ridge", root, random_weights=True, seed=seed) for seed in range(3)]
    assert sum(random) / 3 > frozen + 0.5
