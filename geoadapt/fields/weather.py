"""A weather archive for a fit: its history, and which target dates are for training, for validation, and for the test.

In: a data configuration. Out: ``WeatherData``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.latlon_box import part_of
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from geoadapt.fields.archive import history_of
from geoadapt.fields.history import History
from geoadapt.fields.weather_config import SimulatedWeatherConfig, WeatherConfig

__all__ = ["WeatherData", "build", "build_simulated", "open_history"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WeatherData:
    """A history and its sides, (t,) bool by the date of a target; no date has two."""

    history: History
    train: Mask
    val: Mask
    test: Mask
    note: str
    simulated: bool = False


def build(config: WeatherConfig, seed: int) -> WeatherData:
    """The archive at ``config.path``, split by years; raises GeoadaptError where a side is empty or shares a year."""
    history = open_history(config)
    years = history.times.astype("datetime64[Y]").astype(int) + 1970
    present = sorted(set(years.tolist()))
    if not config.test_years:
        raise GeoadaptError("data.test_years", "names no year", f"choose from {_spoken(present)}")
    for key in ("test_years", "val_years", "train_years"):
        if absent := sorted(set(getattr(config, key)) - set(present)):
            raise GeoadaptError(f"data.{key}", f"{absent} are not in the archive", f"it has {_spoken(present)}")
    val_years = config.val_years or [y for y in present if y < min(config.test_years)][-1:]
    if both := sorted(set(val_years) & set(config.train_years)):
        problem = f"is empty, and {both}, the last before the first test year, are train_years"
        raise GeoadaptError("data.val_years", problem, "name other years to validate, or fewer to train")
    train_years = config.train_years or [y for y in present if y < min([*val_years, *config.test_years])]
    train, val, test = (np.isin(years, chosen) for chosen in (train_years, val_years, config.test_years))
    for key, side in (("train_years", train), ("val_years", val)):
        if not side.any():
            raise GeoadaptError(f"data.{key}", "no date is left", f"the archive has {_spoken(present)}")
    note = (
        f"{history.name}: {', '.join(history.channels)}, {len(history.times)} dates, "
        f"trained on {_spoken(train_years)}, chosen on {_spoken(val_years)}, "
        f"tested on {_spoken(sorted(config.test_years))} by target date"
    )
    return WeatherData(history, train, val, test, note, history.simulated)


def build_simulated(config: SimulatedWeatherConfig, seed: int) -> WeatherData:
    """One planet of a simulated archive that ``data_pipelines`` has made."""
    plain = WeatherConfig(
        path=str(Path(config.root) / f"member_{config.member:02d}.zarr"),
        variables=config.variables,
        levels=config.levels,
        bbox=config.bbox,
        step=config.step,
        train_years=config.train_years,
        val_years=config.val_years,
        test_years=config.test_years,
    )
    made = build(plain, seed)
    note = f"SIMULATED (dry primitive equations, T{config.truncation}, seed {config.seed}): {made.note}"
    return replace(made, note=note, simulated=True, history=replace(made.history, simulated=True))


def open_history(config: WeatherConfig, channels: Sequence[str] | None = None) -> History:
    """The history that a configuration describes; ``channels`` names them and their order."""
    if not config.path:
        raise GeoadaptError("data.path", "is empty", "name a NetCDF or GRIB file, or a Zarr store")
    cube = open_weather(
        config.path,
        variables=config.variables or None,
        levels=config.levels or None,
        gaps=config.gaps,
        units=config.units or None,
        chunks={},
    )
    if config.bbox:
        part = part_of(cube["latitude"].values, cube["longitude"].values, config.bbox, "data.bbox")
        cube = cube.isel(latitude=part.rows, longitude=part.columns).assign_coords(longitude=part.longitude)
    name = config.path.rstrip("/").rpartition("/")[2]
    return history_of(cube, channels, config.step or None, name)


def _spoken(years: Sequence[int]) -> str:
    if not years:
        return "no year"
    first, last = min(years), max(years)
    whole = list(years) == list(range(first, last + 1))
    return (f"{first}" if first == last else f"{first}-{last}") if whole else ", ".join(map(str, years))
