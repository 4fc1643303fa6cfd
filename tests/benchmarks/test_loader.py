from __future__ import annotations

import json
import sys

import pytest

from benchmarks.speed import loader


def test_the_benchmark_ends_with_its_ratio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["loader", "--size", "520", "--chips", "3", "--rounds", "1"])
    loader.main()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["name"] == "loader" and last["ratios"]["loader_over_window"] > 0
