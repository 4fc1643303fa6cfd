"""Forecasts as Zarr v3 in WeatherBench 2's schema: init time × [number] × lead time × [level] × latitude × longitude.

In: states by init time, member and lead. Out: a store that xarray opens by name with coordinates and units. Every init
time is whole or absent in it: its chunks are gathered beside the store and moved in once all of them are on the disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import publish, remove
from geoadapt.io.forecast_spec import ForecastSpec, ForecastVariable, skeleton
from geoadapt.io.zarr_write import quiet_zarr

__all__ = ["ForecastStore", "check_place", "create_store", "label_of"]

FLUSHED = 8
"""How many files are flushed to the disk at once."""
LABEL = "geoadapt_forecast"
"""The attribute that says which job the store belongs to."""


def create_store(path: Path, spec: ForecastSpec, label: Mapping[str, Any], part: Path) -> None:
    """Make the store with its coordinates, arrays of missing values and ``label``; it replaces a store that is there.

    It is built as ``part``, on the same disk. Raises GeoadaptError where ``path`` is something else, or cannot be made.
    """
    check_place(path)
    empty = skeleton(spec).assign_attrs({LABEL: json.dumps(dict(label), sort_keys=True, ensure_ascii=False)})
    try:
        remove(part)
        with quiet_zarr():
            empty.to_zarr(part, mode="w", zarr_format=3, consolidated=False)
            for variable in spec.variables:
                _create_array(part / variable.name, spec, variable)
                (part / variable.name / "c").mkdir()
            zarr.consolidate_metadata(part)
        publish(part, path)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        remove(part)


def check_place(path: Path) -> None:
    """Raise GeoadaptError where ``path`` is something else than a forecast store or an empty folder."""
    if path.exists() and label_of(path) is None and any(path.iterdir() if path.is_dir() else [path]):
        raise GeoadaptError(path, "exists, and is no forecast store of geoadapt", "name another --output")


def label_of(path: Path) -> dict[str, Any] | None:
    """What ``create_store`` was told about the job; None where ``path`` is no such store."""
    try:
        found = json.loads((path / "zarr.json").read_bytes())["attributes"][LABEL]
        label = json.loads(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return label if isinstance(label, dict) else None


class ForecastStore:
    """Writes states into a store; used from one thread, and as a context manager it leaves nothing unfinished behind.

    It holds at most one chunk of each variable for every init time at hand, as long as a lead time's members come one
    after the other, and then the next lead.
    """

    def __init__(self, path: Path, spec: ForecastSpec, staging: Path) -> None:
        """``staging``: a folder for chunks of unfinished init times, on the same disk; it is removed at the end."""
        self.path = path
        self.spec = spec
        self._staging = staging
        self._blocks: dict[tuple[str, int, int, int], _Block] = {}
        with self._explained():
            remove(staging)
            staging.mkdir(parents=True)
            self._arrays = {v.name: _create_array(staging / v.name, spec, v) for v in spec.variables}

    def write(self, places: Sequence[int], number: int, lead: int, values: NDArray[np.float32]) -> None:
        """Put a state (b, c, h, w) of the init times at ``places``, by the positions of its member and lead."""
        for variable in self.spec.variables:
            for place, state in zip(places, values, strict=True):
                self._add(variable, place, number, lead, state)

    def commit(self, places: Sequence[int]) -> dict[int, list[Path]]:
        """Flush complete init times to the disk and move them into the store; returns their folders, one a variable."""
        for place in {key[1] for key in self._blocks} & set(places):
            raise GeoadaptError(self.path, f"{self.spec.init_times[place]} lacks leads or members", "write all of them")
        made = {p: [self._chunks(self.path, v.name, p) for v in self.spec.variables] for p in places}
        finals = [final for folders in made.values() for final in folders]
        with self._explained():
            parts = [self._staging / final.relative_to(self.path) for final in finals]
            inner = sorted(path for part in parts for path in part.rglob("*"))
            _flush([path for path in inner if path.is_file()])
            _flush([*(path for path in inner if path.is_dir()), *parts])
            for part, final in zip(parts, finals, strict=True):
                _move(part, final)
            _flush(sorted({final.parent for final in finals}))
        return made

    def drop(self, place: int) -> None:
        """Forget what was written of an init time that will not be finished."""
        for key in [key for key in self._blocks if key[1] == place]:
            del self._blocks[key]
        for variable in self.spec.variables:
            remove(self._chunks(self._staging, variable.name, place))

    def __enter__(self) -> ForecastStore:
        """This store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not committed."""
        self._blocks.clear()
        remove(self._staging)

    def _add(self, variable: ForecastVariable, place: int, number: int, lead: int, state: NDArray[np.float32]) -> None:
        members, leads, _ = self.spec.blocks(variable)
        key = (variable.name, place, number // members, lead // leads)
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = self._block(variable, key[2] * members, key[3] * leads)
        block.put(number, lead, state[list(variable.channels)])
        if not block.left:
            index: tuple[Any, ...] = (place, block.numbers, block.leads)
            values = block.values
            if self.spec.numbers is None:
                index, values = (place, block.leads), values[0]
            with self._explained():
                self._arrays[variable.name][index] = values if variable.levels else values[..., 0, :, :]
            del self._blocks[key]

    def _block(self, variable: ForecastVariable, number: int, lead: int) -> _Block:
        members, leads, _ = self.spec.blocks(variable)
        numbers = slice(number, min(number + members, len(self.spec.numbers or (0,))))
        ahead = slice(lead, min(lead + leads, len(self.spec.leads)))
        levels = self.spec.levels() if variable.levels else (0.0,)
        rows = tuple(levels.index(level) for level in variable.levels or (0.0,))
        count, length = numbers.stop - number, ahead.stop - lead
        shape = (count, length, len(levels), len(self.spec.latitude), len(self.spec.longitude))
        return _Block(np.full(shape, np.nan, np.float32), numbers, ahead, rows, count * length)

    @staticmethod
    def _chunks(root: Path, name: str, place: int) -> Path:
        return root / name / "c" / str(place)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _cannot(self.path, error) from error


@dataclass(slots=True)
class _Block:
    """Fields (members, leads, levels, h, w) of one variable and init time that make one row of chunks."""

    values: NDArray[np.float32]
    numbers: slice
    leads: slice
    rows: tuple[int, ...]
    """Where the variable's own levels stand among all."""
    left: int
    """States that are still to come."""

    def put(self, number: int, lead: int, fields: NDArray[np.float32]) -> None:
        self.values[number - self.numbers.start, lead - self.leads.start, list(self.rows)] = fields
        self.left -= 1


def _create_array(path: Path, spec: ForecastSpec, variable: ForecastVariable) -> Any:
    members, leads, levels = spec.blocks(variable)
    sizes = {"time": 1, "number": members, "prediction_timedelta": leads, "level": levels}
    dims, shape = spec.dims(variable), spec.shape(variable)
    with quiet_zarr():
        return zarr.create_array(
            path,
            shape=shape,
            dtype="float32",
            chunks=tuple(sizes.get(dim, size) for dim, size in zip(dims, shape, strict=True)),
            compressors=BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
            fill_value=np.nan,
            dimension_names=dims,
            attributes=dict(variable.attributes),
            zarr_format=3,
        )


def _flush(paths: Sequence[Path]) -> None:
    """Have files or folders on the disk, several at once: the disk's journal then takes them together."""
    with ThreadPoolExecutor(FLUSHED) as pool:
        for _ in pool.map(_fsync, paths):
            pass


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(part: Path, final: Path) -> None:
    """Rename a folder into place; where one was there, none is for a moment, and its manifest line does not match."""
    remove(final)
    os.replace(part, final)


def _cannot(path: Path, error: OSError) -> GeoadaptError:
    hint = "check the free space and the rights of its folder"
    return GeoadaptError(path, f"cannot be written: {error.strerror or error}", hint)
