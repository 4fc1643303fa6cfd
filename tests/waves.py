"""Made weather for tests: damped waves that travel east on a small grid, an annual cycle, and a little noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.backbones.config import SmallWxConfig
from geoadapt.fields.history import History

__all__ = ["CHANNELS", "TINY_WX", "autumns", "dates", "made", "tiny_wx", "waves", "write_planet", "write_slp"]

TINY_WX: dict[str, Any] = {
    **{"random_weights": True, "width": 16, "depth": 2, "heads": 2, "waves": 4, "code": 8},
    **{"kernel": 3, "attend_every": 2},
}
CHANNELS = ("mean_sea_level_pressure", "temperature@850")
UNITS = ("Pa", "K")
MEANS, SIZES = (101000.0, 280.0), (800.0, 5.0)


def tiny_wx(**changes: Any) -> SmallWxConfig:
    """The weather backbone, made small, with random weights, ``changes`` overriding it."""
    return SmallWxConfig(**{**TINY_WX, **changes})


def dates(count: int, start: str = "2001-01-01", hours: int = 24) -> NDArray[np.datetime64]:
    """Regular dates (t,) [s]."""
    return np.datetime64(start, "s") + np.arange(count) * np.timedelta64(hours * 3600, "s")


def waves(count: int, height: int = 5, width: int = 8, seed: int = 0) -> NDArray[np.float64]:
    """Anomalies (t, h, w) of size one: three waves, each of which turns, fades and is stirred from step to step."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(1, 4)
    turn = 0.92 * np.exp(-0.6j * numbers)
    amplitude = np.zeros((count, 3), complex)
    stirred = rng.normal(size=(count, 3)) + 1j * rng.normal(size=(count, 3))
    amplitude[0] = stirred[0]
    for i in range(1, count):
        amplitude[i] = turn * amplitude[i - 1] + 0.4 * stirred[i]
    across = np.exp(2j * np.pi * numbers[:, None] * np.arange(width) / width)
    rows = np.cos(np.linspace(-1.0, 1.0, height))
    out = (amplitude @ across).real[:, None, :] * rows[:, None] + 0.1 * rng.normal(size=(count, height, width))
    return np.asarray(out / out.std())


def made(
    count: int = 400,
    channels: tuple[str, ...] = CHANNELS[:1],
    height: int = 5,
    width: int = 8,
    *,
    seed: int = 0,
    globe: bool = False,
    static: bool = False,
    hours: int = 24,
    start: str = "2001-01-01",
) -> History:
    """Such waves as a history over the North Atlantic, or with ``globe`` around the Earth."""
    times = dates(count, start, hours)
    season = np.cos(2 * np.pi * (times - times[0]) / np.timedelta64(86400, "s") / 365.2425)[:, None, None]
    parts = []
    for channel in channels:
        i = CHANNELS.index(channel)
        parts.append(MEANS[i] + SIZES[i] * (waves(count, height, width, seed + i) + 0.5 * season))
    fixed = np.linspace(0, 2000, height * width, dtype=np.float32).reshape(1, height, width) if static else None
    return History(
        np.stack(parts, 1).astype(np.float32),
        times,
        channels,
        np.linspace(80, -80, height) if globe else np.linspace(60, 40, height),
        np.arange(width) * 360.0 / width if globe else np.linspace(300, 335, width),
        np.timedelta64(hours * 3600, "s"),
        tuple(UNITS[CHANNELS.index(c)] for c in channels),
        fixed,
        ("orography",) if static else (),
        name="waves",
    )


def autumns(years: int = 3) -> History:
    """The last four months of each year from 2001 on."""
    history = made(365 * years)
    kept = np.flatnonzero(history.times.astype("datetime64[M]").astype(int) % 12 >= 8)
    return replace(history, states=history.states[kept], times=history.times[kept], _place={})


def write_slp(path: Path, history: History) -> Path:
    """Sea-level pressure [Pa] under an old name, as NetCDF, latitude ascending."""
    values = np.asarray(history.states)[:, 0, ::-1]
    cube = xr.Dataset(
        {"slp": (("time", "lat", "lon"), values, {"units": "Pa", "long_name": "mean sea level pressure"})},
        {"time": history.times.astype("datetime64[ns]"), "lat": history.latitude[::-1], "lon": history.longitude},
    )
    cube["lat"].attrs["units"], cube["lon"].attrs["units"] = "degrees_north", "degrees_east"
    cube.to_netcdf(path)
    return path


def write_planet(path: Path, seed: int, days: int) -> None:
    """A simulated planet of two channels around the globe, every 12 h, as canonical Zarr."""
    one = made(2 * days, ("mean_sea_level_pressure", "temperature@850"), 8, 12, seed=seed, globe=True, hours=12)
    states = np.asarray(one.states)
    dims = ("time", "latitude", "longitude")
    xr.Dataset(
        {
            "mean_sea_level_pressure": (dims, states[:, 0], {"units": "Pa"}),
            "temperature": (("time", "level", "latitude", "longitude"), states[:, 1:], {"units": "K"}),
        },
        {
            "time": one.times.astype("datetime64[ns]"),
            "level": ("level", [850.0], {"units": "hPa"}),
            "latitude": ("latitude", one.latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", one.longitude, {"units": "degrees_east"}),
        },
        {"simulated": "true"},
    ).to_zarr(path, consolidated=False)
