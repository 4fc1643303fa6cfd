from __future__ import annotations

import json
import re
import sys

import pytest

from benchmarks.speed import verification


def test_the_benchmark_ends_with_its_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verification, "HEIGHT", 19)
    monkeypatch.setattr(verification, "WIDTH", 36)
    monkeypatch.setattr(
        sys, "argv", ["verification", "--dates", "3", "--members", "4", "--rounds", "1", "--stored", "2"]
    )
    verification.main()
    printed = capsys.readouterr().out
    last = json.loads(printed.splitlines()[-1])
    assert last["name"] == "verification"
    assert set(last["ratios"]) == {"speedup_over_scores", "over_memory_pass"}
    assert all(value > 0 for value in last["ratios"].values())
    assert [int(n) for n in re.findall(r"peak memory over (\d+) stored", printed)] == [2, 8]
