"""Configurations of GEO-Bench-2's data sets and of simulated stand-ins for them; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from geoadapt.cubes.geobench2 import layout_of
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["Geobench2Config", "Geobench2StandinConfig"]

INPUTS = ("optical", "sar", "terrain", "surface")
EVERY = "all"


@dataclass
class Geobench2Config:
    """One data set of GEO-Bench-2: its ``.tortilla`` files, or plain folders, under ``root``."""

    name: str = "geobench2"
    dataset: str = "so2sat"
    """Its key: benv2, treesatai, so2sat, forestnet, biomassters, kuro_siwo …"""
    root: str = ""
    """Empty = ``data/geobench2/KEY``."""
    inputs: list[str] = field(default_factory=list)
    """Inputs to read; empty = all that the data set has."""
    dates: int = 0
    """At most so many of a series, the last ones; 0 = as many as the benchmark's table says."""
    scale: dict[str, float] = field(default_factory=dict)
    """Input → what its stored numbers are multiplied with, where the table's factor does not fit the files."""
    rasters: dict[str, str] = field(default_factory=dict)
    """Input, or ``label`` → what its rasters are called, where the table's names do not fit the files."""
    label: str = ""
    """Column of the metadata that holds the target, where the table's names do not fit the files."""
    classes: dict[int, int] = field(default_factory=dict)
    """Label value → class; empty = the values are classes. Values that are not named are unknown."""

    def __post_init__(self) -> None:
        self._check()
        layout_of(self.dataset)
        self.root = self.root or f"data/geobench2/{self.dataset}"

    def _check(self) -> None:
        for name in (*self.inputs, *self.scale, *self.rasters):
            if name not in (*INPUTS, "label"):
                raise GeoadaptError("data.inputs", f"'{name}'", nearest(name, INPUTS))
        if self.dates < 0:
            raise GeoadaptError("data.dates", f"{self.dates}", "choose 0 or more")


@dataclass
class Geobench2StandinConfig(Geobench2Config):
    """Simulated samples of a data set's shape, made once under ``root`` and then read like the published files."""

    name: str = "geobench2_standin"
    dataset: str = EVERY
    """A key of the benchmark; ``all`` to make every stand-in."""
    root: str = "outputs/geobench2_standins"
    """A folder per key is made in it."""
    train: int = 24
    val: int = 8
    test: int = 8
    size: int = 32
    """Side of an image, at most the published one [px]; 0 = the published one."""
    files: int = 1
    """How many share the samples."""
    seed: int = 0

    def __post_init__(self) -> None:
        self._check()
        if self.dataset != EVERY:
            layout_of(self.dataset)
        for name, least in (("train", 1), ("val", 1), ("test", 1), ("files", 1)):
            if getattr(self, name) < least:
                raise GeoadaptError(f"data.{name}", f"{getattr(self, name)}", f"choose {least} or more")
        if self.size and self.size < 8:
            raise GeoadaptError("data.size", f"{self.size} px", "choose 8 or more, or 0")
