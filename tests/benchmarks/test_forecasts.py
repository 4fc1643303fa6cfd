"""The forecast tables say means, ranges and verdicts of what was run, and nothing of what was not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import forecasts, runs
from geoadapt.cli.compose import as_yaml, compose

CHANNEL = "mean_sea_level_pressure"


def metrics(shift: float = 0.0) -> dict[str, float]:
    """The model 400 + shift Pa, the ridge 450, the CNN 400, at every lead."""
    found = {"run/seconds": 1.0, "test/train_seconds": 1.0}
    for who, level in (("test", 400 + shift), ("eof_ridge", 450.0), ("cnn", 400.0)):
        found[f"{who}/parameters"] = 1000.0
        for lead in forecasts.ALL:
            tail = f"{CHANNEL}/{lead}h"
            found |= {f"{who}/rmse/{tail}": level, f"{who}/rmse_low/{tail}": level - 5}
            found[f"{who}/rmse_high/{tail}"] = level + 5
            if who != "test":
                gain = level - 400 - shift
                found |= {f"{who}/rmse_gain_low/{tail}": gain - 10, f"{who}/rmse_gain_high/{tail}": gain + 10}
    return found


def leave(task: runs.Task) -> str:
    task.folder.mkdir(parents=True, exist_ok=True)
    (task.folder / "config.yaml").write_text(as_yaml(compose(task.words)))
    (task.folder / "metrics.json").write_text(json.dumps(metrics(float(task.folder.name))))
    return ""


def test_runs_are_made_once_and_the_record_tells_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []
    monkeypatch.setattr(runs, "run", lambda task: started.append(task.name) or leave(task))
    record = tmp_path / "record.json"
    words = ["--run", "slp_natl", "--seeds", "2", "--folder", str(tmp_path), "--record", str(record), "data.path=a.nc"]
    assert forecasts.main(words) == 0
    assert started == ["slp_natl seed 0", "slp_natl seed 1"]
    said = capsys.readouterr().out
    assert "| **small_wx**, LoRA | 1,000 | 400 (400–401) | 400 (400–401) | 400 (400–401) |" in said
    assert "| EOF ridge regression | 2 / 0 / 0 | 2 / 0 / 0 | 2 / 0 / 0 |" in said
    assert "| small CNN from scratch, the same time | 0 / 2 / 0 | 0 / 2 / 0 | 0 / 2 / 0 |" in said
    assert "persistence" not in said, "it was not run"
    assert (tmp_path / "slp_natl.png").stat().st_size > 1000
    assert forecasts.main(words) == 0
    assert len(started) == 2, "a finished run was made again"


def test_what_fails_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "run", lambda task: "exit status 1: out of luck")
    words = ["--run", "slp_natl", "--seeds", "1", "--folder", str(tmp_path), "--record", str(tmp_path / "r.json")]
    assert forecasts.main([*words, "data.path=a.nc"]) == 1
    assert "out of luck" in capsys.readouterr().err
