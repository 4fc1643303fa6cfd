"""Run records: one JSON line per finished run, appended whole and never changed.

In: what a run was and what it scored. Out: the same, read back with checks; a line that a kill tore is named, left out.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.words import counted

__all__ = [
    "BARRED",
    "DIRECTIONS",
    "IDENTITY",
    "REGIMES",
    "Direction",
    "Records",
    "Regime",
    "RunRecord",
    "append",
    "read",
]

Regime = Literal["frozen", "peft", "full", "scratch", "none"]
Direction = Literal["max", "min"]
REGIMES: tuple[Regime, ...] = ("frozen", "peft", "full", "scratch", "none")
"""``none`` is for rules, which train nothing."""
DIRECTIONS: tuple[Direction, ...] = ("max", "min")
NAME = "records.jsonl"
BARRED = "barred"
"""Key of ``extra``: the suite itself does not enter it there."""
IDENTITY = ("board", "backbone", "adapter", "regime", "head", "dataset", "metric", "seed")
"""What two records of the same run agree in: the later one counts."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: one entry of a board on one data set with one seed.

    A ``value`` of NaN is a run without a score: it is missing, never zero. Raises GeoadaptError for what cannot be.
    """

    board: str
    backbone: str
    adapter: str
    regime: Regime
    head: str
    dataset: str
    task: str
    metric: str
    direction: Direction
    """Whether more (``max``) or less (``min``) is better."""
    value: float
    seed: int
    trainable: int = 0
    """Parameters that were trained."""
    total: int = 0
    seconds: float = math.nan
    """Training time [s]; NaN where nobody measured it."""
    mpx_per_second: float = math.nan
    """Inference [10⁶ px/s]; NaN where nobody measured it."""
    memory_mb: float | None = None
    """Peak memory [MiB]."""
    config_hash: str = ""
    command: str = ""
    commit: str = ""
    bundle: str | None = None
    date: str = ""
    machine: str = ""
    simulated: bool = False
    """Whether the data were: it is said wherever the score is shown."""
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _FILLED:
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise GeoadaptError(f"record.{name}", f"{getattr(self, name)!r} is no name", "write a word")
        _one_of("record.regime", self.regime, REGIMES)
        _one_of("record.direction", self.direction, DIRECTIONS)
        for name in _COUNTS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise GeoadaptError(f"record.{name}", f"{value!r} is no whole number from 0", "see RunRecord")
        for name in _NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
                raise GeoadaptError(f"record.{name}", f"{value!r} is no finite number", "NaN stands for a missing one")
        memory = self.memory_mb
        if memory is not None and not (isinstance(memory, int | float) and memory >= 0):
            raise GeoadaptError("record.memory_mb", f"{memory!r} is no amount of memory", "None stands for unknown")
        if not isinstance(self.extra, dict):
            raise GeoadaptError("record.extra", f"{self.extra!r} is no mapping", "write {name: value}")

    @property
    def identity(self) -> tuple[Any, ...]:
        """What two records of the same run agree in."""
        return tuple(getattr(self, name) for name in IDENTITY)


_FILLED = ("board", "backbone", "adapter", "head", "dataset", "task", "metric")
_COUNTS = ("seed", "trainable", "total")
_NUMBERS = ("value", "seconds", "mpx_per_second")
_NAMES = tuple(f.name for f in fields(RunRecord))
_REQUIRED = {f.name for f in fields(RunRecord) if f.default is MISSING and f.default_factory is MISSING}


@dataclass(frozen=True, slots=True)
class Records:
    """What a file holds: the runs that count, in the order they were written, and what was left out and why."""

    runs: tuple[RunRecord, ...]
    left_out: tuple[str, ...] = ()


def append(path: Path, records: Iterable[RunRecord]) -> None:
    """Add one line per record to ``path`` (a file, or a folder's ``records.jsonl``), whole, one process at a time.

    A line that a kill tore is ended first, so that it stays one bad line and spoils no other.
    """
    path = _file(path)
    text = "".join(_line(record) for record in records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            _lock(file.fileno())
            if _ends_torn(file):
                text = "\n" + text
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise GeoadaptError(path, f"cannot be written: {error.strerror or error}", "check space and rights") from error


def read(path: Path) -> Records:
    """The runs of ``path`` (a file, or a folder's ``records.jsonl``); a later record of a run replaces an earlier.

    Raises:
        GeoadaptError: there is no file, or a whole line is no record, and which.
    """
    path = _file(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise GeoadaptError(path, "there are no records", "run geoadapt benchmark first, or name its folder") from error
    except OSError as error:
        raise GeoadaptError(path, f"cannot be read: {error.strerror or error}", "check its rights") from error
    lines = text.split("\n")
    found: dict[tuple[Any, ...], RunRecord] = {}
    left_out: list[str] = []
    replaced: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            plain = json.loads(line)
        except ValueError:
            left_out.append(f"{where}: a line that was not written to its end ({line[:40]}…); its run is not counted")
            continue
        record = from_plain(plain, where)
        if found.pop(record.identity, None) is not None:
            replaced[f"{record.backbone} + {record.adapter} on {record.dataset}"] += 1
        found[record.identity] = record
    left_out += [
        f"{path}: {counted(count, 'run')} of {name} made again; the latest counts" for name, count in replaced.items()
    ]
    return Records(tuple(found.values()), tuple(left_out))


def from_plain(plain: Any, where: str) -> RunRecord:
    """A record from what JSON gave; raises GeoadaptError with the nearest known key, or the key that is missing."""
    if not isinstance(plain, Mapping):
        raise GeoadaptError(where, f"{str(plain)[:40]!r} is no record", "a line is one mapping of keys to values")
    for key in plain:
        if key not in _NAMES:
            raise GeoadaptError(where, f"unknown key '{key}'", nearest(str(key), _NAMES))
    missing = sorted(_REQUIRED - set(plain))
    if missing:
        raise GeoadaptError(where, f"lacks {', '.join(missing)}", "remove the line; its run will be made again")
    told = dict(plain)
    for name in _NUMBERS:
        told[name] = math.nan if told.get(name) is None else told[name]
    try:
        return RunRecord(**told)
    except GeoadaptError as error:
        raise GeoadaptError(where, f"{error.path}: {error.problem}", error.hint) from error


def _line(record: RunRecord) -> str:
    """JSON knows no NaN: a missing number is null."""
    plain = asdict(record)
    for name in _NUMBERS:
        plain[name] = None if math.isnan(plain[name]) else plain[name]
    try:
        return json.dumps(plain, ensure_ascii=True, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise GeoadaptError(
            "record.extra", f"cannot be stored: {error}", "text, finite numbers, lists, mappings"
        ) from error


def _file(path: Path) -> Path:
    return path if path.suffix == ".jsonl" else path / NAME


def _lock(handle: int) -> None:
    """Wait until no other process appends; it ends when the file is closed. Some systems have no such locks."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(handle, fcntl.LOCK_EX)


def _ends_torn(file: Any) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) != b"\n")


def _one_of(where: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise GeoadaptError(where, f"'{word}' is unknown", nearest(str(word), known))
