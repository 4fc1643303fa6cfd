"""RELIABILITY.md 52: names with spaces and letters of any alphabet, very long ones, terminals that know only ASCII."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geoadapt.config import InferConfig
from geoadapt.inference.predict import predict
from tests.folders import ROOT
from tests.inference.fakes import FakeBundle
from tests.synth import scene, write_tif

ODD = "Wolken über São Paulo, (copy) [1] ~x=1 #2"
SMALL = InferConfig(tile=32, overlap=8, batch=2)


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_tif(path, scene(3, 40, 36, 0), names=("blue", "green", "red"))


def geoadapt(words: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONIO", "PYTHONUTF8"))}
    return subprocess.run(
        [sys.executable, "-m", "geoadapt", *words],
        cwd=cwd,
        env={**plain, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "utf-8"}])
def test_52_a_name_of_any_letters_is_inspected_whatever_the_locale(tmp_path: Path, environment: dict[str, str]) -> None:
    written(tmp_path / f"{ODD}.tif")
    done = geoadapt(["inspect", f"{ODD}.tif"], tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert ODD in done.stdout and "40 × 36 px" in done.stdout


@pytest.mark.parametrize("verb", [["list"], ["inspect", f"{ODD}.tif"]])
def test_52_what_a_terminal_cannot_show_is_no_reason_to_fail(tmp_path: Path, verb: list[str]) -> None:
    written(tmp_path / f"{ODD}.tif")
    done = geoadapt(verb, tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and "Traceback" not in done.stderr


def test_52_an_error_about_an_odd_name_can_be_said_in_ascii_too(tmp_path: Path) -> None:
    done = geoadapt(["inspect", "nicht da: ü.tif"], tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nicht da: ") and "does not exist" in done.stderr


@pytest.mark.parametrize("name", ["n" * 250, "é" * 120, f"{'x' * 200} (copy) [1]"])
def test_52_a_name_as_long_as_a_file_system_takes_gives_outputs_with_names_that_it_takes(
    tmp_path: Path, name: str
) -> None:
    """Outputs add their own endings, for which such a name leaves no room."""
    folder, other = tmp_path / "in", f"{name[:-1]}y"
    for stem in (name, other):
        written(folder / f"{stem}.tif")
    results = predict([folder], FakeBundle(), tmp_path / "out", SMALL)
    assert [result.status for result in results] == ["done", "done"], [result.error for result in results]
    labels = [result.files["labels"] for result in results]
    assert len(set(labels)) == 2, "one scene's labels took the place of the other's"
    assert all(path.is_file() for path in labels)
    assert [r.status for r in predict([folder], FakeBundle(), tmp_path / "out", SMALL)] == ["skipped", "skipped"]
