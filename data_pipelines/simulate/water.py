"""Water: a river, lakes, the sea, ponds and canals; clear, muddy or glinting.

In: a relief and a map to paint on. Out: depth (h, w), and this scene's spectra of water.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from data_pipelines.simulate.cover import ALGAE, MUDDY, SAND, WATER, Biome, Ground
from data_pipelines.simulate.noise import Canvas, Floats, Hashes, fractal, hashed, uniform
from data_pipelines.simulate.terrain import Relief

__all__ = ["glint", "waters", "with_water"]


def with_water(canvas: Canvas, rng: np.random.Generator, ground: Ground, land: Relief, biome: Biome) -> Floats:
    """A river, and lakes or the sea in the lowest places, with sandy banks; gives the depth (h, w) [m], 0 on land."""
    level = float(np.quantile(land.height[::4, ::4], biome.lakes))
    drop = max(biome.relief, 60) / 60
    width = rng.uniform(18, 70) * (1 - 0.55 * biome.dry)
    lake, river = (level - land.height) / drop, (width - land.river) / 14
    dug, body = _dug(canvas, rng, land, biome)
    depth = np.maximum(np.maximum(lake, river), dug)
    beach = (depth > -rng.uniform(0.6, 1.6)) & (fractal(canvas, rng, largest=1500, slope=1.5) > 0.1 - 0.5 * biome.dry)
    ground.paint(beach & (land.slope < 0.25), SAND, 0.06)
    sediment = rng.uniform(0.8, 3.5)
    clear = 1 - np.exp(-np.maximum(depth, 0) / sediment)
    clear = np.where(lake > 0, clear, np.minimum(clear, 0.75)).astype(np.float32)
    ground.paint(depth > 0, WATER, clear)
    pool = uniform(body, 7)
    ground.paint((dug > 0) & (pool < 0.35), MUDDY, clear * 0.8)
    ground.paint((dug > 0) & (pool > 0.8), ALGAE, clear * 0.6)
    water: Floats = np.maximum(depth, 0).astype(np.float32)
    return water


def _dug(canvas: Canvas, rng: np.random.Generator, land: Relief, biome: Biome) -> tuple[Floats, Hashes]:
    """Depth (h, w) [m], below 0 on land, of what people dug: ponds and pits with straight sides, canals; and which."""
    y, x = canvas.coordinates()
    seed, size = int(rng.integers(2**31)), rng.uniform(900, 3500)
    row, col = np.floor(y / size), np.floor(x / size)
    lattice = hashed(row.astype(np.int32), col.astype(np.int32), seed)
    angle, long = 3.14 * uniform(lattice, 1), 25 + 0.16 * size * uniform(lattice, 2) ** 2
    dy = y - (row + 0.25 + 0.5 * uniform(lattice, 3)) * np.float32(size)
    dx = x - (col + 0.25 + 0.5 * uniform(lattice, 4)) * np.float32(size)
    across, along = np.abs(dy * np.cos(angle) - dx * np.sin(angle)), np.abs(dx * np.cos(angle) + dy * np.sin(angle))
    side = np.minimum(long - along, long * (0.4 + 0.6 * uniform(lattice, 5)) - across)
    exists = (uniform(lattice, 6) < 0.35 * (1 - biome.dry)) & (land.slope < 0.15)
    depth = np.where(exists, side / 8, -9)
    for _ in range(int(rng.integers(3)) if biome.relief < 250 and biome.dry < 0.5 else 0):
        turn, width = rng.uniform(0, math.pi), rng.uniform(8, 35)
        off = y * math.cos(turn) - x * math.sin(turn)
        depth = np.maximum(depth, (width - np.abs(off - float(rng.uniform(off.min(), off.max())))) / 8)
    return depth.astype(np.float32), lattice


def waters(rng: np.random.Generator, colours: Mapping[str, Floats]) -> dict[str, Floats]:
    """The spectra with this scene's water: clear mostly, muddy at times."""
    mud = float(rng.beta(0.6, 2.0))
    mixed = {name: colours[name] + mud * (colours["turbid"] - colours[name]) for name in ("water", "shallow")}
    return {**colours, **mixed}


def glint(canvas: Canvas, rng: np.random.Generator, values: Floats, depth: Floats, grain: Floats) -> None:
    """Add the sun's mirror image on waves to the water of some scenes, equal in all bands, in place."""
    if not depth.any() or rng.random() > 0.15:
        return
    sea = fractal(canvas, rng, largest=3000, slope=1.6)
    values += np.where(depth > 0, 0.04 * rng.random() * np.clip(1 + 0.3 * sea + 0.2 * grain, 0, 3), 0)
