"""What a stack is made of: its files, its name, and which of its dates are meant.

In: what was typed. Out: paths, a name that is one file name, positions of dates; or an error that says what there is.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.calendar import moment_of
from geoadapt.cubes.series import SeriesInfo
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.gdal import local_file

__all__ = ["Stack", "check_apart", "chosen_dates", "inputs_of", "safe_name"]


class Stack(Protocol):
    """All dates of one place, read by window: a ``SeriesSource``, or what narrows one."""

    @property
    def info(self) -> SeriesInfo:
        """What it holds."""

    def read(self, window: Window | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (t, c, h, w), NaN where missing, and what is clear (t, h, w)."""

    def keep_open(self, handles: int) -> None:
        """Keep at most ``handles`` files open between windows."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_LONGEST = 120
"""Bytes of a stack's name, so that dates and suffixes still fit into a file name."""


def inputs_of(paths: Iterable[str]) -> list[Path]:
    """The local files and folders that ``paths`` name, patterns resolved."""
    found: list[Path] = []
    for text in paths:
        file = local_file(text)
        if file is None:
            continue
        path = Path(file)
        found += [path] if path.exists() else [Path(match) for match in sorted(glob.glob(text, recursive=True))]
    return found


def check_apart(output: Path, paths: Sequence[str]) -> None:
    """Raise GeoadaptError where the output lies inside of a folder that is read: its files would be read as scenes."""
    for path in inputs_of(paths):
        if path.is_dir() and output.resolve().is_relative_to(path.resolve()):
            raise GeoadaptError("--output", f"'{output}' lies inside of the stack {path}", "name a folder elsewhere")


def safe_name(name: str) -> str:
    """``name`` as one part of a path."""
    plain = re.sub(r"[/\\\0]", "_", name).lstrip(".") or "stack"
    return os.fsencode(plain)[:_LONGEST].decode("utf-8", "ignore")


def chosen_dates(text: str, times: NDArray[np.datetime64]) -> tuple[int, ...]:
    """Positions of the dates that ``text`` names: dates or intervals ``A/B``, separated by commas; "" = all.

    Raises GeoadaptError where it names a date that there is not, or nothing in an interval.
    """
    if not len(times):
        raise GeoadaptError("stack", "has no date", "check its scenes")
    if not text:
        return tuple(range(len(times)))
    days = times.astype("datetime64[D]")
    chosen: set[int] = set()
    for part in text.split(","):
        first, _, last = (word.strip() for word in part.partition("/"))
        begin, end = _day(first), _day(last or first)
        inside = np.flatnonzero((days >= begin) & (days <= end))
        if not inside.size:
            known = f"it has {len(days)} dates from {days[0]} to {days[-1]}"
            raise GeoadaptError("--dates", f"'{part.strip()}' names no date of the stack", known)
        chosen |= {int(index) for index in inside}
    return tuple(sorted(chosen))


def _day(text: str) -> np.datetime64:
    day: np.datetime64 = moment_of(text).astype("datetime64[D]")
    return day
