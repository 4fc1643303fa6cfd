"""``geoadapt evaluate`` knows a bundle of labelled samples by its card, and hands it its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geoadapt.cli.evaluate import VERB
from geoadapt.cli.evaluate_samples import plan_samples, samples_named
from geoadapt.cli.grammar import Request
from geoadapt.errors import GeoadaptError
from geoadapt.training.results import RunResult


def request(*paths: str, overrides: tuple[str, ...] = (), **flags: str) -> Request:
    return Request(paths, {f"--{name}": value for name, value in flags.items()}, overrides, "geoadapt evaluate …")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_text(json.dumps({"task": "regression"}))
    return folder


def test_a_bundle_is_known_by_its_task(bundle: Path, tmp_path: Path):
    assert samples_named(request(str(bundle))) == bundle
    assert samples_named(request("DATA", bundle=str(bundle))) == bundle
    (bundle / "bundle.json").write_text(json.dumps({"task": "cloud_segmentation"}))
    assert samples_named(request(str(bundle))) is None
    assert samples_named(request()) is None


def test_data_must_be_chosen(bundle: Path):
    with pytest.raises(GeoadaptError, match="data=…"):
        plan_samples(request(str(bundle)), bundle)
    with pytest.raises(GeoadaptError, match="one data set"):
        plan_samples(request(str(bundle), "A", "B", overrides=("data=fuel_moisture",)), bundle)


def test_what_is_typed_reaches_the_evaluation(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    seen: dict[str, Any] = {}

    def evaluate(bundle: Path, data: Any, folder: Path, **keys: Any) -> RunResult:
        seen.update(keys, bundle=bundle, data=data)
        metrics = {"test/rmse/y": 2.5, "rule/rmse/y": 4.0, "test/places": 3.0}
        return RunResult(folder, metrics, bundle, folder / "report.html")

    monkeypatch.setattr("geoadapt.training.labelled_evaluate.evaluate_samples", evaluate)
    words = ("data=fuel_moisture", f"hydra.run.dir={tmp_path / 'run'}")
    plan = VERB.plan(request(str(tmp_path), bundle=str(bundle), overrides=words))
    assert plan() == 0
    assert seen["bundle"] == bundle and seen["data"].root == str(tmp_path) and seen["seed"] is None
    printed = capsys.readouterr().out
    assert "RMSE of y" in printed and printed.index("2.5") < printed.index("4")
