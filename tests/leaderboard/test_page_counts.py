"""What a page calls a run: what was made, and neither closer looks at it, nor what it brought along, nor blanks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from geoadapt.leaderboard.page import page_of, report
from geoadapt.leaderboard.page_counts import Counts, count_records
from geoadapt.leaderboard.records import RunRecord, append
from tests.leaderboard.page_made import made

SUITE = """
datasets:
  flood_shores: {task: segmentation, metric: miou, of: flood, label: Shores}
  flood: {task: segmentation, metric: miou, label: Floods}
  moisture: {task: regression, metric: rmse, direction: min}
groups: {all: {datasets: [flood_shores, flood, moisture]}}
"""


def looked_at_twice() -> list[RunRecord]:
    """Runs on two data sets, those on floods scored along the shores as well; one failed, and a rule was brought."""
    runs = made(seeds=2)
    runs = [replace(r, extra={**r.extra, "beside": "eo + lora"}) if r.backbone == "majority" else r for r in runs]
    failed = next(i for i, r in enumerate(runs) if (r.backbone, r.adapter, r.dataset) == ("eo", "full", "flood"))
    runs[failed] = replace(runs[failed], value=math.nan, extra={"failed": "out of memory"})
    return [*runs, *(replace(r, dataset="flood_shores") for r in runs if r.dataset == "flood")]


def folder_and_suite(folder: Path) -> tuple[Path, Path]:
    append(folder, looked_at_twice())
    suite = folder / "twice.yaml"
    suite.write_text(SUITE)
    return folder, suite


def test_every_record_is_counted_once_as_what_it_is(tmp_path: Path) -> None:
    folder, suite = folder_and_suite(tmp_path)
    # of 7 entries and 2 seeds: on floods the rule is brought along, pixel is blank and one run failed
    wanted = Counts(runs=9 + 12, brought=4, looks=11, failed=1, blanks=2 + 3, simulated=12, trials=0)
    assert sum((wanted.runs, wanted.brought, wanted.looks, wanted.failed, wanted.blanks)) == len(looked_at_twice())
    assert count_records(report([folder], suite=suite).chapters.values()) == wanted


def test_a_closer_look_is_known_by_its_command_where_no_suite_names_it(tmp_path: Path) -> None:
    folder, suite = folder_and_suite(tmp_path)
    with_suite, alone = (count_records(report([folder], suite=s).chapters.values()) for s in (suite, None))
    assert (alone.runs, alone.brought, alone.looks) == (with_suite.runs, with_suite.brought, with_suite.looks)


def test_a_search_is_counted_once_for_all_its_seeds(tmp_path: Path) -> None:
    searched = {"trial": 1, "n_trials": 16}
    append(tmp_path, [replace(r, extra={**r.extra, **searched}) for r in made(seeds=3) if r.backbone == "eo"])
    counts = count_records(report([tmp_path]).chapters.values())
    assert counts.runs == 18 and counts.trials == 3 * 2 * 16


def test_the_page_says_what_are_no_runs_of_their_own(tmp_path: Path) -> None:
    folder, suite = folder_and_suite(tmp_path)
    html = page_of(report([folder], suite=suite)).html()
    head = html.split("</header>")[0]
    assert "21 runs of 7 entries on 2 data sets, 12 of them on simulated data." in head
    assert "4 scores of controls that they brought along; 11 closer looks at the same runs; 1 run that failed;" in head
    assert "5 blanks that only say why there is no score." in head
    assert "Shores <small>segmentation, 7 entries, a closer look at the runs on Floods</small>" in html


def test_a_page_of_nothing_but_runs_says_no_more() -> None:
    assert Counts(4, 0, 0, 0, 0, 0, 0).words(2, 1) == "4 runs of 2 entries on 1 data set."
    assert Counts(1, 0, 0, 0, 0, 1, 16).words(1, 1) == (
        "1 run of 1 entry on 1 data set, all of them simulated, after 16 trials of search."
    )
