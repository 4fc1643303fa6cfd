"""From a state in σ layers to what a weather archive holds: sea-level pressure, and height and wind on pressure levels.

In: a state of the primitive equations. Out: fields (e, lat, lon) by WeatherBench 2's names, in SI units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_pipelines.simulate.climate import GRAVITY, STANDARD_PRESSURE
from data_pipelines.simulate.layers import DRY_AIR, PrimitiveCore
from data_pipelines.simulate.sphere import Reals

__all__ = ["LEVELS", "UNITS", "surface_pressure", "weather_fields"]

LEVELS = (500.0, 850.0)
"""[hPa]."""
UNITS = {
    "mean_sea_level_pressure": "Pa",
    "geopotential": "m2 s-2",
    "u_component_of_wind": "m s-1",
    "v_component_of_wind": "m s-1",
}
LAPSE = 0.0065
"""Of temperature below the ground [K m⁻¹]."""


def surface_pressure(core: PrimitiveCore, state: Reals) -> Reals:
    """(e, lat, lon) [Pa]."""
    found: Reals = STANDARD_PRESSURE * np.exp(core.sphere.to_grid(core.split(state)[3]))
    return found


def weather_fields(core: PrimitiveCore, state: Reals, levels: Sequence[float] = LEVELS) -> dict[str, Reals]:
    """Mean sea-level pressure (e, lat, lon), and geopotential and wind (e, level, lat, lon) at ``levels`` [hPa]."""
    layers = core.layers
    _, _, warm, u, v, _ = core.to_grid(state)
    pressure = surface_pressure(core, state)
    temperature = warm + layers.reference
    ground = core.sphere.to_grid(core.forcing.surface)
    secant = 1 / np.sqrt(core.sphere.cos2)
    heights = np.tensordot(layers.hydrostatic, temperature, 1) + ground
    lowest = temperature[-1] * layers.middles[-1] ** (-DRY_AIR * LAPSE / GRAVITY)
    sigma = [np.asarray(level * 100 / pressure) for level in levels]
    placed = [_between(layers.middles, s) for s in sigma]
    nodes, columns = np.append(layers.middles, 1.0), np.concatenate([heights, ground[None]])
    found = {
        "geopotential": [np.where(s < 1, _take(columns, _between(nodes, s)), ground + _sunk(lowest, s)) for s in sigma],
        "u_component_of_wind": [_take(u * secant, where) for where in placed],
        "v_component_of_wind": [_take(v * secant, where) for where in placed],
    }
    stacked = {name: np.stack(values, axis=1) for name, values in found.items()}
    return {"mean_sea_level_pressure": pressure * _at_sea(lowest, ground), **stacked}


def _at_sea(ground_temperature: Reals, ground: Reals) -> Reals:
    """Factor from surface to sea-level pressure in air that warms downwards by the standard lapse rate."""
    found: Reals = (1 + LAPSE * ground / GRAVITY / ground_temperature) ** (GRAVITY / DRY_AIR / LAPSE)
    return found


def _sunk(ground_temperature: Reals, sigma: Reals) -> Reals:
    """Geopotential above the ground of a pressure p = σ p_s below it, at the standard lapse rate."""
    found: Reals = GRAVITY * ground_temperature / LAPSE * (1 - sigma ** (DRY_AIR * LAPSE / GRAVITY))
    return found


def _between(middles: NDArray[np.float64], sigma: Reals) -> Reals:
    """Weights (k, e, lat, lon) of the layers at σ: linear in ln σ between two of them, constant beyond."""
    nodes = np.log(middles)
    inside = np.clip(np.log(sigma), nodes[0], nodes[-1])
    weights = np.zeros((len(nodes), *sigma.shape), sigma.dtype)
    for j, (low, high) in enumerate(zip(nodes[:-1], nodes[1:], strict=True)):
        share = (inside - low) / (high - low)
        here = (share >= 0) & (share <= 1) if j == 0 else (share > 0) & (share <= 1)
        weights[j] += np.where(here, 1 - share, 0)
        weights[j + 1] += np.where(here, share, 0)
    return weights


def _take(fields: Reals, weights: Reals) -> Reals:
    found: Reals = (fields * weights).sum(axis=0)
    return found
