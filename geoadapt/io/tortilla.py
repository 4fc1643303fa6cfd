"""Tortilla files: many samples' rasters in one file, with a Parquet table that says where each lies.

In: a ``.tortilla`` file, or its parts ``NAME.0000.part.tortilla``, ``NAME.0001.part.tortilla`` …. Out: an ``Item`` per
sample, and their pixels, read from a byte range of the file without unpacking it.

The layout is that of the TACO specification 0.2.0 for TORTILLA: a header of 200 bytes, little-endian (magic ``#y``,
offset of the footer, its length, number of parts), the samples, and the footer, a table with the columns
``tortilla:id``, ``tortilla:file_format``, ``tortilla:offset``, ``tortilla:length`` and others. A sample may be a
tortilla itself, whose offsets count from its own beginning.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import DRIVERS, quiet
from geoadapt.io.parquet import Table, read_table
from geoadapt.io.reason import reason

__all__ = ["ENDINGS", "HEADER", "MAGIC", "Image", "Item", "inside", "items_in", "tortillas_under", "whole_file"]

MAGIC = b"#y"
HEADER = 200
"""Length of the header [bytes]."""
COLUMNS = ("tortilla:id", "tortilla:file_format", "tortilla:offset", "tortilla:length")
NESTED = "TORTILLA"
ARRAYS, DATA = "HDF5", "data"
"""A format of arrays, and what the one is called that holds an item's pixels."""
ENDINGS = {".tif": "GTiff", ".tiff": "GTiff", ".png": "PNG", ".jp2": "JP2OpenJPEG"}
"""What files that stand alone end in, and their format."""
REFUSED = ("VRT",)
"""Formats that point to other files, or bring code."""
RATIO = 1_000_000
PART = re.compile(r"^(?P<name>.+)\.(?P<number>\d{4})\.part\.tortilla$")


@dataclass(frozen=True, slots=True)
class Image:
    """A raster: values (c, h, w) as stored, the number that stands for no data, and its bands' descriptions."""

    values: NDArray[Any]
    nodata: float | None
    bands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A sample, or a part of one: a byte range of a file, and its row of the table."""

    name: str
    format: str
    """GDAL's name of the format; ``TORTILLA`` where it holds items of its own."""
    path: Path
    offset: int
    length: int
    row: Mapping[str, Any]

    @property
    def nested(self) -> bool:
        """Whether it holds items of its own."""
        return self.format.upper() == NESTED

    def __str__(self) -> str:
        return f"{self.path} › {self.name}"

    def read(self) -> Image:
        """Its pixels; raises GeoadaptError for a format that is no raster, or bytes that are damaged.

        An array in HDF5 of several dates (t, c, h, w) gives these one after the other.
        """
        if self.format.upper() == ARRAYS:
            return self._array()
        drivers = [d for d in DRIVERS if d.upper() == self.format.upper() and d not in REFUSED]
        if not drivers:
            hint = "rasters that GDAL reads are taken; convert the others"
            raise GeoadaptError(self, f"is of the format '{self.format}'", hint)
        name = f"/vsisubfile/{self.offset}_{self.length},{self.path}"
        try:
            with quiet(), rasterio.Env(), rasterio.open(name, driver=drivers[0]) as source:
                self._check_size(source.width * source.height * sum(np.dtype(d).itemsize for d in source.dtypes))
                bands = tuple(d or "" for d in source.descriptions)
                return Image(source.read(), source.nodata, bands)
        except (RasterioError, OSError, ValueError) as error:
            text = reason(error.__cause__ or error)
            raise GeoadaptError(self, f"cannot be read ({text})", "the file is damaged: download it again") from error

    def _array(self) -> Image:
        """The pixels of an array in HDF5; nothing that it points to outside of itself is followed."""
        import h5py

        with self.path.open("rb") as file:
            file.seek(self.offset)
            stream = io.BytesIO(file.read(self.length))
        try:
            with h5py.File(stream, "r") as stored:
                if not isinstance(stored.get(DATA, getlink=True), h5py.HardLink):
                    raise GeoadaptError(self, f"holds {sorted(stored)}", f"expected an array called {DATA}")
                array = stored[DATA]
                if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
                    raise GeoadaptError(self, f"its {DATA} is no array of its own", "download it again")
                if array.ndim not in (2, 3, 4) or array.dtype.kind not in "iuf":
                    problem = f"holds {array.dtype} of shape {array.shape}"
                    raise GeoadaptError(self, problem, "expected numbers (t, c, h, w), (c, h, w) or (h, w)")
                self._check_size(array.nbytes)
                values = np.asarray(array[()])
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise GeoadaptError(
                self, f"cannot be read ({reason(error)})", "the file is damaged: download it again"
            ) from error
        values = values.reshape(-1, *values.shape[-2:])
        return Image(values, None, ("",) * len(values))

    def _check_size(self, declared: int) -> None:
        """Raises GeoadaptError for more bytes than what is stored can hold."""
        if declared > max(2**30, self.length * RATIO):
            raise GeoadaptError(self, f"declares {declared / 2**30:,.0f} GiB", "it is damaged")


def tortillas_under(root: Path) -> dict[str, list[Path]]:
    """Name → its files in order, of every tortilla in ``root`` itself; a file without parts is alone.

    Raises GeoadaptError where a part is missing.
    """
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(root.glob("*.tortilla")):
        match = PART.match(path.name)
        name, number = (match["name"], int(match["number"])) if match else (path.stem, 0)
        found.setdefault(name, {})[number] = path
    for name, parts in found.items():
        _check_parts(root, name, parts)
    return {name: [parts[n] for n in sorted(parts)] for name, parts in found.items()}


def items_in(path: Path) -> list[Item]:
    """The samples of one file; raises GeoadaptError for a file that is no tortilla, cut short, or damaged."""
    size = path.stat().st_size if path.is_file() else -1
    if size < 0:
        raise GeoadaptError(path, "is not there", "check the path")
    return _items(path, 0, size, path)


def inside(item: Item) -> list[Item]:
    """The items of a nested one, else the item itself."""
    return _items(item.path, item.offset, item.length, item) if item.nested else [item]


def whole_file(path: Path, row: Mapping[str, Any] | None = None) -> Item:
    """A raster file of its own as an item, by the file's name."""
    return Item(path.stem, ENDINGS[path.suffix.lower()], path, 0, path.stat().st_size, row or {})


def _items(path: Path, start: int, length: int, where: object) -> list[Item]:
    with path.open("rb") as file:
        file.seek(start)
        offset, size, _ = _header(file.read(HEADER), length, where)
        file.seek(start + offset)
        table = read_table(file.read(size), where)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        known = ", ".join(table.columns)
        raise GeoadaptError(where, f"its table lacks {', '.join(missing)}", f"it has {known}")
    return [_item(path, start, offset, table, n, where) for n in range(table.rows)]


def _item(path: Path, start: int, end: int, table: Table, index: int, where: object) -> Item:
    row = table.row(index)
    name, kind, offset, length = (row[column] for column in COLUMNS)
    if not isinstance(offset, int) or not isinstance(length, int) or not HEADER <= offset <= end - length or length < 1:
        problem = f"sample '{name}' is said to lie at {offset} + {length} bytes, outside of {HEADER} to {end}"
        raise GeoadaptError(where, problem, "the file is damaged: download it again")
    return Item(str(name), str(kind), path, start + offset, length, row)


def _header(data: bytes, length: int, where: object) -> tuple[int, int, int]:
    """Offset and length of the footer, and the number of parts."""
    if len(data) < HEADER or data[:2] != MAGIC:
        problem = f"begins with {data[:2]!r}, a tortilla with {MAGIC!r}"
        raise GeoadaptError(where, problem, "is it complete, and no pointer of Git LFS? download it again")
    offset, size, parts = struct.unpack_from("<QQQ", data, 2)
    if offset < HEADER or offset + size > length:
        problem = f"has {length:,} bytes, its table ends at {offset + size:,}"
        raise GeoadaptError(where, problem, "it is cut short: download it again")
    return offset, size, parts


def _check_parts(root: Path, name: str, parts: Mapping[int, Path]) -> None:
    first = parts[min(parts)]
    with first.open("rb") as file:
        announced = _header(file.read(HEADER), first.stat().st_size, first)[2]
    wanted = range(max(announced, max(parts) + 1, 1))
    missing = [f"{name}.{n:04d}.part.tortilla" for n in wanted if n not in parts]
    if missing:
        listed = ", ".join(missing[:5])
        raise GeoadaptError(root, f"{len(parts)} of {len(wanted)} parts are there", f"download {listed} too")
