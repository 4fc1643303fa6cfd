"""A small board for the page's tests: a strong and a weak adapter, their controls, a gap, and a simulated data set."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from geoadapt.leaderboard.records import Regime, RunRecord, append

__all__ = ["BOARD", "made", "stored"]

BOARD = "made"
DATASETS = {"flood": ("segmentation", "miou", "max"), "moisture": ("regression", "rmse", "min")}
ENTRIES: tuple[tuple[str, str, Regime, float], ...] = (
    ("eo", "lora", "peft", 0.80),
    ("eo", "none", "frozen", 0.60),
    ("eo", "full", "full", 0.80),
    ("eo (random weights)", "lora", "peft", 0.50),
    ("pixel", "ia3", "peft", 0.55),
    ("cnn", "none", "scratch", 0.55),
    ("majority", "none", "none", 0.20),
)
"""Backbone, adapter, regime, and about how good it is."""


def made(board: str = BOARD, seeds: int = 5, **more: Any) -> list[RunRecord]:
    """Runs of every entry on both data sets; ``pixel`` takes no floods, and moisture is simulated."""
    found = []
    for backbone, adapter, regime, level in ENTRIES:
        for dataset, (task, metric, direction) in DATASETS.items():
            luck = np.random.default_rng([*(backbone + adapter + dataset).encode()])
            for seed in range(1, seeds + 1):
                score = level + 0.01 * luck.standard_normal()
                value, why = score if direction == "max" else 20 * (1 - score), {}
                if (backbone, dataset) == ("pixel", "flood"):
                    value, why = math.nan, {"missing": "it takes single pixels"}
                folder = f"runs/{dataset}-{adapter}"
                where = f"hydra.run.dir={folder}/{seed}"
                told = {
                    "trainable": 0 if regime == "none" else 1000 * len(adapter),
                    "seconds": 3.5,
                    "config_hash": "c0ffee",
                    "commit": "abc1234",
                    "command": f"geoadapt train data={dataset} adapter={adapter} {where} seed={seed}",
                    "bundle": f"{folder}/{seed}/bundle",
                    "simulated": dataset == "moisture",
                    "extra": why,
                }
                entry = (board, backbone, adapter, regime, "unet", dataset, task, metric, direction)
                found.append(RunRecord(*entry, float(value), seed, **{**told, **more}))
    return found


def stored(folder: Path, **more: Any) -> Path:
    """The same as a folder's records."""
    append(folder, made(**more))
    return folder
