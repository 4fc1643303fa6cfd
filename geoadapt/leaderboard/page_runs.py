"""What a report is made of: records, run folders and other boards' results, found under the paths that were named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.exchange import Said, read_foreign, source_of
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
    suites: Mapping[str, Suite] = field(default_factory=dict)
    """Board of a submission → the suite that it was checked by."""


def collect(paths: Iterable[Path], *, submissions: Path | None = None, said: Said | None = None) -> Found:
    """Records, run folders and other boards' results at ``paths``, or below them; the same run twice counts once.

    A submission folder is checked by the suite in the file ``submissions``; of a CSV of torchgeo-bench ``said`` tells
    what it leaves open.

    Raises:
        GeoadaptError: a path holds neither records nor a run, a record is none, or a file of another board is none.
    """
    paths = list(paths)
    runs: dict[tuple[object, ...], RunRecord] = {}
    left_out: list[str] = []
    suites: dict[str, Suite] = {}
    holders: dict[str, Path] = {}
    sources = list({source.resolve(): source for path in paths for source in _sources(path)}.values())
    for source in sources:
        if source.suffix.lower() != ".csv":
            found, notes = _read(source)
            left_out += notes
        else:
            found, suite = read_foreign(source, submissions, said or Said())
            if suite is not None:
                suites[found[0].board] = suite
            _refuse_other(source, found, runs)
        for run in found:
            if holders.setdefault(run.board, source) != source and run.board in suites:
                _refuse_shared(run.board, source, holders[run.board])
        runs |= {run.identity: run for run in found}
    if not runs:
        problem = f"no run with a score: {'; '.join(left_out)}" if left_out else "no run with a score"
        named = ", ".join(map(str, paths)) or "RUNS"
        raise GeoadaptError(named, problem, "name folders of geoadapt benchmark or train")
    return Found(tuple(runs.values()), tuple(left_out), tuple(sources), suites)


def _read(source: Path) -> tuple[list[RunRecord], list[str]]:
    """The runs of a file of records or of a run folder, and what was left out of them."""
    if source.name != METRICS:
        told = read(source)
        return list(told.runs), list(told.left_out)
    try:
        return read_run(source.parent), []
    except GeoadaptError as error:
        return [], [str(error)]


def _refuse_other(source: Path, found: Iterable[RunRecord], runs: Mapping[tuple[object, ...], RunRecord]) -> None:
    """Two files that tell the same run differently: neither may take the other's place unseen."""
    for run in found:
        if runs.get(run.identity, run) != run:
            where = f"{run.backbone} + {run.head} on {run.dataset}, seed {run.seed},"
            raise GeoadaptError(source, f"{where} is told otherwise by another file", "leave one of the files out")


def _refuse_shared(board: str, one: Path, other: Path) -> None:
    problem = f"is the board '{board}', and so are the runs of {other}"
    raise GeoadaptError(one.parent, problem, "a submission's board is called as its folder: rename the folder")


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
    """Files of records, or ``metrics.json`` of run folders; where a folder has records itself, they alone.

    A submission folder is its table, and a CSV is itself.
    """
    if (foreign := source_of(path)) is not None:
        return [foreign]
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
    hint = "name a folder of geoadapt benchmark or train, a submission folder, or a CSV of torchgeo-bench"
    raise GeoadaptError(path, f"holds neither {NAME} nor {METRICS}", hint)
