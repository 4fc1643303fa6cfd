"""From the lit ground to the top of the air: shadows, air, cloud layers one over another, and the truth about them.

In: the ground (c, h, w), a sky, the sun, the air. Out: reflectance from above (c, h, w) and labels (h, w).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from data_pipelines.simulate.air import Air
from data_pipelines.simulate.clouds import THIN_AT, Layer, relit, shadow
from data_pipelines.simulate.noise import Canvas, Floats
from data_pipelines.simulate.optics import SPREAD, reflected, slant, steps
from data_pipelines.simulate.spectra import WAVELENGTHS, spectrum
from data_pipelines.simulate.terrain import Sun

__all__ = ["CLOUD_AT", "SHADOW_AT", "SPACE", "Surface", "seen"]

CLOUD_AT = 0.065
"""Share of the visible light that a cloud must send back to be called cloud."""
SHADOW_AT = 0.28
"""Share of the direct light that must be missing for a pixel to be shadow."""
VISIBLE = 0.025
"""Loss of reflectance from which a person sees a shadow, in the band from red onwards that loses most.

Over clear water there is none.
"""
SPACE = 1e6
"""A height above all air [m]."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Surface reflectance (c, h, w) and the direct light on each slope over that on level ground (h, w)."""

    values: Floats
    direct: Floats


def seen(
    canvas: Canvas,
    ground: Surface,
    sky: Sequence[Layer],
    light: Sun,
    air: Air,
    haze: Floats,
    glow: float,
    bands: tuple[str, ...],
    lag: Floats,
) -> tuple[Floats, NDArray[np.uint8]]:
    """Reflectance from above (c, h, w) and labels (h, w).

    Args:
        canvas: the place.
        ground: what lies below; its values are overwritten.
        sky: cloud layers.
        light: the sun.
        air: clear air, its numbers by ``bands``.
        haze: aerosol (h, w) relative to that of ``air``.
        glow: light in a shadow that comes from clouds around it, as a share of the direct light.
        bands: Sentinel-2's names of the channels.
        lag: apparent southward shift of a cloud for each metre of height (c,).
    """
    values, up = ground.values, math.sin(math.radians(light.elevation))
    passed = np.ones(canvas.shape, np.float32)
    for layer in sky:
        passed *= shadow(layer, canvas, light)
    passed = glow + (1 - glow) * passed
    lost = np.zeros(canvas.shape, np.float32)
    wave = spectrum(WAVELENGTHS, bands)
    beyond = wave >= min(0.6, float(wave.max()))
    for i in range(len(bands)):
        direct = (1 - air.diffuse[i]) * ground.direct
        if beyond[i]:
            np.maximum(lost, values[i] * direct * (1 - passed) * air.clear[i], out=lost)
        values[i] *= air.diffuse[i] + direct * passed
    low, veil = 0.0, np.ones(canvas.shape, np.float32)
    for layer in sorted(sky, key=lambda item: item.height):
        _rise(values, air, low, layer.height, haze)
        veil /= 1 + SPREAD * slant(up) * layer.thickness
        _cover(values, layer, canvas, light, bands, lag)
        low = layer.height
    _rise(values, air, low, SPACE, haze)
    return values, _labels(canvas, passed, lost, 1 - veil)


def _labels(canvas: Canvas, passed: Floats, lost: Floats, veil: Floats) -> NDArray[np.uint8]:
    """Classes as a person would draw them: outlines a little smooth, shadows a little wide."""
    labels = np.zeros(canvas.shape, np.uint8)
    smooth = max(0.6, 8 / canvas.resolution)
    dark = (gaussian_filter(passed, smooth) < 1 - SHADOW_AT) & (gaussian_filter(lost, smooth) > VISIBLE)
    labels[maximum_filter(dark, 3)] = 3
    veil = gaussian_filter(veil, smooth, truncate=3)
    labels[veil >= THIN_AT] = 2
    labels[veil >= CLOUD_AT] = 1
    return labels


def _rise(values: Floats, air: Air, low: float, high: float, haze: Floats) -> None:
    """Add the air between two heights [m] to what comes from below, in place."""
    molecules, aerosol, through = air.between(low, high)
    for i in range(len(values)):
        values[i] *= through[i]
        values[i] += molecules[i] + aerosol[i] * haze


def _cover(values: Floats, layer: Layer, canvas: Canvas, light: Sun, bands: tuple[str, ...], lag: Floats) -> None:
    """Lay a cloud over what lies beneath, in place: its own light, plus what passes it upwards, bounces included.

    The way down is the shadow's.
    """
    top, up = relit(layer, canvas, light), math.sin(math.radians(light.elevation))
    at = steps(layer.thickness)
    for i, band in enumerate(bands):
        shift = round(float(lag[i]) * layer.height / canvas.resolution)
        here, lit = (np.roll(at, shift, 0), np.roll(top, shift, 0)) if shift else (at, top)
        back, through = (table[here] for table in reflected(layer.stuff, up, band))
        values[i] = back * lit + through * values[i] / (1 - np.minimum(back, 0.95) * np.minimum(values[i], 0.95))
