"""What a series is made of: parts with one date or many, each on a grid of its own, opened when they are read.

In: nothing but descriptions. Out: ``Part``, what all ways of storing a series come down to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geoadapt.cubes.bands import REFLECTIVE
from geoadapt.cubes.quality import TREATMENTS
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.sensors import sensor_named
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.base import SourceInfo, Window

__all__ = ["DAMAGED", "Choice", "Part", "Reader", "moment", "scaled", "span"]

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Dates = NDArray[np.datetime64]
MASKS = ("auto", "none")
DAMAGED = ("error", "skip")


class Reader(Protocol):
    """An open part; one reader serves one thread."""

    def read(self, window: Window) -> tuple[Floats, Bools]:
        """Values (t, c, h, w), NaN where missing, and what its quality layer calls clear (t, h, w).

        The window counts pixels of the series' grid.
        """

    def close(self) -> None:
        """Release the handles."""


@dataclass(frozen=True, slots=True)
class Part:
    """One scene, or one file with many dates."""

    origin: str
    names: tuple[str, ...]
    """(t,)."""
    times: Dates
    """(t,) datetime64[s]."""
    sensors: tuple[str | None, ...]
    bands: tuple[str, ...]
    grid: GeoBox | None
    """None where the part has no place on Earth."""
    size: tuple[int, int]
    """Height and width [px]."""
    handles: int
    """Files that are open while it is read."""
    opener: Callable[[GeoBox | None, str], Reader]
    """(the series' grid, None = the part's own; how to resample) → an open part."""
    notes: tuple[str, ...] = ()
    """What was used and done."""
    doubts: tuple[str, ...] = ()
    """What may be wrong with its numbers."""
    files: tuple[str, ...] = ()
    """What is read beside ``origin``: files and addresses of its bands and its quality layer."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the series is wanted, and how its numbers are to be read; said at ``open_series``."""

    bands: tuple[str, ...] | None = None
    mask: Any = "auto"
    scheme: str | None = None
    treatment: dict[str, Any] = field(default_factory=dict)
    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    nodata: float | None = None
    dates: Mapping[str, np.datetime64] = field(default_factory=dict)
    """Of scenes that do not tell theirs, by name."""
    damaged: str = "error"
    """What is done about a scene that cannot be read: ``error``, or ``skip``."""

    def __post_init__(self) -> None:
        if isinstance(self.mask, str) and self.mask not in MASKS and not any(c in self.mask for c in "*?[./\\"):
            raise GeoadaptError("mask", f"'{self.mask}' is unknown", nearest(self.mask, MASKS))
        for name in self.treatment:
            if name not in TREATMENTS:
                raise GeoadaptError("treatment", f"'{name}' is unknown", nearest(name, TREATMENTS))
        if self.damaged not in DAMAGED:
            raise GeoadaptError("damaged", f"'{self.damaged}' is unknown", nearest(self.damaged, DAMAGED))

    def check_dates(self, names: Sequence[str]) -> None:
        """Raise GeoadaptError for a date of a scene that is not among ``names``: it would be passed over."""
        for name in self.dates:
            if name not in names:
                raise GeoadaptError("times", f"'{name}' is no scene of these {len(names)}", nearest(name, names))

    def holds(self, times: Dates) -> Bools:
        """Which of ``times`` lie between start and end, both included."""
        kept = np.ones(times.shape, bool)
        if self.start is not None:
            kept &= times >= self.start
        if self.end is not None:
            kept &= times <= self.end
        return kept


def moment(value: object, name: str) -> np.datetime64:
    """A date as datetime64[s]; raises GeoadaptError where it is none."""
    try:
        found = np.datetime64(value, "s")  # type: ignore[call-overload]
    except (ValueError, TypeError) as error:
        raise GeoadaptError(name, f"'{value}' is no date", "write it as 2020-06-30") from error
    if np.isnat(found):
        raise GeoadaptError(name, f"'{value}' is no date", "write it as 2020-06-30")
    return np.datetime64(found, "s")


def span(start: object | None, end: object | None) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """First and last second that are wanted; an end without a time of day takes the whole day."""
    first = None if start is None else moment(start, "start")
    last = None if end is None else moment(end, "end")
    if last is not None and last == last.astype("datetime64[D]"):
        last = last + np.timedelta64(86399, "s")
    if first is not None and last is not None and last < first:
        raise GeoadaptError("start", f"{first} lies after end {last}", "exchange them")
    return first, last


def scaled(info: SourceInfo, band: str, reading: Reading) -> SourceInfo:
    """``info`` of one band with the scale and nodata of the sensor that the caller names, where nothing else tells."""
    told = reading.scale is not None or reading.offset is not None or info.scale or any(info.offset)
    if reading.sensor is None or band not in REFLECTIVE or info.dtype.kind not in "iu" or told:
        return info
    sensor, layers = sensor_named(reading.sensor), len(info.bands)
    if sensor.scale is None:
        return info
    nodata = sensor.nodata if info.nodata is None else info.nodata
    return replace(info, scale=(sensor.scale,) * layers, offset=(sensor.offset,) * layers, nodata=nodata)
