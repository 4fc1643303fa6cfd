"""Dated land use samples of Mato Grosso on MODIS composites (Maus 2019): the series of a pixel over a farming year.

In: ``samples.csv`` (longitude, latitude, from, to, label), ``timeline``, rasters of 16-day composites. Out: a SampleSet
of single pixels.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from geoadapt.errors import GeoadaptError
from geoadapt.fields.roots import ASK, data_root
from geoadapt.fields.samples import Labelled, Layout, Piece, SampleSet, Target
from geoadapt.fields.samples_config import ModisSamplesConfig
from geoadapt.fields.samples_split import PARTS, split_groups
from geoadapt.io.gdal import open_dataset

__all__ = ["build"]

FILES = {"blue": "blue", "red": "red", "nir": "nir", "swir22": "mir"}
"""Channel → file; MIR is MODIS's band at 2.1 µm."""
CHANNELS = tuple(FILES)
Dates = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class _Stack:
    values: NDArray[np.float32]
    """(t, c, h, w) [reflectance], NaN where no plausible one is."""
    times: Dates
    rows: NDArray[np.intp]
    """Of every sample; columns likewise."""
    cols: NDArray[np.intp]
    pixel: float
    """[m]"""


def build(config: ModisSamplesConfig, seed: int = 0) -> SampleSet:
    """The samples split by squares of ``config.block`` pixels; ``seed`` changes nothing.

    Raises GeoadaptError where a file is missing, or a sample lies outside the rasters.
    """
    root = data_root(config.root, "timeseries/modis_mt")
    rows = _table(root / "samples.csv")
    stack = _read(root, rows)
    names = tuple(sorted({row["label"] for row in rows}))
    squares = [f"{r // config.block}-{c // config.block}" for r, c in zip(stack.rows, stack.cols, strict=True)]
    classes = np.array([names.index(row["label"]) for row in rows])
    part = split_groups(squares, classes, (config.val_fraction, config.test_fraction), config.split_seed)
    made = [_sample(n, row, stack, squares[n], int(classes[n])) for n, row in enumerate(rows)]
    parts = {name: [made[n] for n in np.flatnonzero(part == number)] for number, name in enumerate(PARTS)}
    longest = max(len(sample.inputs["optical"].values) for sample in made)
    counts = {name: len({s.group for s in samples}) for name, samples in parts.items()}
    told = ", ".join(f"{name} {len(parts[name])} of {counts[name]} squares" for name in PARTS)
    side = config.block * stack.pixel / 1000
    note = (
        f"MODIS MOD13Q1, Mato Grosso: {len(made)} dated samples of land use ({', '.join(names)}), pixels of "
        f"{stack.pixel:.0f} m over a farming year of {longest} composites, blue, red, nir and MIR (2.1 µm, here "
        f"swir22); clouds that remain are not marked; split by squares of {side:.1f} km: {told}. All lie within "
        f"9 km: the test says nothing about other regions."
    )
    return SampleSet(
        name="modis_samples",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        target=Target("class", names),
        layout=Layout({"optical": CHANNELS}, {"optical": longest}),
        note=note,
        licence="MODIS NASA public domain (vwmaus/dtwSat)",
        units={"optical": "reflectance"},
    )


def _sample(n: int, row: Mapping[str, str], stack: _Stack, square: str, label: int) -> Labelled:
    begin, end = (np.datetime64(row[key], "s") for key in ("from", "to"))
    inside = (stack.times >= begin) & (stack.times < end)
    if not inside.any():
        raise GeoadaptError("samples.csv", f"line {n + 2}: no composite from {begin} to {end}", "check its dates")
    values = stack.values[inside][:, :, stack.rows[n], stack.cols[n], None, None]
    return Labelled(
        name=f"sample {n}",
        inputs={"optical": Piece(values, CHANNELS, stack.times[inside])},
        target=label,
        group=square,
        latlon=(float(row["latitude"]), float(row["longitude"])),
        resolution=stack.pixel,
        sensor="modis",
    )


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise GeoadaptError(path, f"cannot be read ({error.strerror})", ASK) from error
    wanted = {"longitude", "latitude", "from", "to", "label"}
    if not rows or not wanted <= set(rows[0]):
        found = ", ".join(rows[0]) if rows else "no line"
        raise GeoadaptError(path, f"holds {found}", f"expected columns {', '.join(sorted(wanted))}")
    return rows


def _timeline(path: Path) -> Dates:
    try:
        return np.array(path.read_text(encoding="utf-8").split(), "datetime64[s]")
    except OSError as error:
        raise GeoadaptError(path, f"cannot be read ({error.strerror})", ASK) from error
    except ValueError as error:
        raise GeoadaptError(path, f"holds what is no date ({error})", "expected a date a line") from error


def _read(root: Path, rows: list[dict[str, str]]) -> _Stack:
    times = _timeline(root / "timeline")
    layers = []
    for stem in FILES.values():
        path = root / f"{stem}.tif"
        with open_dataset(path) as dataset:
            values = dataset.read()
            transform, crs = dataset.transform, dataset.crs
        if len(values) != len(times):
            raise GeoadaptError(path, f"has {len(values)} layers", f"the timeline names {len(times)}")
        layers.append(np.where((values > 0) & (values <= 1), values, np.nan).astype(np.float32))
    place = Transformer.from_crs("EPSG:4326", crs.to_wkt(), always_xy=True)
    east, north = ([float(row[key]) for row in rows] for key in ("longitude", "latitude"))
    xs, ys = place.transform(east, north)
    inverse, x, y = ~transform, np.asarray(xs), np.asarray(ys)
    lines, cols = inverse.d * x + inverse.e * y + inverse.f, inverse.a * x + inverse.b * y + inverse.c
    found = np.floor(lines).astype(np.intp), np.floor(cols).astype(np.intp)
    height, width = layers[0].shape[1:]
    outside = (found[0] < 0) | (found[0] >= height) | (found[1] < 0) | (found[1] >= width)
    if outside.any():
        line = int(np.flatnonzero(outside)[0]) + 2
        raise GeoadaptError(root / "samples.csv", f"line {line} lies outside the rasters", "check its coordinates")
    return _Stack(np.stack(layers, 1), times, *found, abs(transform.a))
