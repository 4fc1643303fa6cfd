from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from benchmarks.speed import stack


def test_the_benchmark_ends_with_its_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["stack", "--size", "32", "--dates", "2", "--folder", str(tmp_path)])
    monkeypatch.setattr(stack, "measured", stack._inside)
    stack.main()
    shown = capsys.readouterr().out
    last = json.loads(shown.splitlines()[-1])
    assert last["name"] == "stack" and set(last["ratios"]) == set(stack.LIMITS)
    assert "simulated" in shown and "16 × 32" in shown and "32 × 32" in shown


def test_simulated_stacks_have_clouds_that_move(tmp_path: Path) -> None:
    stack.write_stack(tmp_path / "s", 96, 64, 3)
    clouds = []
    for path in sorted((tmp_path / "s").glob("*.tif")):
        with rasterio.open(path) as file:
            assert file.descriptions == (*stack.BANDS, "SCL") and file.block_shapes[0] == (512, 512)
            clouds.append(file.read(7) == stack.CLOUD)
    assert 0.05 < np.mean(clouds) < 0.95 and (clouds[0] != clouds[1]).any()
