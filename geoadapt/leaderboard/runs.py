"""One run of a benchmark as records: what it scored, what it cost, and how to make it again.

In: a pair of a suite, and the metrics that its run left. Out: its record and those of the controls that it brought.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from geoadapt.config import JobConfig
from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.suite import Pair, places
from geoadapt.leaderboard.suite_config import Beside, Plan

__all__ = ["FAILED", "MISSING", "NO_CONTROLS", "Made", "blank", "blank_control", "config_hash", "made_records"]

MODEL = "test"
"""Who the model under test is among a run's metrics."""
NO_CONTROLS = "no_controls"
"""Key of ``extra``: why a run was made without those that it was to bring along."""
MISSING, FAILED = "missing", "failed"
"""Keys of ``extra``: why there is no score; that it cannot be here, or that it was tried."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished run."""

    job: JobConfig
    folder: Path
    metrics: Mapping[str, float]
    memory_mb: float | None
    command: str
    extra: Mapping[str, Any]


def made_records(plan: Plan, pair: Pair, made: Made, folder: Path) -> list[RunRecord]:
    """All that a run is scored for: the controls' records and last the run's own, so that where it is whole all are."""
    return [record for one in pair.seen_as(plan) for record in _made_records(plan, one, made, folder)]


def _made_records(plan: Plan, pair: Pair, made: Made, folder: Path) -> list[RunRecord]:
    told = json.loads((made.folder / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    found = made.metrics
    empty = blank(plan, pair, made.job, made.job.seed)
    own = replace(
        empty,
        value=found.get(f"{MODEL}/{pair.dataset.metric}", math.nan),
        trainable=int(found[f"{MODEL}/parameters"]),
        total=int(found[f"{MODEL}/total_parameters"]),
        seconds=found[f"{MODEL}/train_seconds"],
        mpx_per_second=found.get(f"{MODEL}/mpx_per_second", math.nan),
        memory_mb=made.memory_mb,
        config_hash=config_hash(made.job, folder),
        command=made.command,
        commit=_commit(),
        bundle=str((made.folder / "bundle").relative_to(folder)),
        simulated=bool(told.get("simulated")),
        extra={**empty.extra, **made.extra},
    )
    if math.isnan(own.value):
        key = MISSING if pair.dataset.of else FAILED
        own.extra[key] = f"the run left no {MODEL}/{pair.dataset.metric}: {_near(found)}"
    return [*(_control(control, pair, own, found) for control in pair.controls), own]


def blank(plan: Plan, pair: Pair, job: JobConfig, seed: int, **extra: Any) -> RunRecord:
    """A record of the pair without a score; ``extra`` says why."""
    entry, dataset = pair.entry, pair.dataset
    return RunRecord(
        board=plan.suite.name,
        backbone=entry.shown,
        adapter=entry.adapter,
        regime=entry.regime,
        head=job.head.name,
        dataset=dataset.key,
        task=dataset.task,
        metric=dataset.metric,
        direction=dataset.direction,
        value=math.nan,
        seed=seed,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {_device(job)}",
        extra={**extra, **({"control": "random_backbone"} if entry.random else {})},
    )


def blank_control(record: RunRecord, control: Beside, **extra: Any) -> RunRecord:
    """The same as ``record`` without a score, of a control that stands beside it."""
    return replace(
        record,
        backbone=control.name,
        adapter="none",
        head="none",
        regime=control.regime,  # type: ignore[arg-type]
        value=math.nan,
        trainable=0,
        total=0,
        seconds=math.nan,
        mpx_per_second=math.nan,
        memory_mb=None,
        bundle=None,
        extra={"control": control.control.get(record.task, control.name), **extra},
    )


def config_hash(job: JobConfig, folder: Path) -> str:
    """Of all that a run's score depends on: not of the machine, of where folders lie, or of who stands beside it."""
    plain = {key: value for key, value in asdict(job).items() if key != "runtime"}
    del plain["train"]["controls"]
    text = json.dumps(plain, sort_keys=True, default=str)
    for name, place in places(folder).items():
        text = text.replace(json.dumps(place)[1:-1], name)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _control(control: Beside, pair: Pair, own: RunRecord, metrics: Mapping[str, float]) -> RunRecord:
    who = control.control[pair.dataset.task]
    value = metrics.get(f"{who}/{pair.dataset.metric}", math.nan)
    record = blank_control(own, control, beside=pair.entry.name)
    if math.isnan(value):
        told = f"the run of {pair.entry.name} had no {who} with {pair.dataset.metric}"
        record.extra[MISSING] = own.extra.get(NO_CONTROLS, told)
    count = int(metrics.get(f"{who}/parameters", 0))
    return replace(record, value=value, trainable=count, total=count)


def _near(metrics: Mapping[str, float]) -> str:
    """What the run left in place of a metric that it did not."""
    own = sorted(key.removeprefix(f"{MODEL}/") for key in metrics if key.startswith(f"{MODEL}/"))
    return "it left " + ", ".join(key for key in own if "_low" not in key and "_high" not in key)[:300]


def _device(job: JobConfig) -> str:
    from geoadapt.inference.machine import choose_device

    return choose_device(job.runtime.device)


@cache
def _commit() -> str:
    """Of the code that runs, with a + where it was changed since; empty where it is no checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return ""
    words = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
