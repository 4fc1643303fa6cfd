"""Small weather cubes with known values, and their disguises: other names, units, orders and stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

LATITUDE = np.array([60.0, 30.0, 0.0, -30.0, -60.0])
LONGITUDE = np.arange(0.0, 360.0, 45.0)
LEVELS = np.array([500.0, 850.0])


def cube(days: int = 4, *, seed: int = 0) -> xr.Dataset:
    """A canonical global cube: pressure at the surface, temperature and geopotential on two levels, all different."""
    rng = np.random.default_rng(seed)
    times = np.datetime64("2020-02-27", "ns") + np.arange(days) * np.timedelta64(1, "D")
    surface = (days, LATITUDE.size, LONGITUDE.size)
    above = (days, LEVELS.size, *surface[1:])
    dims = ("time", "level", "latitude", "longitude")
    return xr.Dataset(
        {
            "mean_sea_level_pressure": (
                (dims[0], *dims[2:]), rng.uniform(97000, 104000, surface).astype(np.float32), {"units": "Pa"}
            ),
            "temperature": (dims, rng.uniform(220, 300, above).astype(np.float32), {"units": "K"}),
            "geopotential": (dims, rng.uniform(1e4, 6e4, above).astype(np.float32), {"units": "m2 s-2"}),
        },
        {"time": times, "level": LEVELS, "latitude": LATITUDE, "longitude": LONGITUDE},
    )  # fmt: skip


def written(made: xr.Dataset, path: Path) -> Path:
    """The dataset as NetCDF."""
    made.to_netcdf(path, engine="h5netcdf")
    return path


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    """Raise unless two cubes agree in every bit of values and coordinates."""
    assert list(one.data_vars) == list(other.data_vars)
    for name, array in one.data_vars.items():
        assert array.dims == other[name].dims, name
        assert array.values.tobytes() == other[name].values.tobytes(), name
    for name, coordinate in one.coords.items():
        assert coordinate.values.tobytes() == other[name].values.tobytes(), name
