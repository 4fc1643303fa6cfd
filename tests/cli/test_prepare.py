from __future__ import annotations

from pathlib import Path

import pytest

from data_pipelines import PIPELINES
from geoadapt.cli import main
from geoadapt.cli.costs import simulation_cost
from geoadapt.errors import GeoadaptError


def test_a_dry_run_names_the_scenes_that_are_then_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "made"
    words = ["prepare", "data=simulated", f"data.root={root}", "data.scenes=2", "data.size=64"]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "nothing was made" in said and "estimate" in said
    assert not root.exists()
    assert main(words) == 0
    names = [path.stem for path in sorted((root / "images").glob("*.tif"))]
    assert len(names) == 2 and all(name in said for name in names)


def test_a_dry_run_finds_what_the_run_would_fail_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for words, message in (
        ([f"data.root={tmp_path / 'file' / 'x'}"], "is a file; choose a folder"),
        (["data.sensors=[sentinel3]"], "'sentinel3' is unknown; did you mean 'sentinel2'?"),
        (["data=hrc_whu", f"data.root={tmp_path / 'hrc'}"], "download HRC_WHU"),
    ):
        assert main(["prepare", *(words if "data=" in words[0] else ["data=simulated", *words]), "--dry-run"]) == 1
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_of_mixed_data_the_part_that_can_be_made_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["prepare", "data=mixed", "data.simulated={scenes: 1, size: 64, root: sim}"]
    assert main([*words, "--dry-run"]) == 0
    assert "make      1 scene of 64 × 64 px in sim" in capsys.readouterr().out
    assert main(words) == 0
    assert "1 scene in sim: simulated_0_00_" in capsys.readouterr().out


def test_every_kind_of_data_is_called_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    series = ["data=simulated_series", "data.train=1", "data.val=1", "data.test=1", "data.size=64", "data.dates=6"]
    assert main(["prepare", *series, f"data.root={tmp_path / 'series'}"]) == 0
    assert f"3 simulated places in {tmp_path / 'series'}: " in capsys.readouterr().out
    planets = ["data=simulated_weather", "data.members=1", "data.years=1", f"data.root={tmp_path / 'planets'}"]
    assert main(["prepare", *planets, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "make      1 simulated planet of 1 year, every 24 h" in said and "where it is not there yet" in said
    monkeypatch.setitem(PIPELINES, "simulated_weather", lambda config: ["member_00.zarr"])
    assert main(["prepare", *planets]) == 0
    assert f"1 simulated planet in {tmp_path / 'planets'}: member_00.zarr" in capsys.readouterr().out


def test_the_cost_grows_with_scenes_and_pixels() -> None:
    one, four = simulation_cost(1, 64, ["sentinel2"]), simulation_cost(4, 64, ["sentinel2"])
    assert four.disk == 4 * one.disk == 4 * 64 * 64 * 13
    wide = simulation_cost(1, 384, ["sentinel2"])
    assert wide.disk == 36 * one.disk and wide.memory > one.memory
    assert (one + wide).disk == one.disk + wide.disk and (one + wide).memory == wide.memory
    with pytest.raises(GeoadaptError, match="sentinel3"):
        simulation_cost(1, 64, ["sentinel3"])
