"""What covers the ground: fields with their season, forest, towns, roads, water, sand, salt, rock and snow.

In: a relief, a date, the spectra of the scene. Out: surface reflectance (c, h, w) under even light.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from data_pipelines.simulate.cover import (
    BASALT,
    BROADLEAF,
    BURNT,
    CONCRETE,
    CONIFER,
    COVERS,
    PLASTIC,
    ROAD,
    ROCK,
    ROOFS,
    SALT,
    SAND,
    STEPPE,
    WHITE,
    Biome,
    Ground,
)
from data_pipelines.simulate.noise import Canvas, Floats, cells, fractal, hashed, uniform
from data_pipelines.simulate.terrain import Relief
from data_pipelines.simulate.water import glint, waters, with_water

__all__ = ["surface"]


CROPS = ((135.0, 75.0), (205.0, 75.0), (215.0, 65.0), (125.0, 65.0), (165.0, 120.0), (190.0, 80.0))
"""Day of year of the greenest state and the spread around it [days], for the first six covers, northern hemisphere."""


def surface(
    canvas: Canvas,
    rng: np.random.Generator,
    land: Relief,
    biome: Biome,
    season: float,
    latitude: float,
    colours: Mapping[str, Floats],
    harvest: bool = False,
) -> Floats:
    """Surface reflectance (c, h, w).

    ``season`` is the day of year as felt in the northern hemisphere; ``colours`` the spectra (c,) of the materials;
    with ``harvest`` fields are cut on a day of their own, as time series have it. The same state of ``rng`` gives the
    same place in every season.
    """
    ground = _fields(canvas, rng, biome, season, harvest)
    _vegetation(canvas, rng, ground, land, biome, season)
    _scars(canvas, rng, ground, land, biome)
    _town(canvas, rng, ground, land, biome)
    depth = with_water(canvas, rng, ground, land, biome)
    values = _reflectance(canvas, rng, ground, depth, colours)
    return _snow(canvas, rng, values, land, season, latitude, (ground.cover == CONIFER, colours["snow"]))


def _fields(canvas: Canvas, rng: np.random.Generator, biome: Biome, season: float, harvest: bool) -> Ground:
    """Parcels in strips, each district with its own direction and size; crops by parcel; roads between districts."""
    y, x = canvas.coordinates()
    seed = int(rng.integers(2**31))
    warp = 90 * fractal(canvas, rng, largest=900, slope=2.2)
    scale = math.exp(rng.uniform(-0.3, 0.9))
    district, border = cells(y + warp, x - warp, 1500.0 * scale, seed)
    angle = uniform(district, 3) * np.float32(math.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    along, across = x * cosine + y * sine, y * cosine - x * sine
    width = scale * (70 + 190 * uniform(district, 4))
    strip = np.floor(across / width)
    strips = hashed(district, strip.astype(np.int32))
    length = scale * (180 + 520 * uniform(strips, 5))
    part = along / length + uniform(strips, 6)
    parcel = hashed(strips, np.floor(part).astype(np.int32))
    margin = np.minimum(_inside(across / width) * width, _inside(part) * length)

    crop = (uniform(parcel, 7) * len(CROPS)).astype(np.uint8)
    peak, spread = (np.array(column, np.float32)[crop] for column in zip(*CROPS, strict=True))
    lateness = season - peak + 24 * (uniform(parcel, 8) - 0.5)
    green = np.exp(-((lateness / spread) ** 2)) * (0.72 + 0.27 * uniform(parcel, 9))
    if harvest:
        green[lateness > spread * (0.45 + 0.4 * uniform(parcel, 17))] *= 0.12
    fallow = uniform(parcel, 10) < 0.04 + 0.85 * biome.dry
    green[fallow] *= 0.15
    cover = np.where(fallow & (uniform(parcel, 11) < biome.dry), np.uint8(5), crop)
    cover[(uniform(parcel, 12) < 0.05 * (1 - biome.dry))] = BROADLEAF
    pasture = uniform(parcel, 16) < 0.45 * rng.random() * (1 - biome.dry)
    cover[pasture], green[pasture] = 4, (0.35 + 0.5 * _leaf(season) + 0.15 * uniform(parcel, 9))[pasture]
    edge = (margin < max(4.0, 0.35 * canvas.resolution)) & (uniform(strips, 13) < 0.6)
    cover[edge], green[edge] = 4, 0.75 * _leaf(season) + 0.1
    ground = Ground(cover, green.astype(np.float32), 0.87 + 0.26 * uniform(parcel, 14))
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
        ground.paint(wild > np.quantile(wild[::4, ::4], 0.9), BASALT if rng.random() < 0.4 else ROCK, 0.05)
        _pivots(canvas, rng, ground, season)
    forest = wild > np.quantile(wild[::4, ::4], 1 - biome.forest)
    height = land.height / 1000
    conifer = forest & (kind + 1.1 * height + biome.conifer > 0.7)
    ground.paint(forest & ~conifer, BROADLEAF, np.clip(_leaf(season) + 0.05 * kind, 0.03, 1).astype(np.float32))
    ground.paint(conifer, CONIFER, 1.0)
    alpine = (height + 0.12 * kind > 1.75) | (land.slope > 0.95)
    ground.paint(alpine, ROCK, np.clip(0.35 - 0.3 * land.slope, 0, 0.4).astype(np.float32))
    canopy = fractal(canvas, rng, largest=4 * canvas.resolution, slope=0.6)
    ground.bright[forest] *= np.clip(1 + 0.13 * canopy[forest], 0.6, 1.4)


def _scars(canvas: Canvas, rng: np.random.Generator, ground: Ground, land: Relief, biome: Biome) -> None:
    """What mimics shadow and cloud in the open: burnt ground, dunes, salt flats; some scenes have none."""
    if biome.dunes and rng.random() < 0.7:
        sandy = fractal(canvas, rng, largest=6000, slope=1.9)
        waves = fractal(canvas, rng, largest=rng.uniform(300, 900), slope=2.2, stretch=4, angle=rng.uniform(0, math.pi))
        dunes = sandy > np.quantile(sandy[::4, ::4], 1 - biome.dunes)
        ground.paint(dunes, SAND, 0.02)
        ground.bright[dunes] = np.clip(0.95 + 0.08 * waves[dunes], 0.6, 1.2)
    if biome.salt and rng.random() < 0.6:
        low = land.height + 0.1 * float(land.height.std()) * fractal(canvas, rng, largest=1500, slope=1.6)
        crust = np.clip(0.12 + 0.15 * fractal(canvas, rng, largest=900, slope=1.5), 0, 0.7).astype(np.float32)
        ground.paint(low < np.quantile(low[::4, ::4], biome.salt), SALT, crust)
    if biome.burnt and rng.random() < 0.6:
        fire = fractal(canvas, rng, largest=rng.uniform(900, 3000), slope=1.8)
        spared = np.clip(0.25 + 0.25 * fractal(canvas, rng, largest=400, slope=1.2), 0, 0.9).astype(np.float32)
        ground.paint(fire > np.quantile(fire[::4, ::4], 1 - biome.burnt * rng.uniform(0.5, 3)), BURNT, spared)


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
    works = uniform(block, 3)
    ground.paint(town & (works < 0.22), CONCRETE, 0.05)
    hall = town & (works < rng.uniform(0.05, 0.3)) & (uniform(house, 5) < 0.5)
    ground.paint(hall, PLASTIC if rng.random() < 0.25 else WHITE, 0.0)
    ground.bright[town] = 0.55 + 0.75 * uniform(house, 4)[town]
    ground.paint(town & street, ROAD, 0.15)
    line = np.abs(across - float(np.median(across)) - 260 * np.sin(along / 2900) - 90 * np.sin(along / 1100))
    ground.paint(line < max(9.0, 0.55 * canvas.resolution), ROAD, 0.0)


def _reflectance(
    canvas: Canvas, rng: np.random.Generator, ground: Ground, depth: Floats, colours: Mapping[str, Floats]
) -> Floats:
    """Ground and green mixed by share, with texture that water hardly has; water may be muddy or glint."""
    grain = fractal(canvas, rng, largest=12 * canvas.resolution, slope=0.9)
    stain = fractal(canvas, rng, largest=1800, slope=1.7)
    wet = depth > 0
    texture = np.where(wet, 1 + 0.02 * grain, 1 + 0.035 * grain + 0.05 * stain).astype(np.float32)
    bright = np.clip(ground.bright * texture, 0.4, 1.9)
    green = np.clip(ground.green + 0.04 * stain * ~wet, 0, 1)
    known = waters(rng, colours)
    bare, leafy = (np.stack([known[pair[k]] for pair in COVERS]) for k in (0, 1))
    values = np.empty((bare.shape[1], *canvas.shape), np.float32)
    for i in range(len(values)):
        soil = bare[:, i][ground.cover]
        values[i] = (soil + (leafy[:, i][ground.cover] - soil) * green) * bright
    glint(canvas, rng, values, depth, grain)
    return values


def _snow(
    canvas: Canvas,
    rng: np.random.Generator,
    values: Floats,
    land: Relief,
    season: float,
    latitude: float,
    look: tuple[NDArray[np.bool_], Floats],
) -> Floats:
    """Snow above a line that rises into summer and towards the equator, patchy at its edge, thin on steep slopes.

    ``look``: where conifers stand above it (h, w), and its spectrum (c,).
    """
    conifers, white = look
    line = (
        2050 - 1350 * math.cos(2 * math.pi * (season - 40) / 365.25) + 75 * (46 - abs(latitude)) + rng.normal(350, 300)
    )
    if float(land.height.max()) < line - 300:
        return values
    patchy = fractal(canvas, rng, largest=1200, slope=1.5)
    cover = expit((land.height - line + 110 * patchy - 160 * land.slope) / 45).astype(np.float32)
    cover[conifers] *= 0.3
    for i in range(len(values)):
        values[i] += (white[i] - values[i]) * cover
    return values
