"""Small Parquet tables read whole, as tortilla files keep beside their samples; through pyarrow, which is an extra.

In: the bytes of a Parquet file. Out: a ``Table``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geoadapt.errors import GeoadaptError

__all__ = ["Table", "read_table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, each a list with one value per row, None where it is missing."""

    columns: dict[str, list[Any]]
    rows: int

    def row(self, index: int) -> dict[str, Any]:
        """Column → value of one row."""
        return {name: values[index] for name, values in self.columns.items()}


def read_table(data: bytes, where: object) -> Table:
    """The table in ``data``; raises GeoadaptError, which names ``where``, for damaged bytes and without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise GeoadaptError(where, "its table needs pyarrow", "pip install geoadapt[geobench]") from error
    try:
        found = parquet.read_table(pyarrow.BufferReader(data))
        return Table(found.to_pydict(), found.num_rows)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise GeoadaptError(where, f"its table is no Parquet ({error})", "it is damaged: download it again") from error
