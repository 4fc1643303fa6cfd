"""A GEO-Bench-2 sample's rasters as pieces (t, c, h, w) in physical units, and its map of labels.

In: the rasters of a record, a modality of the benchmark's table. Out: values that are checked against their units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.bands import common_name
from geoadapt.cubes.geobench2 import Modality
from geoadapt.errors import GeoadaptError
from geoadapt.fields.samples import Piece
from geoadapt.io.tortilla import Image, Item

__all__ = ["called", "moments", "piece_of"]

PLAUSIBLE = {"reflectance": (-0.5, 2.0), "brightness": (-0.5, 2.0), "dB": (-80.0, 40.0)}
"""Units → where the median of an image can lie."""
TIME_COLUMNS = ("stac:time_start", "time_start", "datetime", "date", "time", "dates", "acquisition_date")
DAY = re.compile(r"^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$")
"""A day as a number; as seconds it would lie in the year 1970."""
Floats = NDArray[np.float32]


def called(rasters: Sequence[Item], words: Sequence[str]) -> list[Item]:
    """The rasters that the first word names that names any: as their modality, else within their id."""
    for find in (_is_modality, _is_in_name):
        for word in words:
            found = [raster for raster in rasters if any(find(raster, part) for part in word.split("|"))]
            if found:
                return found
    return []


def piece_of(rasters: Sequence[Item], modality: Modality, dates: int, scale: float) -> Piece:
    """All dates of one input, the last ``dates`` of them; raises GeoadaptError where bands or values do not fit."""
    ordered = sorted(rasters, key=_order)
    parts = [_dated(raster, raster.read(), modality) for raster in ordered]
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise GeoadaptError(ordered[0], f"has dates of {sorted(shapes)}", "all must have the same bands and size")
    count = sum(map(len, parts))
    chosen = _chosen(modality, dates, count)
    values = np.concatenate(parts)[chosen] * np.float32(scale)
    if modality.amplitude:
        values = 2 * np.square(values)
    if modality.decibel:
        values = 10 * np.log10(np.where(values > 0, values, np.nan))
    _check_units(ordered[0], modality, values)
    times = [moment for raster, part in zip(ordered, parts, strict=True) for moment in moments(raster.row, len(part))]
    told = np.array([times[n] for n in chosen], "datetime64[s]") if len(times) == count else None
    return Piece(values.astype(np.float32), modality.used, told)


def moments(row: Mapping[str, Any], count: int = 1) -> list[np.datetime64]:
    """The ``count`` times that a row names, in UTC; seconds since 1970, ISO dates, or numbers like 20190831.

    Nothing where no column names as many; 0 seconds stand for a time that nobody knows.
    """
    for column in TIME_COLUMNS:
        value = row.get(column)
        values = value if isinstance(value, list) else [value]
        if len(values) != count or not any(values):
            continue
        try:
            found = [_moment(v) for v in values]
        except (ValueError, TypeError):
            continue
        if not any(np.isnat(moment) for moment in found):
            return found
    return []


def _moment(value: Any) -> np.datetime64:
    if not isinstance(value, int | float):
        return np.datetime64(value, "s")
    day = str(int(value))
    if DAY.match(day):
        return np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}", "s")
    return np.datetime64(int(value), "s")


def _chosen(modality: Modality, dates: int, count: int) -> list[int]:
    """Which of ``count`` dates are used: those that the table names where they are there, the last ones of these."""
    every = list(modality.places) if modality.places and max(modality.places) < count else list(range(count))
    return every[-dates:]


def _is_modality(raster: Item, word: str) -> bool:
    return str(raster.row.get("modality", "")).lower() == word


def _is_in_name(raster: Item, word: str) -> bool:
    return f"_{word}_" in "_" + re.sub(r"[^a-z0-9]+", "_", raster.name.lower()) + "_"


def _order(raster: Item) -> tuple[int, bool]:
    """By time where it is told, else as the table lists them; what comes ``post`` is after what comes ``pre``."""
    told = moments(raster.row)
    when = int(told[0].astype("datetime64[s]").astype(np.int64)) if told else 0
    return (when, "post" in raster.name.lower())


def _dated(raster: Item, image: Image, modality: Modality) -> Floats:
    """Values (t, c, h, w) of the bands that are used, as stored, NaN where there is no data."""
    bands, (count, height, width) = modality.stored, image.values.shape
    named = [common_name(word) or word for word in image.bands]
    if set(modality.used) <= set(named) and len(set(named)) == count:
        bands = tuple(named)
    elif count == len(modality.used) and bands[:count] == modality.used:
        bands = modality.used
    if count % len(bands):
        problem = f"has {count} bands, expected {len(bands)} ({', '.join(bands)}), or several dates of them"
        raise GeoadaptError(raster, problem, "say data.rasters where another raster is meant")
    values = image.values.reshape(-1, len(bands), height, width)[:, [bands.index(c) for c in modality.used]]
    values = values.astype(np.float32)
    for nodata in {image.nodata, modality.nodata} - {None}:
        values = np.where(values == np.float32(nodata), np.float32(np.nan), values)
    return values


def _check_units(raster: Item, modality: Modality, values: Floats) -> None:
    seen = values[np.isfinite(values)]
    if modality.units not in PLAUSIBLE or not seen.size:
        return
    low, high = PLAUSIBLE[modality.units]
    middle = float(np.median(seen))
    if not low <= middle <= high:
        problem = f"its {modality.input} has a median of {middle:.6g} {modality.units}"
        hint = f"say what stored numbers are multiplied with: data.scale={{{modality.input}: …}}"
        raise GeoadaptError(raster, f"{problem}, expected {low:g} to {high:g}", hint)
