"""``geoadapt benchmark``: a suite's entries on its data sets, searched, repeated and recorded; it can be stopped."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from geoadapt.cli.compose import compose
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.keys import CONFIG_SECTIONS, choices, conf_dir
from geoadapt.cli.report import NAME as PAGE
from geoadapt.cli.train import make_data, train
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.words import counted

if TYPE_CHECKING:
    from geoadapt.leaderboard.loop import Benchmark, Outcome
    from geoadapt.leaderboard.suite_config import Plan

__all__ = ["VERB"]

LOG = logging.getLogger(__name__)
GROUP, FOLDER = "suite", "hydra.run.dir"


def _plan(request: Request) -> Callable[[], int]:
    from geoadapt.leaderboard.loop import Benchmark
    from geoadapt.leaderboard.suite import read_plan
    from geoadapt.leaderboard.worker import Tools

    if "TORCHELASTIC_RUN_ID" in os.environ:
        hint = "start it several times in the same folder: the processes share the work"
        raise GeoadaptError("geoadapt benchmark", "is not for torchrun's processes", hint)
    dirs = [Path(request.flags["--config-dir"])] if "--config-dir" in request.flags else []
    name, folder, own, more = _sorted(request.overrides)
    if not name:
        raise GeoadaptError("suite", "none is chosen", f"add suite=NAME; known: {', '.join(choices(GROUP, dirs))}")
    file = _file(name, dirs)
    plan = read_plan(file, own, more)
    tools = Tools(lambda words: compose(words, dirs), make_data, train)
    where = Path(folder or f"outputs/benchmarks/{plan.suite.name}")
    benchmark = Benchmark(plan, where, tools, _teller())
    if "--dry-run" in request.flags:
        return lambda: _print([*outline(plan, benchmark), "", "nothing was run (--dry-run)"])
    return lambda: _run(plan, benchmark, file, request.command)


def outline(plan: Plan, benchmark: Benchmark) -> list[str]:
    """What a benchmark would do, in a few lines."""
    counts = [counted(len(plan.datasets), "data set"), counted(len(plan.entries), "entry", "entries")]
    each = f"{counted(plan.trials, 'trial')}, then {counted(len(plan.seeds), 'seed')} of the best"
    lines = [f"suite     {plan.suite.name}: {', '.join(counts)}", f"runs      {benchmark.total}: each pair {each}"]
    lines += [f"controls  {', '.join(control.name for control in plan.controls) or 'none'}"]
    barred = {pair.name: pair.barred for pair in benchmark.pairs if pair.barred}
    lines += [f"left out  {names}: {reason}" for reason, names in _by_reason(barred).items()]
    return [*lines, f"folder    {benchmark.folder}"]


def _run(plan: Plan, benchmark: Benchmark, suite: Path, command: str) -> int:
    from geoadapt.leaderboard.summary import lines

    with _told_in(benchmark.folder):
        outcome = benchmark.run()
    _print([*lines(plan, benchmark.ledger.known().values()), "", *_closing(benchmark, outcome)])
    if any(math.isfinite(run.value) for run in benchmark.ledger.known().values()):
        _print([f"page      {_page(benchmark.folder, suite, command)}"])
    return 1 if outcome.failed or outcome.left or not (outcome.made or outcome.found) else 0


def _closing(benchmark: Benchmark, outcome: Outcome) -> list[str]:
    """What is missing and what went wrong, each by name; then where everything is."""
    barred = {pair.name for pair in benchmark.pairs if pair.barred}
    missing = {name: reason for name, reason in outcome.missing.items() if name not in barred}
    lines = [f"missing   {names}: {reason}" for reason, names in _by_reason(missing).items()]
    if barred:
        lines.append(
            f"left out  {counted(len(barred), 'pair')} for which the suite enters nobody (--dry-run names them)"
        )
    lines += [f"failed    {name}: {reason}" for name, reason in outcome.failed.items()]
    lines += [f"note      {told}" for told in benchmark.ledger.left_out()]
    if outcome.left:
        lines.append(f"left      {outcome.left} of {benchmark.total}: the same command goes on")
    lines.append(f"runs      {outcome.made} made, {outcome.found} found finished, {len(outcome.failed)} failed")
    return [*lines, f"records   {benchmark.ledger.path}"]


def _by_reason(missing: Mapping[str, str]) -> dict[str, str]:
    """Reason → the data sets, or the pairs, that are missing for it."""
    found: dict[str, list[str]] = {}
    for name, reason in missing.items():
        found.setdefault(reason, []).append(name)
    return {
        reason: names[0] if len(names) == 1 else ", ".join(name.partition(":")[0] for name in names)
        for reason, names in found.items()
    }


def _page(folder: Path, suite: Path, command: str) -> Path:
    """The page of all that is recorded, and its tables; it is made anew each time."""
    from geoadapt.leaderboard.page import report, write_report

    return write_report(report([folder], suite=suite, command=command), folder / PAGE)[0]


def _sorted(words: Sequence[str]) -> tuple[str, str, list[str], list[str]]:
    """The suite's name, the folder, what changes the suite, and what is for every run."""
    name = folder = ""
    own, more = [], []
    for word in words:
        key, _, value = word.partition("=")
        if key == GROUP:
            name = value
        elif key == FOLDER:
            folder = value
        elif key.startswith(f"{GROUP}."):
            own.append(word)
        elif key.startswith("hydra"):
            raise GeoadaptError(key, "is no key of a benchmark", f"{FOLDER} says where everything goes")
        else:
            more.append(word)
    return name, folder, own, more


def _file(name: str, dirs: Sequence[Path]) -> Path:
    found = [root / GROUP / f"{name}.yaml" for root in (*dirs, conf_dir())]
    known = choices(GROUP, dirs)
    if name not in known:
        raise GeoadaptError(f"{GROUP}={name}", f"'{name}' is unknown", nearest(name, known))
    return next(file for file in found if file.is_file())


def _teller() -> Callable[[str, int, int], None]:
    """A line for each finished run with the time left, where someone watches; silence otherwise."""
    if not sys.stderr.isatty():
        return lambda what, done, total: None
    begin, first = time.monotonic(), -1

    def tell(what: str, done: int, total: int) -> None:
        nonlocal first
        first = done if first < 0 else first  # what was found finished took no time
        taken = time.monotonic() - begin
        left = f", about {taken / (done - first) * (total - done) / 60:.0f} min left" if done > first + 1 else ""
        print(f"{done} of {total}  {what}{left}", file=sys.stderr)

    return tell


@contextmanager
def _told_in(folder: Path) -> Iterator[None]:
    """Everything in ``log.txt`` of a folder; on the terminal only what goes wrong."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    except OSError as error:
        raise GeoadaptError(folder, f"cannot be written: {error.strerror}", f"choose another {FOLDER}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    house, before = logging.getLogger("geoadapt"), [(one, one.level) for one in logging.getLogger().handlers]
    house.addHandler(handler)
    house.setLevel(logging.INFO)
    for one, _ in before:
        one.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for one, level in before:
            one.setLevel(level)
        house.removeHandler(handler)
        handler.close()


def _print(lines: Sequence[str]) -> int:
    print("\n".join(lines))
    return 0


VERB = Verb(
    summary="run a suite: backbones × adapters × data sets, searched and repeated; can be stopped, and goes on",
    plan=_plan,
    flags=(
        Flag("--dry-run", "check the suite and say what would run, and stop"),
        Flag("--config-dir", "a folder of your own choices: suite/mine.yaml, data/mine.yaml …", value="DIR"),
    ),
    sections=(GROUP, *CONFIG_SECTIONS),
    examples=(
        "geoadapt benchmark suite=smoke hydra.run.dir=DIR",
        "geoadapt benchmark suite=clouds suite.trials=4 suite.max_minutes=60 runtime.device=cuda",
    ),
)
