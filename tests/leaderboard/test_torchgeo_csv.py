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
    assert (back[0].backbone, back[0].seed, back[0].value) == ("small_eo+lora", 3, 0.5)
    assert path.read_text().splitlines()[0] == HEADER


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
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(
    tmp_path: Path, rows: tuple[str, ...], header: str, reason: str
) -> None:
    with pytest.raises(GeoadaptError, match=reason):
        import_torchgeo(file(tmp_path, *rows, header=header))
