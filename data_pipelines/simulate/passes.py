"""One pass of the satellite over a simulated place: the image under clouds, and the image that it would have been.

In: the ground on that day, its date, how much cloud of which kind. Out: both images (c, h, w) and labels (h, w).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from data_pipelines.simulate.air import Air, draw_air
from data_pipelines.simulate.clouds import Layer, layers
from data_pipelines.simulate.noise import Canvas, Floats, fractal
from data_pipelines.simulate.sensors import SENSORS, lags, stored
from data_pipelines.simulate.terrain import Relief, shading, sun
from data_pipelines.simulate.view import Surface, seen

__all__ = ["SENSOR", "Ground", "Pass", "take"]

SENSOR = "sentinel2"
"""Whose bands, noise and parallax; the product is corrected for the air, as Level 2A is."""
DECK = 8.0
"""Optical thickness added to the lowest layer of an entirely cloudy date."""
LARGEST = 1.6
"""Reflectance that the product can hold."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What lies below on a day: surface reflectance (c, h, w) under even light, and the relief that light falls on."""

    canvas: Canvas
    land: Relief
    values: Floats
    latitude: float


@dataclass(frozen=True, slots=True)
class Pass:
    """Reflectance as delivered, the same without clouds and noise (c, h, w), and labels (h, w)."""

    values: Floats
    truth: Floats
    labels: NDArray[np.uint8]


def take(
    ground: Ground, rng: np.random.Generator, time: datetime, cover: float, sky: str, bands: tuple[str, ...]
) -> Pass:
    """The pass at ``time`` under a share ``cover`` of cloud; both images share light, air and its correction."""
    canvas, light = ground.canvas, sun(time, ground.latitude)
    up = math.sin(math.radians(light.elevation))
    air, direct = draw_air(rng, light, bands), shading(ground.land, canvas, light)
    above = _deck(layers(canvas, rng, min(cover, 0.98), "overcast" if cover >= 1 else sky, up), cover >= 1)
    haze = np.maximum(1 + rng.uniform(0, 0.3) * fractal(canvas, rng, largest=9000, slope=2.2), 0)
    lag = lags(SENSOR, bands) * (1 if rng.random() < 0.5 else -1)
    glow, guess = rng.uniform(0, 0.1) * cover, np.float32(rng.normal(1.0, 0.12))

    def image(layers_: Sequence[Layer]) -> tuple[Floats, NDArray[np.uint8]]:
        lit = Surface(ground.values.copy(), direct)
        return seen(canvas, lit, layers_, light, air, haze, glow, bands, lag)

    cloudy, labels = image(above)
    clean, _ = image([])
    blurred = [np.stack([gaussian_filter(band, 0.55, truncate=3) for band in one]) for one in (cloudy, clean)]
    noise = rng.standard_normal(cloudy.shape, dtype=np.float32)
    noise *= SENSORS[SENSOR].noise * np.sqrt(0.3 + 7 * np.maximum(blurred[0], 0))
    values, truth = _corrected(blurred[0] + noise, air, guess), _corrected(blurred[1], air, guess)
    return Pass(stored(values), stored(truth), labels)


def _deck(above: list[Layer], closed: bool) -> list[Layer]:
    """The layers, with a closed deck in the lowest one where the date is to show no ground at all."""
    if not closed:
        return above
    lowest = min(above, key=lambda layer: layer.height)
    return [replace(one, thickness=one.thickness + np.float32(DECK)) if one is lowest else one for one in above]


def _corrected(image: Floats, air: Air, guess: np.float32) -> Floats:
    """Surface reflectance (c, h, w) with the air taken off, its aerosol known to within a factor ``guess``."""
    path = air.molecules + air.aerosol * guess
    found: Floats = np.clip((image - path[:, None, None]) / air.clear[:, None, None], 0, LARGEST).astype(np.float32)
    return found
