"""What a forecast store holds, known before the first state: dimensions, coordinates, variables and chunks.

In: init times, lead times, members, a grid and variables. Out: shapes, chunks, and the coordinates as a Dataset whose
encoding is WeatherBench 2's: whole hours since 1970, and whole hours of lead time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["ForecastSpec", "ForecastVariable", "skeleton"]

CHUNK = 2**20
"""What a file of fields holds before compression, where one field is not more [bytes]."""
_EPOCH = np.datetime64("1970-01-01", "s")


@dataclass(frozen=True, slots=True)
class ForecastVariable:
    """One array of the store, and where its fields stand among a state's channels."""

    name: str
    channels: tuple[int, ...]
    """Positions among the channels of a state, one per level."""
    levels: tuple[float, ...] = ()
    """Of the channels [hPa]; none for a variable without levels."""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForecastSpec:
    """What a store holds, known before the first state."""

    init_times: NDArray[np.datetime64]
    leads: NDArray[np.timedelta64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    variables: tuple[ForecastVariable, ...]
    numbers: tuple[int, ...] | None = None
    """Members; None for a single forecast, which has no such dimension."""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def levels(self) -> tuple[float, ...]:
        """All levels, ascending; a variable lacks those that are not its own (NaN)."""
        return tuple(sorted({level for variable in self.variables for level in variable.levels}))

    def dims(self, variable: ForecastVariable) -> tuple[str, ...]:
        """The dimensions of an array, in order."""
        number = () if self.numbers is None else ("number",)
        level = ("level",) if variable.levels else ()
        return ("time", *number, "prediction_timedelta", *level, "latitude", "longitude")

    def shape(self, variable: ForecastVariable) -> tuple[int, ...]:
        """The shape of an array."""
        sizes = {
            "time": len(self.init_times),
            "number": len(self.numbers or ()),
            "prediction_timedelta": len(self.leads),
            "level": len(self.levels()),
            "latitude": len(self.latitude),
            "longitude": len(self.longitude),
        }
        return tuple(sizes[dim] for dim in self.dims(variable))

    def blocks(self, variable: ForecastVariable) -> tuple[int, int, int]:
        """Members, leads and levels in one chunk: levels first, then members, then leads, up to ``CHUNK`` bytes."""
        room = max(1, CHUNK // (4 * len(self.latitude) * len(self.longitude)))
        taken = []
        for count in (len(self.levels()) if variable.levels else 1, len(self.numbers or (0,)), len(self.leads)):
            taken.append(min(count, room))
            room = room // count if count <= room else 1
        levels, members, leads = taken
        return members, leads, levels


def skeleton(spec: ForecastSpec) -> xr.Dataset:
    """The coordinates with their attributes and encoding, and no variable."""
    degrees = {
        name: {"standard_name": name, "units": f"degrees_{way}", "axis": axis}
        for name, way, axis in (("latitude", "north", "Y"), ("longitude", "east", "X"))
    }
    coordinates: dict[str, Any] = {
        "time": ("time", spec.init_times.astype("datetime64[ns]"), {"standard_name": "forecast_reference_time"}),
        "prediction_timedelta": (
            "prediction_timedelta",
            spec.leads.astype("timedelta64[ns]"),
            {"standard_name": "forecast_period", "long_name": "lead time"},
        ),
        "latitude": ("latitude", spec.latitude, degrees["latitude"]),
        "longitude": ("longitude", spec.longitude, degrees["longitude"]),
    }
    if spec.numbers is not None:
        coordinates["number"] = ("number", np.asarray(spec.numbers, np.int64), {"standard_name": "realization"})
    if levels := spec.levels():
        whole = all(level == round(level) for level in levels)
        attributes = {"standard_name": "air_pressure", "units": "hPa", "positive": "down", "axis": "Z"}
        coordinates["level"] = ("level", np.asarray(levels, np.int64 if whole else np.float64), attributes)
    made = xr.Dataset(coords=coordinates, attrs={"Conventions": "CF-1.11", **spec.attributes})
    # Whole hours where they are exact, as in WeatherBench 2; integers either way, so that nothing is rounded.
    since = spec.init_times.astype("datetime64[s]") - _EPOCH
    made["time"].encoding = {"units": f"{_unit(since)} since 1970-01-01", "dtype": "int64", "calendar": "standard"}
    made["prediction_timedelta"].encoding = {"units": _unit(spec.leads), "dtype": "int64"}
    return made


def _unit(spans: NDArray[np.timedelta64]) -> str:
    seconds = spans.astype("timedelta64[s]").astype(np.int64)
    return "seconds" if (seconds % 3600).any() else "hours"
