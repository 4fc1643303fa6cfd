"""Kinds of landscape, what can cover the ground, and the map that is painted with it. No pixels of light yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_pipelines.simulate.noise import Floats

__all__ = ["BIOMES", "COVERS", "Biome", "Ground"]


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
    conifer: float = 0.0
    """Added to the tendency towards conifers; so ``burnt`` for the share of the ground that a fire has passed."""
    burnt: float = 0.0
    salt: float = 0.0
    """Share of the ground, in the lowest places, that is a salt flat."""
    dunes: float = 0.0
    """Share of the ground under dunes."""


BIOMES: dict[str, Biome] = {
    "farmland": Biome(90.0, 0.3, 0.16, 0.05, 0.015, 0.1),
    "hills": Biome(380.0, 0.3, 0.42, 0.03, 0.01, 0.15, burnt=0.02),
    "mountains": Biome(2600.0, 0.4, 0.45, 0.01, 0.015, 0.2),
    "coast": Biome(110.0, 2.4, 0.14, 0.08, 0.30, 0.25),
    "drylands": Biome(320.0, 0.3, 0.02, 0.02, 0.004, 0.85, salt=0.02),
    "city": Biome(60.0, 0.5, 0.15, 0.35, 0.03, 0.15),
    "boreal": Biome(160.0, 0.2, 0.72, 0.01, 0.09, 0.05, conifer=1.2, burnt=0.05),
    "desert": Biome(420.0, 0.4, 0.0, 0.01, 0.0, 1.0, salt=0.08, dunes=0.45),
    "tropics": Biome(220.0, 0.3, 0.62, 0.02, 0.02, 0.05, conifer=-3.0, burnt=0.03),
    "islands": Biome(140.0, 1.2, 0.30, 0.05, 0.60, 0.3),
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
    ("burnt", "twigs"),
    ("salt", "shallow"),
    ("white_roof", "white_roof"),
    ("plastic", "grass"),
    ("basalt", "grass"),
    ("turbid", "shallow"),
    ("algae", "water"),
)
"""The ground and the green of each cover; for water, shallow and deep."""
BROADLEAF, CONIFER, ROAD, ROOFS, CONCRETE, STEPPE, ROCK, SAND, WATER = range(6, 15)
BURNT, SALT, WHITE, PLASTIC, BASALT, MUDDY, ALGAE = range(15, 22)


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
