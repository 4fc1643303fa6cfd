"""Scaler files: what a model's inputs and outputs are divided by, measured in one pass over a training cube.

In: a cube (see ``chunks``), lazy. Out: means and spreads per channel as JSON or NetCDF, or the four files that Prithvi
WxC reads. A file is whole or absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from data_pipelines.merra2_layout import LEVELS, SURFACE, VERTICAL
from data_pipelines.moments import Moments, area_weights, increments, measure, values
from geoadapt.cubes.variables import channel_name
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import staged, write_text

__all__ = ["Scalers", "measure_scalers", "read_scalers", "write_prithvi_scalers", "write_scalers"]

PRITHVI = ("musigma_surface.nc", "musigma_vertical.nc", "anomaly_variance_surface.nc", "anomaly_variance_vertical.nc")


@dataclass(frozen=True, slots=True)
class Scalers:
    """Per channel: mean, standard deviation, and standard deviation of the change over one step [its units]."""

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    increment_std: tuple[float, ...]
    units: tuple[str, ...]
    step_hours: float
    about: Mapping[str, Any]
    """First and last date, and how rows were weighted."""


def measure_scalers(cube: xr.Dataset, *, step: str = "", weights: str = "none") -> Scalers:
    """Scalers of every channel of a canonical cube; ``step`` such as 6h, empty = the cube's own interval.

    ``weights``: ``none`` counts every grid point alike, ``area`` by the cosine of latitude. Raises GeoadaptError for a
    channel without a value, or one that never changes, by which nothing can be divided.
    """
    if weights not in ("none", "area"):
        raise GeoadaptError("weights", f"'{weights}'", "choose none or area")
    lag, hours = _lag(cube, step)
    rows = area_weights(cube["latitude"].values.astype(np.float64)) if weights == "area" else None
    found = measure(cube, {"value": values, "change": increments(lag)}, weights=rows)
    names = [(v, i, channel_name(v, level)) for v in found for i, level in enumerate(_levels(cube, v))]
    for variable, index, channel in names:
        _refuse_unusable(channel, found[variable]["value"], index)
    return Scalers(
        tuple(channel for _, _, channel in names),
        tuple(float(found[v]["value"].mean[i]) for v, i, _ in names),
        tuple(float(found[v]["value"].std[i]) for v, i, _ in names),
        tuple(float(found[v]["change"].std[i]) for v, i, _ in names),
        tuple(str(cube[v].attrs.get("units", "")) for v, _, _ in names),
        hours,
        {"first": str(cube["time"].values[0])[:19], "last": str(cube["time"].values[-1])[:19], "weights": weights},
    )


def write_scalers(scalers: Scalers, path: Path) -> Path:
    """As JSON (``.json``) or NetCDF (``.nc``); returns ``path``."""
    if path.suffix == ".json":
        numbers = zip(scalers.mean, scalers.std, scalers.increment_std, scalers.units, strict=True)
        table = {
            channel: {"mean": mean, "std": std, "increment_std": change, "units": units}
            for channel, (mean, std, change, units) in zip(scalers.channels, numbers, strict=True)
        }
        plain = {**scalers.about, "step_hours": scalers.step_hours, "channels": table}
        write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return path
    if path.suffix != ".nc":
        raise GeoadaptError(path, "is neither .json nor .nc", "choose one of them")
    columns = {"mean": scalers.mean, "std": scalers.std, "increment_std": scalers.increment_std}
    columns_of = xr.Dataset(
        {name: ("channel", np.asarray(values)) for name, values in columns.items()}
        | {"units": ("channel", np.asarray(scalers.units, object))},
        coords={"channel": np.asarray(scalers.channels, object)},
        attrs={**scalers.about, "step_hours": scalers.step_hours},
    )
    return _netcdf(columns_of, path)


def read_scalers(path: Path) -> Scalers:
    """What ``write_scalers`` wrote as JSON; raises GeoadaptError for anything else."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        table = plain.pop("channels")
        columns = [tuple(float(e[k]) for e in table.values()) for k in ("mean", "std", "increment_std")]
        units = tuple(str(e["units"]) for e in table.values())
        hours = float(plain.pop("step_hours"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GeoadaptError(path, f"holds no scalers: {error}", "make it with write_scalers") from error
    return Scalers(tuple(table), columns[0], columns[1], columns[2], units, hours, plain)


def write_prithvi_scalers(
    cube: xr.Dataset, folder: Path, climate: Callable[[xr.DataArray], xr.DataArray]
) -> tuple[Path, ...]:
    """Prithvi WxC's four files from a cube of ``merra2``: mu and sigma, and the variance of anomalies.

    ``climate`` gives, for a field (time, …) of the cube, the climatology at its dates, of the same shape. Statistics
    count every grid point alike. Values stand by name, and levels from 34 to 72 whatever the cube's order.
    """
    missing = [name for name in (*SURFACE, *VERTICAL) if name not in cube]
    if missing:
        raise GeoadaptError("scalers", f"the cube lacks {missing}", "make it with merra2")
    chosen = cube[[*SURFACE, *VERTICAL]].sel(model_level=list(LEVELS))

    def anomaly(field: xr.DataArray, dates: slice) -> xr.DataArray:
        block = field.isel(time=dates)
        return block - climate(block)

    found = measure(chosen, {"state": values, "anomaly": anomaly})
    statistic = {"statistic": np.array(["mu", "sigma"], object)}
    level = {"lev": np.asarray(LEVELS, np.float64)}
    both = {name: np.stack([own["state"].mean, own["state"].std]) for name, own in found.items()}
    variance = {name: own["anomaly"].std ** 2 for name, own in found.items()}
    tables = (
        xr.Dataset({n: ("statistic", both[n][:, 0]) for n in SURFACE}, coords=statistic),
        xr.Dataset({n: (("statistic", "lev"), both[n]) for n in VERTICAL}, coords={**statistic, **level}),
        xr.Dataset({n: ((), variance[n][0]) for n in SURFACE}),
        xr.Dataset({n: ("lev", variance[n]) for n in VERTICAL}, coords=level),
    )
    return tuple(_netcdf(table, folder / name) for name, table in zip(PRITHVI, tables, strict=True))


def _levels(cube: xr.Dataset, variable: str) -> list[float | None]:
    for dim in ("level", "model_level"):
        if dim in cube[variable].dims:
            return [float(v) for v in cube[dim].values]
    return [None]


def _lag(cube: xr.Dataset, step: str) -> tuple[int, float]:
    """Dates from a state to the next one of a forecast, and the hours between them."""
    import pandas as pd

    times = cube["time"].values.astype("datetime64[s]")
    if len(times) < 2:
        raise GeoadaptError("scalers", f"the cube has {len(times)} date(s)", "give at least two")
    own = np.diff(times)
    if (own != own[0]).any():
        raise GeoadaptError("scalers", f"after {times[:-1][own != own[0]][0]} a date is missing", "give a whole period")
    try:
        wanted = pd.Timedelta(step.replace("d", "D")).to_timedelta64() if step else own[0]
    except ValueError as error:
        raise GeoadaptError("step", f"'{step}' is no length of time", "write 6h, 24h or 1d") from error
    if wanted <= np.timedelta64(0) or wanted % own[0]:
        raise GeoadaptError("step", f"{step} is no multiple of the {own[0]} between dates", "choose one")
    lag = int(wanted / own[0])
    if lag >= len(times):
        raise GeoadaptError("step", f"{step} is longer than the cube", "choose a shorter one")
    return lag, float(wanted / np.timedelta64(1, "h"))


def _refuse_unusable(channel: str, found: Moments, index: int) -> None:
    if not found.weight[index]:
        raise GeoadaptError(channel, "has no value on any date", "leave it out")
    if found.std[index] <= 1e-7 * abs(found.mean[index]):
        raise GeoadaptError(channel, f"is {found.mean[index]:g} on every date", "leave it out, or store it as static")


def _netcdf(table: xr.Dataset, path: Path) -> Path:
    with staged(path) as part:
        table.to_netcdf(part, engine="h5netcdf")
    return path
