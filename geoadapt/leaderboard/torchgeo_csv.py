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

from geoadapt.adapters import REGIMES
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.atomic import write_text
from geoadapt.leaderboard.records import Direction, RunRecord

__all__ = ["COLUMNS", "export_torchgeo", "import_torchgeo", "torchgeo_text"]

COLUMNS = (
    *("dataset", "method", "metric_name", "metric_value", "ci_lower", "ci_upper", "feature_dim", "best_c"),
    *("n_train", "n_val", "n_test", "seed", "model", "name", "normalization", "image_size", "interpolation"),
    *("partition", "bands"),
)
SETTINGS = COLUMNS[COLUMNS.index("normalization") :]
"""What a run of the same name may have been made with."""
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
    "iou": "max",
    "overall_accuracy": "max",
    "multilabel_f1_score": "max",
    "multiclass_jaccard_index": "max",
    "test_test_map": "max",
    "test_test_segm_map": "max",
}
"""Metric in lower case, as far as its first slash, to its direction."""
OURS = "geoadapt.backbones."
"""Begins the model of what was exported here."""
SIMULATED = "simulated"
"""Ends the partition of runs on simulated data: the file has no other place that says it wherever a score stands."""
TASKS = (("seg", "segmentation"), ("det", "detection"))
"""How a method begins, and what task it is for."""
MEASURES = {
    **dict.fromkeys(("miou", "iou", "multiclass_jaccard_index"), "segmentation"),
    **dict.fromkeys(("rmse", "mse", "mae", "r2"), "regression"),
}
"""Metrics that tell the task where the method does not; any other is of classification."""


def import_torchgeo(
    path: Path,
    *,
    board: str = "torchgeo-bench",
    directions: Mapping[str, Direction] | None = None,
    only: Mapping[str, str] | None = None,
) -> list[RunRecord]:
    """The rows of a result file as records of frozen backbones; the probing method is the head.

    A row that was exported here is of its own adapter again, and simulated where its partition says so.
    A row without a score is a run without one (NaN). Every other column is kept in ``extra``; ``only`` says which value
    of a column to take, where a file holds the same run with several, such as partitions or bands.

    Raises:
        GeoadaptError: a column or a number is missing, nobody knows which way a metric counts (``directions``), or two
            rows are the same run.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True)
        header = list(reader.fieldnames or ())
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GeoadaptError(path, f"cannot be read: {error}", "it is to be a CSV of torchgeo-bench") from error
    for name in NEEDED:
        if name not in header:
            close = nearest(name, [h for h in header if h not in COLUMNS])
            raise GeoadaptError(path, f"lacks the column '{name}'", close)
    wanted = dict(only or {})
    for name in wanted:
        if name not in header:
            raise GeoadaptError("only", f"'{name}' is no column of {path}", nearest(name, header))
    known = {**BETTER, **{name.lower(): way for name, way in (directions or {}).items()}}
    found: dict[tuple[Any, ...], tuple[int, dict[str, str]]] = {}
    records = []
    for line, row in rows:
        if all(row[name] == value for name, value in wanted.items()):
            records.append(_record(row, board, known, f"{path}:{line}"))
            first, twin = found.setdefault(records[-1].identity, (line, row))
            if first != line:
                _refuse_twin(row, twin, f"{path}:{line}", first)
    return records


def export_torchgeo(records: Iterable[RunRecord], path: Path) -> Path:
    """Write one row per record; what a record does not say stays empty.

    The name is that of the backbone, with the adapter where there is one; the method that of the head.
    """
    return write_text(path, torchgeo_text(records, path))


def torchgeo_text(records: Iterable[RunRecord], path: Path) -> str:
    """The same as text; ``path`` is named in what is raised.

    Its columns know no regime: what neither stands on a frozen backbone nor has an adapter to name is named ``+full``.
    Raises GeoadaptError for two runs that its columns cannot tell apart, and for a score under the name of an error.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    seen: set[tuple[Any, ...]] = set()
    for record in records:
        if _direction(record.metric, BETTER) not in (None, record.direction):
            where = f"{record.backbone} + {record.adapter} on {record.dataset}"
            problem = f"{where}: {record.metric} counts the other way here ({record.direction})"
            raise GeoadaptError(path, problem, "export what was measured, under its own name")
        row = _row(record)
        key = tuple(row.get(name, "") for name in (*NEEDED, *SETTINGS) if name != "metric_value")
        if key in seen:
            problem = f"{row['name']} + {record.head} on {record.dataset}, seed {record.seed}, would stand there twice"
            raise GeoadaptError(path, problem, "export the runs of one board at a time")
        seen.add(key)
        writer.writerow(row)
    return text.getvalue()


def _refuse_twin(row: Mapping[str, str], twin: Mapping[str, str], where: str, first: int) -> None:
    """Two rows of one run: the later would take the place of the other among records."""
    others = [name for name in row if name not in NEEDED and row[name] != twin[name]]
    apart = [name for name in others if name in SETTINGS] or others
    told = ", ".join(f"{name} {twin[name]} and {row[name]}" for name in apart) or "the same in every column"
    hint = "leave one of them out"
    if apart:
        one = f"{{'{apart[0]}': '{twin[apart[0]]}'}}"
        hint = f"choose one: only={one}, or write only: {one} into the file of info="
    raise GeoadaptError(where, f"is the run of line {first} again: {told}", hint)


def _record(row: Mapping[str, Any], board: str, known: Mapping[str, Direction], where: str) -> RunRecord:
    if None in row or None in row.values():
        raise GeoadaptError(where, "has another number of columns than the header", "it was not written to its end")
    metric = row["metric_name"]
    direction = _direction(metric, known)
    if direction is None:
        way = f"{{'{metric}': 'max'}}"
        hint = f"directions={way}, or write directions: {way} into the file of info="
        raise GeoadaptError(where, f"nobody knows which way '{metric}' counts", hint)
    try:
        value = float(row["metric_value"]) if row["metric_value"].strip() else math.nan
        seed = int(row["seed"])
    except ValueError as error:
        raise GeoadaptError(where, f"is no run: {error}", "metric_value and seed are numbers") from error
    method = row["method"]
    known_by = MEASURES.get(metric.lower().partition("/")[0], "classification")
    task = next((task for start, task in TASKS if method.startswith(start)), known_by)
    extra = {name: told for name, told in row.items() if name not in NEEDED and told != ""}
    backbone, adapter = _entry(row)
    regime = REGIMES.get(adapter, "peft")
    told = (board, backbone, adapter, regime, method, row["dataset"], task, metric, direction, value, seed)
    simulated = (row.get("partition") or "").split()[-1:] == [SIMULATED]
    try:
        return RunRecord(*told, extra=extra, simulated=simulated)  # type: ignore[arg-type]
    except GeoadaptError as error:
        raise GeoadaptError(where, f"{error.path}: {error.problem}", error.hint) from error


def _direction(metric: str, known: Mapping[str, Direction]) -> Direction | None:
    """Which way a metric counts, by its whole name or as far as its first slash."""
    return known.get(metric.lower()) or known.get(metric.lower().partition("/")[0])


def _entry(row: Mapping[str, str]) -> tuple[str, str]:
    """Backbone and adapter: of the name of another's row nothing is an adapter, whatever it holds."""
    backbone = (row.get("model") or "").removeprefix(OURS)
    if backbone != row.get("model") and row["name"].startswith(f"{backbone}+"):
        return backbone, row["name"].removeprefix(f"{backbone}+")
    return row["name"], "none"


def _row(record: RunRecord) -> dict[str, Any]:
    told = {name: record.extra[name] for name in COLUMNS if name in record.extra}
    adapter = "full" if (record.adapter, record.regime) == ("none", "full") else record.adapter
    if record.simulated and SIMULATED not in str(told.get("partition", "")).split():
        told["partition"] = f"{told.get('partition', '')} {SIMULATED}".strip()
    return {
        "model": f"{OURS}{record.backbone}",
        **told,
        "dataset": record.dataset,
        "method": record.head,
        "metric_name": record.metric,
        "metric_value": "" if math.isnan(record.value) else repr(float(record.value)),
        "seed": record.seed,
        "name": record.backbone if adapter == "none" else f"{record.backbone}+{adapter}",
    }
