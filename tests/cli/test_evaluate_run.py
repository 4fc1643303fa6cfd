"""What every evaluation says and stores before it begins."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from geoadapt.cli.compose import compose
from geoadapt.cli.evaluate_run import begin


def test_an_evaluation_on_simulated_scenes_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("geoadapt.cli.evaluate_run.make_data", lambda job: None)
    with caplog.at_level(logging.INFO):
        begin(tmp_path, compose(["data=simulated", f"data.root={tmp_path / 'made'}"]), Path("bundle"), "data")
    assert f"data: simulated in {tmp_path / 'made'}, made by the run" in caplog.text
    assert "bundle: bundle" in (tmp_path / "config.yaml").read_text(encoding="utf-8")
