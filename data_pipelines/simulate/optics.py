"""What a cloud of a given thickness reflects and lets through, by band.

In: what the cloud is made of. Out: shares of light for a table of thicknesses, and where in it a pixel stands.
Two streams.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_pipelines.simulate.noise import Floats
from data_pipelines.simulate.spectra import BANDS

__all__ = ["Stuff", "draw_stuff", "reflected", "slant", "steps", "thickness_at"]

SPREAD = 0.13
"""(1 − asymmetry) · √3/2 in the visible: reflected = SPREAD·τ / (1 + SPREAD·τ) where nothing is absorbed."""
WATER_LOSS = (0.0, 0.0, 0.0, 0.0, 1e-5, 1e-5, 2e-5, 5e-5, 0.0055, 0.020)
"""Share of the light lost at one scattering by a droplet of 10 µm, by ``BANDS``; so for ice crystals."""
ICE_LOSS = (0.0, 0.0, 0.0, 0.0, 2e-5, 3e-5, 5e-5, 2e-4, 0.055, 0.085)
STEPS, THICKEST = 1024, 400.0
KNOTS = np.expm1(np.linspace(0, math.log1p(THICKEST), STEPS))
"""Optical thicknesses for which reflection is computed; a pixel takes the nearest."""


@dataclass(frozen=True, slots=True)
class Stuff:
    """What a cloud is made of: share of ice, and the size of its particles relative to the usual."""

    ice: float = 0.0
    size: float = 1.0
    bright: float = 1.0
    """Reflectance towards the sensor over that of an even scatterer."""


def draw_stuff(rng: np.random.Generator, kind: str) -> Stuff:
    """Water low down, ice high up, either or both between."""
    ice = {"cirrus": 1.0, "storm": 0.8, "veil": 0.4 + 0.6 * rng.random(), "altocumulus": 0.5 * rng.random()}.get(
        kind, 0.0
    )
    return Stuff(ice, float(rng.lognormal(0, 0.35)), float(np.clip(rng.normal(1.0, 0.10), 0.8, 1.22)))


def slant(up: float) -> float:
    """How much thicker a cloud is to a sun of sine ``up`` than to a middling one."""
    return 1 / (0.4 + 0.9 * up)


def thickness_at(share: float, up: float) -> float:
    """Optical thickness that reflects ``share`` of the visible light."""
    return share / (1 - share) / SPREAD / slant(up)


def steps(thickness: Floats) -> NDArray[np.uint16]:
    """Index (h, w) of the nearest of ``KNOTS``."""
    scale = np.float32((STEPS - 1) / math.log1p(THICKEST))
    found: NDArray[np.uint16] = np.minimum(np.log1p(thickness) * scale + np.float32(0.5), STEPS - 1).astype(np.uint16)
    return found


def reflected(stuff: Stuff, up: float, band: str) -> tuple[Floats, Floats]:
    """Shares of light that a cloud sends back and lets through at ``KNOTS``; ``up`` is the sine of the sun."""
    at = BANDS.index(band)
    loss = WATER_LOSS[at] ** (1 - stuff.ice) * ICE_LOSS[at] ** stuff.ice * stuff.size if WATER_LOSS[at] else 0.0
    loss = max(min(loss, 0.3), 1e-6)
    # Droplets scatter a little more to the side in the short-wave infrared.
    asymmetry = 0.85 if at < BANDS.index("swir16") else 0.82
    similar = math.sqrt(loss / (1 - asymmetry * (1 - loss)))
    whole = (1 - similar) / (1 + similar)
    rate = math.sqrt(3 * loss * (1 - asymmetry * (1 - loss)))
    fade = np.exp(-rate * KNOTS * slant(up))
    below = 1 - whole**2 * fade**2
    back = whole * (1 - fade**2) / below * stuff.bright
    on = (1 - whole**2) * fade / below
    return back.astype(np.float32), on.astype(np.float32)
