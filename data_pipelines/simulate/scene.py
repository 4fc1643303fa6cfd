"""A simulated scene: what a satellite would have seen, and the truth about its clouds.

In: a ``SceneSpec``. Out: top-of-atmosphere reflectance (c, h, w), labels (h, w), bands, CRS, transform, time.
The same spec always gives the same scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.fft import next_fast_len

from data_pipelines.simulate.air import draw_air
from data_pipelines.simulate.clouds import SKIES, layers
from data_pipelines.simulate.cover import BIOMES
from data_pipelines.simulate.land import surface
from data_pipelines.simulate.noise import Canvas, Floats, fractal
from data_pipelines.simulate.sensors import SENSORS, lags, needed, sensed
from data_pipelines.simulate.spectra import BANDS, DEFAULT_BANDS, palette
from data_pipelines.simulate.terrain import Sun, relief, shading, sun
from data_pipelines.simulate.view import Surface, seen
from geoadapt.cubes.classes import NODATA
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["SceneSpec", "SimulatedScene", "Standing", "simulate_scene", "standing"]

PLACES = (
    (32632, 48.6, 5.38e6),
    (32631, 45.4, 5.03e6),
    (32614, 38.9, 4.31e6),
    (32721, -33.2, 6.32e6),
    (32651, 31.8, 3.52e6),
    (32635, 61.5, 6.82e6),
    (32640, 24.5, 2.71e6),
    (32722, -12.4, 8.63e6),
    (32633, 54.1, 6.00e6),
    (32618, 4.6, 5.1e5),
    (32643, 17.9, 1.98e6),
    (32619, 41.3, 4.57e6),
)
"""UTM zone by EPSG code, latitude [degrees], northing [m]."""


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """What to simulate; whatever is None is drawn from the seed."""

    size: int = 512
    """Height and width [px]."""
    seed: int = 0
    sensor: str = "sentinel2"
    date: str | None = None
    """ISO date; sets the season and the sun."""
    cloud_cover: float | None = None
    """Share of the scene under cloud or thin cloud."""
    biome: str | None = None
    sky: str | None = None
    """Kind of cloud, of ``SKIES``."""
    bands: tuple[str, ...] = DEFAULT_BANDS
    swath_edge: bool | None = None
    """Whether the edge of the swath cuts the scene, with nodata beyond it."""

    def __post_init__(self) -> None:
        """Raise GeoadaptError for a value that cannot be."""
        choices = (("sensor", self.sensor, SENSORS), ("biome", self.biome, BIOMES), ("sky", self.sky, SKIES))
        for key, value, known in choices:
            if value is not None and value not in known:
                raise GeoadaptError(f"simulated scene, {key}", f"'{value}' is unknown", nearest(value, known))
        if self.size < 16:
            raise GeoadaptError("simulated scene, size", f"{self.size} px", "choose 16 or more")
        if self.cloud_cover is not None and not 0 <= self.cloud_cover <= 1:
            raise GeoadaptError("simulated scene, cloud_cover", f"{self.cloud_cover}", "choose 0 to 1")
        for band in self.bands:
            if band not in BANDS:
                raise GeoadaptError("simulated scene, bands", f"'{band}' is unknown", nearest(band, BANDS))


@dataclass(frozen=True, slots=True)
class SimulatedScene:
    """Reflectance (c, h, w), NaN outside the swath; labels (h, w): 0 clear, 1 cloud, 2 thin, 3 shadow, 255 nodata."""

    values: Floats
    labels: NDArray[np.uint8]
    bands: tuple[str, ...]
    crs: CRS
    transform: Affine
    time: datetime
    sensor: str
    biome: str
    sun: Sun


@dataclass(frozen=True, slots=True)
class Standing:
    """Where and when, as far as a spec says it, and drawn beyond that."""

    epsg: int
    latitude: float
    northing: float
    time: datetime
    light: Sun
    biome: str
    sky: str
    cover: float
    cut: bool

    @property
    def season(self) -> float:
        """The day of year as felt in the northern hemisphere."""
        return (self.time.timetuple().tm_yday + (183 if self.latitude < 0 else 0)) % 365


def standing(spec: SceneSpec, rng: np.random.Generator) -> Standing:
    """What ``spec`` says and leaves open; always the same draws, so that one choice does not change the rest."""
    drawn = list(BIOMES)[int(rng.integers(len(BIOMES)))]
    epsg, latitude, northing = PLACES[int(rng.integers(len(PLACES)))]
    day, cover, cut = int(rng.integers(365)), float(rng.beta(1.3, 1.7)) * 0.85, bool(rng.random() < 0.25)
    sky = list(SKIES)[int(rng.integers(len(SKIES)))]
    time = datetime(2021, 1, 1, 10, 30, tzinfo=UTC) + timedelta(days=day)
    if spec.date is not None:
        time = _date(spec.date)
    return Standing(
        epsg,
        latitude,
        northing,
        time,
        sun(time, latitude),
        spec.biome or drawn,
        spec.sky or sky,
        cover if spec.cloud_cover is None else spec.cloud_cover,
        cut if spec.swath_edge is None else spec.swath_edge,
    )


def simulate_scene(spec: SceneSpec) -> SimulatedScene:
    """The scene that ``spec`` describes."""
    rng = np.random.default_rng([spec.seed, 0x5EED])
    sensor = SENSORS[spec.sensor]
    side = next_fast_len(spec.size, real=True)
    canvas = Canvas(side, side, sensor.resolution)
    place = standing(spec, rng)
    light, bands = place.light, needed(spec.sensor, spec.bands)
    ground = _ground(canvas, rng, place, bands)
    air = draw_air(rng, light, bands)
    sky = layers(canvas, rng, place.cover, place.sky, math.sin(math.radians(light.elevation)))
    haze = 1 + rng.uniform(0, 0.3) * fractal(canvas, rng, largest=9000, slope=2.2)
    lag = lags(spec.sensor, bands) * (1 if rng.random() < 0.5 else -1)
    glow = rng.uniform(0, 0.1) * place.cover
    values, labels = seen(canvas, ground, sky, light, air, np.maximum(haze, 0), glow, bands, lag)
    values, labels = values[:, : spec.size, : spec.size], labels[: spec.size, : spec.size]
    values = sensed(values, rng, spec.sensor, bands, spec.bands, light, air)
    if place.cut:
        striped = spec.sensor == "landsat7" and rng.random() < 0.6
        beyond = _gaps(spec.size, rng) if striped else _beyond(spec.size, rng)
        values[:, beyond], labels[beyond] = np.nan, NODATA
    east = 300_000 + 30 * int(rng.integers(8000))
    north = 30 * round((place.northing + rng.uniform(-2e5, 2e5)) / 30)
    transform = Affine(sensor.resolution, 0, east, 0, -sensor.resolution, north)
    crs = CRS.from_epsg(place.epsg)
    return SimulatedScene(values, labels, spec.bands, crs, transform, place.time, spec.sensor, place.biome, light)


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(hour=10, minute=30, tzinfo=UTC)
    except ValueError as error:
        raise GeoadaptError("simulated scene, date", f"'{text}' is no date", "write it as 2021-06-30") from error


def _ground(canvas: Canvas, rng: np.random.Generator, place: Standing, bands: tuple[str, ...]) -> Surface:
    """What the landscape reflects and how its slopes are lit."""
    biome = BIOMES[place.biome]
    land = relief(canvas, rng, biome.relief, biome.tilt)
    values = surface(canvas, rng, land, biome, place.season, place.latitude, palette(rng, bands))
    return Surface(values, shading(land, canvas, place.light))


def _beyond(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels (h, w) outside the swath: a corner cut by a slanted line."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    outside: NDArray[np.bool_] = x + 0.22 * y < rng.uniform(0.06, 0.3)
    return outside if rng.random() < 0.5 else outside[::-1, ::-1]


def _gaps(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels (h, w) that Landsat-7 missed since 2003: slanted stripes that widen to one side."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    width = np.clip(rng.uniform(0.0, 0.25) + rng.uniform(-0.3, 0.3) * x / size, 0, 0.42)
    missed: NDArray[np.bool_] = (y + 0.21 * x + rng.uniform(0, 33)) % 33 < 33 * width
    return missed
