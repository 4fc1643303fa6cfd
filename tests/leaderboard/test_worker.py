"""A record's command is one that somebody else can type."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from geoadapt.leaderboard.worker import typed


def test_a_command_names_no_place_of_the_machine_it_ran_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, here = tmp_path / "my data", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("GEOADAPT_DATA", str(data))
    folder = here / "outputs" / "a b"
    words = ["geoadapt", f"data.path={data}/x.nc", "data.test=[a, b]", f"hydra.run.dir={folder}/runs/1"]
    told = typed(words, folder)
    assert str(tmp_path) not in told
    assert shlex.split(told.replace("$GEOADAPT_DATA", str(data))) == [
        "geoadapt",
        f"data.path={data}/x.nc",
        "data.test=[a, b]",
        "hydra.run.dir=outputs/a b/runs/1",
    ]


def test_a_command_of_a_folder_elsewhere_is_typed_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOADAPT_DATA", raising=False)
    words = ["geoadapt", f"hydra.run.dir={tmp_path}/runs/1"]
    assert shlex.split(typed(words, tmp_path)) == words
