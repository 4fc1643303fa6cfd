"""Scores of different data sets on one scale: the range of a board's base submissions, pinned by version.

In: the table of the base runs. Out: ranges, as a file that says what it was made of; every board's scores hang on them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import write_text
from geoadapt.leaderboard.bootstrap import Floats
from geoadapt.leaderboard.records import DIRECTIONS, Direction
from geoadapt.leaderboard.table import Table

__all__ = ["Normaliser", "Range", "derive", "read", "write"]


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest and highest score of any base run on a data set, and in how many runs."""

    low: float
    high: float
    metric: str
    direction: Direction
    runs: int

    def scaled(self, values: Floats) -> Floats:
        """Values of any shape on this range."""
        worst, best = (self.low, self.high) if self.direction == "max" else (self.high, self.low)
        return np.asarray((values - worst) / (best - worst), np.float64)


@dataclass(frozen=True, slots=True)
class Normaliser:
    """(v - low) / (high - low) per data set, turned round where less is better: 1 is the best base run, 0 the worst."""

    version: str
    ranges: Mapping[str, Range]
    left_out: tuple[str, ...] = ()
    """Data sets without a range, and why: their scores are missing on this scale."""

    @property
    def fingerprint(self) -> str:
        """Of the ranges: two boards with the same one can be compared."""
        told = json.dumps({name: asdict(r) for name, r in sorted(self.ranges.items())})
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def apply(self, table: Table) -> Table:
        """The table on this scale; a data set without a range is missing (NaN).

        Raises GeoadaptError where a data set's metric or direction is not that of the base runs.
        """
        scaled = np.full(table.values.shape, np.nan)
        for place, name in enumerate(table.datasets):
            known = self.ranges.get(name)
            if known is None or not np.isfinite(table.values[:, place]).any():
                continue
            if (known.metric, known.direction) != (table.metrics[place], table.directions[place]):
                found = f"runs report {table.metrics[place]} ({table.directions[place]})"
                problem = f"{found}, the normaliser {self.version} is of {known.metric} ({known.direction})"
                raise GeoadaptError(
                    name, problem, "report the metric of the base runs, or derive a normaliser of yours"
                )
            scaled[:, place] = known.scaled(table.values[:, place])
        return table.with_values(scaled)


def derive(base: Table, version: str) -> Normaliser:
    """The ranges over all runs of ``base``: every entry, every seed.

    A data set without two different scores has no range; adding an entry to the base changes everybody's scores, so
    that it takes a new ``version``.
    """
    ranges: dict[str, Range] = {}
    left_out = []
    for place, name in enumerate(base.datasets):
        known = base.values[:, place][np.isfinite(base.values[:, place])]
        if known.size == 0 or known.min() == known.max():
            left_out.append(f"{name}: {known.size} base runs with one score, which is no range" if known.size else name)
            continue
        low, high = float(known.min()), float(known.max())
        ranges[name] = Range(low, high, base.metrics[place], base.directions[place], int(known.size))
    return Normaliser(version, ranges, tuple(left_out))


def write(normaliser: Normaliser, path: Path) -> Path:
    """Store the ranges with their version and fingerprint as JSON."""
    ranges = {name: asdict(known) for name, known in normaliser.ranges.items()}
    told = {"version": normaliser.version, "fingerprint": normaliser.fingerprint, "ranges": ranges}
    return write_text(path, json.dumps({**told, "left_out": list(normaliser.left_out)}, indent=1) + "\n")


def read(path: Path, version: str | None = None) -> Normaliser:
    """A stored normaliser; raises GeoadaptError where it is another ``version``, or was changed since."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        ranges = {name: Range(**known) for name, known in told["ranges"].items()}
        made = Normaliser(str(told["version"]), ranges, tuple(told.get("left_out", ())))
        stored = told["fingerprint"]
    except OSError as error:
        raise GeoadaptError(
            path, f"cannot be read: {error.strerror or error}", "derive one from the base runs"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GeoadaptError(path, f"is no normaliser: {error}", "derive one from the base runs") from error
    for name, known in ranges.items():
        numbers = all(isinstance(v, int | float) and math.isfinite(v) for v in (known.low, known.high))
        if not numbers or known.low >= known.high or known.direction not in DIRECTIONS:
            raise GeoadaptError(path, f"the range of {name} is none: {known.low} to {known.high}", "derive it again")
    if stored != made.fingerprint:
        raise GeoadaptError(path, "its ranges were changed after it was written", "derive it again under a new version")
    if version is not None and made.version != version:
        raise GeoadaptError(
            path, f"is version '{made.version}', the board's is '{version}'", "scores would not compare"
        )
    return made
