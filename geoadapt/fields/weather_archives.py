"""The archives of a weather pre-training: simulated planets, and the real ones that it may see.

In: a data configuration. Out: histories with the dates that may be learned from, and those that are for validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from geoadapt.fields.archive import history_of
from geoadapt.fields.history import History
from geoadapt.fields.roots import data_folder
from geoadapt.fields.weather_config import WeatherPretrainingDataConfig

__all__ = ["REAL", "PretrainingArchives", "RealSet", "Side", "build"]

LAST_YEAR = 2006
"""Of the daily reanalysis nothing later is ever opened: what follows is for validation and test of the adaptation."""
DAY = np.timedelta64(86400, "s")


@dataclass(frozen=True, slots=True)
class RealSet:
    """A real archive under GEOADAPT_DATA that pre-training may see."""

    files: tuple[str, ...]
    variables: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    step: str | None = None
    leads: tuple[int, ...] = ()
    """Steps ahead; empty = it is only painted."""
    share: float = 1.0
    """Among the real ones."""
    val_year: int | None = None
    gaps: str = "error"


REAL: tuple[RealSet, ...] = (
    RealSet(("weather/ncep_daily/ncep_slp_natl_2001_2008.nc",), leads=(1, 2, 3), share=30.0, val_year=2006),
    RealSet(("weather/ncep_daily/ncep_iberia_upper_djf_1983_1997.nc",), leads=(1, 2, 3), share=1.0, gaps="allow"),
    RealSet(("weather/ncep_daily/ncep_iberia_surface_djf_1983_1997.nc",), leads=(1, 2, 3), share=1.0, gaps="allow"),
    RealSet(
        (
            "weather/wfde5_uk/air_temperature.nc",
            "weather/wfde5_uk/specific_humidity.nc",
            "weather/wfde5_uk/wind_speed.nc",
            "weather/wfde5_uk/surface_downwelling_longwave_flux_in_air.nc",
        ),
        step="6h",
        leads=(1, 2, 4),
    ),
    RealSet(("weather/era5/era5-2mt-2019-03-uk.grib",), step="6h", leads=(1, 2, 4)),
    RealSet(("weather/era5/era5_1995-07-14T12.nc",), share=0.5),
    RealSet(
        ("weather/era5/era5_tl31_19590102T00.nc",),
        ("geopotential", "temperature", "u_component_of_wind", "v_component_of_wind", "specific_humidity"),
        (1000, 850, 700, 500, 300, 200),
        share=0.5,
    ),
    RealSet(("climate/control/b003_TS_200-299.nc",), share=0.5),
)
"""Only of these four folders: everything else at hand is for evaluation."""


@dataclass(frozen=True, slots=True)
class Side:
    """A history, which of its dates are for training and for validation (t,) bool, and how it is drawn."""

    history: History
    train: NDArray[np.bool_]
    val: NDArray[np.bool_]
    leads: tuple[int, ...]
    share: float


@dataclass(frozen=True, slots=True)
class PretrainingArchives:
    """All archives of a pre-training."""

    sides: tuple[Side, ...]
    note: str
    names: tuple[str, ...]
    simulated_share: float


def build(config: WeatherPretrainingDataConfig, seed: int) -> PretrainingArchives:
    """Open everything; raises GeoadaptError where an archive is missing or cannot be read."""
    simulated = list(_simulated(config))
    real = list(_real()) if config.real and config.real_share else []
    parts = []
    for sides, share in ((simulated, 1 - config.real_share if real else 1.0), (real, config.real_share)):
        total = sum(side.share for side in sides)
        parts += [Side(s.history, s.train, s.val, s.leads, s.share / total * share) for s in sides]
    names = tuple(dict.fromkeys(side.history.name for side in parts))
    planets = " and ".join(f"{count} at {name.upper()}" for name, count in config.planets.items() if count)
    note = f"simulated planets, {planets}, of {config.years:g} years (seed {config.seed})"
    if real:
        note += " and, of the real archives, " + ", ".join(side.history.name for side in real)
        note += f" (dates up to {LAST_YEAR} of the daily reanalysis)"
    return PretrainingArchives(tuple(parts), note, names, 1 - config.real_share if real else 1.0)


def _simulated(config: WeatherPretrainingDataConfig) -> Iterator[Side]:
    """Every planet twice: with the archive's own interval between states, and with a day."""
    for truncation, count in config.planets.items():
        for member in range(count):
            path = Path(config.root) / truncation / f"member_{member:02d}.zarr"
            own = history_of(open_weather(path), None, None, f"simulated {truncation} {path.stem}")
            held = np.full(len(own.times), member == count - 1)
            yield Side(own, ~held, held, (1, 2), 0.3)
            if own.step < DAY:
                yield Side(replace(own, step=DAY), ~held, held, (1, 2, 3), 2.7)


def _real() -> Iterator[Side]:
    folder = data_folder()
    for part in REAL:
        paths = [folder / name for name in part.files]
        if absent := [path for path in paths if not path.exists()]:
            raise GeoadaptError(absent[0], "is not there", "set GEOADAPT_DATA, or data.real=false to do without")
        end = np.datetime64(f"{LAST_YEAR}-12-31") if "ncep_daily" in part.files[0] else None
        cube = open_weather(
            paths, variables=part.variables or None, levels=part.levels or None, end=end, gaps=part.gaps
        )
        if cube["time"].dtype.kind == "O":
            cube = cube.assign_coords(time=_any_dates(cube["time"].values))
        history = history_of(cube, None, part.step, paths[0].stem)
        years = history.times.astype("datetime64[Y]").astype(int) + 1970
        held = years == part.val_year if part.val_year else np.zeros(len(years), bool)
        yield Side(history, ~held, held, part.leads, part.share)


def _any_dates(times: NDArray[np.object_]) -> NDArray[np.datetime64]:
    """Dates of a control run, whose years mean nothing, at the same day of a year that numpy knows."""
    return np.array([f"{1800 + t.year % 400:04d}-{t.month:02d}-{t.day:02d}" for t in times], "datetime64[ns]")
