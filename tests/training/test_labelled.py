"""Runs on labelled samples end to end: what they write, what their bundles say again, and who stands beside whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoadapt.bundle.card import read_card
from geoadapt.bundle.load import load_bundle
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.registry import Entry
from geoadapt.training.labelled_controls import choose_controls
from geoadapt.training.labelled_evaluate import evaluate_samples
from geoadapt.training.labelled_scoring import LabelledScores, summarise_samples
from geoadapt.training.labelled_setting import prepare
from geoadapt.training.run import train
from tests.fields.small_samples import SmallSamplesConfig
from tests.tasks.test_samples import VALUE
from tests.tiny import TINY

TASKS = {
    "class": ("classification", "pooled", "accuracy"),
    "labels": ("multilabel", "pooled", "macro_f1"),
    "value": ("regression", "pooled", "rmse/biomass"),
    "class_map": ("segmentation", "linear", "miou"),
    "value_map": ("regression", "linear", "rmse/biomass"),
}


@pytest.fixture(scope="module", autouse=True)
def made_up() -> Iterator[None]:
    """The tiny samples among the data sets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "small_samples", Entry(SmallSamplesConfig, "tests.fields.small_samples:build"))
        yield


def job(kind: str, controls: str = "none", task: dict[str, Any] | None = None, **keys: Any) -> JobConfig:
    name, head, _ = TASKS[kind]
    return job_from_plain(
        {
            "backbone": {"name": "small_eo", **TINY},
            "adapter": {"name": "lora", "r": 2},
            "head": {"name": head, **({"start": "random"} if kind in ("class", "labels") else {})},
            "task": {"name": name, **(task or {})},
            "data": {"name": "small_samples", "kind": kind},
            "train": {"steps": 4, "batch": 4, "val_every": 2, "bootstrap": 20, "controls": controls, **keys},
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


@pytest.mark.parametrize("kind", TASKS)
def test_a_run_leaves_numbers_that_its_bundle_gives_again(kind: str, tmp_path: Path):
    controls = "rule,simple,scratch" + ("" if kind.endswith("map") else ",frozen_ridge")
    result = train(job(kind, controls), tmp_path / "run")
    stored = json.loads((result.folder / "metrics.json").read_text())
    chief = TASKS[kind][2]
    metric, _, name = chief.partition("/")
    tail = f"/{name}" if name else ""
    for who in ("test", *controls.split(",")):
        assert np.isfinite(stored[f"{who}/{chief}"])
        assert stored[f"{who}/{metric}_low{tail}"] <= stored[f"{who}/{metric}_high{tail}"]
    sign = -1 if metric == "rmse" else 1
    gain = sign * (stored[f"test/{chief}"] - stored[f"rule/{chief}"])
    assert stored[f"rule/{metric}_gain{tail}"] == pytest.approx(gain)
    assert "Simulated data" in result.page.read_text()
    again = evaluate_samples(result.bundle, job(kind).data, tmp_path / "again", bootstrap=20).metrics
    same = {k: v for k, v in stored.items() if k in again and v is not None}
    assert len(same) > 20 and set(again) >= {f"{who}/{chief}" for who in ("test", *controls.split(","))}
    for key, value in same.items():
        assert again[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key


def test_twins_are_fitted_beside_the_model(tmp_path: Path):
    result = train(job("value", "random_backbone,full_finetune"), tmp_path)
    found = result.metrics
    assert found["full_finetune/parameters"] > found["test/parameters"] == found["random_backbone/parameters"]
    assert found["full_finetune/rmse/biomass"] != found["test/rmse/biomass"]


def test_pixels_of_all_dates_are_one_sample(tmp_path: Path):
    single = job("value", "rule,simple,scratch,frozen_ridge")
    single = replace(single, data=SmallSamplesConfig(kind="value", size=1, dates=3))
    single = replace(single, backbone=replace(single.backbone, patch_size=1))
    result = train(single, tmp_path)
    assert result.metrics["simple/rmse/biomass"] < 2 < result.metrics["rule/rmse/biomass"] / 4
    again = evaluate_samples(result.bundle, single.data, tmp_path / "again", bootstrap=5).metrics
    for who in ("test", "simple", "scratch", "frozen_ridge"):
        assert again[f"{who}/rmse/biomass"] == pytest.approx(result.metrics[f"{who}/rmse/biomass"], rel=1e-4)


def test_controls_that_cannot_be_are_left_out_or_refused(tmp_path: Path):
    assert "frozen_ridge" not in choose_controls(prepare(job("class_map", "all"), tmp_path))
    with pytest.raises(GeoadaptError, match="whole samples"):
        choose_controls(prepare(job("class_map", "frozen_ridge"), tmp_path))


def test_data_and_task_must_fit(tmp_path: Path):
    other = replace(job("value"), task=job("class").task)
    with pytest.raises(GeoadaptError, match="task=regression"):
        prepare(other, tmp_path)
    with pytest.raises(GeoadaptError, match="select, start and cache"):
        prepare(job("class", cache=1), tmp_path)


def test_a_bundle_says_what_it_answers_and_takes_no_other_data(tmp_path: Path):
    bundle = train(job("value"), tmp_path / "run").bundle
    card, _ = read_card(bundle)
    assert card.samples is not None and card.samples["target"]["unit"] == "t/ha"
    assert "biomass [t/ha]" in (bundle / "README.md").read_text()
    with pytest.raises(GeoadaptError, match="geoadapt evaluate"):
        load_bundle(bundle)
    with pytest.raises(GeoadaptError, match="the bundle answers"):
        evaluate_samples(bundle, job("class").data, tmp_path / "no")


def test_intervals_are_those_of_places_drawn_anew():
    rng = np.random.default_rng(0)
    off = rng.normal(0, 10, 60) + np.repeat(rng.normal(0, 10, 6), 10)
    truth = rng.normal(0, 20, 60)
    sums = np.stack([np.ones(60), off, abs(off), off**2, truth, truth**2], 1)
    twice = sums * np.array([1, 2, 2, 4, 1, 1])
    places = tuple(f"place {n // 10}" for n in range(60))
    found = LabelledScores({"test": sums, "other": twice}, places, truth, truth + off)
    flat = summarise_samples(found, VALUE, draws=200, seed=0)
    assert flat["test/places"] == 6 and flat["test/rmse/y"] == pytest.approx(np.sqrt((off**2).mean()))
    assert flat["other/rmse_gain/y"] == pytest.approx(flat["test/rmse/y"])
    assert flat["other/rmse_gain_low/y"] == pytest.approx(flat["test/rmse_low/y"])
    alone = LabelledScores(found.sums, tuple(map(str, range(60))), truth, truth)
    narrow = summarise_samples(alone, VALUE, draws=200, seed=0)
    wide = flat["test/rmse_high/y"] - flat["test/rmse_low/y"]
    assert narrow["test/rmse_high/y"] - narrow["test/rmse_low/y"] < wide


def test_the_same_seed_gives_the_same_weights(tmp_path: Path):
    bundles = [train(job("class"), tmp_path / name).bundle for name in "ab"]
    one, other = ((bundle / "head.safetensors").read_bytes() for bundle in bundles)
    assert one == other
