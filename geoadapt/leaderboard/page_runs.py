"""What a report is made of: records and run folders, found under the paths that were named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.groups import Dataset, Group, Suite, read_suite
from geoadapt.leaderboard.records import NAME, RunRecord, read
from geoadapt.leaderboard.run_folder import METRICS, read_run

__all__ = ["Found", "by_board", "collect", "suite_of"]

SKIPPED = {"checkpoints", "fits", "bundle"}


@dataclass(frozen=True, slots=True)
class Found:
    """The runs of a report, and what was left out of it and why."""

    runs: tuple[RunRecord, ...]
    left_out: tuple[str, ...]
    sources: tuple[Path, ...]


def collect(paths: Iterable[Path]) -> Found:
    """Records and run folders at ``paths``, or below them; the same run twice counts once.

    Raises:
        GeoadaptError: a path holds neither records nor a run, or a record is none.
    """
    runs: dict[tuple[object, ...], RunRecord] = {}
    left_out: list[str] = []
    sources: list[Path] = []
    for path in paths:
        for source in _sources(path):
            sources.append(source)
            if source.name == METRICS:
                try:
                    found = read_run(source.parent)
                except GeoadaptError as error:
                    left_out.append(str(error))
                    continue
            else:
                told = read(source)
                found = list(told.runs)
                left_out += told.left_out
            runs |= {run.identity: run for run in found}
    if not runs:
        problem = f"no run with a score: {'; '.join(left_out)}" if left_out else "no run with a score"
        named = ", ".join(map(str, paths)) or "RUNS"
        raise GeoadaptError(named, problem, "name folders of geoadapt benchmark or train")
    return Found(tuple(runs.values()), tuple(left_out), tuple(sources))


def by_board(runs: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """The runs of every board, in their order."""
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        found.setdefault(run.board, []).append(run)
    return found


def suite_of(board: str, runs: Sequence[RunRecord], folder: Path | None = None) -> Suite:
    """``BOARD.yaml`` in a folder, or what the runs say: a group of all, if any entry has all, and one per task."""
    if folder is not None and re.fullmatch(r"[\w-]+", board) and (folder / f"{board}.yaml").is_file():
        return read_suite(folder / f"{board}.yaml")
    datasets = {run.dataset: Dataset(run.dataset, run.task, run.metric, run.direction) for run in reversed(runs)}
    datasets = {name: datasets[name] for name in dict.fromkeys(run.dataset for run in runs)}
    tasks: dict[str, list[str]] = {}
    for name, dataset in datasets.items():
        tasks.setdefault(dataset.task, []).append(name)
    groups = {}
    if len(tasks) == 1 or _whole(runs, set(datasets)):
        groups["all"] = Group("all", "All data sets", "Every data set that was run.", tuple(datasets))
    if len(tasks) > 1:
        for task, members in tasks.items():
            label = task.replace("_", " ").capitalize()
            groups[f"task_{task}"] = Group(
                f"task_{task}", label, f"The data sets of one task: {label.lower()}.", tuple(members)
            )
    seeds: dict[tuple[object, ...], int] = {}
    for run in runs:
        key = (run.backbone, run.adapter, run.regime, run.dataset, run.metric)
        seeds[key] = seeds.get(key, 0) + 1
    return Suite(board, datasets, groups, max(seeds.values()))


def _whole(runs: Sequence[RunRecord], datasets: set[str]) -> bool:
    """Whether any entry was run on everything."""
    has: dict[tuple[str, str, str], set[str]] = {}
    for run in runs:
        has.setdefault((run.backbone, run.adapter, run.regime), set()).add(run.dataset)
    return any(found == datasets for found in has.values())


def _sources(path: Path) -> list[Path]:
    """Files of records, or ``metrics.json`` of run folders; where a folder has records itself, they alone."""
    if path.is_file():
        return [path if path.suffix == ".jsonl" else path.parent / METRICS] if _known(path) else _refuse(path)
    if not path.is_dir():
        raise GeoadaptError(path, "there is no such file or folder", "name a folder of geoadapt benchmark or train")
    if (path / NAME).is_file():
        return [path / NAME]
    if (path / METRICS).is_file():
        return [path / METRICS]
    below = sorted(
        p for kind in (NAME, METRICS) for p in path.rglob(kind) if not SKIPPED & set(p.relative_to(path).parts)
    )
    held = {p.parent for p in below if p.name == NAME}
    kept = [p for p in below if p.name == NAME or not held & set(p.parents)]
    return kept or _refuse(path)


def _known(path: Path) -> bool:
    return path.suffix == ".jsonl" or path.name == METRICS


def _refuse(path: Path) -> list[Path]:
    raise GeoadaptError(path, f"holds neither {NAME} nor {METRICS}", "name a folder of geoadapt benchmark or train")
