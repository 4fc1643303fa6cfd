"""A simulated time series: one place over a year under moving clouds, and what every date would show without them.

In: a ``SeriesSpec``. Out: surface reflectance (t, c, h, w), the same without clouds, labels (t, h, w), radar [dB].
The same spec always gives the same series. Only the sky, the light, the season and the soil's moisture change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.fft import next_fast_len

from data_pipelines.simulate.clouds import SKIES
from data_pipelines.simulate.cover import BIOMES, Biome
from data_pipelines.simulate.echo import echo, echo_texture
from data_pipelines.simulate.land import surface
from data_pipelines.simulate.noise import Canvas, Floats, fractal
from data_pipelines.simulate.passes import Ground, Pass, take
from data_pipelines.simulate.scene import PLACES
from data_pipelines.simulate.spectra import BANDS, DEFAULT_BANDS, palette
from data_pipelines.simulate.terrain import Relief, relief
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["RADAR_DELAY", "SeriesSpec", "SimulatedSeries", "simulate_series"]

RADAR_DELAY = 2
"""Days after each optical date on which the radar passes."""
FULL_DAYS, CLEAR_DAYS = 0.12, 0.12
"""Shares of the dates that are entirely cloudy, and without a cloud."""


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """What to simulate; whatever is None is drawn from the seed."""

    size: int = 128
    """Height and width [px]."""
    dates: int = 16
    seed: int = 0
    resolution: float = 20.0
    """[m]"""
    biome: str | None = None
    bands: tuple[str, ...] = DEFAULT_BANDS
    year: int = 2021
    radar: bool = False

    def __post_init__(self) -> None:
        """Raise GeoadaptError for a value that cannot be."""
        if self.biome is not None and self.biome not in BIOMES:
            raise GeoadaptError("simulated series, biome", f"'{self.biome}' is unknown", nearest(self.biome, BIOMES))
        for band in self.bands:
            if band not in BANDS:
                raise GeoadaptError("simulated series, bands", f"'{band}' is unknown", nearest(band, BANDS))
        if self.radar and not {"green", "red", "nir"} <= set(self.bands):
            raise GeoadaptError("simulated series, radar", f"bands {self.bands}", "add green, red and nir")
        if self.size < 16 or not 3 <= self.dates <= 120 or not 5 <= self.resolution <= 60:
            said = f"{self.size} px, {self.dates} dates, {self.resolution:g} m"
            raise GeoadaptError("simulated series", said, "choose 16 px or more, 3–120 dates, 5–60 m")


@dataclass(frozen=True, slots=True)
class SimulatedSeries:
    """Reflectance and truth (t, c, h, w), NaN nowhere; labels (t, h, w): 0 clear, 1 cloud, 2 thin cloud, 3 shadow."""

    values: Floats
    truth: Floats
    labels: NDArray[np.uint8]
    bands: tuple[str, ...]
    times: NDArray[np.datetime64]
    season: Floats
    """(t,) day of year as the place feels it: northern, with its own lead or lag."""
    crs: CRS
    transform: Affine
    biome: str
    radar: Floats | None
    """(t, 2, h, w) VV and VH [dB], ``RADAR_DELAY`` days after ``times``."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What stays the same all year."""

    canvas: Canvas
    land: Relief
    biome: Biome
    colours: dict[str, Floats]
    latitude: float
    lead: float
    seed: int
    wet: Floats
    """(h, w) where water gathers, of zero mean and unit deviation."""


def simulate_series(spec: SeriesSpec) -> SimulatedSeries:
    """The series that ``spec`` describes."""
    rng = np.random.default_rng([spec.seed, 0x5E1E5])
    side = next_fast_len(spec.size, real=True)
    canvas = Canvas(side, side, spec.resolution)
    drawn = str(rng.choice(list(BIOMES)))
    name = spec.biome or drawn
    epsg, latitude, northing = PLACES[int(rng.integers(len(PLACES)))]
    biome, lead = BIOMES[name], float(rng.uniform(-20, 20))
    land = relief(canvas, rng, biome.relief, biome.tilt)
    wet = fractal(canvas, rng, largest=2500, slope=1.8)
    place = _Place(canvas, land, biome, palette(rng, spec.bands), latitude, lead, int(rng.integers(2**31)), wet)
    times = _times(rng, spec)
    season = np.array([_season(place, time) for time in times], np.float32)
    passes, moist, covers = [], _moisture(rng, times), _covers(rng, spec.dates)
    texture = echo_texture(canvas, np.random.default_rng([spec.seed, 0xEC40])) if spec.radar else None
    echoes = []
    for k, time in enumerate(times):
        own = np.random.default_rng([spec.seed, 0xDA7E, k])
        values = _ground(place, float(season[k]), float(moist[k]), spec.bands)
        if texture is not None:
            heard = np.random.default_rng([spec.seed, 0xEC40, k])
            echoes.append(echo(values, spec.bands, heard, texture, float(moist[k])))
        sky = str(own.choice(list(SKIES)))
        passes.append(take(Ground(canvas, land, values, latitude), own, time, covers[k], sky, spec.bands))
    east = 300_000 + 60 * int(rng.integers(4000))
    north = 60 * round((northing + rng.uniform(-2e5, 2e5)) / 60)
    return SimulatedSeries(
        _cut([one.values for one in passes], spec.size),
        _cut([one.truth for one in passes], spec.size),
        _labels(passes, spec.size),
        spec.bands,
        np.array([time.replace(tzinfo=None) for time in times], "datetime64[s]"),
        season,
        CRS.from_epsg(epsg),
        Affine(spec.resolution, 0, east, 0, -spec.resolution, north),
        name,
        _cut(echoes, spec.size) if echoes else None,
    )


def _cut(stack: list[Floats], size: int) -> Floats:
    return np.ascontiguousarray(np.stack(stack)[..., :size, :size])


def _labels(passes: list[Pass], size: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.stack([one.labels for one in passes])[:, :size, :size])


def _times(rng: np.random.Generator, spec: SeriesSpec) -> list[datetime]:
    """Ascending dates within the year, irregular: each somewhere in its equal part of it, never two on one day."""
    part = 364 / spec.dates
    days = np.unique(np.floor((np.arange(spec.dates) + rng.uniform(0.05, 0.95, spec.dates)) * part).astype(int))
    return [datetime(spec.year, 1, 1, 10, 30) + timedelta(days=int(day)) for day in days]


def _season(place: _Place, time: datetime) -> float:
    return (time.timetuple().tm_yday + (183 if place.latitude < 0 else 0) + place.lead) % 365


def _moisture(rng: np.random.Generator, times: list[datetime]) -> Floats:
    """Moisture of the soil (t,), 0–1: rain comes at random and dries up within weeks."""
    found, level = [], float(rng.random())
    for before, now in zip([times[0], *times], times, strict=False):
        kept = math.exp(-(now - before).days / 15)
        level = kept * level + (1 - kept) * float(rng.beta(0.9, 1.3))
        found.append(level)
    return np.array(found, np.float32)


def _covers(rng: np.random.Generator, dates: int) -> list[float]:
    """Share of every date under cloud: some dates entirely, some not at all, the others anything between."""
    full, none = max(1, round(FULL_DAYS * dates)), round(CLEAR_DAYS * dates)
    between = 0.05 + 0.8 * rng.beta(1.0, 1.3, max(dates - full - none, 0))
    found = np.concatenate([np.ones(full), np.zeros(none), between])[:dates]
    return [float(cover) for cover in rng.permutation(found)]


def _ground(place: _Place, season: float, moisture: float, bands: tuple[str, ...]) -> Floats:
    """Surface reflectance (c, h, w) on a day; soil is darker where it is wet, most of all in the infrared."""
    rng = np.random.default_rng([place.seed, 1])
    values = surface(place.canvas, rng, place.land, place.biome, season, place.latitude, place.colours, harvest=True)
    if "red" not in bands or "nir" not in bands:
        return values
    red, nir = values[bands.index("red")], values[bands.index("nir")]
    bare = np.clip(1 - (nir - red) / (nir + red + 1e-6) / 0.6, 0, 1)
    dark = np.clip(moisture + 0.15 * place.wet, 0, 1) * bare * (red < 0.6)
    for i, band in enumerate(bands):
        values[i] *= 1 - (0.32 if band.startswith("swir") else 0.22) * dark
    return values
