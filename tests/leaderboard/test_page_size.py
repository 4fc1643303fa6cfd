"""A leaderboard of thousands of runs stays a file that a browser opens at once."""

from __future__ import annotations

from pathlib import Path

from benchmarks.speed.report import made_runs, made_suite
from geoadapt.leaderboard.page import page_of, report
from geoadapt.leaderboard.records import append

LIMIT = 5_000_000
"""[bytes]"""
RUNS = 10_000
FIXED = 100_000
"""Style, script, heads and axes, which do not grow with the runs; they are more [bytes]."""


def test_ten_thousand_runs_would_fit(tmp_path: Path) -> None:
    runs = made_runs(2, 20, 5)
    append(tmp_path, runs)
    suite = tmp_path / "made.yaml"
    suite.write_text(made_suite(20), encoding="utf-8")
    size = len(page_of(report([tmp_path], suite=suite)).html().encode())
    assert len(runs) == 1200
    assert size < LIMIT
    assert FIXED + (size - FIXED) * RUNS / len(runs) < LIMIT, f"{size} bytes of {len(runs)} runs"
