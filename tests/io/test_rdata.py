"""R's stored tables: what is in them comes out, what is damaged or code is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.io.rdata import RVector, frame_columns, read_rdata


def integer(value: int) -> bytes:
    return struct.pack(">i", value)


def text(words: str | None) -> bytes:
    return integer(9) + (integer(-1) if words is None else integer(len(words.encode())) + words.encode())


def symbol(name: str) -> bytes:
    return integer(1) + text(name)


def strings(*words: str | None, attributes: bytes = b"") -> bytes:
    flags = 16 | (0x200 if attributes else 0)
    return integer(flags) + integer(len(words)) + b"".join(map(text, words)) + attributes


def numbers(*values: float, attributes: bytes = b"") -> bytes:
    flags = 14 | (0x200 if attributes else 0)
    return integer(flags) + integer(len(values)) + struct.pack(f">{len(values)}d", *values) + attributes


def integers(*values: int, attributes: bytes = b"") -> bytes:
    flags = 13 | (0x200 if attributes else 0)
    return integer(flags) + integer(len(values)) + struct.pack(f">{len(values)}i", *values) + attributes


def pairs(**values: bytes) -> bytes:
    return b"".join(integer(2 | 0x400) + symbol(tag) + value for tag, value in values.items()) + integer(254)


def frame(**columns: bytes) -> bytes:
    attributes = pairs(**{"names": strings(*columns), "class": strings("data.frame")})
    return integer(19 | 0x200) + integer(len(columns)) + b"".join(columns.values()) + attributes


def stored(path: Path, content: bytes, version: int = 2, pack: Callable[[bytes], bytes] = bytes) -> Path:
    head = b"X\n" + integer(version) + integer(0) + integer(0)
    head += integer(5) + b"UTF-8" if version == 3 else b""
    magic = b"RDX2\n" if version == 2 else b"RDX3\n"
    path.write_bytes(pack(magic + head + content))
    return path


DAYS = pairs(**{"class": strings("Date")})
FACTOR = pairs(**{"levels": strings("Forest", "Pasture"), "class": strings("factor")})
TABLE = {
    "x": numbers(1.5, float("nan")),
    "n": integers(3, -(2**31)),
    "day": numbers(16000, float("nan"), attributes=DAYS),
    "label": integers(2, 1, attributes=FACTOR),
    "word": strings("año", None),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["plain", "gz", "bz2", "xz"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_table_comes_out_as_it_went_in(tmp_path: Path, version: int, pack: Callable[[bytes], bytes]):
    found = read_rdata(stored(tmp_path / "a.rda", pairs(table=frame(**TABLE)), version, pack))
    columns = frame_columns(found["table"])
    assert columns["x"][0] == 1.5 and np.isnan(columns["x"][1])
    assert columns["n"].tolist() == [3, -(2**31)]
    assert columns["day"][0] == np.datetime64("2013-10-22") and np.isnat(columns["day"][1])
    assert columns["label"] == ["Pasture", "Forest"]
    assert columns["word"] == ["año", None]


def test_a_name_may_be_referred_to_again(tmp_path: Path):
    again = integer(2 | 0x400) + integer(1 << 8 | 255) + numbers(2.0) + integer(254)
    content = integer(2 | 0x400) + symbol("a") + integer(14 | 0x200) + integer(1) + struct.pack(">d", 1.0) + again
    found = read_rdata(stored(tmp_path / "a.rda", content + integer(254)))
    assert found["a"].values.tolist() == [1.0] and found["a"].attributes["a"].values.tolist() == [2.0]


def test_sequences_and_wrapped_vectors_are_vectors(tmp_path: Path):
    def alternative(name: str, state: bytes) -> bytes:
        told = integer(2) + symbol(name) + integer(2) + symbol("base") + integer(254)
        return integer(238) + told + state + integer(254)

    inner = integer(19) + integer(2) + numbers(4.0, 5.0) + integers(0, 0)
    content = pairs(a=alternative("compact_intseq", numbers(4, 2, 3)), b=alternative("wrap_real", inner))
    found = read_rdata(stored(tmp_path / "a.rda", content, 3))
    assert found["a"].values.tolist() == [2, 5, 8, 11] and found["b"].values.tolist() == [4.0, 5.0]
    many = pairs(a=alternative("compact_intseq", numbers(1e15, 1, 1)))
    with pytest.raises(GeoadaptError, match="do not use"):
        read_rdata(stored(tmp_path / "b.rda", many, 3))


def test_one_object_without_a_name(tmp_path: Path):
    path = tmp_path / "a.rds"
    path.write_bytes(gzip.compress(b"X\n" + integer(2) + integer(0) * 2 + numbers(7.0)))
    found = read_rdata(path)[""]
    assert isinstance(found, RVector) and found.values.tolist() == [7.0]


def test_damage_and_code_are_refused(tmp_path: Path):
    whole = stored(tmp_path / "a.rda", pairs(table=frame(**TABLE))).read_bytes()
    for cut in range(0, len(whole), 7):
        (tmp_path / "cut.rda").write_bytes(whole[:cut])
        with pytest.raises(GeoadaptError):
            read_rdata(tmp_path / "cut.rda")
    with pytest.raises(GeoadaptError, match="holds code"):
        read_rdata(stored(tmp_path / "f.rda", pairs(f=integer(3))))
    with pytest.raises(GeoadaptError, match="version 4"):
        read_rdata(stored(tmp_path / "v.rda", b"", 4))
    with pytest.raises(GeoadaptError, match="cannot be read"):
        read_rdata(stored(tmp_path / "l.rda", integer(19) + integer(2**30)))
    with pytest.raises(GeoadaptError, match="nested"):
        read_rdata(stored(tmp_path / "n.rda", (integer(19) + integer(1)) * 300))
    with pytest.raises(GeoadaptError, match="no data frame"):
        frame_columns(read_rdata(stored(tmp_path / "p.rda", pairs(a=numbers(1.0))))["a"])
    with pytest.raises(GeoadaptError, match="no R data"):
        (tmp_path / "x.rda").write_bytes(b"A\nPK")
        read_rdata(tmp_path / "x.rda")


def test_real_tables(data_dir: Path):
    root = data_dir / "timeseries" / "sits_modis_jp2"
    for name, count, bands in (("cerrado_2classes", 746, ["NDVI", "EVI"]), ("samples_modis_ndvi", 1218, ["NDVI"])):
        columns = frame_columns(read_rdata(root / f"{name}.rda")[name])
        assert len(columns["label"]) == count
        series = frame_columns(columns["time_series"][0])
        assert list(series) == ["Index", *bands] and series["Index"].dtype.kind == "M"
        assert -0.2 < series["NDVI"].min() < series["NDVI"].max() < 1
