from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.groups import Suite, read_suite
from geoadapt.leaderboard.records import RunRecord, append, read
from geoadapt.leaderboard.submission import ExportInfo, Model, export_submission, import_submission
from tests.leaderboard import submitted
from tests.leaderboard.published import SUITE, submission

MODELS = ExportInfo(
    [Model("Small EO", "1M", "small_eo")], license="Apache-2.0", extra={"batch_size": 8, "weight_decay": 0.01}
)


@cache
def suite() -> Suite:
    return read_suite(SUITE)


def runs(**more: Any) -> list[RunRecord]:
    """Runs that leave the rest to what is said of all."""
    return submitted.runs(**{"extra": {"lr": 1e-4}, **more})


def exported(folder: Path) -> Path:
    return export_submission(runs(), folder / "mine", suite(), MODELS)


def test_what_is_exported_comes_back(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == ["additional_info.json", "results_and_parameters.csv"]
    back = import_submission(folder, suite(), board="b")
    assert [r.identity for r in back] == [r.identity for r in runs()]
    assert [r.value for r in back] == [r.value for r in runs()]
    assert back[0].extra["lr"] == 1e-4 and back[0].extra["batch_size"] == 8 and back[0].regime == "full"
    told = json.loads((folder / "additional_info.json").read_text())
    assert "Code Repository Link " in told and told["New model info"][0]["unique_backbone_key"] == "small_eo"


@pytest.mark.parametrize(
    ("name", "rows"), [("full_ft/114be1f0", 1630), ("full_ft/2ce4a907", 285), ("frozen/80100fc6", 750)]
)
def test_published_runs_pass_the_checks_and_come_back(golden_dir: Path, tmp_path: Path, name: str, rows: int) -> None:
    given = [replace(r, extra={"lr": 1e-4}) for r in submission(golden_dir, name)]
    folder = export_submission(given, tmp_path / "again", suite(), replace(MODELS, models=[]))
    back = import_submission(folder, suite(), board=name.split("/")[1])
    assert [(r.identity, r.value) for r in back] == [(r.identity, r.value) for r in given] and len(back) == rows


def test_an_rmse_becomes_the_score_that_the_board_wants(tmp_path: Path) -> None:
    rmse = [replace(r, value=0.2, direction="min") if r.dataset == "biomassters" else r for r in runs()]
    folder = export_submission(rmse, tmp_path / "mine", suite(), MODELS)
    back = [r.value for r in import_submission(folder, suite()) if r.dataset == "biomassters"]
    assert back == [pytest.approx(1 - 0.2 * 0.2537951171398163)] * 5


def test_runs_of_ours_are_scored_under_the_names_of_the_board(tmp_path: Path) -> None:
    ours = {"Overall_Accuracy": "accuracy", "Multilabel_F1_Score": "f1", "RMSE": "RMSE"}
    folder = export_submission([replace(r, metric=ours[r.metric]) for r in runs()], tmp_path / "mine", suite(), MODELS)
    assert [(r.metric, r.value) for r in import_submission(folder, suite())] == [(r.metric, r.value) for r in runs()]
    macro = [replace(r, metric="macro_f1") if r.dataset == "benv2" else r for r in runs()]
    with pytest.raises(GeoadaptError, match=r"reports macro_f1 \(max\), the board takes Multilabel_F1_Score"):
        export_submission(macro, tmp_path / "macro", suite(), MODELS)


def test_frozen_and_full_runs_are_two_submissions(tmp_path: Path) -> None:
    frozen = [replace(r, backbone="other", regime="frozen") for r in runs()]
    with pytest.raises(GeoadaptError, match="is frozen in some rows and full_ft in others; make two submissions"):
        export_submission([*runs(), *frozen], tmp_path / "mine", suite(), MODELS)


def test_what_only_the_information_calls_tuning_is_none(tmp_path: Path) -> None:
    about = replace(MODELS, about="small_eo (listed as full_ft) is ours.")
    folder = export_submission(runs(), tmp_path / "mine", suite(), about)
    assert {(r.backbone, r.adapter) for r in import_submission(folder, suite())} == {("small_eo", "none")}


def test_parameter_efficient_tuning_is_refused_unless_it_is_said_what_it_passes_for(tmp_path: Path) -> None:
    peft = runs(regime="peft", adapter="lora")
    with pytest.raises(GeoadaptError, match="knows only frozen and full_ft, and 'lora' is neither"):
        export_submission(peft, tmp_path / "mine", suite(), replace(MODELS, models=[]))
    with pytest.raises(GeoadaptError, match="did you mean 'full_ft'"):
        export_submission(peft, tmp_path / "mine", suite(), replace(MODELS, models=[]), peft_as={"lora": "full"})
    folder = export_submission(
        peft, tmp_path / "mine", suite(), replace(MODELS, models=[]), peft_as={"lora": "full_ft"}
    )
    table = pd.read_csv(folder / "results_and_parameters.csv")
    assert set(table["backbone"]) == {"small_eo+lora"} and set(table["frozen_or_full_ft"]) == {"full_ft"}
    about = json.loads((folder / "additional_info.json").read_text())["Additional information about submission"]
    assert about == "Parameter-efficient tuning: small_eo+lora (listed as full_ft)."
    assert {(r.backbone, r.adapter, r.regime) for r in import_submission(folder, suite())} == {
        ("small_eo", "lora", "peft")
    }


def test_a_plus_in_the_name_of_another_board_is_no_adapter(tmp_path: Path) -> None:
    info = replace(MODELS, models=[])
    folder = export_submission([replace(r, backbone="s1+s2") for r in runs()], tmp_path / "mine", suite(), info)
    assert {(r.backbone, r.regime) for r in import_submission(folder, suite())} == {("s1+s2", "full")}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda runs: runs[:-1], "biomassters has 4 runs, the board wants exactly 5; seeds found: 0, 1, 2, 3"),
        (lambda runs: [*runs[:-1], replace(runs[-1], seed=0)], "seed 0 twice"),
        (lambda runs: [*runs[:-1], replace(runs[-1], value=float("nan"))], r"line 26 has no 'test metric' \(NaN\)"),
        (
            lambda runs: [*runs[:4], replace(runs[4], direction="min"), *runs[5:]],
            r"Overall_Accuracy \(min\), the board",
        ),
        (lambda runs: [*runs[:4], replace(runs[4], metric="F1"), *runs[5:]], r"reports F1 \(max\), the board takes Ov"),
        (lambda runs: [replace(r, dataset="so2set") for r in runs[:5]], "did you mean 'so2sat'"),
        (lambda runs: [*runs[:-1], replace(runs[-1], value=0.16)], "the score 0.16, outside 0.492 to 1.*1 - RMSE x"),
        (lambda runs: [replace(r, value=100 * r.value) for r in runs], "outside 0 to 1"),
        (
            lambda runs: runs[:15],
            "no backbone has all data sets of any capability; closest is Classification: add treesatai",
        ),
        (lambda runs: [replace(r, extra={}) for r in runs], "does not say its lr"),
        (lambda runs: [replace(r, regime="none") for r in runs], "regime 'none' is none of the board's"),
        (lambda runs: [], "no run to submit"),
    ],
)
def test_what_the_board_would_refuse_is_not_written(
    tmp_path: Path, change: Callable[[list[RunRecord]], list[RunRecord]], reason: str
) -> None:
    with pytest.raises(GeoadaptError, match=reason):
        export_submission(change(runs()), tmp_path / "mine", suite(), MODELS)
    assert not (tmp_path / "mine").exists()


def edit(name: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype(object)
        table.loc[row, name] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.drop(index=3), "so2sat has 4 runs"),
        (lambda t: t.drop(columns="lr"), "lacks the column 'lr'"),
        (lambda t: t.rename(columns={"test metric": "test_metric"}), "lacks the column 'test metric'; did you mean"),
        (lambda t: t.iloc[:0], "has no rows"),
        (edit("test metric", 2, None), r"line 4 has no 'test metric' \(NaN\)"),
        (edit("test metric", 2, "0,5"), r"column 'test metric' holds .*it takes decimal numbers"),
        (edit("test metric", 2, "inf"), "infinite"),
        (edit("Seed", 2, "two"), "column 'Seed' holds .*it takes numbers"),
        (edit("Seed", 2, 1), "seed 1 twice"),
        (edit("Seed", 2, 2.5), "no whole number"),
        (
            edit("Seed", 2, -1),
            "results_and_parameters.csv: small_eo on so2sat has a seed that is no whole number from 0: 0, 1, -1",
        ),
        (lambda t: t.assign(Seed=[1234567, 1234567, 3, 4, 5] * 5), "has seed 1234567 twice"),
        (edit("test metric", 2, "0,5"), "column 'test metric' holds '0,5' in line 4"),
        (edit("lr", 4, "auto"), "column 'lr' holds 'auto' in line 6"),
        (edit("dataset", 2, "so2set"), "did you mean 'so2sat'"),
        (edit("Metric", 2, "RMSE"), "so2sat has two metrics: Overall_Accuracy and RMSE"),
        (edit("frozen_or_full_ft", 2, "lora"), "frozen_or_full_ft 'lora' is unknown"),
        (edit("frozen_or_full_ft", 2, "frozen"), "frozen in some rows and full_ft in others"),
        (
            edit("frozen_or_full_ft", slice(0, 4), "frozen"),
            "frozen in some rows and full_ft in others; make two submiss",
        ),
        (edit("decoder", 2, None), "line 4 has no 'decoder'"),
        (edit("test metric", 22, 0.17), "outside 0.492 to 1"),
    ],
)
def test_a_tampered_table_is_refused_with_the_reason(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    file = exported(tmp_path) / "results_and_parameters.csv"
    change(pd.read_csv(file)).to_csv(file, index=False)
    with pytest.raises(GeoadaptError, match=reason):
        import_submission(file.parent, suite())


def test_runs_that_never_stopped_early_have_no_patience(tmp_path: Path) -> None:
    given = [replace(r, extra={"lr": 1e-4, "early_stop_patience": 10} if r.seed else {"lr": 1e-4}) for r in runs()]
    folder = export_submission(given, tmp_path / "mine", suite(), MODELS)
    assert pd.read_csv(folder / "results_and_parameters.csv")["early_stop_patience"].isna().sum() == 5
    back = import_submission(folder, suite())
    assert [r.extra.get("early_stop_patience") for r in back[:2]] == [None, 10]
    append(tmp_path, back)  # no NaN that a record could not hold
    assert len(read(tmp_path).runs) == 25


def test_further_columns_are_no_harm(tmp_path: Path) -> None:
    file = exported(tmp_path) / "results_and_parameters.csv"
    pd.read_csv(file).assign(mlflow_run_id="x").to_csv(file, index=False)
    assert len(import_submission(file.parent, suite())) == 25


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = exported(tmp_path) / "results_and_parameters.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"test metric,{head}", *(f"0.99,{row}" for row in rows)]))
    with pytest.raises(GeoadaptError, match="has the column 'test metric' twice"):
        import_submission(file.parent, suite())


def test_whole_numbers_pass_where_decimal_ones_are_usual(tmp_path: Path) -> None:
    file = exported(tmp_path) / "results_and_parameters.csv"
    pd.read_csv(file).assign(weight_decay=0).to_csv(file, index=False)
    assert {run.extra["weight_decay"] for run in import_submission(file.parent, suite())} == {0}


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("results_and_parameters.csv", b"", "results_and_parameters.csv: cannot be read: No columns"),
        ("additional_info.json", b"", "additional_info.json: cannot be read: Expecting value"),
        ("results_and_parameters.csv", "größe".encode("latin-1"), "results_and_parameters.csv: .*'utf-8' codec"),
        ("additional_info.json", '{"License": "ö"}'.encode("latin-1"), "additional_info.json: .*'utf-8' codec"),
        ("additional_info.json", b"[" * 100_000, "additional_info.json: cannot be read: maximum recursion"),
        ("additional_info.json", b"null", "is no mapping of keys to values"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    folder = exported(tmp_path)
    (folder / name).write_bytes(data)
    with pytest.raises(GeoadaptError, match=reason):
        import_submission(folder, suite())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"Number of HPO trials": "16"', '"Number of HPO trials": 16', "'Number of HPO trials' is 16; it takes text"),
        ('"License": "Apache-2.0"', '"License": null', "'License' is null; it takes text"),
        ('"License"', '"Licence"', "unknown key 'Licence'; did you mean 'License'"),
        ('"Code Repository Link "', '"Code Repository Link"', "unknown key 'Code Repository Link'"),
        ('"model_size": "1M",', "", "lacks the key 'model_size'"),
        ("{", "", "cannot be read"),
    ],
)
def test_tampered_information_is_refused_with_the_reason(tmp_path: Path, old: str, new: str, reason: str) -> None:
    file = exported(tmp_path) / "additional_info.json"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(GeoadaptError, match=reason):
        import_submission(file.parent, suite())


def test_another_file_in_the_folder_is_refused(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / ".DS_Store").write_text("what a Mac leaves, the board passes over")
    assert len(import_submission(folder, suite())) == 25
    for name, listed in (
        ("notes.txt", "additional_info.json, notes.txt"),
        (".hidden", r"\.hidden, additional_info.json"),
    ):
        (folder / name).write_text("x")
        with pytest.raises(GeoadaptError, match=f"holds {listed}"):
            import_submission(folder, suite())
        (folder / name).unlink()
    with pytest.raises(GeoadaptError, match="no such folder"):
        import_submission(folder / "none", suite())


def test_a_model_without_rows_is_refused(tmp_path: Path) -> None:
    wrong = replace(MODELS, models=[Model("Small", "1M", "small_e")])
    with pytest.raises(GeoadaptError, match="did you mean 'small_eo'"):
        export_submission(runs(), tmp_path / "mine", suite(), wrong)
