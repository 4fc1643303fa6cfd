"""Tiny series of made-up land with seasons, under clouds that move; the land under them is known, or is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoadapt.fields.series import Series, SeriesData
from tests.synth import scene as reflectance

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")


@dataclass
class SmallSeriesConfig:
    """As ``data=small_series`` while a test has put it among the data sets."""

    name: str = "small_series"
    truth: bool = True
    channels: tuple[str, ...] = CHANNELS
    side: int = 32
    """[px]"""


def series(name: str, seed: int, side: int = 32, dates: int = 6, truth: bool = True) -> Series:
    """One place: brightness follows the season; discs of cloud hide about a third of every date."""
    rng = np.random.default_rng(seed)
    land = reflectance(6, side, side, seed)
    days = np.sort(rng.choice(np.arange(300), dates, replace=False))
    season = 1 + 0.3 * np.sin(2 * np.pi * days / 365)[:, None, None, None]
    true = (land[None] * season).astype(np.float32)
    rows, cols = np.mgrid[:side, :side]
    centres = rng.uniform(0, side, (dates, 2))
    far = np.hypot(rows - centres[:, 0, None, None], cols - centres[:, 1, None, None])
    cloud = far < side / 2.8
    values = np.where(cloud[:, None], 0.8, true).astype(np.float32)
    times = np.datetime64("2020-01-01", "s") + days * np.timedelta64(1, "D")
    return Series(name, values, ~cloud, times, CHANNELS, true if truth else None, 10.0, "sentinel2")


def build(config: SmallSeriesConfig, seed: int) -> SeriesData:
    """Other places for training, validation and test."""
    parts = [
        tuple(series(f"{part}{i}", 10 * k + i, config.side, truth=config.truth) for i in range(count))
        for k, (part, count) in enumerate((("train", 3), ("val", 1), ("test", 2)))
    ]
    return SeriesData(*parts, CHANNELS, "made for tests", simulated=True)
