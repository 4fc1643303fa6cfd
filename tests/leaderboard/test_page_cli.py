"""``geoadapt report``: what it takes, what it writes where, and what it refuses before anything is read."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from geoadapt.cli import main
from geoadapt.leaderboard.export import COLUMNS
from geoadapt.leaderboard.page import report
from tests.leaderboard.page_made import stored


def test_a_page_is_written_beside_the_records_or_where_one_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoadapt.leaderboard.export_plots.write_plots", lambda chapters, page: [])
    stored(tmp_path / "runs")
    assert main(["report", str(tmp_path / "runs")]) == 0
    assert main(["report", str(tmp_path / "runs" / "records.jsonl"), f"output={tmp_path / 'a b' / 'board.html'}"]) == 0
    told = capsys.readouterr().out.split("\n")
    pages = [tmp_path / "runs" / "leaderboard.html", tmp_path / "a b" / "board.html"]
    assert told == [*(str(p.with_suffix(s)) for p in pages for s in (".html", ".csv", ".md")), ""]
    assert all(page.read_text(encoding="utf-8").startswith("<!doctype html>") for page in pages)
    assert "geoadapt report" in pages[0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "no run is named"),
        (["{runs}", "output=board.pdf"], "is no page"),
        (["{runs}", "output="], "has no value"),
        (["{runs}", "suite=geobench"], "did you mean 'geobench2'"),
        (["{runs}/absent"], "there is no such file or folder"),
        (["{runs}", "--fast"], "unknown flag"),
    ],
)
def test_a_request_that_cannot_work_is_refused_at_once(
    tmp_path: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path)
    assert main(["report", *(word.replace("{runs}", str(tmp_path)) for word in words)]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "leaderboard.html").exists()


def test_a_folder_without_runs_fails_and_leaves_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert "holds neither records.jsonl nor metrics.json" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_csv_holds_the_boards_own_numbers_and_nothing_for_what_is_missing(tmp_path: Path) -> None:
    from geoadapt.leaderboard.export import csv_text

    told = report([stored(tmp_path)])
    board = told.chapters["made"].board
    rows = list(csv.DictReader(csv_text(told.chapters).splitlines()))
    assert tuple(rows[0]) == COLUMNS
    for row in rows:
        entry = (row["backbone"], row["adapter"], row["regime"])
        if row["kind"] != "group":
            continue
        score = board.scores[row["name"]][entry]
        if score.estimate is None:
            assert (row["score"], row["low"], row["rank"]) == ("", "", "") and "single pixels" in row["missing"]
        else:
            assert float(row["score"]) == pytest.approx(score.estimate.score, rel=1e-8)
            assert (float(row["low"]), float(row["high"])) == pytest.approx((score.estimate.low, score.estimate.high))
            assert int(row["rank"]) == score.rank
    alone = next(r for r in rows if (r["kind"], r["name"], r["backbone"]) == ("dataset", "moisture", "cnn"))
    found = board.datasets["moisture"]["cnn", "none", "scratch"]
    assert float(alone["raw"]) == pytest.approx(found.raw.score) and alone["simulated"] == "moisture"
    assert alone["verdict"] == "better than majority" and alone["direction"] == "min"


def test_the_markdown_has_a_table_per_capability_and_says_what_is_simulated(tmp_path: Path) -> None:
    from geoadapt.leaderboard.export import markdown_text

    text = markdown_text(report([stored(tmp_path)]).chapters)
    tables = [part for part in text.split("\n\n") if part.startswith("| rank")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table.strip().split("\n")}) == 1
    assert text.count("Simulated data: moisture.") == 2
    assert re.search(r"\| – \| pixel \+ IA3 \| PEFT: IA3 \| – \| – \| [89]\.", text)
