"""Time series of one's own as samples: any folder, catalogue or store that ``open_series`` opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geoadapt.cubes.series import SeriesInfo, SeriesSource, open_series
from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Series, SeriesData
from geoadapt.fields.series_config import TimeseriesConfig
from geoadapt.fields.series_split import by_dates, by_place
from geoadapt.io.base import Window

__all__ = ["build", "read_series"]

FEWEST = 3
"""Dates that a series must have."""


def build(config: TimeseriesConfig, seed: int = 0) -> SeriesData:
    """The series that ``config`` names, split as it says; ``seed`` draws the places.

    Raises GeoadaptError where one has too few dates, other bands than the first, or does not fit into memory.
    """
    found: list[Series] = []
    for path in config.places():
        bands = config.bands or (list(found[0].channels) if found else None)
        with open_series(
            path,
            bands=bands,
            mask=config.mask,
            mask_scheme=config.mask_scheme,
            duplicates=config.duplicates,
            damaged=config.damaged,
            max_gap=config.max_gap,
            resolution=config.resolution,
            sensor=config.sensor,
            start=config.start,
            end=config.end,
        ) as source:
            budget = config.memory_gb - sum(_gigabytes(one.values.shape) for one in found)
            found.append(read_series(source, _window(config, source.info), budget))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise GeoadaptError("data.paths", f"two places are called alike: {names}", "name every place once")
    if config.split == "time":
        thirds = [by_dates(one, config.val_fraction, config.test_fraction) for one in found]
        train, val, test = (tuple(part) for part in zip(*thirds, strict=True))
        how = "by period: the first dates train, the next validate, the last test"
    else:
        train, val, test = by_place(found, config.val_fraction, config.test_fraction, seed)
        how = "by place: " + ", ".join(f"{one.name} tests" for one in test)
    spans = ", ".join(f"{one.name} {len(one.times)} dates, {one.clear.mean():.0%} clear" for one in found)
    return SeriesData(train, val, test, found[0].channels, f"{spans}; split {how}")


def read_series(source: SeriesSource, window: Window | None = None, memory_gb: float = 4.0) -> Series:
    """Everything of an open series, or a window of it, in memory; raises GeoadaptError where that is too much."""
    info = source.info
    window = window or Window(0, 0, info.height, info.width)
    shape = (len(info.times), len(info.bands), window.height, window.width)
    if shape[0] < FEWEST:
        raise GeoadaptError(info.name, f"has {shape[0]} dates", f"give {FEWEST} or more")
    if _gigabytes(shape) > memory_gb:
        problem = f"{shape} values take {_gigabytes(shape):.1f} GB, {memory_gb:.1f} GB are left for them"
        raise GeoadaptError(info.name, problem, "set data.window=[row,column,height,width], or data.memory_gb higher")
    values, clear = source.read(window)
    sensors = set(info.sensors)
    return Series(
        info.name,
        values,
        clear & np.isfinite(values).all(1),
        info.times,
        info.bands,
        None,
        info.resolution or 30.0,
        sensors.pop() if len(sensors) == 1 else None,
    )


def _gigabytes(shape: tuple[int, ...]) -> float:
    return float(np.prod(shape, dtype=np.float64)) * 4 / 2**30


def _window(config: TimeseriesConfig, info: SeriesInfo) -> Window | None:
    if not config.window:
        return None
    row, col, height, width = config.window
    if row + height > info.height or col + width > info.width:
        problem = f"{config.window} leaves {Path(info.name).name} of {info.height} × {info.width} px"
        raise GeoadaptError("data.window", problem, "choose row, column, height and width inside it")
    return Window(row, col, height, width)
