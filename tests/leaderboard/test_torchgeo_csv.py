from __future__ import annotations

import math
from pathlib import Path

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.torchgeo_csv import COLUMNS, export_torchgeo, import_torchgeo
from tests.leaderboard.published import record

HEADER = ",".join(COLUMNS)
ROWS = (
    "m-eurosat,knn5,accuracy,0.8,0.79,0.81,512,,100,50,50,0,torchgeo_bench.models.X,rcf,raw,224,bilinear,default,rgb",
    "burn_scars,seg-fpn,mIoU,0.7,0.69,0.71,512,,100,50,50,1,torchgeo_bench.models.X,rcf,raw,224,bilinear,default,rgb",
    "fuel,linear,rmse,,,,512,,100,50,50,0,torchgeo_bench.models.X,rcf,raw,224,bilinear,default,rgb",
)


def file(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "all_results.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_rows_become_records_of_frozen_backbones(tmp_path: Path) -> None:
    first, second, third = import_torchgeo(file(tmp_path, *ROWS))
    assert (first.backbone, first.regime, first.head, first.value) == ("rcf", "frozen", "knn5", 0.8)
    assert (second.task, second.metric, second.direction, second.seed) == ("segmentation", "mIoU", "max", 1)
    assert math.isnan(third.value) and third.direction == "min"
    assert first.extra["ci_lower"] == "0.79" and first.extra["bands"] == "rgb" and "best_c" not in first.extra


def test_what_was_imported_is_exported_as_it_was(tmp_path: Path) -> None:
    path = file(tmp_path, *ROWS)
    again = export_torchgeo(import_torchgeo(path), tmp_path / "again.csv")
    assert again.read_text() == path.read_text()


def test_columns_that_came_later_are_kept(tmp_path: Path) -> None:
    path = file(tmp_path, ROWS[0] + ",10", header=HEADER + ",num_classes")
    assert import_torchgeo(path)[0].extra["num_classes"] == "10"


def test_an_adapted_backbone_has_its_adapter_in_its_name(tmp_path: Path) -> None:
    path = export_torchgeo([record("small_eo", "pastis", 3, 0.5, adapter="lora", regime="peft")], tmp_path / "x.csv")
    back = import_torchgeo(path, directions={"Multiclass_Jaccard_Index": "max"})
    assert (back[0].backbone, back[0].adapter, back[0].regime) == ("small_eo", "lora", "peft")
    assert (back[0].task, back[0].seed, back[0].value) == ("segmentation", 3, 0.5)
    assert ",small_eo+lora," in path.read_text()
    assert path.read_text().splitlines()[0] == HEADER


def test_a_fine_tuned_model_does_not_pass_for_a_frozen_one(tmp_path: Path) -> None:
    both = [record("s1+s2", "pastis", 1, 0.5, regime="frozen"), record("s1+s2", "pastis", 1, 0.6, regime="full")]
    back = import_torchgeo(export_torchgeo(both, tmp_path / "x.csv"))
    assert [(r.backbone, r.adapter, r.regime) for r in back] == [("s1+s2", "none", "frozen"), ("s1+s2", "full", "full")]
    with pytest.raises(GeoadaptError, match=r"x\.csv: s1\+s2 \+ unet on pastis, seed 1, would stand there twice"):
        export_torchgeo([both[0], both[0]], tmp_path / "x.csv")


def test_a_plus_in_the_name_of_anothers_model_is_no_adapter(tmp_path: Path) -> None:
    (run,) = import_torchgeo(file(tmp_path, ROWS[0].replace(",rcf,", ",s1+lora,")))
    assert (run.backbone, run.adapter, run.regime) == ("s1+lora", "none", "frozen")


def test_simulated_data_are_said_to_be_so_there_and_back(tmp_path: Path) -> None:
    made = record("small_eo", "pastis", 1, 0.5, simulated=True, extra={"partition": "default"})
    path = export_torchgeo([made], tmp_path / "x.csv")
    assert "default simulated" in path.read_text()
    again = import_torchgeo(path)
    assert [run.simulated for run in again] == [True]
    assert export_torchgeo(again, tmp_path / "y.csv").read_text() == path.read_text()


def test_a_score_does_not_stand_there_as_an_error(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match=r"biomassters: RMSE counts the other way here \(max\)"):
        export_torchgeo([record("small_eo", "biomassters", 1, 0.95, metric="RMSE")], tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("metric", "direction", "task"),
    [
        ("rmse/geopotential@500/24h", "min", "regression"),
        ("mae/masked", "min", "regression"),
        ("miou/land_cover_city", "max", "segmentation"),
        ("macro_f1", "max", "classification"),
    ],
)
def test_metrics_of_ours_are_known_by_how_they_begin(tmp_path: Path, metric: str, direction: str, task: str) -> None:
    (run,) = import_torchgeo(file(tmp_path, ROWS[0].replace("accuracy", metric)))
    assert (run.metric, run.direction, run.task) == (metric, direction, task)


def test_runs_that_only_their_settings_tell_apart_do_not_take_each_others_place(tmp_path: Path) -> None:
    part = ROWS[0].replace("default", "0.01x_train").replace(",100,50", ",1,50").replace("0.8,", "0.5,", 1)
    path = file(tmp_path, ROWS[0], part)
    hint = r"csv:3: is the run of line 2 again: partition default and 0\.01x_train; choose one: only={'partition': 'de"
    with pytest.raises(GeoadaptError, match=hint):
        import_torchgeo(path)
    assert [run.value for run in import_torchgeo(path, only={"partition": "0.01x_train"})] == [0.5]
    with pytest.raises(GeoadaptError, match=r"'partitions' is no column of .*did you mean 'partition'"):
        import_torchgeo(path, only={"partitions": "default"})


def test_a_file_that_a_spreadsheet_saved_is_read_too(tmp_path: Path) -> None:
    path = file(tmp_path, *ROWS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(import_torchgeo(path)) == 3


@pytest.mark.parametrize(
    ("rows", "header", "reason"),
    [
        (
            ROWS,
            HEADER.replace("metric_value", "metric_val"),
            "lacks the column 'metric_value'; did you mean 'metric_val'",
        ),
        ((ROWS[0].replace("accuracy", "quality"),), HEADER, "which way 'quality' counts"),
        ((ROWS[0].replace("0.8,", "high,", 1),), HEADER, "is no run"),
        ((ROWS[0][:40],), HEADER, "another number of columns"),
        ((ROWS[0] + ",1",), HEADER, "another number of columns"),
        ((ROWS[0].replace("0.8,", "inf,", 1),), HEADER, r"all_results\.csv:2: record\.value: inf is no finite number"),
        ((ROWS[0].replace(",rcf,", ",,"),), HEADER, r"all_results\.csv:2: record\.backbone: '' is no name"),
        ((ROWS[0].replace("rgb", '"rgb'), ROWS[1]), HEADER, "cannot be read: unexpected end of data"),
        ((ROWS[0], ROWS[0]), HEADER, "csv:3: is the run of line 2 again: the same in every column"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(
    tmp_path: Path, rows: tuple[str, ...], header: str, reason: str
) -> None:
    with pytest.raises(GeoadaptError, match=reason):
        import_torchgeo(file(tmp_path, *rows, header=header))
