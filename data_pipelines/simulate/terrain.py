"""Relief and light: a fractal landscape with a river, the sun over it, and how slopes are lit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from data_pipelines.simulate.noise import Canvas, Floats, fractal

__all__ = ["Relief", "Sun", "relief", "shading", "sun"]


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands: elevation and azimuth clockwise from north [degrees]."""

    elevation: float
    azimuth: float


def sun(time: datetime, latitude: float) -> Sun:
    """The sun at 10:30 local solar time of that day, when these satellites pass; kept above 15°."""
    day = time.timetuple().tm_yday
    declination = math.radians(-23.44 * math.cos(2 * math.pi * (day + 10) / 365.25))
    lat, hour = math.radians(latitude), math.radians(-22.5)
    sine = math.sin(lat) * math.sin(declination) + math.cos(lat) * math.cos(declination) * math.cos(hour)
    east = -math.cos(declination) * math.sin(hour)
    north = math.cos(lat) * math.sin(declination) - math.sin(lat) * math.cos(declination) * math.cos(hour)
    return Sun(max(math.degrees(math.asin(sine)), 15.0), math.degrees(math.atan2(east, north)) % 360)


@dataclass(frozen=True, slots=True)
class Relief:
    """Elevation (h, w) [m], its slope (h, w) [m/m], and the distance from the middle of the river (h, w) [m]."""

    height: Floats
    slope: Floats
    river: Floats


def relief(canvas: Canvas, rng: np.random.Generator, amplitude: float, tilt: float) -> Relief:
    """A landscape of ``amplitude`` [m], falling by ``tilt`` amplitudes towards a random side, with a river's valley."""
    rough = fractal(canvas, rng, largest=9000, slope=2.0 + 0.25 * rng.random())
    y, x = canvas.coordinates()
    angle = rng.uniform(0, 2 * math.pi)
    extent_y, extent_x = canvas.height * canvas.resolution, canvas.width * canvas.resolution
    across = math.cos(angle) * (y / extent_y - 0.5) + math.sin(angle) * (x / extent_x - 0.5)
    river = _river(canvas, rng)
    valley = 1 - np.exp(-((river / 1500) ** 2))
    height = amplitude * ((rough + 2.2) * (0.25 + 0.75 * valley) / 3 + tilt * across)
    dy, dx = np.gradient(height, np.float32(canvas.resolution))
    return Relief(height.astype(np.float32), np.hypot(dy, dx).astype(np.float32), river)


def _river(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Distance (h, w) [m] from a meandering line across the canvas."""
    y, x = canvas.coordinates()
    angle = rng.uniform(0, math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    middle = float(np.median(across)) + rng.uniform(-0.25, 0.25) * canvas.height * canvas.resolution
    offset, steepness = np.zeros_like(along), np.zeros_like(along)
    for length in (9000.0, 3300.0, 1300.0):
        phase, size = rng.uniform(0, 2 * math.pi), length * rng.uniform(0.05, 0.11)
        offset += size * np.sin(2 * math.pi * along / length + phase)
        steepness += size * 2 * math.pi / length * np.cos(2 * math.pi * along / length + phase)
    distance: Floats = (np.abs(across - middle - offset) / np.hypot(1, steepness)).astype(np.float32)
    return distance


def shading(ground: Relief, canvas: Canvas, light: Sun) -> Floats:
    """Direct light on each slope over that on level ground (h, w)."""
    dy, dx = np.gradient(ground.height, np.float32(canvas.resolution))
    zenith, azimuth = math.radians(90 - light.elevation), math.radians(light.azimuth)
    toward = -(dx * math.sin(azimuth) - dy * math.cos(azimuth))
    cosine = (math.cos(zenith) + math.sin(zenith) * toward) / np.sqrt(1 + dx * dx + dy * dy)
    lit: Floats = np.clip(cosine / math.cos(zenith), 0.05, 1.9).astype(np.float32)
    return lit
