"""Writing tortilla files, in the layout that ``geoadapt.io.tortilla`` reads.

In: rows of metadata with the bytes of their samples. Out: the bytes of a tortilla, or its files.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geoadapt.io.atomic import write_bytes
from geoadapt.io.tortilla import HEADER, MAGIC

__all__ = ["Sample", "tortilla", "write_parts"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample's bytes, their format by GDAL's name (``TORTILLA`` for a nested one), and columns of its own."""

    name: str
    data: bytes
    format: str = "GTiff"
    about: Mapping[str, Any] = field(default_factory=dict)


def tortilla(samples: Sequence[Sample], parts: int = 1) -> bytes:
    """A whole file; all samples have the same columns. ``parts`` is the number of files of the set."""
    rows: list[dict[str, Any]] = []
    at = HEADER
    for sample in samples:
        place = {"tortilla:offset": at, "tortilla:length": len(sample.data)}
        rows.append({"tortilla:id": sample.name, "tortilla:file_format": sample.format, **place, **sample.about})
        at += len(sample.data)
    footer = _table({name: [row[name] for row in rows] for name in rows[0]})
    head = MAGIC + struct.pack("<QQQ", at, len(footer), parts)
    return b"".join([head.ljust(HEADER, b"\0"), *(sample.data for sample in samples), footer])


def _table(columns: Mapping[str, Sequence[Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(dict(columns)), stream)
    return stream.getvalue()


def write_parts(folder: Path, name: str, samples: Sequence[Sample], parts: int = 1) -> list[Path]:
    """Write ``NAME.tortilla``, or ``NAME.0000.part.tortilla`` and so on; returns the paths."""
    if parts == 1:
        paths = [folder / f"{name}.tortilla"]
    else:
        paths = [folder / f"{name}.{n:04d}.part.tortilla" for n in range(parts)]
    share = -(-len(samples) // parts)
    for n, path in enumerate(paths):
        write_bytes(path, tortilla(samples[n * share : (n + 1) * share], parts))
    return paths
