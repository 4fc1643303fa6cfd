from __future__ import annotations

from pathlib import Path

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.io.manifest import Manifest, config_hash, describe

STAMP = (2, 1)

STAMP = (2, 1)


def test_a_line_cut_short_counts_as_unfinished_and_the_next_one_is_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    entries = [
        describe(tmp_path, tmp_path / n, config="c", bundle="b", source="in.tif", stamp=STAMP, item=n)
        for n in ("a", "b")
    ]
    Manifest(tmp_path).append(entries[:1])
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert not Manifest(tmp_path).finished("a", "c", "b", STAMP)
    Manifest(tmp_path).append(entries)
    again = Manifest(tmp_path)
    assert again.finished("a", "c", "b", STAMP) and again.finished("b", "c", "b", STAMP)
    assert not again.finished("a", "other", "b", STAMP)
    assert not again.finished("a", "c", "other", STAMP)
    assert not again.finished("a", "c", "b", (3, 1))
    (tmp_path / "a").unlink()
    assert not again.finished("a", "c", "b", STAMP), "the manifest alone does not make a file exist"


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd"])
def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.tif"
    source.write_bytes(b"in")
    Manifest(tmp_path).append(
        [describe(tmp_path, source, config="c", bundle="b", source="in.tif", stamp=STAMP, item="i")]
    )
    path = tmp_path / "manifest.jsonl"
    path.write_text(path.read_text().replace('"path": "in.tif"', f'"path": "{name}"'))
    with pytest.raises(GeoadaptError, match="outside its folder"):
        Manifest(tmp_path)


def test_the_hash_of_a_configuration_does_not_depend_on_the_order_of_keys() -> None:
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1}) != config_hash({"a": 1, "b": 3})
