"""A leaderboard of 10,000 runs: how long it takes to read, aggregate and render, and how large the page is.

Run ``python -m benchmarks.speed.report``. Records are made up; the bare page template is the peer, one pass over the
file as text the physical limit.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from geoadapt.leaderboard.export import write_tables
from geoadapt.leaderboard.export_plots import write_plots
from geoadapt.leaderboard.page import page_of, report
from geoadapt.leaderboard.records import Regime, RunRecord, append

__all__ = ["made_runs", "made_suite"]

WAYS: tuple[tuple[str, Regime], ...] = (
    ("none", "frozen"), ("lora", "peft"), ("dora", "peft"), ("bitfit", "peft"), ("full", "full"),
)  # fmt: skip
TASKS = (("segmentation", "miou", "max"), ("regression", "rmse", "min"), ("classification", "accuracy", "max"))
SIZES = (20, 12, 8, 5, 4, 4, 3, 10)
"""Data sets per capability: groups overlap, as GEO-Bench-2's do."""
Made = TypeVar("Made")


def made_runs(backbones: int, datasets: int, seeds: int) -> list[RunRecord]:
    """Runs of every backbone with five adapters and of two controls, on data sets of three tasks."""
    stream = np.random.default_rng(0)
    entries = [(f"backbone_{i:02d}", *way) for i in range(backbones) for way in WAYS]
    entries += [("cnn", "none", "scratch"), ("majority", "none", "none")]
    found = []
    for number, (backbone, adapter, regime) in enumerate(entries):
        for place in range(datasets):
            task, metric, direction = TASKS[place % len(TASKS)]
            level = 0.4 + 0.3 * number / len(entries) + 0.05 * stream.standard_normal()
            folder = f"runs/dataset_{place:02d}-{backbone}-{adapter}"
            for seed in range(1, seeds + 1):
                score = level + 0.01 * stream.standard_normal()
                found.append(
                    RunRecord(
                        *("made", backbone, adapter, regime, "pooled", f"dataset_{place:02d}", task, metric, direction),
                        *(float(score if direction == "max" else 10 * (1 - score)), seed),
                        trainable=1000 * (number + 1),
                        total=1_000_000,
                        seconds=float(20 + 100 * stream.random()),
                        mpx_per_second=float(0.1 + stream.random()),
                        memory_mb=400.0,
                        config_hash=f"{number * 1000 + place:016x}",
                        command=f"geoadapt train task={task} data=dataset_{place:02d} backbone={backbone} "
                        f"adapter={adapter} train.lr=0.00031 train.batch=16 train.steps=200 seed={seed} "
                        f"hydra.run.dir={folder}/{seed}",
                        commit="0123456789ab",
                        bundle=f"{folder}/{seed}/bundle",
                        date="2026-01-01",
                        machine="x86_64, 2 cores, cpu",
                        simulated=place % 5 == 4,
                    )
                )
    return found


def made_suite(datasets: int) -> str:
    """The same as a suite's YAML, with a group per size that there is room for."""
    names = [f"dataset_{place:02d}" for place in range(datasets)]
    tasks = [TASKS[place % len(TASKS)] for place in range(datasets)]
    sets = {n: {"task": t, "metric": m, "direction": d} for n, (t, m, d) in zip(names, tasks, strict=True)}
    groups = {
        f"group_{i}": {"label": f"Capability {i}", "datasets": [names[(3 * i + j) % datasets] for j in range(size)]}
        for i, size in enumerate(SIZES)
        if size <= datasets
    }
    return json.dumps({"name": "made", "seeds": 5, "datasets": sets, "groups": groups})


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        append(folder, made_runs(20, 20, 5)[:10_000])
        suite = folder / "made.yaml"
        suite.write_text(made_suite(20), encoding="utf-8")
        took: dict[str, tuple[float, float]] = {}
        timed(
            took,
            "one pass over the records as JSON",
            lambda: [json.loads(x) for x in (folder / "records.jsonl").open()],
        )
        told = timed(took, "read and aggregate", lambda: report([folder], suite=suite))
        path = timed(took, "render the page", lambda: page_of(told).write(folder / "board.html"))
        timed(took, "CSV and Markdown", lambda: write_tables(told.chapters, path))
        timed(took, "PNG", lambda: write_plots(told.chapters, path))
        size = path.stat().st_size / 1e6
    print("| step | wall [s] | processor [s] |\n|---|---|---|")
    for step, (wall, work) in took.items():
        print(f"| {step} | {wall:.2f} | {work:.2f} |")
    page, busy = (sum(took[step][i] for step in ("read and aggregate", "render the page")) for i in (0, 1))
    print(f"\n10,000 runs: {page:.2f} s to the page of {size:.2f} MB, {busy:.2f} s of them at work")
    passes = busy / took["one pass over the records as JSON"][1]
    ratios = {"page_s": page, "page_processor_s": busy, "page_over_reading_json": passes, "page_mb": size}
    print(json.dumps({"name": "report", "ratios": {key: round(value, 4) for key, value in ratios.items()}}))


def timed(took: dict[str, tuple[float, float]], step: str, work: Callable[[], Made]) -> Made:
    """Do it, and keep wall and processor time: on a machine that others use, only the second tells of this program."""
    begin, busy = time.perf_counter(), time.process_time()
    made = work()
    took[step] = time.perf_counter() - begin, time.process_time() - busy
    return made


if __name__ == "__main__":
    main()
