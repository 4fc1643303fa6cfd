"""GRIB messages as datasets, through cfgrib and ecCodes, which are an extra.

In: a file. Out: one dataset for every set of messages that share a grid and a kind of level, values read when they are
asked for. Nothing is written beside the file: no index is kept.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from geoadapt.errors import GeoadaptError

__all__ = ["is_grib", "open_grib", "reads_grib"]

_SUFFIXES = (".grib", ".grb", ".grib2", ".grb2", ".grib1", ".grb1")


def is_grib(path: Path) -> bool:
    """Whether a file holds GRIB messages, by its first bytes; some files have a few others in front."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(512)
    return head.startswith(b"GRIB") or (path.suffix.lower() in _SUFFIXES and b"GRIB" in head)


def reads_grib() -> bool:
    """Whether cfgrib and ecCodes are installed and work."""
    try:
        _cfgrib()
    except GeoadaptError:
        return False
    return True


def open_grib(path: Path) -> list[xr.Dataset]:
    """All messages of ``path`` as lazy datasets, masked where missing; a note where a grid was mended in ``attrs``.

    Raises GeoadaptError where cfgrib is not installed, or a message is damaged.
    """
    cfgrib = _cfgrib()
    with _quiet():
        try:
            found: list[xr.Dataset] = cfgrib.open_datasets(
                str(path), backend_kwargs={"indexpath": "", "errors": "raise"}, cache=False
            )
        except Exception as error:  # noqa: BLE001  ecCodes and cfgrib have exceptions of their own for every fault
            raise GeoadaptError(path, f"is no GRIB that can be read: {_reason(error)}", "copy it again") from error
    if not found:
        raise GeoadaptError(path, "holds no GRIB message", "is it complete?")
    return [_mended(dataset) for dataset in found]


def _cfgrib() -> Any:
    """The module cfgrib; raises GeoadaptError where it cannot be imported."""
    # ecCodes brings a PROJ of its own; where that is loaded before pyproj's, Python crashes when it exits.
    importlib.import_module("pyproj")
    try:
        return importlib.import_module("cfgrib")
    except (ImportError, RuntimeError) as error:
        raise GeoadaptError(
            "GRIB", f"needs cfgrib and ecCodes, which are not here ({error})", "pip install geoadapt[grib]"
        ) from error


def _mended(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with the coordinates that the ends of its grid give, where an increment contradicts them.

    A message states both; with N points between two ends the increment is redundant, and some files have a wrong one.
    """
    said = []
    first = next(iter(dataset.data_vars.values()), None)
    for dim, prefix, side in (("latitude", "latitude", "j"), ("longitude", "longitude", "i")):
        if first is None or first.attrs.get("GRIB_gridType") != "regular_ll" or dim not in dataset.dims:
            continue
        start, stop = (first.attrs.get(f"GRIB_{prefix}Of{end}GridPointInDegrees") for end in ("First", "Last"))
        step = first.attrs.get(f"GRIB_{side}DirectionIncrementInDegrees")
        if start is None or stop is None or dataset.sizes[dim] < 2:
            continue
        span = abs(stop - start) if dim == "latitude" else (stop - start) % 360.0
        true = span / (dataset.sizes[dim] - 1)
        if step is None or abs(true - step) < 0.1 * true:
            continue
        values = start + np.sign(stop - start if dim == "latitude" else 1.0) * true * np.arange(dataset.sizes[dim])
        dataset = dataset.assign_coords({dim: (dim, np.round(values, 9), dataset[dim].attrs)})
        said.append(
            f"{dim}: its increment of {step:g}° contradicts its ends {start:g} and {stop:g}, which are believed"
        )
    return dataset.assign_attrs(geoadapt_notes="; ".join(said)) if said else dataset


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep cfgrib's own log lines and warnings from a person who gets an error in our words."""
    logger = logging.getLogger("cfgrib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__} {text}".strip()
