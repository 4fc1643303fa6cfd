"""Live fuel moisture (Rao 2020) in the arrays published with Presto (Tseng 2023): 2,313 points of 3 months.

In: ``s1_s2_era5_srtm.npy`` (n, 3, 18), ``dynamic_world.npy`` (9 = missing), ``latlon.npy`` (latitude first),
``month.npy`` (0-based), ``target.npy`` [%], ``site.npy``, ``is_test.npy``. Out: a SampleSet of single pixels.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.roots import ASK, data_root
from geoadapt.fields.samples import Labelled, Layout, OnDemand, Piece, SampleSet, Target
from geoadapt.fields.samples_config import FuelMoistureConfig

__all__ = ["COLUMNS", "build"]

MONTHS = 3
FILES = ("s1_s2_era5_srtm", "dynamic_world", "latlon", "month", "target", "site", "is_test")
MISSING_CLASS = 9
REFLECTANCE = 1e-4
LANDCOVER = (
    *("water", "trees", "grass", "flooded_vegetation", "crops", "shrub_and_scrub", "built", "bare", "snow_and_ice"),
)
"""Dynamic World's classes in the order of their numbers."""
YEAR = 2017
"""The file names months without a year: this one stands for it, and only the month is told to a model."""
COLUMNS: dict[str, dict[str, int]] = {
    "optical": {
        **{"blue": 2, "green": 3, "red": 4, "rededge071": 5, "rededge075": 6, "rededge078": 7},
        **{"nir": 8, "nir08": 9, "swir16": 11, "swir22": 12},
    },
    "sar": {"vv": 0, "vh": 1},
    "terrain": {"elevation": 15, "slope": 16},
    "era5": {"2m_temperature": 13, "total_precipitation": 14},
}
"""Input → channel → its column. Column 10, B9, is in no published model; 17 is NDVI, which models compute."""
UNITS = {
    **{"optical": "reflectance", "sar": "dB", "terrain": "m, degrees", "landcover": "probability"},
    "era5": "K, m per day",
}
Arrays = dict[str, NDArray[Any]]


def build(config: FuelMoistureConfig, seed: int = 0) -> SampleSet:
    """The points with their own test, and validation by site; ``seed`` changes nothing.

    Raises GeoadaptError where a file is missing or not of this layout.
    """
    root = _root(config)
    arrays = {name: _load(root / f"{name}.npy") for name in FILES}
    _check(root, arrays)
    tested = arrays["is_test"] != 0
    sites = np.unique(arrays["site"][~tested])
    if config.val_sites >= len(sites):
        problem = f"{config.val_sites} of {len(sites)} training sites"
        raise GeoadaptError("data.val_sites", problem, "leave some to train on")
    chosen = np.random.default_rng(config.split_seed).choice(sites, config.val_sites, replace=False)
    checks = np.isin(arrays["site"], chosen) & ~tested
    places = [np.flatnonzero(mask) for mask in (~tested & ~checks, checks, tested)]
    parts = [OnDemand(len(part), partial(_numbered, arrays, part)) for part in places]
    counts = [len(np.unique(arrays["site"][part])) for part in places]
    channels = {name: tuple(columns) for name, columns in COLUMNS.items()} | {"landcover": LANDCOVER}
    dates = {name: 1 if name == "terrain" else MONTHS for name in channels}
    note = (
        f"Live fuel moisture of {len(tested):,} points, three months each: {len(parts[0]):,} points of {counts[0]} "
        f"sites train, {len(parts[1]):,} of {counts[1]} validate, {len(parts[2]):,} of {counts[2]} other sites are "
        f"the set's own test; points of one site resemble each other. The years are not told."
    )
    return SampleSet(
        name="fuel_moisture",
        train=parts[0],
        val=parts[1],
        test=parts[2],
        target=Target("value", ("fuel_moisture",), "%"),
        layout=Layout(channels, dates),
        note=note,
        raw=("optical", "sar", "era5", "terrain"),
        licence="MIT (nasaharvest/presto); Copernicus, ERA5 (C3S), SRTM",
        units=UNITS,
    )


def _numbered(arrays: Arrays, places: NDArray[np.intp], number: int) -> Labelled:
    return _sample(arrays, int(places[number]))


def _sample(arrays: Arrays, n: int) -> Labelled:
    table = arrays["s1_s2_era5_srtm"][n]
    times = _dates(arrays["month"][n].astype(np.int64))
    inputs = {}
    for name, columns in COLUMNS.items():
        values = table[:, list(columns.values())].astype(np.float32)
        if name == "optical":
            values *= REFLECTANCE
        values = values[:1] if name == "terrain" else values
        inputs[name] = Piece(values[..., None, None], tuple(columns), None if name == "terrain" else times)
    cover = np.eye(MISSING_CLASS + 1, len(LANDCOVER), dtype=np.float32)
    cover[MISSING_CLASS] = np.nan
    inputs["landcover"] = Piece(cover[arrays["dynamic_world"][n]][..., None, None], LANDCOVER, times)
    latitude, longitude = arrays["latlon"][n]
    return Labelled(
        name=f"point {n}",
        inputs=inputs,
        target=float(arrays["target"][n]),
        group=str(arrays["site"][n]),
        latlon=(float(latitude), float(longitude)),
        resolution=10.0,
        sensor="sentinel2",
    )


def _dates(months: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """The middle of every month (t,); a month that comes before the one ahead of it lies in the next year."""
    years = YEAR + np.concatenate([[0], np.cumsum(np.diff(months) < 0)])
    return np.array([f"{y:04d}-{m + 1:02d}-15" for y, m in zip(years, months, strict=True)], "datetime64[s]")


def _root(config: FuelMoistureConfig) -> Path:
    root = data_root(config.root, "benchmark/presto_fuel_moisture")
    if not root.is_dir():
        raise GeoadaptError(root, "is not there", ASK)
    return root


def _load(path: Path) -> NDArray[Any]:
    try:
        return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise GeoadaptError(path, f"cannot be read ({error})", "take a fresh copy of the set") from error


def _check(root: Path, arrays: Arrays) -> None:
    count = len(arrays["target"])
    shapes = {
        **{"s1_s2_era5_srtm": (count, MONTHS, 18), "dynamic_world": (count, MONTHS), "latlon": (count, 2)},
        **{"month": (count, MONTHS), "target": (count,), "site": (count,), "is_test": (count,)},
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise GeoadaptError(root / f"{name}.npy", f"has shape {arrays[name].shape}", f"expected {shape}")
    if arrays["dynamic_world"].max() > MISSING_CLASS:
        raise GeoadaptError(root / "dynamic_world.npy", "holds an unknown class", "expected 0 to 9, 9 = missing")
    months = arrays["month"]
    if months.min() < 0 or months.max() > 11:
        raise GeoadaptError(root / "month.npy", f"holds {months.min()} to {months.max()}", "expected months 0 to 11")
    if np.abs(arrays["latlon"][:, 0]).max() > 90:
        raise GeoadaptError(root / "latlon.npy", "its first column is no latitude", "expected latitude, longitude")
