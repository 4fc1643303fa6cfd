"""The page of a leaderboard: one file, true to its board, with what is missing, simulated and not better said so."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard import export_plots, page_chapter
from geoadapt.leaderboard.export import markdown_text
from geoadapt.leaderboard.export_plots import write_plots
from geoadapt.leaderboard.page import page_of, report, write_report
from geoadapt.leaderboard.records import append
from tests.leaderboard.page_made import made, stored
from tests.report.test_page import NASTY, Reader


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(report([stored(tmp_path_factory.mktemp("runs"))], command="geoadapt report runs")).html()


def rows(html: str, table: int) -> list[str]:
    """The rows of a table's body, as text with its tags."""
    body = re.findall(r"<tbody>(.*?)</tbody>", html, re.DOTALL)[table]
    return re.findall(r"<tr.*?</tr>", body, re.DOTALL)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def section(html: str, heading: str) -> str:
    found = re.search(rf"<h2[^>]*>{re.escape(heading)}</h2>(.*?)</section>", html, re.DOTALL)
    assert found, heading
    return found[1]


def test_the_page_loads_nothing_and_runs_only_its_own_script(html: str) -> None:
    told = Reader(html)
    assert not told.open, f"left open: {told.open}"
    for tag, attrs in told.tags:
        assert tag not in {"link", "iframe", "object", "base", "img"}
        assert not attrs.get("src") and (attrs.get("href") or "#").startswith("#")
        assert not [key for key in attrs if key.startswith("on")]
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert len(script.splitlines()) < 200


def test_every_link_leads_somewhere_and_no_place_is_named_twice(html: str) -> None:
    tags = Reader(html).tags
    names = [attrs["id"] for _, attrs in tags if attrs.get("id")]
    assert len(names) == len(set(names))
    assert {(attrs["href"] or "")[1:] for _, attrs in tags if "href" in attrs} <= set(names)


def test_entries_stand_in_the_order_of_their_scores_and_the_head_says_so(html: str) -> None:
    table = rows(section(html, "All data sets"), 0)
    keys = [re.findall(r"<td[^>]*>", row)[2] for row in table]
    scores = [float(key) for cell in keys if (key := re.search(r" data-v=?([^ >]*)", cell)[1])]  # type: ignore[index]
    assert len(scores) == 6 and scores == sorted(scores, reverse=True)
    assert "pixel + IA3" in table[-1]
    head = section(html, "All data sets").split("</thead>")[0]
    assert re.search(r'<th scope="col"[^>]*aria-sort="descending"[^>]*><span>score', head)


def test_what_is_missing_is_a_dash_with_its_reason(html: str) -> None:
    row = rows(section(html, "All data sets"), 0)[-1]
    assert row.count('<abbr title="flood: it takes single pixels">–</abbr>') >= 2
    assert "no score, so no verdict" in row
    assert not re.search(r" data-v=0[ >]", row)


def test_a_verdict_compares_with_every_control_and_prints_that_it_is_not_better(html: str) -> None:
    row = next(r for r in rows(section(html, "All data sets"), 0) if "eo + LoRA" in r)
    told = text(row)
    assert "better than majority, cnn from scratch, random weights and the frozen backbone" in told
    assert re.search(r"not better than full fine-tuning", told)
    assert re.search(r"Not better than full fine-tuning: normalised score [+−][\d.]+ \(90 % interval", told)


def test_less_is_better_where_the_metric_says_so(html: str) -> None:
    drill = section(html, "Data set by data set").split('class="dataset"')[2]
    table = rows(drill, 0)
    assert "moisture" in drill and "eo" in table[0] and "majority" in table[-1]
    told = text(next(r for r in table if "eo + LoRA" in r))
    assert re.search(r"Better than majority: rmse −\d", told)
    assert 'data-raw-best="min"' in drill


def test_every_run_has_its_command_configuration_commit_and_bundle(html: str) -> None:
    drill = section(html, "Data set by data set")
    row = text(next(r for r in rows(drill, 0) if "eo + LoRA" in r))
    loop = "geoadapt train data=flood adapter=lora hydra.run.dir=runs/flood-lora/$seed seed=$seed"
    assert f"for seed in 1 2 3 4 5; do {loop}; done" in row
    assert "config c0ffee" in row and "commit abc1234" in row and "bundle runs/flood-lora/$seed/bundle" in row
    assert re.search(r"By seed 1: 0\.\d{4}, 2: 0\.\d{4}", row)


def test_a_finger_too_is_told_why_a_score_is_missing(html: str) -> None:
    row = rows(section(html, "All data sets"), 0)[-1]
    assert "<p>flood: it takes single pixels.</p>" in row.split("<details>")[1]


def test_every_cost_stands_in_the_table_of_a_capability(tmp_path: Path) -> None:
    told = page_of(report([stored(tmp_path, mpx_per_second=0.25, memory_mb=1234.0)])).html()
    row = text(next(r for r in rows(section(told, "Segmentation"), 0) if "eo + LoRA" in r))
    assert re.search(r" 4,000 +3\.5 .* 0\.250 +1,234 ", row)


def test_small_raw_scores_are_told_apart_and_nothing_has_no_sign(tmp_path: Path) -> None:
    apart = {"lora": 0.01122, "full": 0.01126}
    runs = [
        replace(r, value=apart[r.adapter] + r.seed * 1e-7 if r.adapter in apart else 0.0445, backbone="eo")
        for r in made()
        if r.dataset == "moisture" and (r.backbone, r.adapter) in {("eo", "lora"), ("eo", "full"), ("majority", "none")}
    ]
    append(tmp_path, runs)
    told = report([tmp_path])
    shown = section(page_of(told).html(), "Data set by data set")
    assert "0.0112" in shown and "0.0113" in shown and not re.search("\N{MINUS SIGN}0\\.000(?!\\d)", shown)
    assert "| 0.0112 |" in markdown_text(told.chapters) and "| 0.0113 |" in markdown_text(told.chapters)


def test_pictures_mark_ways_of_training_as_the_page_does_and_every_axis_has_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path, [replace(r, seconds=20.0 + r.trainable / 1000) for r in made() if r.regime != "none"])
    told = report([tmp_path])
    drawn = {}
    monkeypatch.setattr(export_plots, "_save", lambda drawing, path: drawn.update({path.name: drawing}))
    write_plots(told.chapters, tmp_path / "board.html")
    costs = drawn["board-cost.png"]
    for axes in costs.axes:
        low, high = axes.get_xlim()
        assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 1 and axes.get_xticklabels()[0].get_text()
    key = section(page_of(told).html(), "Score against cost").split("</ul>")[0]
    colours = {label.strip(): colour for colour, label in re.findall(r"--tone: (.*?)\".*?</svg>(.*?)</li>", key)}
    (legend,) = costs.legends
    shown = {
        label.get_text(): line.get_color() for label, line in zip(legend.texts, legend.legend_handles, strict=True)
    }
    assert len(shown) == 4 and shown.items() <= colours.items()


def test_simulated_data_are_called_so_wherever_they_stand(html: str) -> None:
    assert "on simulated data" in html.split("</header>")[0]
    for heading in ("How to read it", "All data sets", "Regression", "Data set by data set"):
        assert '<span class="tag">simulated</span>' in section(html, heading)
    assert "rmse, simulated" in section(html, "All data sets")
    assert "Simulated data among them: moisture" in section(html, "Score against cost")
    assert "simulated" not in section(html, "Segmentation")


def test_the_page_says_what_an_interval_means(html: str) -> None:
    told = text(section(html, "How to read it"))
    assert "90 times in 100" in told and "nothing of other data sets or other test samples" in told
    assert "the whole 90 % interval of the difference" in told and "one verdict in 10 " in told
    assert "the best and the worst quarter count for nothing" in told


def test_names_are_escaped_wherever_they_stand(tmp_path: Path) -> None:
    runs = made(command=NASTY, commit=NASTY, bundle=NASTY, machine=NASTY)
    from dataclasses import replace

    append(
        tmp_path,
        [
            replace(r, backbone=NASTY, dataset=f"{NASTY}{r.dataset}", head=NASTY)
            for r in runs
            if r.seed < 3 and r.backbone == "eo"
        ],
    )
    html = page_of(report([tmp_path], command=NASTY)).html()
    assert "<script>alert" not in html and html.count("<script") == 1
    assert not Reader(html).open


def test_two_boards_stand_beside_each_other_and_share_no_place(tmp_path: Path) -> None:
    stored(tmp_path / "a")
    stored(tmp_path / "b", board="fields")
    told = report([tmp_path])
    html = page_of(told).html()
    names = [attrs["id"] for _, attrs in Reader(html).tags if attrs.get("id")]
    assert set(told.chapters) == {"made", "fields"} and len(names) == len(set(names))
    assert "fields: All data sets" in html and "made: All data sets" in html


def test_a_line_that_a_kill_tore_is_named_on_the_page(tmp_path: Path) -> None:
    stored(tmp_path)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"board": "clo')
    assert "a line that was not written to its end" in page_of(report([tmp_path])).html()


def test_one_run_has_no_interval_and_no_verdict_but_is_shown(tmp_path: Path) -> None:
    html = page_of(report([stored(tmp_path, seeds=1)])).html()
    row = text(next(r for r in rows(section(html, "All data sets"), 0) if "eo + LoRA" in r))
    assert "one run" in row and "no verdict against majority" in row and "has no interval" in row


def test_a_large_board_shows_its_best_and_says_where_the_rest_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    runs = [
        replace(r, backbone=f"b{i:02d}", value=r.value + i / 1000)
        for i in range(30)
        for r in made(seeds=2)
        if r.adapter == "lora" and r.backbone == "eo"
    ]
    append(tmp_path, runs)
    monkeypatch.setattr(page_chapter, "ROOM", 1)
    told = report([tmp_path])
    html = page_of(told).html()
    assert "the best 20 of 30 entries, all are in the CSV" in html
    assert len(rows(section(html, "Segmentation"), 0)) == 20
    assert not [a["href"] for _, a in Reader(html).tags if a.get("href") and f'id="{a["href"][1:]}"' not in html]  # type: ignore[index]


def test_the_files_beside_the_page_are_there(tmp_path: Path) -> None:
    made_files = write_report(report([stored(tmp_path / "runs")]), tmp_path / "out" / "board.html")
    names = ["board.html", "board.csv", "board.md", "board-scores.png", "board-cost.png"]
    assert [path.name for path in made_files] == names
    assert all(path.stat().st_size > 500 for path in made_files)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name not in names]


def test_a_suite_without_any_of_the_data_sets_is_refused(tmp_path: Path) -> None:
    suite = tmp_path / "other.yaml"
    suite.write_text("datasets: {crops: {task: segmentation, metric: miou}}\ngroups: {all: {datasets: [crops]}}\n")
    with pytest.raises(GeoadaptError, match="no place for any run: flood"):
        report([stored(tmp_path / "runs")], suite=suite)


def test_runs_that_a_suite_has_no_place_for_are_named(tmp_path: Path) -> None:
    suite = tmp_path / "some.yaml"
    suite.write_text("datasets: {flood: {task: segmentation, metric: miou}}\ngroups: {all: {datasets: [flood]}}\n")
    html = page_of(report([stored(tmp_path / "runs")], suite=suite)).html()
    assert "has no place for the runs on moisture (rmse)" in html


def test_who_the_suite_does_not_enter_on_a_data_set_has_no_row_there(tmp_path: Path) -> None:
    runs = [replace(run, extra={**run.extra, "barred": True}) if run.extra.get("missing") else run for run in made()]
    append(tmp_path, runs)
    told = page_of(report([tmp_path])).html()
    floods, moisture = (
        [row for row in rows(section(told, "Data set by data set"), n) if "pixel + IA3" in row] for n in (0, 1)
    )
    assert not floods and len(moisture) == 1
    heads = re.findall(r"<summary>(\w+).*?(\d+) entries", section(told, "Data set by data set"))
    assert heads == [("flood", "6"), ("moisture", "7")]
    assert any("pixel + IA3" in row for row in rows(section(told, "All data sets"), 0))
