from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import part_path, staged, staged_folder, sweep, write_text


def test_a_file_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = write_text(tmp_path / "deep/ü.txt", "old")
    with staged(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.parent == path.parent
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), staged(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    for number in (1, 2):
        with staged_folder(path) as part:
            (part / f"{number}.txt").write_text("x")
    assert [p.name for p in path.iterdir()] == ["2.txt"]
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(RuntimeError), staged_folder(path) as part:
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_file_name_still_has_a_temporary_neighbour(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 126 + "abc")
    assert len(os.fsencode(part_path(path).name)) <= 255
    write_text(path, "x")
    assert path.read_text() == "x"


def test_an_impossible_place_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GeoadaptError, match="file/a.txt: cannot be written"):
        write_text(tmp_path / "file/a.txt", "x")


def test_sweeping_removes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead = tmp_path / f".a.tif.{int(done.stdout)}.part"
    alive = tmp_path / f".a.tif.{os.getpid()}.part"
    other = tmp_path / ".hidden.part"
    for path in (dead, alive, other, dead.with_name(dead.name + ".ovr.tmp")):
        path.write_text("")
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([alive, other])
