"""``geoadapt inspect``: every name that a file system allows, one file after the other, nothing dropped silently."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geoadapt.cli import main
from tests.cli.test_grammar import ODD_NAMES


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "width": 5, "height": 4, "count": 2, "dtype": "uint16", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", transform=from_origin(500000, 5e6, 10, 10), **profile) as made:
        made.write(np.arange(40, dtype=np.uint16).reshape(2, 4, 5))


@pytest.mark.parametrize("name", [name for name in ODD_NAMES if "://" not in name])
def test_a_file_is_found_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / name)
    assert main(["inspect", "--json", name]) == 0
    assert json.loads(capsys.readouterr().out)["bands"]


def test_a_file_that_cannot_be_read_is_said_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path / "good.tif")
    (tmp_path / "bad.tif").write_bytes(b"II*\0 and no more")
    names = [str(tmp_path / name) for name in ("bad.tif", "absent.tif", "good.tif")]
    assert main(["inspect", *names]) == 1
    shown = capsys.readouterr()
    assert "good.tif" in shown.out
    errors = shown.err.strip().splitlines()
    assert [line.split(":")[1].rsplit("/", 1)[-1] for line in errors] == ["bad.tif", "absent.tif"]


def test_no_file_is_a_mistake_of_the_caller(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect"]) == 2
    assert "no file is named" in capsys.readouterr().err


def test_the_system_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--system", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["packages"]["torch"] and found["drivers"]["GTiff"] and found["cores"] >= 1
