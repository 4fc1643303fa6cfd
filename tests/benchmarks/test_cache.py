from __future__ import annotations

import json
import sys

import pytest

from benchmarks.speed import cache


def test_the_benchmark_ends_with_its_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cache", "--quick"])
    cache.main()
    printed = capsys.readouterr().out
    last = json.loads(printed.splitlines()[-1])
    assert "random weights; simulated scenes" in printed
    assert last["name"] == "cache" and all(value > 0 for value in last["ratios"].values())
    assert set(cache.CASES) < set(last["ratios"])
