"""GEO-Bench-2 submission folders: ``results_and_parameters.csv`` and ``additional_info.json``, checked by its rules.

In: run records, or a folder. Out: a folder that the leaderboard takes, or records. What it would refuse, or would take
for what it is not, is refused here, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.atomic import staged_folder, write_text
from geoadapt.leaderboard.groups import Dataset, Suite
from geoadapt.leaderboard.records import Regime, RunRecord
from geoadapt.leaderboard.submission_checks import COLUMNS, FILES, INFO, MODEL, check, read_folder

__all__ = [
    "TOLD",
    "ExportInfo",
    "Model",
    "export_submission",
    "import_submission",
    "listed",
    "submission_texts",
    "write_submission",
]

TOLD: Mapping[Regime, str] = {"frozen": "frozen", "full": "full_ft"}
"""Regime to the only two words that a submission knows."""
METRICS: Mapping[str, str] = {
    "accuracy": "Overall_Accuracy",
    "f1": "Multilabel_F1_Score",
    "miou": "Multiclass_Jaccard_Index",
}
"""Metrics of our own runs to what the board calls them; its F1 is of all labels together."""
LISTED = "listed as"
ABOUT = INFO[4]


@dataclass(frozen=True, slots=True)
class Model:
    """A backbone as the leaderboard is to show it."""

    display_name: str
    size: str
    key: str
    """The ``backbone`` of its rows."""


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What ``additional_info.json`` says; N/A stands for what there is not."""

    models: Sequence[Model]
    paper: str = "N/A"
    code: str = "N/A"
    license: str = "N/A"
    about: str = "N/A"
    comments: str = "N/A"
    trials: int = 16
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of columns that a record's ``extra`` may lack, such as ``weight_decay``."""


def export_submission(
    records: Iterable[RunRecord],
    folder: Path,
    suite: Suite,
    info: ExportInfo,
    *,
    peft_as: Mapping[str, str] | None = None,
) -> Path:
    """Write a submission folder, whole or not at all.

    A record's ``extra`` gives ``lr``, ``batch_size`` and ``weight_decay``, and where it differs from ``info``,
    ``n_trials``, ``batch_size_selection`` and ``early_stop_patience`` (none, if nobody says one). The board has no word
    for parameter-efficient tuning: such runs are refused unless ``peft_as`` says, per adapter, which of ``frozen`` and
    ``full_ft`` they are to pass for; their backbone is then named ``BACKBONE+ADAPTER``, and the information says what
    it is. A submission is of one regime: the board reads it off the first row. Metrics have our names or the board's.
    Raises GeoadaptError for what the leaderboard would refuse.
    """
    return write_submission(submission_texts(records, folder, suite, info, peft_as=peft_as), folder)


def submission_texts(
    records: Iterable[RunRecord],
    folder: Path,
    suite: Suite,
    info: ExportInfo,
    *,
    peft_as: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The files of a submission by name, checked and not yet written; ``folder`` is named in what is raised."""
    runs = list(records)
    if not runs:
        raise GeoadaptError(folder, "there is no run to submit", "name records with runs of this suite")
    rows = [_row(run, suite, info, peft_as or {}) for run in runs]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    check(table, suite, folder)
    peft = sorted({row["backbone"] for row, run in zip(rows, runs, strict=True) if run.regime == "peft"})
    told = _told(info, table, peft, folder)
    return {FILES[0]: table.to_csv(index=False, lineterminator="\n"), FILES[1]: json.dumps(told, indent=4) + "\n"}


def write_submission(texts: Mapping[str, str], folder: Path) -> Path:
    """The files in their folder, whole or not at all; what the folder held is replaced."""
    with staged_folder(folder) as part:
        for name, text in texts.items():
            write_text(part / name, text)
    return folder


def import_submission(folder: Path, suite: Suite, *, board: str = "") -> list[RunRecord]:
    """The runs of a submission folder, in the order of its rows; raises GeoadaptError for what its rules refuse.

    Scores stay as submitted: more is better, a data set with a ``scale`` holds 1 - RMSE x scale. What an export
    listed as parameter-efficient tuning is an entry of its adapter again.
    """
    table, info = read_folder(folder)
    check(table, suite, folder)
    return [_record(row, suite, board or folder.name, str(info[ABOUT])) for row in table.to_dict("records")]


def _row(run: RunRecord, suite: Suite, info: ExportInfo, peft_as: Mapping[str, str]) -> dict[str, Any]:
    dataset = suite.dataset(run.dataset, f"{run.backbone} + {run.adapter}")
    extra = {**info.extra, **run.extra}
    lacking = [name for name in ("lr", "batch_size", "weight_decay") if name not in extra]
    if lacking:
        where = f"{run.backbone} + {run.adapter} on {run.dataset}"
        raise GeoadaptError(
            where,
            f"does not say its {', '.join(lacking)}",
            "put it into the record's extra, or into extra of info=FILE.yaml",
        )
    backbone, regime = listed(run, peft_as)
    return {
        "dataset": run.dataset,
        "Metric": dataset.metric,
        "test metric": _submitted(run, dataset),
        "experiment_name": str(extra.get("experiment_name", f"{run.board}_{backbone}")),
        "partition name": str(extra.get("partition", "100%")),
        "backbone": backbone,
        "decoder": run.head,
        "batch_size_selection": str(extra.get("batch_size_selection", "HPO")),
        "frozen_or_full_ft": regime,
        "early_stop_patience": float(extra.get("early_stop_patience") or np.nan),
        "n_trials": int(extra.get("n_trials", info.trials)),
        "Seed": run.seed,
        "data_percentages": int(extra.get("data_percentages", 100)),
        "batch_size": int(extra["batch_size"]),
        "weight_decay": float(extra["weight_decay"]),
        "lr": float(extra["lr"]),
    }


def listed(run: RunRecord, peft_as: Mapping[str, str]) -> tuple[str, str]:
    """How the board is to call backbone and regime; raises GeoadaptError where it has no word for a run."""
    if run.regime in TOLD:
        return run.backbone, TOLD[run.regime]
    where = f"{run.backbone} + {run.adapter} on {run.dataset}"
    known = sorted(TOLD.values())
    if run.regime != "peft":
        raise GeoadaptError(where, f"regime '{run.regime}' is none of the board's: {', '.join(known)}", "leave it out")
    if run.adapter not in peft_as:
        problem = f"the board knows only {' and '.join(known)}, and '{run.adapter}' is neither"
        raise GeoadaptError(
            where, problem, f"leave it out, or say what it passes for: peft_as={{'{run.adapter}': 'full_ft'}}"
        )
    if peft_as[run.adapter] not in known:
        raise GeoadaptError("peft_as", f"'{peft_as[run.adapter]}' is unknown", nearest(peft_as[run.adapter], known))
    return f"{run.backbone}+{run.adapter}", peft_as[run.adapter]


def _submitted(run: RunRecord, dataset: Dataset) -> float:
    """The score as the board wants it: more is better."""
    where = f"{run.backbone} + {run.adapter} on {run.dataset}, seed {run.seed}"
    if dataset.scale is not None and run.metric.lower() == "rmse" and run.direction == "min":
        return 1 - run.value * dataset.scale
    if (METRICS.get(run.metric, run.metric), run.direction) != (dataset.metric, dataset.direction):
        problem = f"reports {run.metric} ({run.direction}), the board takes {dataset.metric} ({dataset.direction})"
        raise GeoadaptError(where, problem, "submit runs that were scored by the suite's metric")
    return run.value


def _told(info: ExportInfo, table: pd.DataFrame, peft: Sequence[str], folder: Path) -> dict[str, Any]:
    keys = sorted(set(table["backbone"]))
    for model in info.models:
        if model.key not in keys:
            raise GeoadaptError(folder, f"model '{model.key}' has no rows", nearest(model.key, keys))
    about = info.about
    if peft:
        passing = dict(
            table.loc[table["backbone"].isin(peft), ["backbone", "frozen_or_full_ft"]].itertuples(index=False)
        )
        listed = ", ".join(f"{name} ({LISTED} {passing[name]})" for name in peft)
        about = f"{'' if about == 'N/A' else about + ' '}Parameter-efficient tuning: {listed}."
    values = (info.paper, info.code, info.license, str(info.trials), about, info.comments)
    models = [dict(zip(MODEL, (m.display_name, m.size, m.key), strict=True)) for m in info.models]
    return {**dict(zip(INFO[:-1], values, strict=True)), INFO[-1]: models}


def _record(row: Mapping[str, Any], suite: Suite, board: str, about: str) -> RunRecord:
    dataset = suite.datasets[row["dataset"]]
    backbone, adapter = row["backbone"], ""
    if "+" in backbone and f" {backbone} ({LISTED} " in about:
        backbone, _, adapter = backbone.rpartition("+")
    told = {name: regime for regime, name in TOLD.items()}
    regime: Regime = "peft" if adapter else told[row["frozen_or_full_ft"]]
    kept = ("lr", "batch_size", "weight_decay", "n_trials", "early_stop_patience", "experiment_name")
    columns = (*kept, "batch_size_selection", "data_percentages")
    extra = {name: _plain(row[name]) for name in columns if not pd.isna(row[name])}
    return RunRecord(
        *(board, backbone, adapter or "none", regime, row["decoder"], dataset.key, dataset.task),
        *(dataset.metric, dataset.direction, float(row["test metric"]), int(row["Seed"])),
        extra={**extra, "partition": row["partition name"], "listed_as": row["frozen_or_full_ft"]},
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
