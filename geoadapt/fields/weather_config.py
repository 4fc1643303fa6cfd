"""Configurations of weather archives; plain data, no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from geoadapt.errors import GeoadaptError, nearest

__all__ = [
    "Era5Config",
    "Merra2Config",
    "SimulatedWeatherConfig",
    "WeatherConfig",
    "WeatherPretrainingDataConfig",
]


def check_bbox(bbox: list[float]) -> None:
    """Raise where ``data.bbox`` is neither empty nor west, south, east, north."""
    if bbox and (len(bbox) != 4 or not -90 <= bbox[1] < bbox[3] <= 90):
        raise GeoadaptError("data.bbox", f"{bbox}", "name west, south, east, north in degrees")


@dataclass
class WeatherConfig:
    """A weather archive on latitude and longitude; whose a date is, is said by the year of the forecast's target."""

    name: str = "weather"
    path: str = ""
    """A NetCDF or GRIB file, a Zarr store, or a glob of several."""
    variables: list[str] = field(default_factory=list)
    """Long names as in WeatherBench 2, or usual short ones; empty = all."""
    levels: list[float] = field(default_factory=list)
    """Pressure levels, by value [hPa]; empty = all."""
    bbox: list[float] = field(default_factory=list)
    """Only this part: west, south, east, north [degrees]; empty = all."""
    step: str = ""
    """Between two states of a forecast, such as 6h or 24h; empty = the archive's own interval."""
    train_years: list[int] = field(default_factory=list)
    """Empty = all before the validation years."""
    val_years: list[int] = field(default_factory=list)
    """Empty = the year before the first test year."""
    test_years: list[int] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    """Variable → its units, where the file does not say."""
    gaps: str = "error"
    """``error`` where dates are missing, or ``allow``: samples that would need them are left out."""

    def __post_init__(self) -> None:
        if self.gaps not in ("error", "allow"):
            raise GeoadaptError("data.gaps", f"'{self.gaps}'", nearest(self.gaps, ("error", "allow")))
        check_bbox(self.bbox)
        sides = {"train_years": self.train_years, "val_years": self.val_years, "test_years": self.test_years}
        for one, years in sides.items():
            for other, theirs in sides.items():
                if one < other and (both := sorted(set(years) & set(theirs))):
                    raise GeoadaptError(f"data.{other}", f"{both} are {one} too", "name each year once")


@dataclass
class Era5Config(WeatherConfig):
    """A training cube from an ERA5 archive in the layout of ARCO or WeatherBench 2, made where it is not there yet."""

    name: str = "era5"
    path: str = "data/era5.zarr"
    """Where the cube goes."""
    source: str = ""
    """The archive: a path, or an address such as gs://weatherbench2/datasets/era5/….zarr."""
    start: str = ""
    end: str = ""
    interval: str = ""
    """Between two dates of the cube, such as 6h or 1d; empty = the archive's own."""
    average: bool = False
    """The mean over the interval that begins at each date, in place of the moment."""
    resolution: float = 0.0
    """Of the cube's grid [degrees]; 0 = the archive's own."""
    poles: bool = True
    """A coarser grid has points at the poles."""
    shard: int = 1
    """Dates in one file of the cube; each is a chunk of its own within it."""


@dataclass
class Merra2Config(WeatherConfig):
    """A training cube from MERRA-2 files with what Prithvi WxC takes, made where it is not there yet."""

    name: str = "merra2"
    path: str = "data/merra2.zarr"
    """Where the cube goes."""
    source: str = ""
    """The folder of the files."""
    start: str = ""
    end: str = ""
    shard: int = 1


@dataclass
class SimulatedWeatherConfig:
    """A planet of the simulated core (dry primitive equations): made where it is not there yet, split by years."""

    name: str = "simulated_weather"
    root: str = "data/simulated_weather"
    years: float = 4.0
    """From 2001 on."""
    members: int = 2
    """Planets, each with mountains, jets and friction of its own."""
    member: int = 0
    """The one that is used."""
    seed: int = 1000
    interval_hours: int = 24
    truncation: int = 31
    variables: list[str] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    bbox: list[float] = field(default_factory=list)
    """Only this part: west, south, east, north [degrees]; empty = all."""
    step: str = ""
    train_years: list[int] = field(default_factory=list)
    val_years: list[int] = field(default_factory=list)
    test_years: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not 0 <= self.member < self.members:
            raise GeoadaptError("data.member", f"{self.member} of {self.members}", "members are counted from 0")
        check_bbox(self.bbox)


@dataclass
class WeatherPretrainingDataConfig:
    """Simulated planets, and of the real archives at hand the few that pre-training may see."""

    name: str = "weather_pretraining"
    root: str = "data/weather_pretraining"
    """Where the simulated planets go; the real archives are read where GEOADAPT_DATA says."""
    years: float = 1.0
    planets: dict[str, int] = field(default_factory=lambda: {"t31": 16, "t42": 8})
    """Truncation, as the folder of its planets → how many, 0 = none; the last one of each is for validation."""
    seed: int = 0
    """Of the first truncation's planets; the next one's is one more."""
    interval_hours: int = 12
    real: bool = True
    real_share: float = 0.5
    """Of the samples."""

    def __post_init__(self) -> None:
        for name, count in self.planets.items():
            if not re.fullmatch(r"t[1-9]\d*", name) or count < 0 or count == 1:
                hint = "write t31=N with 2 or more planets, of which one is for validation, or 0"
                raise GeoadaptError("data.planets", f"{name}={count}", hint)
        if not any(self.planets.values()):
            raise GeoadaptError("data.planets", "holds no planet", "choose 2 or more of one truncation")
        if not 0 <= self.real_share < 1:
            raise GeoadaptError("data.real_share", f"{self.real_share}", "choose 0 or more and less than 1")
