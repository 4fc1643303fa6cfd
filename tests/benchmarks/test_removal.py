"""The removal tables say means, ranges and verdicts of what was run, and nothing of what was not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import removal, runs
from geoadapt.cli.compose import as_yaml, compose


def metrics(shift: float) -> dict[str, float]:
    """The model 0.02 + shift, linear interpolation 0.03, the median 0.02."""
    found = {"run/seconds": 1.0, "test/mae/masked/red": 9.0}
    for who, level in (("test", 0.02 + shift), ("linear", 0.03), ("temporal_median", 0.02)):
        found |= {f"{who}/mae/masked": level, f"{who}/psnr/masked": 30.0}
        gain = level - 0.02 - shift
        found |= {f"{who}/mae_gain_low/masked": gain - 0.002, f"{who}/mae_gain_high/masked": gain + 0.002}
    return found


def leave(task: runs.Task) -> str:
    task.folder.mkdir(parents=True, exist_ok=True)
    (task.folder / "config.yaml").write_text(as_yaml(compose(task.words)))
    (task.folder / "metrics.json").write_text(json.dumps(metrics(0.001 * float(task.folder.name))))
    return ""


def test_runs_are_made_once_and_the_record_tells_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []
    monkeypatch.setattr(runs, "run", lambda task: started.append(task.name) or leave(task))
    record = tmp_path / "record.json"
    words = ["--run", "modis_mt", "--seeds", "2", "--folder", str(tmp_path), "--record", str(record)]
    assert removal.main(words) == 0 and removal.main(words) == 0
    assert started == ["modis_mt seed 0", "modis_mt seed 1"], "a finished run was made again"
    said = capsys.readouterr().out
    assert "| **the adapted model** | 0.0205 (0.0200–0.0210) | – | 30.0 | – | – |  |" in said
    assert "| linear interpolation in time | 0.0300 | – | 30.0 | – | – | 2 / 0 / 0 |" in said
    assert "| temporal median | 0.0200 | – | 30.0 | – | – | 0 / 2 / 0 |" in said
    assert "harmonic" not in said, "it was not run"
    assert "red" not in json.dumps(json.loads(record.read_text())["modis_mt"])


def test_what_fails_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "run", lambda task: "exit status 1: out of luck")
    words = ["--run", "l8ny18", "--seeds", "1", "--folder", str(tmp_path), "--record", str(tmp_path / "r.json")]
    assert removal.main(words) == 1
    assert "out of luck" in capsys.readouterr().err
