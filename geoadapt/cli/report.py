"""``geoadapt report``: one page of what was run, with intervals, ranks, costs and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from geoadapt.cli.grammar import Request, Verb
from geoadapt.cli.keys import choices, conf_dir
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["VERB"]

NAME = "leaderboard.html"
KEYS = ("output", "suite", "normaliser")


def _plan(request: Request) -> Callable[[], int]:
    if not request.paths:
        raise GeoadaptError("report", "no run is named", "geoadapt report RUNS… output=FILE.html")
    told = _keys(request.overrides)
    paths = [Path(path) for path in request.paths]
    for path in paths:
        if not path.exists():
            raise GeoadaptError(path, "there is no such file or folder", "name a folder of geoadapt benchmark or train")
    suite = _suite(told["suite"]) if "suite" in told else None
    output = Path(told["output"]) if "output" in told else _beside(paths[0])
    if output.suffix.lower() not in (".html", ".htm"):
        raise GeoadaptError("output", f"'{output}' is no page", "name a file that ends in .html")
    normaliser = Path(told["normaliser"]) if "normaliser" in told else None
    return lambda: _write(paths, output, suite, normaliser, request.command)


def _write(paths: list[Path], output: Path, suite: Path | None, normaliser: Path | None, command: str) -> int:
    from geoadapt.leaderboard.normalise import read
    from geoadapt.leaderboard.page import report, write_report

    scale = read(normaliser) if normaliser is not None else None
    told = report(paths, suite=suite, suites=conf_dir() / "suite", normaliser=scale, command=command)
    for path in write_report(told, output):
        print(path)
    return 0


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
    ),
)
