"""Clouds: optical thickness by layer, what they reflect and let through, and where their shadows fall.

In: a canvas, a random generator and the sun. Out: layers with thickness (h, w) and height, their optics, labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from data_pipelines.simulate.noise import Canvas, Floats, fractal
from data_pipelines.simulate.terrain import Sun

__all__ = ["CLOUD_AT", "SHADOW_AT", "SKIES", "THIN_AT", "Layer", "layers", "reflected", "relit", "shadow"]

CLOUD_AT = 3.0
"""Optical thickness from which a pixel is cloud: it then reflects about a fifth of the light."""
THIN_AT = 0.45
"""Optical thickness from which it is thin cloud; below, the eye sees clear ground."""
SHADOW_AT = 0.35
"""Share of the direct light that must be missing for a pixel to be shadow."""
BASES = {"cumulus": (900.0, 2200.0), "stratus": (1800.0, 4500.0), "cirrus": (7500.0, 11000.0)}
"""Range of heights above the ground [m]."""
SKIES: dict[str, tuple[float, float, float]] = {
    "scattered": (0.7, 0.0, 0.3),
    "hazy": (0.2, 0.0, 0.8),
    "overcast": (0.1, 0.7, 0.2),
    "mixed": (0.35, 0.3, 0.35),
}
"""Kind of sky → shares of the cloud cover by the kinds of ``BASES``."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Cloud at one height [m] with optical thickness (h, w)."""

    kind: str
    height: float
    thickness: Floats


def layers(canvas: Canvas, rng: np.random.Generator, cover: float, sky: str) -> list[Layer]:
    """Cloud layers, mixed as ``sky`` says, that hide about ``cover`` of the ground together; none when it is 0."""
    if cover <= 0:
        return []
    made = []
    for kind, share in zip(BASES, SKIES[sky], strict=True):
        if share > 0:
            height = rng.uniform(*BASES[kind])
            made.append(Layer(kind, height, _thickness(canvas, rng, kind, min(cover * share, 0.98))))
    return made


def _thickness(canvas: Canvas, rng: np.random.Generator, kind: str, cover: float) -> Floats:
    """Optical thickness (h, w), above ``THIN_AT`` over a share ``cover`` of the ground."""
    if kind == "cirrus":
        angle = rng.uniform(0, math.pi)
        field = fractal(canvas, rng, largest=6000, slope=1.9, stretch=rng.uniform(2.5, 6), angle=angle)
        density, power = rng.uniform(0.8, 2.2), 1.2
    elif kind == "cumulus":
        lumps = fractal(canvas, rng, largest=rng.uniform(500, 1500), slope=1.9)
        field = lumps + 0.9 * fractal(canvas, rng, largest=7000, slope=2.0)
        density, power = rng.uniform(22, 45), 1.15
    else:
        field = fractal(canvas, rng, largest=rng.uniform(5000, 12000), slope=rng.uniform(1.75, 2.1))
        density, power = rng.uniform(9, 24), 1.4
    # The rim lies where thickness falls to THIN_AT, not to nothing, so that `cover` is what the labels will count.
    rim = (THIN_AT / density) ** (1 / power)
    excess = field - float(np.quantile(field[::2, ::2], 1 - cover)) + rim
    thickness: Floats = (density * np.maximum(excess, 0) ** power).astype(np.float32)
    return thickness


def reflected(thickness: Floats) -> Floats:
    """Share of light that a cloud without absorption sends back (h, w): two streams, asymmetry 0.85 (Bohren 1987)."""
    share: Floats = 0.15 * thickness / (2 + 0.15 * thickness)
    return share


def shadow(layer: Layer, canvas: Canvas, light: Sun) -> Floats:
    """Share of the direct light that reaches the ground past a layer (h, w), blurred as by the sun's disc."""
    elevation, azimuth = math.radians(light.elevation), math.radians(light.azimuth)
    reach = layer.height / math.tan(elevation) / canvas.resolution
    moved = np.roll(layer.thickness, (round(math.cos(azimuth) * reach), round(-math.sin(azimuth) * reach)), (0, 1))
    blur = 0.5 + 0.0093 * layer.height / math.sin(elevation) / canvas.resolution / 2.35
    passed: Floats = gaussian_filter(np.exp(-0.22 * moved), blur, mode="wrap", truncate=2.5)
    return passed


def relit(layer: Layer, canvas: Canvas, light: Sun) -> Floats:
    """Brightness of a cloud's top (h, w) about 1: its sunward side is brighter."""
    top = gaussian_filter(np.log1p(layer.thickness), 1.2, mode="wrap", truncate=2.5)
    azimuth = math.radians(light.azimuth)
    dy, dx = np.gradient(top)
    toward = -(dx * math.sin(azimuth) - dy * math.cos(azimuth))
    lit: Floats = np.clip(1 + 0.55 * math.cos(math.radians(light.elevation)) * toward, 0.72, 1.22).astype(np.float32)
    return lit
