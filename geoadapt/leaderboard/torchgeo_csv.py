"""torchgeo-bench's result files: one row per data set, probing method and model, in both directions.

In: its CSV, or run records. Out: records of frozen backbones, or a CSV that stands beside its own. Its intervals come
from the test samples of one run, ours from seeds: they are kept as what they are, and never stand for each other.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.atomic import write_text
from geoadapt.leaderboard.records import Direction, RunRecord

__all__ = ["COLUMNS", "export_torchgeo", "import_torchgeo"]

COLUMNS = (
    *("dataset", "method", "metric_name", "metric_value", "ci_lower", "ci_upper", "feature_dim", "best_c"),
    *("n_train", "n_val", "n_test", "seed", "model", "name", "normalization", "image_size", "interpolation"),
    *("partition", "bands"),
)
NEEDED = ("dataset", "method", "metric_name", "metric_value", "seed", "name")
BETTER: Mapping[str, Direction] = {
    "accuracy": "max",
    "micro_map": "max",
    "map": "max",
    "miou": "max",
    "f1": "max",
    "micro_f1": "max",
    "macro_f1": "max",
    "r2": "max",
    "rmse": "min",
    "mse": "min",
    "mae": "min",
}
"""Metric in lower case to its direction."""
TASKS = (("seg", "segmentation"), ("det", "detection"), ("", "classification"))
"""How a method begins, and what task it is for."""


def import_torchgeo(
    path: Path, *, board: str = "torchgeo-bench", directions: Mapping[str, Direction] | None = None
) -> list[RunRecord]:
    """The rows of a result file as records of frozen backbones; the probing method is the head.

    A row without a score is a run without one (NaN). Every other column is kept in ``extra``.

    Raises:
        GeoadaptError: a column or a number is missing, or nobody knows which way a metric counts (``directions``).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GeoadaptError(path, f"cannot be read: {error}", "it is to be a CSV of torchgeo-bench") from error
    reader = csv.DictReader(io.StringIO(text))
    header = list(reader.fieldnames or ())
    for name in NEEDED:
        if name not in header:
            close = nearest(name, [h for h in header if h not in COLUMNS])
            raise GeoadaptError(path, f"lacks the column '{name}'", close)
    known = {**BETTER, **{name.lower(): way for name, way in (directions or {}).items()}}
    return [_record(row, board, known, f"{path}:{reader.line_num}") for row in reader]


def export_torchgeo(records: Iterable[RunRecord], path: Path) -> Path:
    """Write one row per record; what a record does not say stays empty.

    The name is that of the backbone, with the adapter where there is one; the method that of the head.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(record) for record in records)
    return write_text(path, text.getvalue())


def _record(row: Mapping[str, Any], board: str, known: Mapping[str, Direction], where: str) -> RunRecord:
    if None in row or None in row.values():
        raise GeoadaptError(where, "has another number of columns than the header", "it was not written to its end")
    metric = row["metric_name"]
    if metric.lower() not in known:
        raise GeoadaptError(where, f"nobody knows which way '{metric}' counts", f"directions={{'{metric}': 'max'}}")
    try:
        value = float(row["metric_value"]) if row["metric_value"].strip() else math.nan
        seed = int(row["seed"])
    except ValueError as error:
        raise GeoadaptError(where, f"is no run: {error}", "metric_value and seed are numbers") from error
    method = row["method"]
    task = next(task for start, task in TASKS if method.startswith(start))
    extra = {name: told for name, told in row.items() if name not in NEEDED and told != ""}
    return RunRecord(
        *(
            board,
            row["name"],
            "none",
            "frozen",
            method,
            row["dataset"],
            task,
            metric,
            known[metric.lower()],
            value,
            seed,
        ),
        extra=extra,
    )


def _row(record: RunRecord) -> dict[str, Any]:
    told = {name: record.extra[name] for name in COLUMNS if name in record.extra}
    plain = record.adapter == "none"
    return {
        "model": f"geoadapt.backbones.{record.backbone}",
        **told,
        "dataset": record.dataset,
        "method": record.head,
        "metric_name": record.metric,
        "metric_value": "" if math.isnan(record.value) else repr(float(record.value)),
        "seed": record.seed,
        "name": record.backbone if plain else f"{record.backbone}+{record.adapter}",
    }
