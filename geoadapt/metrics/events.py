"""Heat waves, storms: boxes and periods that are scored on their own, read from a table.

In: a YAML list or a CSV file with name, west, south, east, north [degrees], start, end. Out: ``Event`` objects.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.reason import reason
from geoadapt.metrics.statistics import Statistics
from geoadapt.metrics.weights import Box

__all__ = ["Event", "during", "read_events"]

KEYS = ("name", "west", "south", "east", "north", "start", "end")


@dataclass(frozen=True, slots=True)
class Event:
    """Somewhere at some time; a forecast belongs to it if its valid time lies in the period, ends included."""

    name: str
    box: Box
    start: np.datetime64
    end: np.datetime64

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise GeoadaptError(f"events.{self.name}", f"ends {self.end} before it starts {self.start}", "swap them")


def read_events(path: Path | str) -> tuple[Event, ...]:
    """Events of a ``.csv``, ``.yaml`` or ``.yml`` file; an end without an hour lasts through its day.

    Raises GeoadaptError for a file, row, key, number or date that cannot be read, and for a name that comes twice.
    """
    file = Path(path)
    rows = _rows(file)
    found = [_event(row, f"{file}, event {index + 1}") for index, row in enumerate(rows)]
    names = [event.name for event in found]
    for name in names:
        if names.count(name) > 1:
            raise GeoadaptError(file, f"two events are called '{name}'", "names tell results apart")
    return tuple(found)


def _rows(file: Path) -> list[Any]:
    if file.suffix.lower() not in (".csv", ".yaml", ".yml"):
        raise GeoadaptError(file, f"'{file.suffix}' is no table of events", "give a .csv or .yaml file")
    try:
        if file.suffix.lower() == ".csv":
            with file.open(encoding="utf-8", newline="") as lines:
                return list(csv.DictReader(lines, skipinitialspace=True))
        from omegaconf import OmegaConf

        rows = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except Exception as error:  # noqa: BLE001 - readers of tables have exceptions of their own
        raise GeoadaptError(file, f"cannot be read: {reason(error)}", "see the example in README") from error
    if not isinstance(rows, list):
        raise GeoadaptError(file, "holds no list", f"start every event with '- name: …', then {', '.join(KEYS[1:])}")
    return rows


def _event(row: Any, where: str) -> Event:
    if not isinstance(row, Mapping):
        raise GeoadaptError(where, f"{row!r} is no event", f"give {', '.join(KEYS)}")
    for key in row:
        if key not in KEYS:
            raise GeoadaptError(where, f"'{key}' is unknown", nearest(str(key), KEYS))
    missing = [key for key in KEYS if row.get(key) in (None, "")]
    if missing:
        raise GeoadaptError(where, f"lacks {', '.join(missing)}", f"give {', '.join(KEYS)}")
    name = str(row["name"]).strip()
    if not name or "/" in name:
        raise GeoadaptError(where, f"'{name}' is no name for an event", "choose a word without '/'")
    try:
        edges = [float(row[key]) for key in KEYS[1:5]]
        start, end = (_date(str(row[key]).strip()) for key in KEYS[5:])
    except ValueError as error:
        raise GeoadaptError(
            where, str(error), "write degrees as numbers and dates as 2003-08-01 or 2003-08-01T06"
        ) from error
    if not np.isnan(start) and len(str(row["end"]).strip()) == 10:
        end = end + np.timedelta64(1, "D") - np.timedelta64(1, "ns")
    return Event(name, Box(*edges), start, end)


def _date(text: str) -> np.datetime64:
    found = np.datetime64(text, "ns")
    if np.isnat(found):
        raise ValueError(f"'{text}' is no date")
    return found


def during(statistics: Statistics, event: Event) -> Statistics:
    """The event's region on the dates and leads whose valid time lies in its period."""
    at = statistics.regions.index(event.name)
    valid = statistics.times[:, None] + statistics.leads[None]
    asked = statistics.seen & (valid >= event.start) & (valid <= event.end)
    sums = {
        name: np.where(asked.reshape(*asked.shape, *[1] * (values.ndim - 2)), values[:, :, at : at + 1], 0)
        for name, values in statistics.sums.items()
    }
    return replace(statistics, regions=(event.name,), seen=asked, sums=sums).at(np.asarray(asked.any(axis=1)))
