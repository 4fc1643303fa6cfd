"""Parquet tables: what is written is read, and what is damaged or cannot be read is said."""

from __future__ import annotations

import io
import sys

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from geoadapt.errors import GeoadaptError
from geoadapt.io.parquet import read_table
from tests.folders import folder

STATIONS = folder("data") / "stations" / "2020-01.parquet"
COLUMNS = {"tortilla:id": ["a", "b", None], "lat": [1.5, None, -3.0], "labels": [["water"], None, ["crops", "forêt"]]}


def written(codec: str) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(COLUMNS), stream, compression=codec)
    return stream.getvalue()


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "brotli"])
def test_a_table_is_read_column_by_column(codec):
    table = read_table(written(codec), codec)
    assert (table.rows, table.columns) == (3, COLUMNS)
    assert table.row(2)["labels"] == ["crops", "forêt"]


@pytest.mark.parametrize("size", [0, 3, 40, -1])
def test_a_table_cut_short_is_an_error_that_names_the_file(size):
    with pytest.raises(GeoadaptError, match=r"cut.*no Parquet"):
        read_table(written("snappy")[:size], "cut")


def test_without_pyarrow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(GeoadaptError, match=r"geoadapt\[geobench\]"):
        read_table(b"", "meta")


@pytest.mark.skipif(not STATIONS.exists(), reason="GEOADAPT_DATA has no stations")
def test_a_real_table_of_stations_is_read():
    table = read_table(STATIONS.read_bytes(), STATIONS)
    latitude = np.array([np.nan if v is None else v for v in table.columns["latitude"]])
    assert table.rows == len(latitude) > 1000
    assert np.nanmin(latitude) >= -90 and np.nanmax(latitude) <= 90 and np.isfinite(latitude).mean() > 0.9
