"""Suites: what a file says, what is typed over it, and the words of every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.suite import pairs_of, read_plan
from tests.leaderboard.small_suite import SUITE, plan


def test_every_entry_stands_on_every_data_set_once(tmp_path: Path) -> None:
    pairs = pairs_of(plan(tmp_path))
    assert [pair.name for pair in pairs] == [
        f"{dataset}: {entry}"
        for dataset in ("clouds", "removal")
        for entry in ("small_eo + none", "small_eo + lora_r16", "small_eo (random weights) + full")
    ]
    assert len({pair.slug for pair in pairs}) == len(pairs)
    assert [pair.barred for pair in pairs][:5] == [""] * 5
    assert pairs[5].barred == "small_eo (random weights) + full is entered for cloud_segmentation alone"


def test_regimes_are_those_of_the_adapters_and_all_from_random_is_scratch(tmp_path: Path) -> None:
    entries = [{"backbone": "small_eo", "adapter": a, "random": r} for a in ("none", "dora", "full") for r in (0, 1)]
    told = [
        entry.regime for entry in plan(tmp_path, entries=[{**e, "random": bool(e["random"])} for e in entries]).entries
    ]
    assert told == ["frozen", "frozen", "peft", "peft", "full", "scratch"]


def test_the_words_of_a_run_go_from_the_suite_to_the_entry_to_what_was_typed(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").parent.mkdir(exist_ok=True)
    plan(
        tmp_path,
        entries=[{"backbone": "small_eo", "adapter": "lora", "head": "unet", "random": True, "words": ["x=1"]}],
    )
    one = pairs_of(read_plan(tmp_path / "small.yaml", (), ("train.steps=9",)))[0]
    words = one.words(read_plan(tmp_path / "small.yaml", (), ("train.steps=9",)), Path("D"), 7, lr=1e-05, batch=8)
    assert words == [
        *("train.steps=4", "train.chip=32"),
        *("task=cloud_segmentation", "head=fcn", "data=simulated", "data.root=D/data"),
        *("backbone=small_eo", "adapter=lora", "head=unet", "backbone.random_weights=true", "backbone.seed=7", "x=1"),
        *("train.lr=1e-05", "train.batch=8", "train.steps=9", "seed=7"),
    ]


def test_words_of_one_data_set_alone_come_last(tmp_path: Path) -> None:
    made = plan(tmp_path, entries=[{"backbone": "small_eo", "words": ["x=1"], "words_on": {"removal": ["x=2"]}}])
    clouds, removal = (pair.words(made, tmp_path, 0) for pair in pairs_of(made))
    assert [word for word in clouds if word.startswith("x=")] == ["x=1"]
    assert [word for word in removal if word.startswith("x=")] == ["x=1", "x=2"]


def test_the_folder_of_the_data_is_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOADAPT_DATA", "/archive")
    made = plan(tmp_path, words=["data.root={data}/x"])
    assert "data.root=/archive/x" in pairs_of(made)[0].words(made, tmp_path, 0)


def test_seeds_by_rule_leave_out_that_of_the_search(tmp_path: Path) -> None:
    assert plan(tmp_path).seeds == (1, 2) and plan(tmp_path).search_seed == 0
    assert plan(tmp_path, "suite.seeds=[3,5]").seeds == (3, 5)
    with pytest.raises(GeoadaptError, match="seeds that differ"):
        plan(tmp_path, "suite.seeds=[3,3]")


def test_what_is_typed_wins_and_a_data_set_may_have_its_own_space(tmp_path: Path) -> None:
    runs = {**SUITE["runs"], "clouds": {**SUITE["runs"]["clouds"], "space": {"batch": [2]}}}
    made = plan(tmp_path, "suite.trials=0", "suite.space.scale=10", "suite.max_minutes=5", runs=runs)
    assert (made.trials, made.max_minutes) == (0, 5)
    assert made.datasets["clouds"].space.rates == pytest.approx((1e-5, 1e-2))
    assert (made.datasets["clouds"].space.batch, made.datasets["removal"].space.batch) == ([2], [8, 16, 32])


def test_a_control_is_brought_along_by_the_first_entry_that_may(tmp_path: Path) -> None:
    rule = SUITE["controls"][0]
    brought = {p.name: p.wanted() for p in pairs_of(plan(tmp_path)) if p.controls}
    assert brought == {"clouds: small_eo + none": ("rule",), "removal: small_eo + none": ("temporal_median",)}
    beside = ["small_eo (random weights) + full", "small_eo + lora_r16"]
    brought = {
        p.name: p.wanted() for p in pairs_of(plan(tmp_path, controls=[{**rule, "beside": beside}])) if p.controls
    }
    assert brought == {
        "clouds: small_eo (random weights) + full": ("rule",),
        "removal: small_eo + lora_r16": ("temporal_median",),
    }


@pytest.mark.parametrize(
    ("changes", "overrides", "told"),
    [
        ({}, ["suite.trails=2"], "suite.trails: unknown key; did you mean 'suite.trials'"),
        ({}, ["suite.trials=-1"], "trials: -1; write a whole number from 0"),
        ({}, ["suite.max_minutes=0"], "max_minutes: 0; choose more than 0"),
        ({}, ["suite.space.lr=[1e-3,1e-6]"], "space.lr"),
        ({}, ["suite.space.bach=[1]"], "did you mean 'batch'"),
        ({"entries": []}, [], "has no entries"),
        ({"runs": {}}, [], "has no runs"),
        ({"runs": {"clouds": {}}}, [], "lacks removal"),
        ({"runs": {**SUITE["runs"], "cluods": {}}}, [], "did you mean 'clouds'"),
        ({"entries": [{"backbone": "small_eo", "adapter": "lorra"}]}, [], "did you mean 'lora'"),
        ({"entries": [{"backbone": "small_eo", "tasks": ["forecasting"]}]}, [], "is the task of no data set"),
        ({"entries": [{"backbone": "a", "words_on": {"cloud": []}}]}, [], "did you mean 'clouds'"),
        ({"entries": [{"backbone": "a"}, {"backbone": "a"}]}, [], "a \\+ none stands there twice"),
        ({"controls": [{"name": "r", "control": {}, "beside": ["small_eo + loro"]}]}, [], "is no entry"),
        ({"controls": [{"name": "r", "control": {}, "regime": "peft"}]}, [], "write none for a rule"),
        ({"pruning": "perhaps"}, [], "write true or false"),
        ({"trails": 2}, [], "did you mean 'trials'"),
    ],
)
def test_what_cannot_be_is_said_with_its_key(
    tmp_path: Path, changes: dict[str, Any], overrides: list[str], told: str
) -> None:
    with pytest.raises(GeoadaptError, match=told):
        plan(tmp_path, *overrides, **changes)


def test_a_suite_that_is_not_there_and_a_file_that_is_none(tmp_path: Path) -> None:
    plan(tmp_path)
    with pytest.raises(GeoadaptError, match="did you mean 'small'"):
        read_plan(tmp_path / "smal.yaml")
    (tmp_path / "torn.yaml").write_text("datasets: {a: [")
    with pytest.raises(GeoadaptError, match="it is to be a YAML file"):
        read_plan(tmp_path / "torn.yaml")


LOOKED_AT = {"task": "cloud_removal", "metric": "mae/covered_10_20", "direction": "min", "of": "removal"}


def test_a_closer_look_has_no_runs_of_its_own(tmp_path: Path) -> None:
    made = plan(tmp_path, datasets={**SUITE["datasets"], "few": LOOKED_AT})
    pairs = pairs_of(made)
    assert {pair.dataset.key for pair in pairs} == {"clouds", "removal"} and set(made.datasets) == {"clouds", "removal"}
    seen = {pair.name: [one.dataset.key for one in pair.seen_as(made)] for pair in pairs}
    assert seen["removal: small_eo + none"] == ["few", "removal"] and seen["clouds: small_eo + none"] == ["clouds"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"of": "remove"}, "did you mean 'removal'"),
        ({"of": "clouds"}, "of cloud_removal, and clouds of cloud_segmentation"),
    ],
)
def test_a_closer_look_is_at_a_data_set_of_its_task(tmp_path: Path, wrong: dict[str, str], told: str) -> None:
    with pytest.raises(GeoadaptError, match=told):
        plan(tmp_path, datasets={**SUITE["datasets"], "few": {**LOOKED_AT, **wrong}})
