"""The loop: what is finished is not made again, what fails does not stop the rest, and nothing is left out silently."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard import loop
from geoadapt.leaderboard.claims import claimed
from geoadapt.leaderboard.loop import Benchmark
from geoadapt.leaderboard.records import RunRecord, read
from geoadapt.leaderboard.summary import lines
from tests.leaderboard.small_suite import SUITE, MadeUp, plan

ONE: dict[str, Any] = {
    "datasets": {"clouds": SUITE["datasets"]["clouds"]},
    "runs": {"clouds": SUITE["runs"]["clouds"]},
    "entries": [{"backbone": "small_eo", "adapter": "none"}, {"backbone": "small_eo", "adapter": "lora"}],
    "groups": {},
}
"""Two entries on one data set."""


def by_entry(folder: Path) -> dict[str, list[RunRecord]]:
    found: dict[str, list[RunRecord]] = {}
    for run in read(folder).runs:
        found.setdefault(f"{run.dataset}: {run.backbone} + {run.adapter}", []).append(run)
    return found


def test_each_pair_is_searched_then_its_best_is_run_with_every_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeUp()
    told: list[tuple[str, int, int]] = []
    chosen = plan(tmp_path / "conf")
    benchmark = Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch), lambda *words: told.append(words))
    outcome = benchmark.run()
    assert Counter(word.split()[0] for word in made.asked) == {"trial": 5 * 3, "seed": 5 * 2}
    assert (outcome.made, outcome.found, outcome.left, outcome.failed) == (25, 0, 0, {})
    assert [done for _, done, _ in told] == list(range(1, 26)) and {total for *_, total in told} == {25}
    found = by_entry(tmp_path / "out")
    for name, runs in found.items():
        if "rule" not in name and "full" not in name:
            trials = {run.extra["lr"] for run in runs}
            assert len(trials) == 1 and all(
                run.value == pytest.approx(0.5 + run.extra["lr"] + run.seed / 100) for run in runs
            )
            assert [run.seed for run in runs] == [1, 2]
            assert runs[0].extra["n_trials"] == 3 and runs[0].trainable == 10 and runs[0].total == 20
            assert all(run.simulated and run.memory_mb != 0 and f"seed={run.seed}" in run.command for run in runs)
            assert (tmp_path / "out" / str(runs[0].bundle) / "bundle.json").is_file()
    rates = [run.extra["lr"] for runs in found.values() for run in runs if "lr" in run.extra]
    assert len(set(rates)) == 5, "every pair has a search of its own"


def test_what_the_best_is_follows_validation_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, drawn = MadeUp(), []
    made.trouble = lambda what, job, folder: drawn.append(job.train.lr) if what == "trial" else None
    Benchmark(plan(tmp_path / "conf", **ONE), tmp_path / "out", made.patch(monkeypatch)).run()
    nearest = min(drawn[:3], key=lambda lr: abs(lr - 3e-4))  # what the made up score prefers
    assert by_entry(tmp_path / "out")["clouds: small_eo + none"][0].extra["lr"] == nearest


def test_controls_come_with_their_entry_as_entries_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Benchmark(plan(tmp_path / "conf"), tmp_path / "out", MadeUp().patch(monkeypatch)).run()
    rules = [run for run in read(tmp_path / "out").runs if run.backbone == "rule"]
    assert [(run.dataset, run.seed, run.regime, run.extra["control"]) for run in rules] == [
        ("clouds", 1, "none", "rule"),
        ("clouds", 2, "none", "rule"),
        ("removal", 1, "none", "temporal_median"),
        ("removal", 2, "none", "temporal_median"),
    ]
    assert [run.value for run in rules] == pytest.approx([0.11, 0.12, 0.11, 0.12])


def test_a_closer_look_is_recorded_with_each_run_and_costs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = {"task": "cloud_removal", "direction": "min", "of": "removal"}
    looks = {"few": {**look, "metric": "mae/covered_10_20"}, "most": {**look, "metric": "mae/covered_90_100"}}
    made = MadeUp()
    suite = plan(tmp_path / "conf", datasets={**SUITE["datasets"], **looks})
    Benchmark(suite, tmp_path / "out", made.patch(monkeypatch)).run()
    assert sum(word.startswith("seed cloud_removal") for word in made.asked) == 2 * 2
    found = by_entry(tmp_path / "out")
    for who in ("small_eo + none", "rule + none"):
        own, few = ({run.seed: run for run in found[f"{name}: {who}"]} for name in ("removal", "few"))
        assert own.keys() == few.keys() == {1, 2}
        assert all(few[seed].metric == "mae/covered_10_20" for seed in few)
    assert all(run.value > 2 * 0.5 for run in found["few: small_eo + none"])
    for run in found["most: small_eo + none"]:
        assert math.isnan(run.value) and "left no test/mae/covered_90_100" in run.extra["missing"]
    assert (
        "is entered for cloud_segmentation alone" in found["few: small_eo (random weights) + full"][0].extra["missing"]
    )
    made.asked.clear()
    again = Benchmark(suite, tmp_path / "out", made.patch(monkeypatch)).run()
    assert not made.asked and not again.made and not again.failed


def test_an_entry_that_the_suite_bars_is_missing_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Benchmark(plan(tmp_path / "conf"), tmp_path / "out", MadeUp().patch(monkeypatch)).run()
    name = "removal: small_eo (random weights) + full"
    assert "is entered for cloud_segmentation alone" in outcome.missing[name]
    (record,) = by_entry(tmp_path / "out")[name]
    assert math.isnan(record.value) and record.extra["missing"] == outcome.missing[name] and record.extra["barred"]


def test_what_cannot_be_is_missing_and_what_it_would_have_brought_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeUp()

    def refuses(what: str, job: JobConfig, folder: Path) -> None:
        if job.adapter.name == "none":
            raise GeoadaptError("data.channels", "it needs ['red']", "the data have ['vv']")

    made.trouble = refuses
    chosen = plan(tmp_path / "conf", **ONE)
    outcome = Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch)).run()
    assert outcome.missing == {"clouds: small_eo + none": "data.channels: it needs ['red']; the data have ['vv']"}
    assert outcome.failed == {} and outcome.left == 0
    assert (outcome.made, outcome.found) == (5, 0), "what is missing was not found finished"
    assert made.asked.count("trial cloud_segmentation none 0") == 1, "it is refused once, not for every place"
    found = by_entry(tmp_path / "out")
    (rule,) = found["clouds: rule + none"]
    assert math.isnan(rule.value) and rule.extra["missing"].startswith("small_eo + none brings it along: data.channels")
    assert len(found["clouds: small_eo + lora"]) == 2
    made.trouble = lambda what, job, folder: None
    Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch)).run()
    found = by_entry(tmp_path / "out")
    assert all(math.isfinite(run.value) for runs in found.values() for run in runs), "the reason is gone"


def test_a_run_that_fails_is_told_stops_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeUp()

    def breaks(what: str, job: JobConfig, folder: Path) -> None:
        if what == "seed" and job.adapter.name == "none" and job.seed == 2:
            raise OSError("no space left on device")
        if what == "trial" and job.adapter.name == "lora" and folder.name == "1":
            (folder / "fits" / "fit").mkdir()
            raise GeoadaptError("train", "the loss is nan at step 3", "lower train.lr")

    made.trouble = breaks
    chosen = plan(tmp_path / "conf", **ONE)
    outcome = Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch)).run()
    assert outcome.failed == {
        "clouds: small_eo + none, seed 2": "OSError: no space left on device",
        "clouds: small_eo + lora, trial 1": "train: the loss is nan at step 3; lower train.lr",
    }
    failed = by_entry(tmp_path / "out")["clouds: small_eo + none"][1]
    assert math.isnan(failed.value) and failed.extra["failed"] == "OSError: no space left on device"
    made.asked.clear()
    made.trouble = lambda what, job, folder: None
    again = Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch)).run()
    assert again.failed == {}
    assert {"seed cloud_segmentation none seed-2", "trial cloud_segmentation lora 1"} <= set(made.asked)
    # where the trial is the new best, its entry's two runs are made with what it drew
    assert len(made.asked) in (2, 4) and "seed cloud_segmentation none seed-1" not in made.asked
    assert all(math.isfinite(run.value) for run in read(tmp_path / "out").runs)


def test_a_pair_none_of_whose_trials_has_a_score_is_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MadeUp()

    def breaks(what: str, job: JobConfig, folder: Path) -> None:
        if job.adapter.name == "lora":
            raise RuntimeError("out of memory")

    made.trouble = breaks
    outcome = Benchmark(plan(tmp_path / "conf", **ONE), tmp_path / "out", made.patch(monkeypatch)).run()
    assert set(outcome.failed) == {
        "clouds: small_eo + lora",
        *(f"clouds: small_eo + lora, trial {i}" for i in range(3)),
    }
    (record,) = by_entry(tmp_path / "out")["clouds: small_eo + lora"]
    assert record.extra["failed"] == "none of 3 trials has a score: RuntimeError: out of memory"


@pytest.mark.parametrize("after", [1, 4, 6, 9])
def test_interrupted_anywhere_and_started_again_it_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    chosen = plan(tmp_path / "conf", **ONE)
    whole = MadeUp()
    Benchmark(chosen, tmp_path / "whole", whole.patch(monkeypatch)).run()
    made = MadeUp()

    def interrupts(what: str, job: JobConfig, folder: Path) -> None:
        if len(made.asked) == after:
            raise KeyboardInterrupt

    made.trouble = interrupts
    with pytest.raises(KeyboardInterrupt):
        Benchmark(chosen, tmp_path / "parts", made.patch(monkeypatch)).run()
    made.trouble = lambda what, job, folder: None
    outcome = Benchmark(chosen, tmp_path / "parts", made.patch(monkeypatch)).run()
    assert Counter(made.asked) == Counter([*whole.asked, made.asked[after - 1]]), "only what was cut off is made again"
    assert (outcome.made, outcome.found) == (10 - after + 1, after - 1)
    tables = [lines(chosen, read(tmp_path / name).runs) for name in ("whole", "parts")]
    assert tables[0] == tables[1]
    told = [
        [(r.identity, r.value, r.extra, r.config_hash) for r in read(tmp_path / n).runs] for n in ("whole", "parts")
    ]
    assert told[0] == told[1]


def test_several_processes_share_a_study_and_nobody_makes_a_trial_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.02)
    made = MadeUp()
    made.trouble = lambda what, job, folder: time.sleep(0.05)
    tools = made.patch(monkeypatch)
    chosen = plan(tmp_path / "conf", **ONE)
    workers = [Benchmark(chosen, tmp_path / "out", tools) for _ in range(3)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert set(Counter(made.asked).values()) == {1} and len(made.asked) == 10
    assert [worker.outcome.made + worker.outcome.found for worker in workers] == [10] * 3
    assert sum(worker.outcome.made for worker in workers) == 10
    assert sum(worker.outcome.made > 0 for worker in workers) > 1, "the work was shared"
    assert len(read(tmp_path / "out").runs) == 6 and read(tmp_path / "out").left_out == ()


def test_a_claim_is_held_by_one_and_free_again_after_it(tmp_path: Path) -> None:
    with (
        claimed(tmp_path / "a" / "x") as mine,
        claimed(tmp_path / "a" / "x") as other,
        claimed(tmp_path / "y") as third,
    ):
        assert (mine, other, third) == (True, False, True)
    with claimed(tmp_path / "a" / "x") as mine:
        assert mine


def test_when_the_time_is_up_nothing_new_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MadeUp()
    late = plan(tmp_path / "conf", "suite.max_minutes=1e-9", **ONE)
    outcome = Benchmark(late, tmp_path / "out", made.patch(monkeypatch)).run()
    assert (outcome.made, outcome.left, made.asked) == (0, 10, [])
    rest = Benchmark(plan(tmp_path / "conf", **ONE), tmp_path / "out", made.patch(monkeypatch)).run()
    assert (rest.made, rest.left) == (10, 0)


def test_another_configuration_is_made_anew_and_the_same_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeUp()
    tools = made.patch(monkeypatch)
    Benchmark(plan(tmp_path / "conf", **ONE), tmp_path / "out", tools).run()
    made.asked.clear()
    Benchmark(plan(tmp_path / "conf", "suite.seeds=3", **ONE), tmp_path / "out", tools).run()
    assert sorted(made.asked) == ["seed cloud_segmentation lora seed-3", "seed cloud_segmentation none seed-3"]
    made.asked.clear()
    Benchmark(plan(tmp_path / "conf", "suite.trials=1", **ONE), tmp_path / "one", tools).run()
    Benchmark(plan(tmp_path / "conf", "suite.trials=1", **ONE), tmp_path / "out", tools).run()
    alone, among = ({run.identity: run.value for run in read(tmp_path / name).runs} for name in ("one", "out"))
    assert alone.items() <= among.items(), "of a longer search the first trial alone counts"
    made.asked.clear()
    more = {**ONE, "words": ["train.steps=5", "train.chip=32"]}
    Benchmark(plan(tmp_path / "conf", **more), tmp_path / "out", tools).run()
    assert len(made.asked) == 10
    kept = json.loads((tmp_path / "out" / "records.jsonl").read_text().splitlines()[-1])
    assert kept["extra"]["steps"] == 5
    other = {**ONE, "entries": [{"backbone": "small_eo", "adapter": "none", "head": "unet"}]}
    with pytest.raises(GeoadaptError, match=r"with head fcn, and now unet; choose another hydra\.run\.dir"):
        Benchmark(plan(tmp_path / "conf", **other), tmp_path / "out", tools)


def test_without_trials_the_words_say_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MadeUp()
    chosen = plan(
        tmp_path / "conf", "suite.trials=0", **{**ONE, "words": ["train.lr=5e-4", "train.batch=3", "train.patience=2"]}
    )
    Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch)).run()
    runs = [run for run in read(tmp_path / "out").runs if run.backbone != "rule"]
    assert len(runs) == 4 and {(run.extra["lr"], run.extra["batch_size"]) for run in runs} == {(5e-4, 3)}
    assert {run.extra["early_stop_patience"] for run in runs} == {2}, "a submission says it"
    assert not (tmp_path / "out" / "studies.db").exists()


def test_a_control_that_the_data_cannot_feed_does_not_take_its_entry_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeUp()

    def refuses(what: str, job: JobConfig, folder: Path) -> None:
        if job.train.chosen_controls():
            raise GeoadaptError("train.controls", "the rule needs the channel blue", "leave rule out")

    made.trouble = refuses
    chosen = plan(tmp_path / "conf", **ONE)
    outcome = Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch)).run()
    assert outcome.failed == {} and outcome.missing == {}
    found = by_entry(tmp_path / "out")
    assert len(found["clouds: small_eo + none"]) == 2
    assert "the rule needs the channel blue" in found["clouds: rule + none"][0].extra["missing"]
    made.asked.clear()
    Benchmark(chosen, tmp_path / "out", made.patch(monkeypatch)).run()
    assert made.asked == []


def test_a_data_set_whose_words_choose_another_task_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**ONE, "datasets": {"clouds": {"task": "cloud_removal", "metric": "miou"}}}
    with pytest.raises(GeoadaptError, match=r"datasets\.clouds\.task: its words choose cloud_segmentation"):
        Benchmark(plan(tmp_path / "conf", **wrong), tmp_path / "out", MadeUp().patch(monkeypatch))
    assert not (tmp_path / "out").exists()


def test_a_run_without_the_metric_of_the_suite_is_failed_and_says_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**ONE, "datasets": {"clouds": {"task": "cloud_segmentation", "metric": "mIoU"}}}
    outcome = Benchmark(plan(tmp_path / "conf", **wrong), tmp_path / "out", MadeUp().patch(monkeypatch)).run()
    assert len(outcome.failed) == 4
    assert all("left no test/mIoU: it left miou" in reason for reason in outcome.failed.values())
