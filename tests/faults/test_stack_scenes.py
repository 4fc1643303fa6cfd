"""RELIABILITY.md, damaged input, for stacks: a scene that cannot be read ends the run, or is left out and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geoadapt.cli import main
from tests.cubes.test_series_damage import as_cog, cut
from tests.synth import scene, write_tif

SIDE, BLOCK = 400, 32
QUICK = ["infer.tile=128", "infer.animation=false", "infer.zarr=false", "infer.composites=[]"]
ASKED = ["--method", "temporal_median", "--mask", "none", "-o", "out", *QUICK]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with three dates of one band in small blocks."""
    monkeypatch.chdir(tmp_path)
    for i, day in enumerate(("20220601", "20220611", "20220621")):
        as_cog(write_tif(tmp_path / "s" / f"s_{day}.tif", scene(1, SIDE, SIDE, i), names=("red",)), BLOCK)
    return tmp_path


def garble(path: Path, row: int, col: int) -> None:
    """Overwrite the compressed bytes of one block, so that only decoding it tells."""
    with rasterio.open(path) as file:
        start = int(file.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", 1))
        size = int(file.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", 1))
    data = bytearray(path.read_bytes())
    data[start : start + size] = b"\xff" * size
    path.write_bytes(bytes(data))


def told(here: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((here / "out" / "run.json").read_text())
    return found


def dates(here: Path) -> list[str]:
    return sorted(path.name for path in (here / "out").glob("*_clear.tif"))


@pytest.mark.parametrize("damaged", ["error", "skip"])
def test_damage_that_shows_in_mid_run_names_the_file_and_leaves_nothing_that_looks_finished(
    here: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = here / "s" / "s_20220611.tif"
    whole = bad.read_bytes()
    garble(bad, 10, 10)  # no block that is looked at on opening, nor one of the first that are restored
    words = ["predict", "s", *ASKED, f"infer.damaged={damaged}"]
    assert main([*words, "--dry-run"]) == 0
    capsys.readouterr()
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "s_20220611.tif: its pixels cannot be read from row" in said
    assert told(here)["counts"]["failed"] == 1 and told(here)["stacks"][0]["files"] == {}
    assert sorted(p.name for p in (here / "out").iterdir()) == [".lock", "run.json"]
    bad.write_bytes(whole)
    assert main(words) == 0
    assert len(dates(here)) == 3 and told(here)["stacks"][0]["status"] == "done"


def test_a_scene_that_is_cut_short_ends_the_run_or_is_left_out_and_counted(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = here / "s" / "s_20220611.tif"
    whole = bad.read_bytes()
    cut(bad, 0.7)
    assert main(["predict", "s", *ASKED]) == 1
    assert "s_20220611.tif: is cut short" in capsys.readouterr().err
    assert dates(here) == []

    words = ["predict", "s", *ASKED, "infer.damaged=skip"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "1 of 3 scenes cannot be read and were left out: s_20220611.tif" in shown
    (stack,) = told(here)["stacks"]
    assert stack["counts"] == {"dates": 2, "left_out": 1}
    assert any("s_20220611.tif" in note for note in stack["notes"])
    assert dates(here) == ["s_20220601_clear.tif", "s_20220621_clear.tif"]

    assert main(words) == 0  # skipped, for nothing changed, but what is left out is told again
    (stack,) = told(here)["stacks"]
    assert stack["status"] == "skipped" and stack["counts"]["left_out"] == 1
    assert any("s_20220611.tif" in note for note in stack["notes"])

    bad.write_bytes(whole)
    assert main(words) == 0
    (stack,) = told(here)["stacks"]
    assert stack["status"] == "done" and stack["counts"] == {"dates": 3, "left_out": 0} and len(dates(here)) == 3


def test_a_gap_and_doubles_are_errors_or_options(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "s", *ASKED, "infer.max_gap=9"]) == 1
    assert "has no date between 2022-06-01 and 2022-06-11; 2022-06-11 and 2022-06-21" in capsys.readouterr().err
    twin = np.full((1, SIDE, SIDE), 0.2, np.float32)
    write_tif(here / "s" / "s_20220611T120000.tif", twin, names=("red",))
    assert main(["predict", "s", *ASKED]) == 1
    assert "are both of 2022-06-11" in capsys.readouterr().err
    assert main(["predict", "s", *ASKED, "infer.duplicates=mosaic", "infer.max_gap=10"]) == 0
    assert len(dates(here)) == 3
    for key, hint in (("infer.damaged=skp", "did you mean 'skip'"), ("infer.max_gap=0", "choose more than 0")):
        assert main(["predict", "s", *ASKED, key]) == 2
        assert hint in capsys.readouterr().err
