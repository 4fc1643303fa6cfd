"""Clouds: optical thickness by layer, and where their shadows fall.

In: a canvas, a random generator and the sun. Out: layers with thickness (h, w), height and make; their shadows (h, w).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter

from data_pipelines.simulate.noise import Canvas, Floats, fractal
from data_pipelines.simulate.optics import Stuff, draw_stuff, thickness_at
from data_pipelines.simulate.terrain import Sun

__all__ = ["SKIES", "THIN_AT", "Layer", "layers", "relit", "shadow"]

THIN_AT = 0.025
"""Share of the visible light that a cloud must send back to be called thin cloud; below, the eye sees clear ground."""
HEIGHTS = {
    "cumulus": (600.0, 2400.0),
    "popcorn": (500.0, 1800.0),
    "stratus": (300.0, 3500.0),
    "altocumulus": (2500.0, 6000.0),
    "storm": (3000.0, 9000.0),
    "veil": (4500.0, 10500.0),
    "cirrus": (6500.0, 11500.0),
}
"""Range of heights of the tops above the ground [m], by kind."""
SKIES: dict[str, dict[str, float]] = {
    "scattered": {"cumulus": 0.75, "cirrus": 0.25},
    "hazy": {"cumulus": 0.25, "cirrus": 0.75},
    "overcast": {"popcorn": 0.1, "stratus": 0.75, "cirrus": 0.15},
    "mixed": {"cumulus": 0.35, "stratus": 0.3, "cirrus": 0.35},
    "popcorn": {"popcorn": 1.0},
    "cumulus": {"cumulus": 1.0},
    "mackerel": {"altocumulus": 0.8, "cumulus": 0.2},
    "stormy": {"storm": 0.7, "popcorn": 0.2, "cirrus": 0.1},
    "veiled": {"veil": 0.75, "cumulus": 0.25},
    "layered": {"cumulus": 0.3, "altocumulus": 0.4, "cirrus": 0.3},
}
"""Kind of sky → shares of the cloud cover by the kinds of ``HEIGHTS``."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Cloud at one height [m] with optical thickness (h, w)."""

    kind: str
    height: float
    thickness: Floats
    stuff: Stuff = field(default_factory=Stuff)
    dim: float = 0.2
    """Direct light lost per optical thickness: less under wide sheets, which pass on what they scatter."""


def layers(canvas: Canvas, rng: np.random.Generator, cover: float, sky: str, up: float) -> list[Layer]:
    """Cloud layers, mixed as ``sky`` says, that hide about ``cover`` of the ground together; none when it is 0.

    ``up`` is the sine of the sun's elevation, on which depends how thick a cloud must be to be seen.
    """
    if cover <= 0:
        return []
    made = []
    rim = thickness_at(THIN_AT, up)
    for kind, share in SKIES[sky].items():
        height = float(rng.uniform(*HEIGHTS[kind]))
        thickness = _thickness(canvas, rng, kind, min(cover * share, 0.35 if kind == "popcorn" else 0.98), rim)
        dim = rng.uniform(0.10, 0.18) if kind in ("stratus", "veil", "cirrus") else rng.uniform(0.14, 0.30)
        made.append(Layer(kind, height, thickness, draw_stuff(rng, kind), float(dim)))
    return made


def _thickness(canvas: Canvas, rng: np.random.Generator, kind: str, cover: float, rim: float) -> Floats:
    """Optical thickness (h, w), above ``rim`` over a share ``cover`` of the ground."""
    shape, density, power = _shape(canvas, rng, kind)
    # The rim lies where thickness falls to `rim`, not to nothing, so that `cover` is what the labels will count.
    start = (rim / density) ** (1 / power)
    excess = shape - float(np.quantile(shape[::2, ::2], 1 - cover)) + start
    thickness = density * np.maximum(excess, 0) ** power
    if kind not in ("cirrus", "veil"):
        thickness *= np.exp(rng.uniform(0.1, 0.45) * fractal(canvas, rng, largest=rng.uniform(250, 900), slope=1.5))
    elif rng.random() < 0.35:
        thickness += _trail(canvas, rng)
    return thickness.astype(np.float32)


def _shape(canvas: Canvas, rng: np.random.Generator, kind: str) -> tuple[Floats, float, float]:
    """A field (h, w) that is high where cloud is, the thickness per unit of it, and the power it rises with."""
    angle = rng.uniform(0, math.pi)
    if kind == "cirrus":
        stretch = rng.uniform(1.5, 7)
        shape = fractal(
            canvas, rng, largest=rng.uniform(3000, 9000), slope=rng.uniform(1.7, 2.2), stretch=stretch, angle=angle
        )
        return shape, float(np.exp(rng.uniform(-0.8, 1.4))), rng.uniform(1.0, 1.5)
    if kind == "cumulus":
        lumps = fractal(canvas, rng, largest=rng.uniform(400, 2500), slope=rng.uniform(1.75, 2.25))
        groups = fractal(canvas, rng, largest=7000, slope=2.0, stretch=1 + 3 * rng.random() ** 3, angle=angle)
        return lumps + rng.uniform(0.3, 1.3) * groups, float(np.exp(rng.uniform(0.3, 3.2))), rng.uniform(1.1, 2.2)
    if kind == "popcorn":
        lumps = fractal(canvas, rng, largest=rng.uniform(150, 600), slope=rng.uniform(1.8, 2.4))
        groups = fractal(canvas, rng, largest=9000, slope=2.0, stretch=1 + 4 * rng.random() ** 2, angle=angle)
        return lumps + rng.uniform(0.2, 1.2) * groups, float(np.exp(rng.uniform(0.5, 2.9))), rng.uniform(1.1, 2.0)
    if kind == "altocumulus":
        cells = fractal(canvas, rng, largest=rng.uniform(300, 1100), slope=2.4, stretch=rng.uniform(1, 3), angle=angle)
        sheet = fractal(canvas, rng, largest=rng.uniform(5000, 12000), slope=2.0)
        return sheet + rng.uniform(0.2, 0.6) * cells, float(np.exp(rng.uniform(0.3, 2.4))), rng.uniform(1.0, 1.9)
    shape = fractal(canvas, rng, largest=rng.uniform(5000, 12000), slope=rng.uniform(1.75, 2.2))
    if kind == "veil":
        fibres = fractal(canvas, rng, largest=2500, slope=1.8, stretch=rng.uniform(1, 5), angle=angle)
        return shape + 0.25 * rng.random() * fibres, float(np.exp(rng.uniform(-0.5, 2.0))), rng.uniform(1.0, 1.8)
    if kind == "storm":
        return shape, float(np.exp(rng.uniform(3.2, 4.2))), rng.uniform(0.9, 1.6)
    return shape, float(np.exp(rng.uniform(0.0, 3.0))), rng.uniform(1.2, 2.4)


def _trail(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Thickness (h, w) of an aircraft's trail: a straight line, frayed."""
    y, x = canvas.coordinates()
    angle, width = rng.uniform(0, math.pi), rng.uniform(80, 350)
    across = y * math.cos(angle) - x * math.sin(angle)
    across -= float(rng.uniform(across.min(), across.max()))
    fray = fractal(canvas, rng, largest=2500, slope=1.8)
    line: Floats = (
        np.exp(-(((across + 40 * fray) / width) ** 2)) * rng.uniform(0.3, 1.6) * np.clip(0.7 + 0.5 * fray, 0, 2)
    )
    return line.astype(np.float32)


def shadow(layer: Layer, canvas: Canvas, light: Sun) -> Floats:
    """Share of the direct light that reaches the ground past a layer (h, w), blurred as by the sun's disc."""
    elevation, azimuth = math.radians(light.elevation), math.radians(light.azimuth)
    reach = layer.height / math.tan(elevation) / canvas.resolution
    moved = np.roll(layer.thickness, (round(math.cos(azimuth) * reach), round(-math.sin(azimuth) * reach)), (0, 1))
    blur = 0.5 + 0.0093 * layer.height / math.sin(elevation) / canvas.resolution / 2.35
    passed: Floats = gaussian_filter(
        np.exp(-layer.dim / math.sin(elevation) ** 0.5 * moved), blur, mode="wrap", truncate=2.5
    )
    return passed


def relit(layer: Layer, canvas: Canvas, light: Sun) -> Floats:
    """Brightness of a cloud's top (h, w) about 1: its sunward side is brighter."""
    top = gaussian_filter(np.log1p(layer.thickness), 1.2, mode="wrap", truncate=2.5)
    azimuth = math.radians(light.azimuth)
    dy, dx = np.gradient(top)
    toward = -(dx * math.sin(azimuth) - dy * math.cos(azimuth))
    lit: Floats = np.clip(1 + 0.55 * math.cos(math.radians(light.elevation)) * toward, 0.72, 1.22).astype(np.float32)
    return lit
