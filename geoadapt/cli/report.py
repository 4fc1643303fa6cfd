"""``geoadapt report``: one page of what was run, with intervals, ranks, costs and verdicts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geoadapt.cli.grammar import Request, Verb
from geoadapt.cli.keys import choices, conf_dir
from geoadapt.errors import GeoadaptError, nearest

if TYPE_CHECKING:
    from geoadapt.leaderboard.exchange import Said

__all__ = ["VERB"]

NAME = "leaderboard.html"
KEYS = ("output", "suite", "normaliser", "submission", "regime", "torchgeo", "info")
REGIMES = ("frozen", "full")
"""Those that a submission can be of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is made of, and what is written: a page, and files for other boards."""

    paths: list[Path]
    output: Path
    suite: Path | None
    normaliser: Path | None
    submission: Path | None
    torchgeo: Path | None
    said: Said
    regime: str
    command: str


def _plan(request: Request) -> Callable[[], int]:
    if not request.paths:
        raise GeoadaptError("report", "no run is named", "geoadapt report RUNS… output=FILE.html")
    told = _keys(request.overrides)
    files = {key: Path(told[key]) for key in ("output", "normaliser", "submission", "torchgeo", "info") if key in told}
    paths = [Path(path) for path in request.paths]
    for path in paths:
        if not path.exists():
            raise GeoadaptError(path, "there is no such file or folder", "name a folder of geoadapt benchmark or train")
    suite = _suite(told["suite"]) if "suite" in told else None
    output = files.get("output") or _beside(paths[0])
    if output.suffix.lower() not in (".html", ".htm"):
        raise GeoadaptError("output", f"'{output}' is no page", "name a file that ends in .html")
    asked = Asked(
        *(paths, output, suite, files.get("normaliser"), files.get("submission"), files.get("torchgeo")),
        *(_said(files.get("info")), told.get("regime", ""), request.command),
    )
    _check_exports(asked, "info" in told)
    return lambda: _write(asked)


def _write(asked: Asked) -> int:
    from geoadapt.leaderboard.exchange_out import ready
    from geoadapt.leaderboard.normalise import read
    from geoadapt.leaderboard.page import report, submission_suite, write_report

    scale = read(asked.normaliser) if asked.normaliser is not None else None
    suites = conf_dir() / "suite"
    told = report(
        asked.paths, suite=asked.suite, suites=suites, normaliser=scale, said=asked.said, command=asked.command
    )
    export = ready(
        *(told.found.runs, asked.said),
        suite=submission_suite(asked.suite, suites),
        submission=asked.submission,
        regime=asked.regime,
        torchgeo=asked.torchgeo,
    )
    for note in export.notes:
        print(note, file=sys.stderr)
    for path in (*write_report(told, asked.output), *export.write()):
        print(path)
    return 0


def _said(path: Path | None) -> Said:
    from geoadapt.leaderboard.exchange import Said, read_said

    return Said() if path is None else read_said(path)


def _check_exports(asked: Asked, info: bool) -> None:
    """Raise where files for other boards are asked for by halves, or one would take the place of another."""
    from geoadapt.leaderboard.exchange import source_of, submission_of
    from geoadapt.leaderboard.exchange_out import checked_folder

    if asked.regime and asked.regime not in REGIMES:
        raise GeoadaptError(f"regime={asked.regime}", "is none of a submission's", nearest(asked.regime, REGIMES))
    if asked.regime and asked.submission is None:
        raise GeoadaptError("regime", "chooses what is submitted, and nothing is", "add submission=FOLDER")
    sources = [source for path in asked.paths if (source := source_of(path)) is not None]
    if info and not sources and asked.submission is None:
        raise GeoadaptError("info", "nothing here asks for it", "add submission=FOLDER")
    if asked.torchgeo is not None and asked.torchgeo.suffix.lower() != ".csv":
        raise GeoadaptError("torchgeo", f"'{asked.torchgeo}' is no table", "name a file that ends in .csv")
    submissions = [folder for path in asked.paths if (folder := submission_of(path)) is not None]
    if asked.submission is not None:
        _check_apart(asked.submission, sources, submissions)
        submissions.append(checked_folder(asked.submission))
    tables = [asked.output.with_suffix(".csv")]
    for path in [asked.output, *([asked.torchgeo] if asked.torchgeo is not None else [])]:
        _check_apart(path, [*sources, *(tables if path == asked.torchgeo else [])], submissions)
    _check_apart(tables[0], sources, submissions)


def _check_apart(path: Path, taken: Iterable[Path], submissions: Iterable[Path]) -> None:
    """Raise where a file would replace one that is read or written too, or would lie in a submission's folder."""
    if path.resolve() in [other.resolve() for other in taken]:
        raise GeoadaptError(path, "is read, or is the page's own table", "choose another name")
    for folder in submissions:
        if path.resolve().is_relative_to(folder.resolve()):
            hint = "choose a place outside: a submission holds its two files alone"
            raise GeoadaptError(path, f"lies in the submission {folder}", hint)


def _keys(overrides: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in overrides:
        key, _, value = word.partition("=")
        if key not in KEYS:
            raise GeoadaptError(key, "unknown key", nearest(key, KEYS))
        if not value:
            raise GeoadaptError(key, "has no value", f"write {key}=…")
        found[key] = value
    return found


def _suite(name: str) -> Path:
    """A suite's file, or the one of that name."""
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = choices("suite")
    if name not in known:
        raise GeoadaptError(f"suite={name}", f"'{name}' is unknown", nearest(name, known))
    return conf_dir() / "suite" / f"{name}.yaml"


def _beside(path: Path) -> Path:
    """Where a page lies that nobody placed: in a folder of runs, but beside a submission's."""
    from geoadapt.leaderboard.exchange import submission_of

    folder = submission_of(path)
    if folder is not None:
        return (folder if folder.name not in ("", "..") else folder.resolve()).parent / NAME
    return (path if path.is_dir() else path.parent) / NAME


VERB = Verb(
    summary="one page of what was run: ranks and scores by capability, with intervals, costs and verdicts",
    plan=_plan,
    paths="RUNS…",
    sections=KEYS,
    examples=(
        "geoadapt report outputs/benchmark",
        "geoadapt report RUN1 RUN2 output=board.html",
        "geoadapt report RECORDS suite=geobench2 normaliser=base.json output=board.html",
        "geoadapt report SUBMISSION all_results.csv output=board.html",
        "geoadapt report RUNS submission=FOLDER regime=full info=about.yaml torchgeo=runs.csv",
    ),
)
