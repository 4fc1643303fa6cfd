"""A GEO-Bench-2 sample's target: a class, labels, or a map, from its metadata or a raster of it.

In: a record and its rasters. Out: an index, zeros and ones (k,), or a map (h, w), as ``Labelled.target`` holds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.geobench2 import Layout2
from geoadapt.errors import GeoadaptError
from geoadapt.fields.geobench2_images import called
from geoadapt.fields.geobench2_records import Record
from geoadapt.fields.samples import IGNORE
from geoadapt.io.tortilla import Item

__all__ = ["class_names", "find_label", "find_mask", "map_of", "target_of"]

SEPARATORS = "|;"


def class_names(records: Sequence[Record], layout: Layout2, columns: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes in the order of their indices: the table's, unless the files name others as texts.

    Raises GeoadaptError where the files name more or fewer classes than the benchmark has.
    """
    if layout.mapped:
        return layout.classes
    found = {value for record in records for value in _values(_told(record.row, columns)) if isinstance(value, str)}
    named = sorted(word for word in found if not word.lstrip("-").isdigit())
    if not named or {word.lower() for word in named} <= {name.lower() for name in layout.classes}:
        return layout.classes
    if len(named) != len(layout.classes):
        problem = f"its files name {len(named)} classes: {', '.join(named[:8])}"
        raise GeoadaptError(f"data.dataset={layout.key}", problem, f"expected {len(layout.classes)}")
    return tuple(named)


def find_label(record: Record, rasters: Sequence[Item], columns: Sequence[str]) -> Any:
    """What the metadata say of a record, or of a raster of it; raises GeoadaptError where no column is there."""
    rows = [record.row, *(raster.row for raster in rasters)]
    value = next((told for row in rows if (told := _told(row, columns)) is not None), None)
    if value is None:
        known = sorted({column for row in rows for column in row})
        problem = f"has no target: no column {', '.join(columns)}"
        raise GeoadaptError(record.name, problem, f"say data.label=COLUMN, of {', '.join(known)}")
    return value


def find_mask(record: Record, rasters: Sequence[Item], words: Sequence[str]) -> Item:
    """The raster of its map; raises GeoadaptError that lists what there is."""
    found = called(rasters, words)
    if len(found) != 1:
        names = ", ".join(f"{raster.name} ({raster.row.get('modality', '-')})" for raster in rasters)
        problem = f"has {len(found)} rasters called {' or '.join(words)}: it holds {names}"
        raise GeoadaptError(record.name, problem, "say data.rasters={label: NAME}")
    return found[0]


def target_of(value: Any, layout: Layout2, names: Sequence[str], where: str) -> Any:
    """A class index, or a vector (k,) of zeros and ones; raises GeoadaptError for a class that is unknown."""
    places = {name.lower(): n for n, name in enumerate(names)}
    if layout.kind == "class":
        return _index(_values(value)[0], places, len(names), where)
    values = _values(value)
    if len(values) == len(names) and set(values) <= {0, 1}:
        return np.asarray(values, np.float32)
    hot = np.zeros(len(names), np.float32)
    hot[[_index(one, places, len(names), where) for one in values]] = 1
    return hot


def map_of(raster: Item, layout: Layout2, classes: Mapping[int, int]) -> NDArray[Any]:
    """The map (h, w): classes with 255 where nobody knows, or values with NaN; raises GeoadaptError for odd classes."""
    image = raster.read()
    if len(image.values) not in (1, layout.label_bands):
        raise GeoadaptError(raster, f"has {len(image.values)} bands", "expected one with the target of every pixel")
    stored = image.values[0]
    if layout.kind == "value_map":
        values = stored.astype(np.float32)
        return values if image.nodata is None else np.where(values == image.nodata, np.float32(np.nan), values)
    known = dict(classes) or layout.numbers
    if not classes:
        _check_classes(raster, stored, layout, image.nodata)
    found = np.full(stored.shape, IGNORE, np.int64)
    for value, target in known.items():
        found[stored == value] = target
    return found


def _check_classes(raster: Item, stored: NDArray[Any], layout: Layout2, nodata: float | None) -> None:
    known = layout.numbers
    allowed = {*known, *layout.unknown, *(() if nodata is None else (nodata,))}
    odd = sorted({float(v) for v in np.unique(stored[np.isfinite(stored)])} - {float(v) for v in allowed})
    if odd:
        problem = f"holds the classes {odd[:6]}, expected {min(known)} to {max(known)}"
        raise GeoadaptError(raster, problem, "say which value is which class: data.classes={VALUE: CLASS, …}")


def _told(row: Mapping[str, Any], columns: Sequence[str]) -> Any:
    return next((row[column] for column in columns if row.get(column) is not None), None)


def _values(value: Any) -> list[Any]:
    """Labels as a list, whether stored as one, as JSON, or as text with separators."""
    if isinstance(value, str):
        if value.startswith("["):
            return list(json.loads(value.replace("'", '"')))
        mark = next((mark for mark in SEPARATORS if mark in value), None)
        return [part.strip() for part in value.split(mark)] if mark else [value]
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _index(value: Any, places: Mapping[str, int], count: int, where: str) -> int:
    text = str(value)
    index = places.get(text.lower(), int(text) if text.lstrip("-").isdigit() else -1)
    if not 0 <= index < count:
        raise GeoadaptError(where, f"is of the class '{value}'", f"expected 0 to {count - 1}, or a class's name")
    return index
