"""What a radar hears of a simulated place: VV and VH through any cloud, with speckle.

In: the ground's reflectance on a day and the moisture of its soil. Out: backscatter (2, h, w) [dB].
Round figures in the range of C-band measurements: plants raise VH, wet and rough soil raises VV, calm water is dark.
"""

from __future__ import annotations

import numpy as np

from data_pipelines.simulate.noise import Canvas, Floats, fractal

__all__ = ["LOOKS", "echo", "echo_texture"]

LOOKS = 5.0
"""Equivalent number of looks: speckle is gamma distributed with this shape."""
BARE, GREEN, WATER = (-12.5, -21.0), (-10.0, -15.0), (-20.0, -27.0)
"""VV and VH [dB] of dry soil, of dense plants, of water."""
MOIST = (4.0, 2.5)
"""What wet soil adds [dB]."""


def echo_texture(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Roughness (h, w) [dB] that stays all year."""
    rough: Floats = 0.8 * fractal(canvas, rng, largest=600, slope=1.2)
    return rough


def echo(values: Floats, bands: tuple[str, ...], rng: np.random.Generator, texture: Floats, moisture: float) -> Floats:
    """VV and VH (2, h, w) [dB] over reflectance ``values`` (c, h, w), whose ``bands`` include red, nir and green."""
    red, nir, green = (values[bands.index(band)] for band in ("red", "nir", "green"))
    plants = np.clip(((nir - red) / (nir + red + 1e-6) - 0.15) / 0.65, 0, 1)
    water = np.clip((green - nir) / (green + nir + 1e-6) * 5, 0, 1)
    out = np.empty((2, *red.shape), np.float32)
    for i in range(2):
        land = BARE[i] + (GREEN[i] - BARE[i]) * plants + MOIST[i] * moisture * (1 - plants) + texture
        out[i] = land + (WATER[i] - land) * water
    speckle = rng.gamma(LOOKS, 1 / LOOKS, out.shape)
    heard: Floats = (out + 10 * np.log10(np.maximum(speckle, 1e-3))).astype(np.float32)
    return heard
