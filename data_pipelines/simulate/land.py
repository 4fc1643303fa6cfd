"""What covers the ground: fields with their season, forest, towns, roads, water, sand, rock and snow.

In: a relief and a date. Out: surface reflectance (c, h, w) under even light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from data_pipelines.simulate.noise import Canvas, Floats, cells, fractal, hashed, uniform
from data_pipelines.simulate.spectra import MATERIALS, spectrum
from data_pipelines.simulate.terrain import Relief

__all__ = ["BIOMES", "Biome", "surface"]


@dataclass(frozen=True, slots=True)
class Biome:
    """A kind of landscape."""

    relief: float
    """[m]"""
    tilt: float
    """Fall from one side to the other, in units of the relief."""
    forest: float
    """Share of the ground; so for ``town`` and ``lakes``."""
    town: float
    lakes: float
    dry: float
    """0 = humid, 1 = desert."""


BIOMES: dict[str, Biome] = {
    "farmland": Biome(90.0, 0.3, 0.16, 0.05, 0.015, 0.1),
    "hills": Biome(380.0, 0.3, 0.42, 0.03, 0.01, 0.15),
    "mountains": Biome(2600.0, 0.4, 0.45, 0.01, 0.015, 0.2),
    "coast": Biome(110.0, 2.4, 0.14, 0.08, 0.30, 0.25),
    "drylands": Biome(320.0, 0.3, 0.02, 0.02, 0.004, 0.85),
}

COVERS: tuple[tuple[str, str], ...] = (
    ("soil", "crop"),
    ("dark_soil", "crop"),
    ("straw", "crop"),
    ("soil", "rapeseed"),
    ("straw", "grass"),
    ("light_soil", "crop"),
    ("twigs", "broadleaf"),
    ("conifer", "conifer"),
    ("asphalt", "grass"),
    ("tiles", "broadleaf"),
    ("concrete", "grass"),
    ("light_soil", "grass"),
    ("rock", "grass"),
    ("sand", "grass"),
    ("shallow", "water"),
)
"""The ground and the green of each cover; for water, shallow and deep."""
CROPS = ((135.0, 55.0), (205.0, 50.0), (215.0, 45.0), (125.0, 50.0), (165.0, 110.0), (190.0, 60.0))
"""Day of year of the greenest state and the spread around it [days], for the first six covers, northern hemisphere."""
BROADLEAF, CONIFER, ROAD, ROOFS, CONCRETE, STEPPE, ROCK, SAND, WATER = range(6, 15)


@dataclass
class Ground:
    """What is painted: cover number, share of green, and brightness, each (h, w)."""

    cover: NDArray[np.uint8]
    green: Floats
    bright: Floats

    def paint(self, where: NDArray[np.bool_], cover: int, green: Floats | float) -> None:
        """Put ``cover`` where the mask (h, w) holds; fields keep their own brightness only under fields."""
        self.cover[where] = cover
        self.green[where] = green[where] if isinstance(green, np.ndarray) else green
        self.bright[where] = 1.0


def surface(
    canvas: Canvas, rng: np.random.Generator, land: Relief, biome: Biome, season: float, bands: tuple[str, ...]
) -> Floats:
    """Surface reflectance (c, h, w); ``season`` is the day of year as felt in the northern hemisphere."""
    ground = _fields(canvas, rng, biome, season)
    _vegetation(canvas, rng, ground, land, biome, season)
    _town(canvas, rng, ground, land, biome)
    depth = _water(canvas, rng, ground, land, biome)
    values = _reflectance(canvas, rng, ground, depth, bands)
    return _snow(canvas, rng, values, land, season, bands)


def _fields(canvas: Canvas, rng: np.random.Generator, biome: Biome, season: float) -> Ground:
    """Parcels in strips, each district with its own direction and size; crops by parcel; roads between districts."""
    y, x = canvas.coordinates()
    seed = int(rng.integers(2**31))
    warp = 90 * fractal(canvas, rng, largest=900, slope=2.2)
    district, border = cells(y + warp, x - warp, 1700.0, seed)
    angle = uniform(district, 3) * np.float32(math.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    along, across = x * cosine + y * sine, y * cosine - x * sine
    width = 70 + 190 * uniform(district, 4)
    strip = np.floor(across / width)
    strips = hashed(district, strip.astype(np.int32))
    length = 180 + 520 * uniform(strips, 5)
    part = along / length + uniform(strips, 6)
    parcel = hashed(strips, np.floor(part).astype(np.int32))
    margin = np.minimum(_inside(across / width) * width, _inside(part) * length)

    crop = (uniform(parcel, 7) * len(CROPS)).astype(np.uint8)
    peak, spread = (np.array(column, np.float32)[crop] for column in zip(*CROPS, strict=True))
    lateness = season - peak + 24 * (uniform(parcel, 8) - 0.5)
    green = np.exp(-((lateness / spread) ** 2)) * (0.65 + 0.33 * uniform(parcel, 9))
    fallow = uniform(parcel, 10) < 0.08 + 0.85 * biome.dry
    green[fallow] *= 0.15
    cover = np.where(fallow & (uniform(parcel, 11) < biome.dry), np.uint8(5), crop)
    cover[(uniform(parcel, 12) < 0.05 * (1 - biome.dry))] = BROADLEAF
    edge = (margin < max(4.0, 0.35 * canvas.resolution)) & (uniform(strips, 13) < 0.6)
    cover[edge], green[edge] = 4, 0.75 * _leaf(season) + 0.1
    ground = Ground(cover, green.astype(np.float32), 0.82 + 0.36 * uniform(parcel, 14))
    road = (border < max(5.0, 0.42 * canvas.resolution)) & (uniform(district, 15) < 0.75)
    ground.paint(road, ROAD, 0.1)
    return ground


def _inside(position: NDArray[np.floating]) -> Floats:
    """Distance from the nearest whole number."""
    distance: Floats = np.abs(position - np.round(position)).astype(np.float32)
    return distance


def _leaf(season: float) -> float:
    """How green deciduous leaves and grass are on a day of the year, 0–1."""
    return 1 / (1 + math.exp(-(season - 112) / 9)) - 1 / (1 + math.exp(-(season - 298) / 10))


def _vegetation(
    canvas: Canvas, rng: np.random.Generator, ground: Ground, land: Relief, biome: Biome, season: float
) -> None:
    """Forest where it is steep or wild, steppe where it is dry, rock where it is steeper still."""
    wild = fractal(canvas, rng, largest=4200, slope=1.75) + 3.0 * np.minimum(land.slope, 0.6)
    kind = fractal(canvas, rng, largest=2600, slope=1.6)
    if biome.dry > 0.4:
        steppe = wild > np.quantile(wild[::4, ::4], 0.22)
        ground.paint(steppe, STEPPE, np.clip(0.16 + 0.07 * kind, 0.02, 0.5).astype(np.float32))
        ground.bright[steppe] = np.clip(1 + 0.16 * wild[steppe], 0.55, 1.5)
        ground.paint(wild > np.quantile(wild[::4, ::4], 0.9), ROCK, 0.05)
        _pivots(canvas, rng, ground, season)
    forest = wild > np.quantile(wild[::4, ::4], 1 - biome.forest)
    height = land.height / 1000
    conifer = forest & (kind + 1.1 * height > 0.7)
    ground.paint(forest & ~conifer, BROADLEAF, np.clip(_leaf(season) + 0.05 * kind, 0.03, 1).astype(np.float32))
    ground.paint(conifer, CONIFER, 1.0)
    alpine = (height + 0.12 * kind > 1.75) | (land.slope > 0.95)
    ground.paint(alpine, ROCK, np.clip(0.35 - 0.3 * land.slope, 0, 0.4).astype(np.float32))
    canopy = fractal(canvas, rng, largest=4 * canvas.resolution, slope=0.6)
    ground.bright[forest] *= np.clip(1 + 0.13 * canopy[forest], 0.6, 1.4)


def _pivots(canvas: Canvas, rng: np.random.Generator, ground: Ground, season: float) -> None:
    """Round irrigated fields on a lattice."""
    y, x = canvas.coordinates()
    size, seed = 820.0, int(rng.integers(2**31))
    row, col = np.floor(y / size), np.floor(x / size)
    lattice = hashed(row.astype(np.int32), col.astype(np.int32), seed)
    farm = hashed(np.floor(row / 4).astype(np.int32), np.floor(col / 4).astype(np.int32), seed + 1)
    round_ = np.hypot(y - (row + 0.5) * size, x - (col + 0.5) * size) < 395
    growing = 0.9 * uniform(lattice, 1) * (0.5 + 0.5 * _leaf(season))
    ground.paint(round_ & (uniform(lattice, 2) < 0.8) & (uniform(farm, 3) < 0.3), 0, growing.astype(np.float32))


def _town(canvas: Canvas, rng: np.random.Generator, ground: Ground, land: Relief, biome: Biome) -> None:
    """Roofs, yards and streets where noise and level ground allow; one highway."""
    y, x = canvas.coordinates()
    built = fractal(canvas, rng, largest=3000, slope=1.9) - 6 * np.minimum(land.slope, 1)
    town = built > np.quantile(built[::4, ::4], 1 - biome.town)
    angle, seed = rng.uniform(0, math.pi), int(rng.integers(2**31))
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    pitch = max(14.0, canvas.resolution)
    house = hashed(np.floor(along / pitch).astype(np.int32), np.floor(across / pitch).astype(np.int32), seed)
    block = hashed(np.floor(along / 110).astype(np.int32), np.floor(across / 75).astype(np.int32), seed)
    street = np.minimum(_inside(along / 110) * 110, _inside(across / 75) * 75) < 0.45 * canvas.resolution
    yards = np.clip(0.1 + 0.75 * uniform(block, 1) * uniform(house, 2), 0, 0.8)
    ground.paint(town, ROOFS, yards)
    ground.paint(town & (uniform(block, 3) < 0.22), CONCRETE, 0.05)
    ground.bright[town] = 0.62 + 0.75 * uniform(house, 4)[town]
    ground.paint(town & street, ROAD, 0.15)
    line = np.abs(across - float(np.median(across)) - 260 * np.sin(along / 2900) - 90 * np.sin(along / 1100))
    ground.paint(line < max(9.0, 0.55 * canvas.resolution), ROAD, 0.0)


def _water(canvas: Canvas, rng: np.random.Generator, ground: Ground, land: Relief, biome: Biome) -> Floats:
    """A river, and lakes or the sea in the lowest places, with sandy banks; gives the depth (h, w) [m], 0 on land."""
    level = float(np.quantile(land.height[::4, ::4], biome.lakes))
    drop = max(biome.relief, 60) / 60
    width = rng.uniform(18, 70) * (1 - 0.55 * biome.dry)
    lake, river = (level - land.height) / drop, (width - land.river) / 14
    depth = np.maximum(lake, river)
    beach = (depth > -rng.uniform(0.6, 1.6)) & (fractal(canvas, rng, largest=1500, slope=1.5) > 0.1 - 0.5 * biome.dry)
    ground.paint(beach & (land.slope < 0.25), SAND, 0.06)
    sediment = rng.uniform(0.8, 3.5)
    clear = 1 - np.exp(-np.maximum(depth, 0) / sediment)
    ground.paint(depth > 0, WATER, np.where(lake > 0, clear, np.minimum(clear, 0.75)).astype(np.float32))
    water: Floats = np.maximum(depth, 0).astype(np.float32)
    return water


def _reflectance(
    canvas: Canvas, rng: np.random.Generator, ground: Ground, depth: Floats, bands: tuple[str, ...]
) -> Floats:
    """Ground and green mixed by share, with texture that water hardly has."""
    grain = fractal(canvas, rng, largest=12 * canvas.resolution, slope=0.9)
    stain = fractal(canvas, rng, largest=1800, slope=1.7)
    texture = np.where(depth > 0, 1 + 0.02 * grain, 1 + 0.045 * grain + 0.05 * stain).astype(np.float32)
    bright = np.clip(ground.bright * texture, 0.4, 1.9)
    green = np.clip(ground.green + 0.04 * stain * (depth == 0), 0, 1)
    bare = np.stack([spectrum(MATERIALS[below], bands) for below, _ in COVERS])
    leafy = np.stack([spectrum(MATERIALS[above], bands) for _, above in COVERS])
    values = np.empty((len(bands), *canvas.shape), np.float32)
    for i in range(len(bands)):
        soil = bare[:, i][ground.cover]
        values[i] = (soil + (leafy[:, i][ground.cover] - soil) * green) * bright
    return values


def _snow(
    canvas: Canvas, rng: np.random.Generator, values: Floats, land: Relief, season: float, bands: tuple[str, ...]
) -> Floats:
    """Snow above a line that rises into summer, patchy at its edge and thin on steep slopes."""
    line = 2050 - 1350 * math.cos(2 * math.pi * (season - 40) / 365.25)
    if float(land.height.max()) < line - 300:
        return values
    patchy = fractal(canvas, rng, largest=1200, slope=1.5)
    cover = expit((land.height - line + 110 * patchy - 160 * land.slope) / 45).astype(np.float32)
    white = spectrum(MATERIALS["snow"], bands)
    for i in range(len(bands)):
        values[i] += (white[i] * np.float32(0.93) - values[i]) * cover
    return values
