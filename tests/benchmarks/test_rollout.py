from __future__ import annotations

import json
import sys

import pytest

from benchmarks.speed import rollout


def test_the_benchmark_ends_with_its_ratio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--height", "8", "--patch", "2", "--inits", "2", "--leads", "3", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["rollout", *words])
    rollout.main()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["name"] == "rollout" and last["ratios"]["rollout_over_model"] > 0
