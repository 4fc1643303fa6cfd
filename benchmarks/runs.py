"""Runs of ``geoadapt train`` for a table: only what is missing, one after the other, each in a process of its own.

In: words and folders. Out: metrics of the runs that are whole and were made by the same configuration.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from geoadapt.cli.compose import compose
from geoadapt.config import job_from_plain
from geoadapt.errors import GeoadaptError

__all__ = [
    "Run",
    "Tables",
    "Task",
    "finished",
    "finished_in",
    "made_on",
    "run",
    "run_missing",
    "run_tables",
    "spread",
    "verdicts",
]

Run = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One run: its name, the words after ``geoadapt train`` that make it, and its folder."""

    name: str
    words: tuple[str, ...]
    folder: Path


def finished(task: Task) -> dict[str, float] | None:
    """The metrics of a run that is whole and was made by the same configuration; see ``finished_in``."""
    return finished_in(task.words, task.folder)


def finished_in(words: tuple[str, ...], folder: Path) -> dict[str, float] | None:
    """The metrics of a run that is whole and was made by the same configuration.

    A key that the stored one lacks had its default, and one that this process does not know came later.
    """
    from omegaconf import OmegaConf
    from yaml import YAMLError

    try:
        metrics: dict[str, float] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        stored: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        wanted = _composed(words)
        same = asdict(job_from_plain(_known(stored, wanted))) == wanted
    except (OSError, ValueError, AttributeError, YAMLError, GeoadaptError):
        return None
    return metrics if same else None


@cache
def _composed(words: tuple[str, ...]) -> Run:
    return asdict(compose(words))


def _known(stored: Run, wanted: Run) -> Run:
    """What is stored, without the keys that are not among the wanted."""
    return {
        part: {key: value for key, value in stored[part].items() if key in keys}
        if isinstance(keys, dict)
        else stored[part]
        for part, keys in wanted.items()
        if part in stored
    }


def run(task: Task) -> str:
    """Run ``geoadapt train`` in a process of its own; gives what went wrong, or nothing."""
    folder = task.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").unlink(missing_ok=True)  # of another configuration: it must not pass for this run's
    console = folder / "console.txt"
    words = [sys.executable, "-m", "geoadapt", "train", *task.words, f"hydra.run.dir={folder}"]
    with console.open("w", encoding="utf-8") as stream:
        status = subprocess.run(words, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode
    if status == 0 and finished(task) is not None:
        return ""
    lines = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"exit status {status}: {lines[-1] if lines else 'it said nothing'}"


def run_missing(tasks: Sequence[Task]) -> list[str]:
    """Run what is not finished, one after the other; a run that fails does not stop the others and is given back."""
    failures = []
    for index, one in enumerate(tasks, 1):
        name = f"[{index}/{len(tasks)}] {one.name}"
        if finished(one) is not None:
            print(f"{name}: finished before", flush=True)
            continue
        begin = time.perf_counter()
        problem = run(one)
        print(f"{name}: {problem or 'done'}, {time.perf_counter() - begin:.0f} s", flush=True)
        if problem:
            failures.append(f"{name}: {problem}")
    return failures


def made_on() -> dict[str, str]:
    """Date and machine of a record."""
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": f"{platform.machine()}, {os.cpu_count()} cores"}


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean, and the range where there is one to see."""
    low, high = min(values), max(values)
    seen = high - low > 0.5 * 10**-digits
    return f"{mean(values):.{digits}f}" + (f" ({low:.{digits}f}–{high:.{digits}f})" if seen else "")


def verdicts(runs: Sequence[Run], low: str, high: str) -> str:
    """Better / no difference / worse: in how many runs the interval of a gain lies above, around, below zero."""
    ends = [(run["metrics"].get(low), run["metrics"].get(high)) for run in runs]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    better, worse = sum(low > 0 for low, _ in known), sum(high < 0 for _, high in known)
    return f"{better} / {len(known) - better - worse} / {worse}" if known else "–"


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables of the README by name: how their runs are planned and collected, and how a record is told."""

    names: Sequence[str]
    plan: Callable[[str, Sequence[int], Sequence[str], Path], list[Task]]
    """Name, seeds, more words and the folder of all runs → the runs."""
    collect: Callable[[str, Sequence[Task]], Run]
    told: Callable[[dict[str, Run]], str]
    """The whole record as Markdown."""
    drawn: Callable[[str, Run, Path], None] | None = None
    """Where a table has a picture: name, its part of the record, and the file."""


def run_tables(all_: Tables, words: Sequence[str] | None, about: str | None, folder: Path, record: Path) -> int:
    """Run what is asked for and missing, store and print the tables; exit status 1 where a run failed."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", choices=list(all_.names), help="run what is missing of this table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=folder, help="where the run folders are")
    parser.add_argument("--record", type=Path, default=record, help="where the record goes")
    parser.add_argument("overrides", nargs="*", help="more for geoadapt train, such as data.path=FILE")
    given = parser.parse_intermixed_args(words)
    kept: dict[str, Run] = {}
    if given.record.is_file():
        kept = json.loads(given.record.read_text(encoding="utf-8"))
    failures: list[str] = []
    if given.run:
        planned = all_.plan(given.run, range(given.seeds), given.overrides, given.folder)
        failures = run_missing(planned)
        kept[given.run] = all_.collect(given.run, planned)
        given.record.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        if all_.drawn is not None and kept[given.run]["runs"]:
            all_.drawn(given.run, kept[given.run], given.record.with_name(f"{given.run}.png"))
    print(all_.told(kept))
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0
