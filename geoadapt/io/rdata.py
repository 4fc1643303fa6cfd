"""R's stored objects (``.rda``, ``.rds``), read as plain data: vectors, lists, data frames. Nothing of them is run.

In: a file in R's XDR serialisation, versions 2 and 3, plain or compressed by gzip, bzip2 or xz. Out: numpy arrays and
lists with their attributes. Functions, environments' contents and byte code are refused.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["RVector", "frame_columns", "read_rdata"]

MOST = 1 << 30
"""Unpacked bytes; a small file that holds more was made to fill the memory."""
DEEPEST = 200
"""Lists in lists."""
OPENERS: dict[bytes, Callable[[BytesIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
NOTHING = {254, 253, 252, 251, 250, 242, 241}
"""NULL, and R's own environments and markers."""
SYMBOL, PAIRS, ENVIRONMENT, CALL, TEXT = 1, 2, 4, 6, 9
LOGICAL, INTEGER, REAL, STRINGS, LIST, RAW = 10, 13, 14, 16, 19, 24
ALTERNATIVE, REFERENCE = 238, 255
ATTRIBUTES, TAG = 0x200, 0x400
MISSING = -(2**31)
DAMAGED = (EOFError, OSError, struct.error, lzma.LZMAError, UnicodeDecodeError, IndexError)


@dataclass(frozen=True, slots=True)
class RVector:
    """A vector or list with its attributes, such as ``names``, ``class``, ``levels``."""

    values: Any
    """An array of numbers, or a list of strings (None = missing) or of further values."""
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of its values; empty without any."""
        found = self.attributes.get("names")
        return list(found.values) if isinstance(found, RVector) else []

    @property
    def classes(self) -> list[str]:
        """What R takes it for, such as ``data.frame`` or ``Date``."""
        found = self.attributes.get("class")
        return list(found.values) if isinstance(found, RVector) else []


def read_rdata(path: str | Path) -> dict[str, Any]:
    """The objects of a file by name; a single one without a name (``.rds``) is called ``""``.

    Raises GeoadaptError for a file that is damaged, of another format, too large, or holds code.
    """
    try:
        content = _unpacked(Path(path))
        start = 5 if content[:5] in (b"RDX2\n", b"RDX3\n") else 0
        if content[start : start + 2] != b"X\n":
            raise GeoadaptError(path, "is no R data in XDR", "store it by save() or saveRDS() in R")
        reader = _Reader(content, start + 2, str(path))
        reader.header()
        found = reader.item()
    except DAMAGED as error:
        raise GeoadaptError(path, f"cannot be read ({type(error).__name__}: {error})", "take a fresh copy") from error
    return found if isinstance(found, dict) else {"": found}


def frame_columns(value: Any, where: str = "data frame") -> dict[str, Any]:
    """The columns of a data frame by name: arrays, lists of strings (factors by their levels), dates, lists.

    Raises GeoadaptError where it is none.
    """
    if not isinstance(value, RVector) or "data.frame" not in value.classes:
        raise GeoadaptError(where, "is no data frame", "expected one, or a tibble")
    return {name: _column(column) for name, column in zip(value.names, value.values, strict=True)}


def _column(value: Any) -> Any:
    if not isinstance(value, RVector):
        return value
    if "factor" in value.classes:
        levels = value.attributes["levels"].values
        return [None if n == MISSING else levels[n - 1] for n in value.values.tolist()]
    if "Date" in value.classes:
        days = np.asarray(value.values, np.float64)
        known = np.isfinite(days) & (days != MISSING)
        dates = np.where(known, days, 0).astype(np.int64).astype("datetime64[D]")
        return np.where(known, dates, np.datetime64("NaT"))
    return value.values


def _unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    opener = next((opener for magic, opener in OPENERS.items() if raw.startswith(magic)), None)
    if opener is None:
        return raw
    with opener(BytesIO(raw)) as file:
        content: bytes = file.read(MOST + 1)
    if len(content) > MOST:
        raise GeoadaptError(path, f"unpacks to more than {MOST >> 20} MiB", "store less in one file")
    return content


class _Reader:
    """Reads one item after the other; what was named before may be referred to again."""

    def __init__(self, content: bytes, at: int, path: str) -> None:
        self.content, self.at, self.path = content, at, path
        self.known: list[Any] = []
        self.depth = 0

    def header(self) -> None:
        """Raises GeoadaptError for versions other than 2 and 3."""
        version = self.integer()
        if version not in (2, 3):
            raise GeoadaptError(self.path, f"is of version {version}", "expected 2 or 3: save(…, version = 2)")
        self.at += 8
        if version == 3:  # noqa: PLR2004 - which names its encoding
            self.taken(self.integer())

    def item(self) -> Any:
        """The next item; pairs come as a mapping, symbols as their name, NULL as None."""
        flags = self.integer()
        kind = flags & 0xFF
        if kind in NOTHING:
            return None
        self.depth += 1
        if self.depth > DEEPEST:
            raise GeoadaptError(self.path, f"is nested more than {DEEPEST} deep", "do not use this file")
        try:
            return self._of(kind, flags)
        finally:
            self.depth -= 1

    def _of(self, kind: int, flags: int) -> Any:
        if kind == REFERENCE:
            return self.known[(flags >> 8 or self.integer()) - 1]
        if kind == SYMBOL:
            name = self.item()
            self.known.append(name)
            return name
        if kind == TEXT:
            length = self.integer()
            return None if length == -1 else self.taken(length).decode("utf-8", "replace")
        if kind == PAIRS:
            return self._pairs(flags)
        if kind == ALTERNATIVE:
            return self._alternative()
        if kind in (LOGICAL, INTEGER, REAL, RAW, STRINGS, LIST):
            values = self._vector(kind)
            attributes = self.item() if flags & ATTRIBUTES else None
            return RVector(values, attributes or {})
        raise GeoadaptError(self.path, f"holds code or what R alone knows (type {kind})", "store its data frame alone")

    def _vector(self, kind: int) -> Any:
        length = self.integer()
        if length < 0:
            raise GeoadaptError(self.path, "holds a vector of 2³¹ values or more", "store less in one file")
        if kind in (STRINGS, LIST):
            if length > len(self.content) - self.at:
                raise EOFError(f"a list of {length} values")
            return [self.item() for _ in range(length)]
        stored = {REAL: ">f8", RAW: "u1"}.get(kind, ">i4")
        size = np.dtype(stored).itemsize
        found: NDArray[Any] = np.frombuffer(self.taken(length * size), stored)
        return found.astype(found.dtype.newbyteorder("="))

    def _pairs(self, flags: int) -> dict[str, Any]:
        """A pairlist; values without a tag are numbered."""
        found: dict[str, Any] = {}
        while flags & 0xFF == PAIRS:
            if flags & ATTRIBUTES:
                self.item()
            tag = self.item() if flags & TAG else None
            found[str(len(found)) if tag is None else str(tag)] = self.item()
            flags = self.integer()
        if flags & 0xFF not in NOTHING:
            raise GeoadaptError(self.path, f"holds a list that ends with type {flags & 0xFF}", "take a fresh copy")
        return found

    def _alternative(self) -> Any:
        """A vector that R stores by a rule: a sequence, or a wrapper around another."""
        told, state, attributes = self.item(), self.item(), self.item()
        name = next(iter(told.values())) if isinstance(told, dict) and told else None
        if name in ("compact_intseq", "compact_realseq"):
            count, first, step = (float(v) for v in state.values)
            if not 0 <= count <= MOST // 8:
                raise GeoadaptError(self.path, f"holds a sequence of {count:g} values", "do not use this file")
            values = first + step * np.arange(int(count))
            return RVector(values.astype(np.int32) if name == "compact_intseq" else values, attributes or {})
        if isinstance(name, str) and name.startswith("wrap_"):
            inner = next(iter(state.values())) if isinstance(state, dict) else state.values[0]
            return RVector(inner.values, {**inner.attributes, **(attributes or {})})
        raise GeoadaptError(self.path, f"holds a vector stored as '{name}'", "store it by save(…, version = 2)")

    def integer(self) -> int:
        """The next 4 bytes."""
        (found,) = struct.unpack(">i", self.taken(4))
        return int(found)

    def taken(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if size < 0 or self.at + size > len(self.content):
            raise EOFError(f"{size} bytes at {self.at} of {len(self.content)}")
        self.at += size
        return self.content[self.at - size : self.at]
