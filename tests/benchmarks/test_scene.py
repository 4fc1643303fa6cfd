from __future__ import annotations

import json
import sys

import pytest

from benchmarks.speed import scene


def test_the_benchmark_ends_with_its_four_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scene", "--size", "300", "--rounds", "1"])
    monkeypatch.setattr(scene, "peak_memory", lambda path, folder: 10.0)
    scene.main()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["name"] == "scene"
    assert set(last["ratios"]) == set(scene.LIMITS)
