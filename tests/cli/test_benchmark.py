"""``geoadapt benchmark``: what is typed, and what is refused before anything runs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from geoadapt.cli import benchmark, main
from geoadapt.leaderboard.loop import Benchmark, Outcome
from tests.leaderboard.small_suite import plan


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A suite of one's own, in a folder of one's own choices."""
    plan(tmp_path / "conf" / "suite")
    return [
        "benchmark",
        "--config-dir",
        str(tmp_path / "conf"),
        "suite=small",
        f"hydra.run.dir={tmp_path / 'out, (1)'}",
    ]


def test_a_dry_run_says_what_would_run_and_makes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--dry-run", "suite.trials=4", "train.steps=7"]) == 0
    told = capsys.readouterr().out
    assert "small: 2 data sets, 3 entries" in told
    assert "30: each pair 4 trials, then 2 seeds of the best" in told, "five pairs of six runs"
    assert "left out  removal: small_eo (random weights) + full: " in told
    assert str(tmp_path / "out, (1)") in told and not (tmp_path / "out, (1)").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["suite=smal"], "did you mean 'small'"),
        (["suite.trails=3"], "did you mean 'suite.trials'"),
        (["suite=geobench2"], "this suite is for records that are brought"),
        (["train.stebs=3"], "did you mean 'train.steps'"),
        (["hydra.sweep.dir=x"], "is no key of a benchmark"),
        (["train.lr=-1"], "train.lr"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    assert main([*words, *more]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out, (1)").exists()


def test_without_a_suite_the_known_ones_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark"]) == 2
    assert "smoke" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcome", "status", "told"),
    [
        (Outcome(made=3, found=2), 0, "runs      3 made, 2 found finished, 0 failed"),
        (
            Outcome(made=3, failed={"clouds: a, seed 1": "out of memory"}),
            1,
            "failed    clouds: a, seed 1: out of memory",
        ),
        (Outcome(left=4), 1, "left      4 of 25: the same command goes on"),
        (Outcome(made=3, missing={"clouds: a": "no such band"}), 0, "missing   clouds: a: no such band"),
        (Outcome(missing={"clouds: a": "no such folder"}), 1, "runs      0 made, 0 found finished, 0 failed"),
    ],
)
def test_what_failed_or_is_left_is_told_and_is_the_exit_status(
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Outcome,
    status: int,
    told: str,
) -> None:
    monkeypatch.setattr(Benchmark, "run", lambda self: outcome)
    root = logging.getLogger()
    before = [handler.level for handler in root.handlers]
    assert main(words) == status
    assert told in capsys.readouterr().out.splitlines()
    assert [handler.level for handler in root.handlers][: len(before)] == before


def test_a_file_in_the_folders_place_is_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out, (1)").write_text("x")
    assert main(words) == 1
    assert "out, (1): cannot be written: File exists; choose another hydra.run.dir" in capsys.readouterr().err


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark._teller()("a", 1, 9)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    tell = benchmark._teller()
    for done in range(1, 4):
        tell("clouds: a, trial 0", done, 9)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("3 of 9  clouds: a, trial 0, about ") and last.endswith("min left")
