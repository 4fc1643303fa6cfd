"""The chunk files of a Zarr array: which are absent, and which one cannot be read.

In: a store (a folder) and the name of an array in it. Out: keys of files, as they lie on disk below the array.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

__all__ = ["Absent", "absent_chunks", "broken_chunk"]

_MOST = 200_000
"""More chunk files than this are not looked for one by one."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Files that an array should have and lacks; what they hold reads as ``fill``."""

    count: int
    total: int
    first: str
    fill: float


def absent_chunks(store: Path, name: str) -> Absent | None:
    """What is absent of the array ``name``; None where nothing is, or where there are too many files to look."""
    array = zarr.open_array(store, path=name, mode="r")
    counts = _grid(array)
    if not counts or math.prod(counts) > _MOST:
        return None
    missing = [k for k in _keys(array, [range(n) for n in counts]) if not (store / name / k).exists()]
    if not missing:
        return None
    fill = array.fill_value
    number = float(fill) if fill is not None and np.asarray(fill).dtype.kind in "fiu" else 0.0
    return Absent(len(missing), math.prod(counts), f"{name}/{missing[0]}", number)


def broken_chunk(store: Path, name: str, region: Sequence[tuple[int, int]]) -> str | None:
    """The key of the first chunk file in ``region`` (start, stop per axis) that cannot be decoded; None if all can."""
    array = zarr.open_array(store, path=name, mode="r")
    sizes = array.shards or array.chunks
    touched = [range(start // size, -(-stop // size)) for (start, stop), size in zip(region, sizes, strict=True)]
    for place in itertools.product(*touched):
        part = tuple(slice(i * size, (i + 1) * size) for i, size in zip(place, sizes, strict=True))
        try:
            array[part]
        except Exception:  # noqa: BLE001  every codec has exceptions of its own
            return f"{name}/{next(_keys(array, [range(i, i + 1) for i in place]))}"
    return None


def _grid(array: zarr.Array[Any]) -> list[int]:
    """How many files lie along every axis."""
    return [-(-length // size) for length, size in zip(array.shape, array.shards or array.chunks, strict=True)]


def _keys(array: zarr.Array[Any], places: Sequence[range]) -> Iterator[str]:
    return (array.metadata.encode_chunk_key(place) for place in itertools.product(*places))
