"""The simulated planets: for each member its own mountains, land warmth, jet strength, relaxation and friction.

In: a seed and a number of members. Out: their parameters, forcing and initial state for the primitive equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_pipelines.simulate.layers import DRY_AIR, KAPPA, Forcing, Layers, PrimitiveCore
from data_pipelines.simulate.sphere import Reals, Sphere

__all__ = ["GRAVITY", "STANDARD_PRESSURE", "Planet", "build_core", "draw_planet", "initial_state"]

GRAVITY = 9.80616
"""[m s⁻²]."""
STANDARD_PRESSURE = 101325.0
"""[Pa]."""
DAY = 86400.0
EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""σ at the edges of the layers."""


@dataclass(frozen=True, slots=True)
class Planet:
    """Parameters of one member; two members share none of them."""

    seed: int
    contrast: float
    """Relaxation temperature of the equator minus that of the poles, at the ground, in the year's mean [K]."""
    season: float
    """How much warmer than in the year's mean the summer pole is [K]."""
    stability: float
    """Rise of the relaxation potential temperature per e-fold of pressure at the equator [K]."""
    polar_stability: float
    """The same at the poles [K]."""
    relaxation: float
    """Relaxation time aloft [days]; near the ground it is a quarter of it."""
    friction: float
    """Time of friction at the ground [days]."""
    mountains: float
    """Height of the highest mountains before the truncation smooths them [m]."""
    land: float
    """Departure of the relaxation temperature over land and sea from their latitude's mean [K]."""


def draw_planet(seed: int, member: int) -> Planet:
    """Parameters of member number ``member`` (0, 1, …) of an archive."""
    rng = np.random.default_rng([seed, member, 1])
    return Planet(
        seed=int(rng.integers(2**31)),
        contrast=float(rng.uniform(53, 66)),
        season=float(rng.uniform(12, 20)),
        stability=float(rng.uniform(12, 19)),
        polar_stability=float(rng.uniform(6, 12)),
        relaxation=float(rng.uniform(20, 40)),
        friction=float(rng.uniform(0.8, 1.4)),
        mountains=float(rng.uniform(2000, 4000)),
        land=float(rng.uniform(3, 7)),
    )


def build_core(sphere: Sphere, planets: Sequence[Planet], *, forced: bool = True) -> PrimitiveCore:
    """The dynamical core for some members at once; ``forced=False`` leaves relaxation, drag and damping out."""
    layers = Layers(np.array(EDGES))
    warmth = [_warmth(sphere, layers, planet) for planet in planets]
    keep = _taper(sphere)
    mean = sphere.to_spectrum(np.stack([w[0] for w in warmth], axis=1)) * keep
    mean[..., 0, 0, 0] -= layers.reference
    low = layers.middles
    relaxation = np.array([[1 / (p.relaxation * (1 if s < 0.7 else 0.25) * DAY) for p in planets] for s in low])
    drag = np.array([[max(0.0, (s - 0.7) / 0.3) / (p.friction * DAY) for p in planets] for s in low])
    n = sphere.degrees
    smallest = n[-1] * (n[-1] + 1)
    kind = sphere.dtype
    forcing = Forcing(
        mean=mean.astype(kind),
        season=(sphere.to_spectrum(np.stack([w[1] for w in warmth], axis=1)) * keep).astype(kind),
        heating_rate=(relaxation * forced).astype(kind),
        drag_rate=(drag * forced).astype(kind),
        surface=np.stack([sphere.to_spectrum(GRAVITY * _mountains(sphere, p)) * keep for p in planets]).astype(kind),
        diffusion=(forced * (n * (n + 1) / smallest) ** 3 / (4 * 3600.0)).astype(kind),
    )
    return PrimitiveCore(sphere, layers, forcing)


def initial_state(core: PrimitiveCore, planets: Sequence[Planet]) -> Reals:
    """Air at rest at its relaxation temperature, with noise of 1e-6 s⁻¹ in vorticity that storms grow from."""
    sphere = core.sphere
    state = sphere.zeros(3 * core.count + 1, len(planets))
    vorticity, _, warm, pressure = core.split(state)
    for i, planet in enumerate(planets):
        rng = np.random.default_rng([planet.seed, 2])
        noise = rng.standard_normal(vorticity[:, i].shape) * sphere.triangle * (sphere.degrees < 12)
        noise[:, 1, 0] = 0
        noise[..., 0] = 0
        vorticity[:, i] = 1e-6 * noise / np.sqrt((noise**2).sum((1, 2, 3), keepdims=True))
    warm[...] = core.forcing.mean + core.forcing.phase(0.0) * core.forcing.season
    ground = core.forcing.mean[-1, :, 0, 0, 0] + core.layers.reference
    pressure[...] = -core.forcing.surface / (DRY_AIR * ground[:, None, None, None])
    return state


def _taper(sphere: Sphere) -> Reals:
    """Smooths what is given to the core, so that no sharp edge of it rings over the globe (n,)."""
    n = sphere.degrees
    found: Reals = np.exp(-3 * (n * (n + 1) / (n[-1] * (n[-1] + 1))) ** 2)
    return found


def _warmth(sphere: Sphere, layers: Layers, planet: Planet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Relaxation temperature (k, lat, lon) in the year's mean, and its gain at the northern summer solstice [K].

    As Held & Suarez 1994 have it in the mean, with stability at the poles, land and sea, and a season.
    """
    sigma = layers.middles[:, None, None]
    sine = sphere.sines.astype(float)
    stability = planet.stability * (1 - sine**2) + planet.polar_stability * sine**2
    land = _continents(sphere, planet)
    low = planet.land * (1 - sine**2) * sigma**2
    potential = 322 - planet.contrast * sine**2 - stability * np.log(sigma) - low * land * 0.5
    mean = np.maximum(200.0, potential * sigma**KAPPA) + np.zeros(sphere.shape)
    summer = (planet.season * sine + low * land * np.sign(sine) * np.abs(sine) ** 0.5) * sigma**KAPPA
    return mean, summer * (mean > 200.5)


def _continents(sphere: Sphere, planet: Planet) -> NDArray[np.float64]:
    """Positive over land, negative over sea, of zero zonal mean (lat, lon)."""
    rng = np.random.default_rng([planet.seed, 3])
    size = sphere.truncation + 1
    spectrum = rng.standard_normal((2, size, size)) * sphere.triangle * np.exp(-((sphere.degrees / 5.0) ** 2))
    spectrum[:, 0] = 0
    rough = sphere.to_grid(spectrum.astype(sphere.dtype))
    found: NDArray[np.float64] = np.tanh(1.5 * rough / rough.std()).astype(float)
    return found


def _mountains(sphere: Sphere, planet: Planet) -> NDArray[np.float64]:
    """Height (lat, lon) [m]: a handful of ridges, each with its own place, direction, length and breadth."""
    rng = np.random.default_rng([planet.seed, 4])
    latitude, longitude = np.radians(sphere.latitude)[:, None], np.radians(sphere.longitude)
    height = np.zeros(sphere.shape)
    for share in (1.0, 0.8, 0.6, 0.4, 0.3, 0.3):
        middle, turn = np.radians(rng.uniform(-65, 65)), rng.uniform(0, np.pi)
        length, breadth = np.radians(rng.uniform(15, 30)), np.radians(rng.uniform(6, 10))
        east = (longitude - rng.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi
        x, y = east * np.cos(latitude), latitude - middle
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        ridge = np.exp(-((along / length) ** 2) - (across / breadth) ** 2)
        height = np.maximum(height, share * planet.mountains * ridge)
    return height
