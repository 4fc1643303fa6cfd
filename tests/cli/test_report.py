"""``geoadapt report`` beside other boards: their results in, files for them out, and what is refused before writing."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from geoadapt.cli import main
from geoadapt.leaderboard.normalise import derive, write
from geoadapt.leaderboard.records import append
from geoadapt.leaderboard.table import table_of
from tests.leaderboard.page_made import stored
from tests.leaderboard.published import BASE, submission
from tests.leaderboard.submitted import runs
from tests.leaderboard.test_torchgeo_csv import ROWS, file

FILES = ["additional_info.json", "results_and_parameters.csv"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the runs of a model in ``runs``; nothing is drawn."""
    monkeypatch.setattr("geoadapt.leaderboard.export_plots.write_plots", lambda chapters, page: [])
    monkeypatch.chdir(tmp_path)
    append(Path("runs"), runs(board="ours"))
    return tmp_path


def report(*words: str) -> int:
    return main(["report", *words])


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def scores(page: str) -> dict[tuple[str, str], str]:
    with Path(page).open(encoding="utf-8") as file:
        return {(row["kind"], row["name"]): row["raw"] for row in csv.DictReader(file)}


def test_runs_become_a_submission_and_a_table_that_come_back_as_pages(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report("runs", "submission=to/mine", "torchgeo=to/runs.csv", "output=page.html") == 0
    assert capsys.readouterr().out.split() == ["page.html", "page.csv", "page.md", "to/mine", "to/runs.csv"]
    assert sorted(path.name for path in (place / "to" / "mine").iterdir()) == FILES
    assert report("to/mine") == 0
    assert capsys.readouterr().out.split() == ["to/leaderboard.html", "to/leaderboard.csv", "to/leaderboard.md"]
    assert sorted(path.name for path in (place / "to" / "mine").iterdir()) == FILES
    html = (place / "to" / "leaderboard.html").read_text(encoding="utf-8")
    assert "Leaderboard: mine" in html and "HLS Burn Scars" in html
    before, after = scores("page.csv"), scores("to/leaderboard.csv")
    assert before["dataset", "so2sat"] and {key: after[key] for key in before if key[0] == "dataset"} == {
        key: raw for key, raw in before.items() if key[0] == "dataset"
    }
    assert report("to/runs.csv", "output=again.html") == 0
    assert scores("again.csv")["dataset", "so2sat"] == before["dataset", "so2sat"]
    assert "Leaderboard: torchgeo-bench" in (place / "again.html").read_text(encoding="utf-8")


def test_a_submission_that_was_read_is_written_again_as_it_was(place: Path) -> None:
    assert report("runs", "submission=one", "output=page.html") == 0
    assert report("one/results_and_parameters.csv", "submission=two", "output=page.html") == 0
    first, second = (Path(name, FILES[1]).read_text(encoding="utf-8") for name in ("one", "two"))
    assert first == second.replace("two_", "one_") and first.count("\n") == 26


def test_several_submissions_records_and_tables_are_a_chapter_each(place: Path) -> None:
    for name in ("one", "two"):
        assert report("runs", f"submission={name}", "output=page.html") == 0
    assert report("runs", "one", "two", "one", str(file(place, *ROWS)), "output=all.html") == 0
    html = (place / "all.html").read_text(encoding="utf-8")
    assert "Leaderboards: ours, one, two, torchgeo-bench" in html
    found = re.search(r'class="subtitle">([^<]*)<', html)
    assert found and found[1].startswith("77 runs of 4 entries on 21 data sets. Not among these runs: 1 blank")


def test_a_tampered_submission_is_named_with_its_reason_and_leaves_no_page(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report("runs", "submission=mine", "output=page.html") == 0
    table = place / "mine" / FILES[1]
    head, _, *rows = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([head, *rows]), encoding="utf-8")
    before = listing(place)
    assert report("mine", "output=new.html") == 1
    assert "mine/results_and_parameters.csv: small_eo on so2sat has 4 runs, the board" in capsys.readouterr().err
    table.unlink()
    assert report("mine", "output=new.html") == 1
    assert "mine: holds additional_info.json; it takes results" in capsys.readouterr().err
    assert listing(place) == [name for name in before if name != f"mine/{FILES[1]}"]


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["submission=mine", "info=info.yaml"], 2, "info.yaml.licence: unknown key; did you mean 'license'?"),
        (["submission=mine", "info=absent.yaml"], 2, "absent.yaml: cannot be read: No such file"),
        (["info=info.yaml"], 2, "unknown key"),
        (["info=good.yaml"], 2, "nothing here asks for it; add submission=FOLDER"),
        (["submission=mine", "regime=ful"], 2, "did you mean 'full'"),
        (["regime=full"], 2, "chooses what is submitted, and nothing is; add submission=FOLDER"),
        (["submission=runs"], 2, "runs: holds records.jsonl; name a folder of its own"),
        (["submission=mine", "output=mine/page.html"], 2, "lies in the submission mine"),
        (["submission=mine", "torchgeo=mine/runs.csv"], 2, "lies in the submission mine"),
        (["torchgeo=runs/leaderboard.csv"], 2, "is read, or is the page's own table"),
        (["torchgeo=runs.txt"], 2, "name a file that ends in .csv"),
        (["submision=mine"], 2, "did you mean 'submission'"),
        (["submission=mine", "regime=frozen"], 1, "regime=frozen: every run is full_ft"),
        (["submission=mine", "suite=smoke"], 1, "no place for any run"),
        (["made", "torchgeo=x.csv", "submission=mine"], 1, "no run to submit: 70 runs on data sets that geobench2"),
    ],
)
def test_where_anything_is_refused_nothing_is_written(
    place: Path, words: list[str], status: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("info.yaml").write_text("licence: MIT\n", encoding="utf-8")
    Path("good.yaml").write_text("license: MIT\n", encoding="utf-8")
    stored(Path("made"))
    before = listing(place)
    paths = ["made"] if words[0] == "made" else ["runs"]
    assert report(*paths, *(word for word in words if word != "made")) == status
    assert reason in capsys.readouterr().err
    assert listing(place) == before


def test_a_page_never_lies_in_a_submission_or_on_a_table_that_is_read(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report("runs", "submission=mine", "torchgeo=t.csv", "output=page.html") == 0
    before = listing(place)
    assert report("mine", "output=mine/page.html") == report("t.csv", "output=t.html") == 2
    assert report("mine", "submission=mine/below") == report("t.csv", "torchgeo=t.csv") == 2
    told = capsys.readouterr().err
    assert told.count("lies in the submission mine") == 2 and told.count("t.csv: is read") == 2
    assert listing(place) == before


def test_what_a_submission_leaves_out_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(Path("runs"), runs(board="ours", adapter="lora", regime="peft"))
    Path("info.yaml").write_text("peft_as: {lora: full_ft}\nlicense: MIT\n", encoding="utf-8")
    assert report("runs", "submission=mine", "output=page.html") == 0
    assert "left out of mine: 25 runs of lora, for which the board has no word" in capsys.readouterr().err
    assert report("runs", "submission=mine", "info=info.yaml", "output=page.html") == 0
    assert capsys.readouterr().err == ""
    assert report("mine", "output=page.html") == 0
    assert "small_eo + LoRA" in Path("page.html").read_text(encoding="utf-8")


def test_the_published_submissions_go_out_and_come_back_with_their_published_scores(
    place: Path, golden_dir: Path
) -> None:
    names = ("full_ft/114be1f0", "full_ft/2ce4a907", "frozen/80100fc6")
    base = table_of([run for name in BASE for run in submission(golden_dir, name)], by=("board", "backbone"))
    write(derive(base, "1"), Path("base.json"))
    extra = {"lr": 1e-4, "batch_size": 8, "weight_decay": 0.01, "n_trials": 16}
    append(Path("all"), [replace(run, extra=extra) for name in names[:1] for run in submission(golden_dir, name)])
    append(Path("all"), [replace(run, extra=extra) for run in submission(golden_dir, names[2])])
    append(Path("some"), [replace(run, extra=extra) for run in submission(golden_dir, names[1])])
    common = ("normaliser=base.json", "output=page.html", "suite=geobench2")
    assert report("all", "submission=full", "regime=full", *common) == 0
    assert report("all", "submission=frozen", "regime=frozen", *common) == 0
    assert report("some", "submission=best", *common) == 0
    assert report("full", "frozen", "best", *common) == 0
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", Path("page.html").read_text(encoding="utf-8")))
    for entry, (core, multispectral) in {
        "convnext_xlarge_fb_in22k, full fine-tuning": ("77.8", "65.8"),
        "dofa_large_patch16_224, frozen": ("–", "18.3"),
        "terramind_v1_large, full fine-tuning": ("67.4", "81.8"),
    }.items():
        assert re.search(rf"{entry} {core}( ± [0-9.]+)? {multispectral} ± ", text), entry


def test_the_help_names_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--help"]) == 0
    told = capsys.readouterr().out
    assert "submission=FOLDER regime=full info=about.yaml torchgeo=runs.csv" in told
    assert "geoadapt report SUBMISSION all_results.csv" in told
