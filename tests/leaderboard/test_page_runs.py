"""What a report is made of: folders of records, run folders, and the commands that make their runs again."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.export_plots import write_plots
from geoadapt.leaderboard.groups import read_suite
from geoadapt.leaderboard.page import page_of, report
from geoadapt.leaderboard.page_runs import collect, suite_of
from geoadapt.leaderboard.page_runs_told import command_text, told_runs
from geoadapt.leaderboard.records import append
from geoadapt.leaderboard.run_folder import read_run
from tests.leaderboard.page_made import made, stored
from tests.leaderboard.published import SUITE, record
from tests.leaderboard.submitted import runs

SEGMENTATION = {
    "test/miou": 0.60, "test/train_seconds": 12.5, "test/parameters": 4000.0,
    "rule/miou": 0.40, "rule/miou_gain": 0.20, "rule/miou_gain_low": 0.15, "rule/miou_gain_high": 0.25,
    "unet/miou": 0.61, "unet/miou_gain": -0.01, "unet/miou_gain_low": -0.05, "unet/miou_gain_high": 0.03,
    "rule/parameters": 0.0, "unet/parameters": 9000.0,
    "random_backbone/miou": 0.5, "random_backbone/parameters": 4000.0,
    "full_finetune/miou": 0.7, "full_finetune/parameters": 80000.0,
}  # fmt: skip
COLUMNS = (
    *(("dataset", "flood"), ("method", "knn5"), ("metric_name", "accuracy"), ("metric_value", "0.5"), ("seed", "1")),
    ("name", "eo"),
)
"""A table of torchgeo-bench with one row."""
FORECAST = {
    f"{who}/{key}/geopotential@500/{lead}h": value * lead
    for lead in (24, 48)
    for who, key, value in (
        ("test", "rmse", 10.0), ("persistence", "rmse", 15.0), ("persistence", "rmse_gain", 5.0),
        ("persistence", "rmse_gain_low", 4.0), ("persistence", "rmse_gain_high", 6.0),
    )
}  # fmt: skip


def run_folder(folder: Path, metrics: dict[str, float], task: str = "cloud_segmentation", **config: object) -> Path:
    (folder / "bundle").mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    plain = {
        "backbone": {"name": "small_eo"}, "adapter": {"name": "lora"}, "head": {"name": "unet"}, "task": {"name": task},
        "data": {"name": "csmask", "test": ["landsat7"]}, "seed": 3, **config,
    }  # fmt: skip
    (folder / "config.yaml").write_text(json.dumps(plain))
    card = {"command": "geoadapt train backbone=small_eo", "simulated": True}
    (folder / "bundle" / "bundle.json").write_text(json.dumps(card))
    return folder


def test_a_run_folder_is_a_record_with_its_controls(tmp_path: Path) -> None:
    model, *controls = read_run(run_folder(tmp_path / "run", SEGMENTATION))
    assert (model.backbone, model.adapter, model.regime, model.dataset) == (
        "small_eo",
        "lora",
        "peft",
        "csmask/landsat7",
    )
    assert (model.value, model.seed, model.trainable, model.seconds) == (0.6, 3, 4000, 12.5)
    assert model.simulated and model.command == "geoadapt train backbone=small_eo"
    assert {(c.backbone, c.adapter, c.regime): (c.value, c.trainable) for c in controls} == {
        ("rule", "none", "none"): (0.4, 0),
        ("unet", "none", "scratch"): (0.61, 9000),
        ("small_eo (random weights)", "lora", "peft"): (0.5, 4000),
        ("small_eo", "full", "full"): (0.7, 80000),
    }


def test_the_verdicts_of_a_single_run_are_its_own_paired_intervals(tmp_path: Path) -> None:
    html = page_of(report([run_folder(tmp_path / "run", SEGMENTATION)])).html()
    assert "Better than the rule: miou +0.200 (90 % interval +0.150 … +0.250)." in html
    assert "Not better than the U-Net from scratch: miou −0.010 (90 % interval −0.050 … +0.030)." in html


def test_of_a_forecast_the_score_is_the_first_telling_lead_and_the_page_has_a_scorecard(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", FORECAST, "forecasting", data={"name": "weather"})
    (model, control) = read_run(folder)
    assert (model.metric, model.direction, model.value) == ("rmse/geopotential@500/24h", "min", 240.0)
    assert (control.backbone, control.regime, control.value) == ("persistence", "none", 360.0)
    html = page_of(report([folder])).html()
    assert "Weather scorecards" in html and "RMSE against persistence" in html
    assert "Better than persistence: rmse/geopotential@500/24h −120 (90 % interval −144 … −96)." in html


def test_without_forecasts_there_is_no_scorecard(tmp_path: Path) -> None:
    assert "Weather scorecards" not in page_of(report([stored(tmp_path)])).html()


def test_a_random_backbone_that_was_wholly_trained_is_from_scratch(tmp_path: Path) -> None:
    backbone = {"name": "small_eo", "random_weights": True}
    (model,) = read_run(run_folder(tmp_path, {"test/miou": 0.5}, backbone=backbone, adapter={"name": "full"}))
    assert (model.backbone, model.regime) == ("small_eo (random weights)", "scratch")


@pytest.mark.parametrize(
    ("metrics", "task", "reason"),
    [
        ({"rule/miou": 0.1}, "cloud_segmentation", "no test/miou"),
        ({"test/miou": 0.1}, "pretraining", "no score to compare"),
    ],
)
def test_a_run_without_a_score_is_left_out_by_name(
    tmp_path: Path, metrics: dict[str, float], task: str, reason: str
) -> None:
    run_folder(tmp_path / "bad", metrics, task)
    run_folder(tmp_path / "good", SEGMENTATION)
    found = collect([tmp_path])
    assert len(found.runs) == 5
    assert len(found.left_out) == 1 and reason in found.left_out[0] and "bad" in found.left_out[0]


def test_the_folders_of_a_benchmark_make_one_loop_of_a_command() -> None:
    base = "geoadapt train data=flood train.lr=0.01"
    runs = [
        record(
            "eo", "flood", seed, 0.5, command=f"{base} seed={seed} hydra.run.dir={folder}", bundle=f"{folder}/bundle"
        )
        for seed, folder in ((1, "runs/flood-eo/seed-1"), (2, "runs/flood-eo/seed-2"))
    ]
    loop = "hydra.run.dir=runs/flood-eo/seed-$seed; done"
    assert command_text(runs) == f"for seed in 1 2; do {base} seed=$seed {loop}"
    assert "<code>runs/flood-eo/seed-$seed/bundle</code>" in told_runs(runs)


def test_records_stand_for_the_runs_below_them(tmp_path: Path) -> None:
    stored(tmp_path / "suite")
    run_folder(tmp_path / "suite" / "runs" / "1", SEGMENTATION)
    run_folder(tmp_path / "alone", {"test/miou": 0.5})
    boards = {run.board for run in collect([tmp_path]).runs}
    assert boards == {"made", "runs"} and len(collect([tmp_path]).runs) == len(made()) + 1
    assert {run.board for run in collect([tmp_path / "suite"]).runs} == {"made"}


def test_the_same_records_named_twice_count_once(tmp_path: Path) -> None:
    stored(tmp_path)
    assert len(collect([tmp_path, tmp_path / "records.jsonl"]).runs) == len(made())


@pytest.mark.parametrize("name", ["absent", "empty", "note.txt"])
def test_a_path_without_runs_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("nothing")
    with pytest.raises(GeoadaptError, match="there is no such|holds neither"):
        collect([tmp_path / name])


def submitted(folder: Path, regime: str = "full") -> Path:
    from geoadapt.leaderboard.submission import ExportInfo, export_submission

    return export_submission(runs(regime=regime), folder, read_suite(SUITE), ExportInfo([]))


def test_a_submission_is_a_board_by_its_folder_told_by_the_suite_that_checked_it(tmp_path: Path) -> None:
    folders = [submitted(tmp_path / "one"), submitted(tmp_path / "two", "frozen"), stored(tmp_path / "made")]
    told = report(folders, suites=SUITE.parent)
    assert list(told.chapters) == ["one", "two", "made"]
    assert told.chapters["one"].suite.name == "geobench2" and len(told.chapters["one"].suite.groups) == 9
    assert told.chapters["made"].suite.name == "made" and list(told.found.suites) == ["one", "two"]
    assert set(report(folders[:1], suite=SUITE).chapters) == {"one"}
    with pytest.raises(GeoadaptError, match="one: is a submission, and no suite is named; say which: suite=geobench2"):
        collect(folders)


def test_a_submission_shares_its_board_with_no_other_runs(tmp_path: Path) -> None:
    one, other = submitted(tmp_path / "a" / "mine"), submitted(tmp_path / "b" / "mine", "frozen")
    assert len(collect([one, one / ".." / "mine"], submissions=SUITE).runs) == 25
    with pytest.raises(GeoadaptError, match=r"is the board 'mine', and so are the runs of .*rename the folder"):
        collect([one, other], submissions=SUITE)
    records = stored(tmp_path / "records", board="mine")
    for paths in ([one, records], [records, one]):
        with pytest.raises(GeoadaptError, match="is the board 'mine'"):
            collect(paths, submissions=SUITE)


def test_tables_that_tell_the_same_run_differently_are_refused(tmp_path: Path) -> None:
    header, row = (",".join(line) for line in zip(*COLUMNS, strict=True))
    for name, text in (("a", row), ("b", row), ("c", row.replace("0.5", "0.6"))):
        (tmp_path / f"{name}.csv").write_text(f"{header}\n{text}\n")
    assert len(collect([tmp_path / "a.csv", tmp_path / "b.csv"]).runs) == 1
    with pytest.raises(GeoadaptError, match=r"c\.csv: eo \+ knn5 on flood, seed 1, is told otherwise by another file"):
        collect([tmp_path / "a.csv", tmp_path / "c.csv"])


def test_boards_on_the_same_data_sets_count_them_once(tmp_path: Path) -> None:
    folders = [stored(tmp_path / "a"), stored(tmp_path / "b", board="other")]
    assert "on 2 data sets" in page_of(report(folders)).html()


def test_without_a_suite_there_is_a_group_per_task_and_one_of_all_only_where_somebody_has_all() -> None:
    runs = made()
    assert list(suite_of("made", runs).groups) == ["all", "task_segmentation", "task_regression"]
    apart = [r for r in runs if (r.backbone, r.dataset) in (("eo", "flood"), ("pixel", "moisture"))]
    assert list(suite_of("made", apart).groups) == ["task_segmentation", "task_regression"]
    assert suite_of("made", runs).seeds == 5


def test_the_suite_of_a_boards_name_tells_its_groups(tmp_path: Path) -> None:
    told = "datasets: {flood: {task: segmentation, metric: miou}}\ngroups: {wet: {datasets: [flood]}}\n"
    (tmp_path / "made.yaml").write_text(told)
    assert list(suite_of("made", made(), tmp_path).groups) == ["wet"]
    assert "all" in suite_of("../made", made(), tmp_path / "below").groups


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        (["g seed=1 d=r/1", "g seed=2 d=r/2"], "for seed in 1 2; do g seed=$seed d=r/$seed; done"),
        (["g batch=1 seed=1", "g batch=1 seed=2"], "for seed in 1 2; do g batch=1 seed=$seed; done"),
        (["g lr=0.1 seed=1", "g lr=0.2 seed=2"], "g lr=0.1 seed=1\n# seed 2: lr=0.2 seed=2"),
        (["g 'a b/1'", "g 'a b/2'"], "g 'a b/1'\n# seed 2: 'a b/2'"),
        (["g seed=1", "h it other seed=2"], "g seed=1\n# seed 2: h it other seed=2"),
        (["g seed=1"], "g seed=1"),
    ],
)
def test_commands_are_a_loop_only_where_they_differ_in_their_seeds_alone(commands: list[str], told: str) -> None:
    assert command_text([record("b", "d", i, 0.5, command=c) for i, c in enumerate(commands, 1)]) == told


def test_seeds_of_two_folders_that_clash_are_refused(tmp_path: Path) -> None:
    """The same entry and seed on two heads are two runs that a board cannot tell apart."""
    append(tmp_path, [record("b", "d", 1, 0.5, head="unet"), record("b", "d", 1, 0.6, head="fcn")])
    with pytest.raises(GeoadaptError, match="two runs of seed 1"):
        report([tmp_path])


def test_what_nobody_counted_is_no_cost_of_nothing(tmp_path: Path) -> None:
    """Others submit scores alone: fine-tuning does not pass for free, and no picture of costs is drawn."""
    append(tmp_path, runs(regime="full", trainable=0, total=0))
    told = report([tmp_path], suite=SUITE)
    (chapter,) = told.chapters.values()
    (entry,) = chapter.names
    assert math.isnan(chapter.cost(entry, "trainable"))
    assert [path.name for path in write_plots(told.chapters, tmp_path / "page.html")] == ["page-scores.png"]
    append(tmp_path, runs(regime="full", trainable=5, total=5))
    told = report([tmp_path], suite=SUITE)
    assert len(write_plots(told.chapters, tmp_path / "page.html")) == 2
