"""``geoadapt prepare`` of GEO-Bench-2: stand-ins are made once, what is brought is checked by size and by hash."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipelines import PIPELINES
from data_pipelines.geobench2 import check_geobench2
from data_pipelines.geobench_standins import MANIFEST, StandinSpec, write_standins
from data_pipelines.tortilla import Sample, _table, tortilla, write_parts
from geoadapt.cli import main
from geoadapt.cubes.geobench2_files import PUBLISHED
from geoadapt.errors import GeoadaptError
from geoadapt.fields.geobench2_config import Geobench2Config, Geobench2StandinConfig
from tests.io.test_tortilla import geotiff

FEW = StandinSpec(train=2, val=1, test=1, size=8)


@pytest.fixture
def brought(tmp_path) -> Path:
    """A folder as someone would bring it."""
    write_standins(tmp_path, ["forestnet"], replace(FEW, files=2))
    return tmp_path / "forestnet"


def test_standins_are_made_once_and_again_where_the_request_differs(tmp_path):
    assert write_standins(tmp_path, ["caffe", "fotw"], FEW) == ["caffe", "fotw"]
    path = tmp_path / "caffe" / "caffe_SIMULATED.tortilla"
    first, when = path.read_bytes(), path.stat().st_mtime_ns
    write_standins(tmp_path, ["caffe", "fotw"], FEW)
    assert path.stat().st_mtime_ns == when
    write_standins(tmp_path, ["caffe"], replace(FEW, seed=1))
    assert path.read_bytes() != first
    write_standins(tmp_path, ["caffe"], FEW)
    assert path.read_bytes() == first
    assert "SIMULATED" in (tmp_path / "caffe" / "README.txt").read_text()


def test_real_files_are_never_replaced_by_standins(tmp_path):
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "geobench_caffe.tortilla").write_bytes(b"real")
    with pytest.raises(GeoadaptError, match="no stand-in"):
        write_standins(tmp_path, ["caffe"], FEW)
    assert (tmp_path / "caffe" / "geobench_caffe.tortilla").read_bytes() == b"real"


def test_the_command_makes_one_standin_and_says_what_it_would_make(tmp_path, capsys):
    words = ["prepare", "data=geobench2_standin", "data.dataset=forestnet", f"data.root={tmp_path}", "data.size=8"]
    words += ["data.train=2", "data.val=1", "data.test=1"]
    assert main([*words, "--dry-run"]) == 0
    assert "simulated stand-ins of forestnet, 4 samples of at most 8 px" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert main(words) == 0
    assert "1 simulated stand-in in" in capsys.readouterr().out
    assert (tmp_path / "forestnet" / MANIFEST).is_file()
    assert main(["prepare", "data=geobench2", "data.dataset=forestnet", f"data.root={tmp_path / 'forestnet'}"]) == 0
    assert "4 samples, sha256" in capsys.readouterr().out


def test_without_any_choice_all_fifteen_are_asked_for():
    assert Geobench2StandinConfig().dataset == "all"
    assert set(PIPELINES) >= {"geobench2", "geobench2_standin"}


def test_what_is_missing_is_said_with_where_to_get_it(tmp_path):
    with pytest.raises(GeoadaptError, match=r"huggingface.co/datasets/aialliance/benv2 \(hf download aialliance/benv2"):
        PIPELINES["geobench2"](Geobench2Config(dataset="benv2", root=str(tmp_path)))


def test_hashes_are_held_against_sums_and_nothing_is_claimed_without(brought):
    unknown = check_geobench2("forestnet", brought)
    assert len(unknown) == 2 and all("nothing here says what it should be" in line for line in unknown)
    paths = sorted(brought.glob("*.tortilla"))
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert all(value in line for value, line in zip(hashes, unknown, strict=True))
    (brought / "SHA256SUMS").write_text(f"{hashes[0]}  {paths[0].name}\n")
    beside = brought / ".cache" / "huggingface" / "download"
    beside.mkdir(parents=True)
    (beside / f"{paths[1].name}.metadata").write_text(f"{'0' * 40}\n{hashes[1]}\n1700000000.0\n")
    assert all("sha256 agrees" in line for line in check_geobench2("forestnet", brought))
    (beside / f"{paths[1].name}.metadata").write_text(f"{'0' * 40}\n{'a' * 64}\n1700000000.0\n")
    with pytest.raises(GeoadaptError, match=f"{paths[1].name}: has the sha256 {hashes[1][:16]}…, expected aaaa"):
        check_geobench2("forestnet", brought)


def test_what_the_benchmark_itself_states_of_a_file_is_asked(brought, monkeypatch):
    paths = sorted(brought.glob("*.tortilla"))
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    whole = {path.name: digest for path, digest in zip(paths, hashes, strict=True)}
    monkeypatch.setitem(PUBLISHED, "forestnet", whole)
    assert all("sha256 agrees" in line for line in check_geobench2("forestnet", brought))
    monkeypatch.setitem(PUBLISHED, "forestnet", {**whole, "forestnet_more.tortilla": "a" * 64})
    with pytest.raises(
        GeoadaptError, match=r"lacks forestnet_more.tortilla of ForestNet; download .*aialliance/forestnet"
    ):
        check_geobench2("forestnet", brought)
    monkeypatch.setitem(PUBLISHED, "forestnet", {**whole, paths[0].name: "a" * 64})
    with pytest.raises(GeoadaptError, match=f"{paths[0].name}: has the sha256 {hashes[0][:16]}…, expected aaaa"):
        check_geobench2("forestnet", brought)
    (brought / "SHA256SUMS").write_text(f"{hashes[0]}  {paths[0].name}\n")
    assert len(check_geobench2("forestnet", brought)) == 2


def plain(folder: Path, *, mapped: bool) -> Path:
    """Plain folders with one image each."""
    for split in ("train", "val", "test"):
        (folder / split / "images").mkdir(parents=True)
        (folder / split / "images" / "a.tif").write_bytes(geotiff(np.zeros((1, 4, 4), np.uint8)))
        (folder / split / "labels").mkdir()
        if mapped:
            (folder / split / "labels" / "a.tif").write_bytes(geotiff(np.zeros((1, 4, 4), np.uint8)))
        else:
            (folder / split / "labels.csv").write_text("name,label\na,1\n")
    return folder


def test_plain_folders_are_checked_split_by_split(tmp_path):
    maps, classes = plain(tmp_path / "maps", mapped=True), plain(tmp_path / "classes", mapped=False)
    assert [line.split(" ")[0] for line in check_geobench2("caffe", maps)] == [
        "train/images",
        "val/images",
        "test/images",
    ]
    assert len(check_geobench2("forestnet", classes)) == 3
    (classes / "test" / "labels.csv").unlink()
    with pytest.raises(GeoadaptError, match=r"test/labels\.csv: is not there"):
        check_geobench2("forestnet", classes)
    (maps / "test" / "labels" / "a.tif").unlink()
    with pytest.raises(GeoadaptError, match="test/labels: lacks the maps of 1 images: a"):
        check_geobench2("caffe", maps)
    (maps / "val" / "images" / "a.tif").write_bytes(b"")
    with pytest.raises(GeoadaptError, match=r"a\.tif › a: cannot be read"):
        check_geobench2("caffe", maps)
    (maps / "val" / "images" / "a.tif").unlink()
    with pytest.raises(GeoadaptError, match="holds no images in val/images or validation/images"):
        check_geobench2("caffe", maps)


def test_a_sample_without_rasters_is_named(tmp_path):
    empty = tortilla([Sample("x", b"x" * 9)])
    at = struct.unpack("<Q", empty[2:10])[0]
    none = _table({name: [] for name in ("tortilla:id", "tortilla:file_format", "tortilla:offset", "tortilla:length")})
    nested = empty[:10] + struct.pack("<Q", len(none)) + empty[18:at] + none
    write_parts(tmp_path, "set", [Sample("s", nested, "TORTILLA", {"tortilla:data_split": "train"})])
    with pytest.raises(GeoadaptError, match="› s: holds no raster"):
        check_geobench2("forestnet", tmp_path)


def test_a_file_cut_short_or_a_lost_part_is_named(brought):
    first, second = sorted(brought.glob("*.tortilla"))
    whole = second.read_bytes()
    second.write_bytes(whole[:-10])
    with pytest.raises(GeoadaptError, match="cut short"):
        check_geobench2("forestnet", brought)
    second.unlink()
    with pytest.raises(GeoadaptError, match=r"1 of 2 parts.*\.0001\.part"):
        check_geobench2("forestnet", brought)
    assert first.exists()


def test_sums_that_are_none_are_refused(brought):
    (brought / "SHA256SUMS").write_text("abc  file\n")
    with pytest.raises(GeoadaptError, match="line 1 is no 'HASH  NAME'"):
        check_geobench2("forestnet", brought)
