"""Results of other boards: which paths they are, what is said of them, and what runs become for another board."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.exchange import Said, read_foreign, read_said, source_of, submission_of
from geoadapt.leaderboard.exchange_out import Export, checked_folder, ready
from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.torchgeo_csv import import_torchgeo
from tests.folders import ROOT
from tests.leaderboard.published import SUITE, record
from tests.leaderboard.submitted import TOLD, runs
from tests.leaderboard.test_torchgeo_csv import ROWS, file

TABLE, ABOUT = "results_and_parameters.csv", "additional_info.json"


def submitted(given: list[RunRecord], said: Said | None = None, regime: str = "") -> Export:
    return ready(given, said or Said(), suite=SUITE, submission=Path("mine"), regime=regime)


def table(export: Export) -> pd.DataFrame:
    from io import StringIO

    assert export.submission is not None
    return pd.read_csv(StringIO(export.submission[1][TABLE]))


def about(export: Export) -> dict[str, object]:
    assert export.submission is not None
    told: dict[str, object] = json.loads(export.submission[1][ABOUT])
    return told


def test_a_submission_is_known_by_either_file_and_a_table_by_its_ending(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / ABOUT).write_text("{}")
    csv = file(tmp_path, *ROWS)
    assert source_of(tmp_path / "half") == tmp_path / "half" / TABLE
    assert submission_of(tmp_path / "half") == tmp_path / "half"
    assert (source_of(csv), submission_of(csv)) == (csv, None)
    assert source_of(tmp_path) is None and source_of(tmp_path / "absent.csv") is None


def test_a_csv_with_several_probes_of_a_model_is_a_board_per_probe(tmp_path: Path) -> None:
    linear = ROWS[0].replace("knn5", "linear")
    one, _ = read_foreign(file(tmp_path, *ROWS), None, Said())
    two, _ = read_foreign(file(tmp_path, *ROWS, linear), None, Said())
    assert {run.board for run in one} == {"torchgeo-bench"}
    assert [run.board for run in two] == [
        f"torchgeo-bench {probe}" for probe in ("knn5", "seg-fpn", "linear", "linear")
    ]


def test_what_the_file_says_chooses_rows_and_directions(tmp_path: Path) -> None:
    part = ROWS[0].replace("default", "0.01x_train")
    odd = ROWS[0].replace("accuracy", "quality")
    info = "only: {partition: default, image_size: 224}\ndirections: {quality: min}\nextra: {lr: 1e-4}\n"
    (tmp_path / "info.yaml").write_text(info)
    found, _ = read_foreign(file(tmp_path, ROWS[0], part, odd), None, read_said(tmp_path / "info.yaml"))
    assert [(run.metric, run.direction) for run in found] == [("accuracy", "max"), ("quality", "min")]


def test_the_readme_shows_a_file_that_can_be_read(tmp_path: Path) -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (text for text in re.findall(r"```yaml\n(.*?)```", shown, re.DOTALL) if "peft_as" in text)
    (tmp_path / "info.yaml").write_text(block)
    said = read_said(tmp_path / "info.yaml")
    assert said.peft_as == {"lora": "full_ft"} and said.models is not None and said.license == "Apache-2.0"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("licence: MIT", r"info\.yaml\.licence: unknown key; did you mean 'license'"),
        ("license: null", r"info\.yaml\.license: None does not fit"),
        ("trials: many", r"info\.yaml\.trials: 'many' does not fit"),
        ("trials: -1", "trials: -1; write a number from 0"),
        ("models: {small_eo: {name: Small}}", r"models\.small_eo\.name: unknown key; did you mean 'display_name'"),
        ("models: [small_eo]", r"info\.yaml\.models: \['small_eo'\] is no mapping of names; write models"),
        ("models: {small_eo: Small}", r"info\.yaml\.models: .* does not fit"),
        ("peft_as: {lora: [full_ft]}", "peft_as.lora: .* is unknown; known: frozen, full_ft"),
        ("extra: {weight_decy: 1}", r"extra\.weight_decy: unknown key; did you mean 'weight_decay'"),
        ("extra: {batch_size: 8.5}", "extra.batch_size: 8.5 does not fit; expected int"),
        ("extra: {lr: high}", "extra.lr: 'high' does not fit; expected float"),
        ("peft_as: {lora: full}", r"peft_as\.lora: 'full' is unknown; did you mean 'full_ft'"),
        ("directions: {x: up}", r"directions\.x: 'up' is unknown; known: max, min"),
        ("about: ${oc.env:HOME}", "holds an interpolation"),
        ("- a", "is no mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_file_of_what_is_said_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "info.yaml").write_text(text)
    with pytest.raises(GeoadaptError, match=reason):
        read_said(tmp_path / "info.yaml")


def test_what_is_said_of_a_submission_comes_from_the_records_where_nobody_says_it() -> None:
    given = [replace(run, total=86_237_312 + run.seed) for run in runs()]
    told = about(submitted(given))
    model = {"model_display_name": "small_eo", "model_size": "86.2M", "unique_backbone_key": "small_eo"}
    assert told["New model info"] == [model] and told["Number of HPO trials"] == "8" and told["License"] == "N/A"
    said = Said(license="MIT", trials=16, models={"small_eo": {"display_name": "Small EO"}})
    told = about(submitted(given, said))
    assert told["New model info"] == [{**model, "model_display_name": "Small EO"}]
    assert (told["License"], told["Number of HPO trials"]) == ("MIT", "16")
    assert about(submitted(runs(), Said(models={})))["New model info"] == []
    sizes = {"model_size": "N/A"}
    assert about(submitted(runs()))["New model info"] == [{**model, **sizes}]


def test_of_two_regimes_one_is_chosen_and_the_other_told() -> None:
    both = [*runs(), *runs(regime="frozen")]
    with pytest.raises(GeoadaptError, match="frozen and full_ft.*add regime=frozen or regime=full"):
        submitted(both)
    for regime, word in (("frozen", "frozen"), ("full", "full_ft")):
        export = submitted(both, regime=regime)
        assert set(table(export)["frozen_or_full_ft"]) == {word} and len(table(export)) == 25
        assert export.notes == (f"left out of mine: 25 runs of another regime than {word}",)
    with pytest.raises(GeoadaptError, match="regime=frozen: every run is full_ft"):
        submitted(runs(), regime="frozen")


def test_tuning_is_submitted_only_as_what_it_is_said_to_pass_for() -> None:
    both = [*runs(), *runs(regime="peft", adapter="lora")]
    assert set(table(alone := submitted(both))["backbone"]) == {"small_eo"}
    assert "25 runs of lora, for which the board has no word" in alone.notes[0]
    export = submitted(both, Said(peft_as={"lora": "full_ft"}))
    assert set(table(export)["backbone"]) == {"small_eo", "small_eo+lora"} and export.notes == ()
    assert "small_eo+lora (listed as full_ft)" in str(about(export))
    with pytest.raises(GeoadaptError, match=r"no run to submit: 25 runs of lora.*peft_as: \{lora: full_ft\}"):
        submitted(both[25:])
    with pytest.raises(GeoadaptError, match="no run has the adapter 'lorra'; did you mean 'lora'"):
        submitted(both, Said(peft_as={"lorra": "full_ft"}))


def test_controls_and_what_was_never_scored_are_left_out_by_name() -> None:
    rule = [replace(run, backbone="majority", regime="none") for run in runs()]
    random = [replace(run, backbone="random", extra={**run.extra, "control": "random_backbone"}) for run in runs()]
    blank = [replace(run, dataset="pastis", value=float("nan")) for run in runs()[:1]]
    other = [replace(run, dataset="csmask") for run in runs()[:2]]
    export = submitted([*runs(), *rule, *random, *blank, *other])
    assert len(table(export)) == 25
    assert [note.removeprefix("left out of mine: ") for note in export.notes] == [
        "50 runs of controls",
        "1 run of small_eo + none, which has no score on pastis",
        "2 runs on data sets that geobench2 lacks: csmask",
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([replace(run, simulated=True) for run in runs()], "are of simulated data"),
        (
            [replace(run, dataset="csmask") for run in runs()],
            "no run to submit: 25 runs on data sets that geobench2 la",
        ),
        ([*runs(), *runs(board="other")], "small_eo \\+ none on so2sat stands on several boards: b, other"),
        ([replace(run, extra={"lr": 1}) for run in runs()], r"do not say how many trials .*; trials: N in info=FILE"),
        ([replace(run, extra={"n_trials": 1}) for run in runs()], "does not say its lr.*extra of info=FILE.yaml"),
        (runs()[:-1], "biomassters has 4 runs"),
        ([*runs()[:-1], replace(runs()[-1], value=float("nan"))], r"has no 'test metric' \(NaN\)"),
    ],
)
def test_what_cannot_be_submitted_is_refused_with_the_reason(given: list[RunRecord], reason: str) -> None:
    with pytest.raises(GeoadaptError, match=reason):
        submitted(given)


def test_what_records_do_not_say_may_be_said_of_all() -> None:
    bare = [replace(run, extra={}) for run in runs()]
    export = submitted(bare, Said(trials=4, extra={key: TOLD[key] for key in ("lr", "batch_size", "weight_decay")}))
    assert set(table(export)["batch_size"]) == {8} and set(table(export)["n_trials"]) == {4}


def test_a_table_for_torchgeo_holds_models_on_backbones_and_measured_errors(tmp_path: Path) -> None:
    rule = replace(runs()[0], backbone="majority", regime="none")
    barred = record("other", "so2sat", 1, float("nan"), extra={"barred": True})
    export = ready([*runs(), rule, barred], Said(), suite=SUITE, torchgeo=tmp_path / "x.csv")
    assert export.notes == (
        f"left out of {tmp_path / 'x.csv'}: 2 runs of rules and models from scratch, or not entered by the suite",
    )
    assert not (tmp_path / "x.csv").exists() and export.write() == [tmp_path / "x.csv"]
    back = import_torchgeo(tmp_path / "x.csv")
    assert len(back) == 25 and {(run.backbone, run.regime) for run in back} == {("small_eo", "full")}
    errors = [run for run in back if run.dataset == "biomassters"]
    scores = [run.value for run in runs() if run.dataset == "biomassters"]
    assert {run.direction for run in errors} == {"min"}
    assert [1 - run.value * 0.2537951171398163 for run in errors] == pytest.approx(scores, abs=1e-12)
    with pytest.raises(GeoadaptError, match="no run on a backbone"):
        ready([rule], Said(), suite=SUITE, torchgeo=tmp_path / "y.csv")


def test_a_submission_takes_no_folder_with_anything_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / TABLE).write_text("old")
    assert checked_folder(tmp_path / "mine") and checked_folder(tmp_path / "new")
    (tmp_path / "mine" / ".thesis").write_text("")
    with pytest.raises(GeoadaptError, match=r"mine: holds \.thesis; name a folder of its own"):
        checked_folder(tmp_path / "mine")
    with pytest.raises(GeoadaptError, match="is a file"):
        checked_folder(tmp_path / "mine" / TABLE)
