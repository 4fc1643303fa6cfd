"""The published runs of GEO-Bench-2 as records, from the reference data that GEOADAPT_GOLDEN names."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from geoadapt.leaderboard.records import Direction, Regime, RunRecord
from tests.folders import ROOT

SUITE = ROOT / "conf" / "suite" / "geobench2.yaml"
BASE = ("full_ft/114be1f0", "full_ft/2ce4a907")
REGIMES: dict[str, Regime] = {"full_ft": "full", "frozen": "frozen"}


@cache
def reference(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "geobench2_leaderboard.json").read_text(encoding="utf-8"))
    return told


def record(
    backbone: str,
    dataset: str,
    seed: int,
    value: float,
    *,
    board: str = "b",
    metric: str = "Multiclass_Jaccard_Index",
    regime: Regime = "full",
    direction: Direction = "max",
    adapter: str = "none",
    head: str = "unet",
    **more: Any,
) -> RunRecord:
    task = "segmentation"
    return RunRecord(board, backbone, adapter, regime, head, dataset, task, metric, direction, value, seed, **more)


@cache
def submission(folder: Path, name: str) -> tuple[RunRecord, ...]:
    told = reference(folder)
    regime, board = name.split("/")
    rows = (row for row in told["rows"] if row[:2] == [regime, board])
    return tuple(
        record(backbone, dataset, seed, value, board=board, metric=told["metrics"][dataset], regime=REGIMES[regime])
        for _, _, backbone, dataset, seed, value, _, _ in rows
    )
