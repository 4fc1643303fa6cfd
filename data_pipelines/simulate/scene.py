"""A simulated scene: what a satellite would have seen, and the truth about its clouds.

In: a ``SceneSpec``. Out: top-of-atmosphere reflectance (c, h, w), labels (h, w), bands, CRS, transform, time.
The same spec always gives the same scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter

from data_pipelines.simulate.clouds import CLOUD_AT, SHADOW_AT, SKIES, THIN_AT, Layer, layers, reflected, relit, shadow
from data_pipelines.simulate.land import BIOMES, Biome, surface
from data_pipelines.simulate.noise import Canvas, Floats
from data_pipelines.simulate.spectra import AIR, BANDS, DEFAULT_BANDS, DIFFUSE, MATERIALS, SENSORS, spectrum
from data_pipelines.simulate.terrain import Sun, relief, shading, sun
from geoadapt.cubes.classes import NODATA
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["SceneSpec", "SimulatedScene", "simulate_scene"]

PLACES = (
    (32632, 48.6, 5.38e6),
    (32631, 45.4, 5.03e6),
    (32614, 38.9, 4.31e6),
    (32721, -33.2, 6.32e6),
    (32651, 31.8, 3.52e6),
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


def simulate_scene(spec: SceneSpec) -> SimulatedScene:
    """The scene that ``spec`` describes."""
    rng = np.random.default_rng([spec.seed, 0x5EED])
    sensor = SENSORS[spec.sensor]
    side = next_fast_len(spec.size, real=True)
    canvas = Canvas(side, side, sensor.resolution)
    name = list(BIOMES)[int(rng.integers(len(BIOMES)))]
    epsg, latitude, northing = PLACES[int(rng.integers(len(PLACES)))]
    day, cover, cut = int(rng.integers(365)), float(rng.beta(1.3, 1.7)) * 0.85, rng.random() < 0.25
    sky_kind = list(SKIES)[int(rng.integers(len(SKIES)))]
    name = spec.biome or name
    cover = cover if spec.cloud_cover is None else spec.cloud_cover
    time = datetime(2021, 1, 1, 10, 30, tzinfo=UTC) + timedelta(days=day)
    if spec.date is not None:
        time = _date(spec.date)

    light = sun(time, latitude)
    season = (time.timetuple().tm_yday + (183 if latitude < 0 else 0)) % 365
    ground = _ground(canvas, rng, BIOMES[name], season, light, spec.bands)
    sky = layers(canvas, rng, cover, spec.sky or sky_kind)
    values, labels = _seen(canvas, ground, sky, light, spec.bands)
    values, labels = values[:, : spec.size, : spec.size], labels[: spec.size, : spec.size]
    values = _sensed(values, rng, spec)
    if cut if spec.swath_edge is None else spec.swath_edge:
        beyond = _beyond(spec.size, rng)
        values[:, beyond], labels[beyond] = np.nan, NODATA
    east = 300_000 + 30 * int(rng.integers(8000))
    north = 30 * round((northing + rng.uniform(-2e5, 2e5)) / 30)
    transform = Affine(sensor.resolution, 0, east, 0, -sensor.resolution, north)
    crs = CRS.from_epsg(epsg)
    return SimulatedScene(values, labels, spec.bands, crs, transform, time, spec.sensor, name, light)


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(hour=10, minute=30, tzinfo=UTC)
    except ValueError as error:
        raise GeoadaptError("simulated scene, date", f"'{text}' is no date", "write it as 2021-06-30") from error


def _ground(
    canvas: Canvas, rng: np.random.Generator, biome: Biome, season: float, light: Sun, bands: tuple[str, ...]
) -> tuple[Floats, Floats]:
    """Surface reflectance (c, h, w) and the direct light on each slope (h, w)."""
    land = relief(canvas, rng, biome.relief, biome.tilt)
    return surface(canvas, rng, land, biome, season, bands), shading(land, canvas, light)


def _seen(
    canvas: Canvas, ground: tuple[Floats, Floats], sky: Sequence[Layer], light: Sun, bands: tuple[str, ...]
) -> tuple[Floats, NDArray[np.uint8]]:
    """Reflectance from above (c, h, w) and labels (h, w): lit ground, then each cloud layer over it."""
    values, direct = ground
    passed = np.ones(canvas.shape, np.float32)
    for layer in sky:
        passed *= shadow(layer, canvas, light)
    air, diffuse = spectrum(AIR, bands), spectrum(DIFFUSE, bands)
    for i in range(len(bands)):
        values[i] *= diffuse[i] + (1 - diffuse[i]) * direct * passed
        values[i] = air[i] + (1 - 2 * air[i]) * values[i]
    total = np.zeros(canvas.shape, np.float32)
    for layer in sorted(sky, key=lambda item: item.height):
        total += layer.thickness
        _cover(values, layer, canvas, light, bands)
    labels = np.zeros(canvas.shape, np.uint8)
    labels[passed < 1 - SHADOW_AT] = 3
    labels[total >= THIN_AT] = 2
    labels[total >= CLOUD_AT] = 1
    return values, labels


def _cover(values: Floats, layer: Layer, canvas: Canvas, light: Sun, bands: tuple[str, ...]) -> None:
    """Lay a cloud over what lies beneath, in place: its own light, plus what passes it twice, bounces included."""
    share = reflected(layer.thickness)
    top = relit(layer, canvas, light)
    tint = spectrum(MATERIALS["ice_cloud" if layer.kind == "cirrus" else "water_cloud"], bands)
    for i in range(len(bands)):
        through = (1 - share) * (1 - (1 - tint[i]) * np.minimum(share * 1.5, 1))
        values[i] = share * top * tint[i] + through**2 * values[i] / (1 - share * np.minimum(values[i], 1))


def _sensed(values: Floats, rng: np.random.Generator, spec: SceneSpec) -> Floats:
    """What the instrument records: its blur, response, noise, saturation and steps; stored in steps of 1e-4."""
    sensor = SENSORS[spec.sensor]
    out = np.empty_like(values, order="C")
    for i, band in enumerate(spec.bands):
        image = gaussian_filter(values[i], 0.55, truncate=3) * np.float32(sensor.gains.get(band, 1.0))
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        image += noise * sensor.noise * np.sqrt(0.3 + 7 * np.maximum(image, 0))
        steps = np.round(np.clip(image, 0, sensor.saturation) / np.float32(sensor.step)) * np.float32(sensor.step)
        out[i] = np.maximum(np.round(steps * 1e4), 1) / np.float32(1e4)
    return out


def _beyond(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels (h, w) outside the swath: a corner cut by a slanted line."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    outside: NDArray[np.bool_] = x + 0.22 * y < rng.uniform(0.06, 0.3)
    return outside if rng.random() < 0.5 else outside[::-1, ::-1]
