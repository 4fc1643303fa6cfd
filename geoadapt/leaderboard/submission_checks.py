"""The rules of a GEO-Bench-2 submission: files, columns, kinds of numbers, runs per backbone and data set.

In: a folder or its table. Out: nothing, or the reason why the leaderboard would not take it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.leaderboard.groups import Suite

__all__ = ["COLUMNS", "FILES", "INFO", "MODEL", "check", "read_folder"]

FILES = ("results_and_parameters.csv", "additional_info.json")
TEXT = (
    *("dataset", "Metric", "experiment_name", "partition name", "backbone", "decoder", "batch_size_selection"),
    "frozen_or_full_ft",
)
MAY_LACK = ("early_stop_patience",)
"""Empty in the published rows of detection: nothing was stopped early there."""
COUNTS = ("early_stop_patience", "n_trials", "Seed", "data_percentages", "batch_size")
FLOATS = ("weight_decay", "lr", "test metric")
COLUMNS = (*TEXT, *COUNTS, *FLOATS)
INFO = (
    "Paper Link",
    "Code Repository Link ",  # the blank at its end belongs to the key
    "License",
    "Number of HPO trials",
    "Additional information about submission",
    "Comments on new models in submission",
    "New model info",
)
MODEL = ("model_display_name", "model_size", "unique_backbone_key")
REGIMES = ("frozen", "full_ft")
BESIDE = ".DS_Store"
"""The one file that may lie beside the two."""
POOR = 2
"""An RMSE [standard deviations of the target] that no model has: predicting the mean has 1."""


def read_folder(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table and information of a submission, of which every key is known; raises GeoadaptError for other files."""
    if not folder.is_dir():
        raise GeoadaptError(folder, "there is no such folder", f"a submission is a folder with {' and '.join(FILES)}")
    found = sorted(path.name for path in folder.iterdir() if path.name != BESIDE)
    if found != sorted(FILES):
        raise GeoadaptError(
            folder, f"holds {', '.join(found) or 'nothing'}", f"it takes {' and '.join(FILES)}, no more"
        )
    with _reading(folder / FILES[0], "it is to be a table with commas, in UTF-8") as file:
        table = pd.read_csv(file)
    with _reading(folder / FILES[1], "it is to be JSON, in UTF-8") as file:
        info = json.loads(file.read_text(encoding="utf-8"))
    _check_info(info, folder / FILES[1])
    return table, info


@contextmanager
def _reading(path: Path, hint: str) -> Iterator[Path]:
    try:
        yield path
    except (ValueError, OSError, RecursionError) as error:
        problem = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise GeoadaptError(path, f"cannot be read: {problem}", hint) from error


def check(table: pd.DataFrame, suite: Suite, folder: Path) -> None:
    """Raise GeoadaptError for the first rule of the leaderboard that a table breaks, and for what it would let pass.

    A seed that is there twice only warns there, and is refused here: five runs of which two are the same are four.
    """
    where = folder / FILES[0]
    _check_columns(table, where)
    for name in sorted(set(table["dataset"])):
        suite.dataset(name, str(where))
    _check_regime(table, where)
    for name, found in table.groupby("dataset")["Metric"]:
        _check_metric(str(name), sorted(set(found)), suite, where)
    for (backbone, name), found in table.groupby(["backbone", "dataset"]):
        _check_cell(f"{backbone} on {name}", found, suite, where)
    _check_complete(table, suite, where)


def _check_columns(table: pd.DataFrame, where: Path) -> None:
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        close = nearest(missing[0], [str(c) for c in table.columns if c not in COLUMNS])
        raise GeoadaptError(where, f"lacks the column '{missing[0]}'", close)
    twice = [name for name in COLUMNS if f"{name}.1" in table.columns]  # as pandas names the second
    if twice:
        raise GeoadaptError(where, f"has the column '{twice[0]}' twice", "leave one of them out")
    if table.empty:
        raise GeoadaptError(where, "has no rows", "five per backbone and data set")
    for names, told in ((TEXT, "text"), (COUNTS, "numbers"), (FLOATS, "decimal numbers")):
        for name in names:
            _check_column(table[name], name, told, where)


def _check_column(column: pd.Series[Any], name: str, told: str, where: Path) -> None:
    empty = np.flatnonzero(column.isna().to_numpy())
    if name in MAY_LACK:
        column = column.dropna()
    elif empty.size:
        hint = "a run without a score is no run: make it again" if name == "test metric" else "fill it in"
        raise GeoadaptError(where, f"line {_line(int(empty[0]))} has no '{name}' (NaN)", hint)
    text = told == "text"
    fits = pd.api.types.is_string_dtype(column) if text else column.dtype.kind in "iuf"
    if len(column) and not fits:
        row = 0 if text else _first_other(column)
        problem = f"column '{name}' holds '{column.iloc[row]}' in line {_line(int(column.index[row]))}"
        raise GeoadaptError(where, problem, f"it takes {told}")
    if not text and not np.isfinite(column.to_numpy()).all():
        raise GeoadaptError(where, f"column '{name}' holds an infinite number", f"it takes finite {told}")


def _first_other(column: pd.Series[Any]) -> int:
    """The first place with what is no number; 0 where each is one by itself, as whole numbers of any size are."""
    return int(pd.to_numeric(column, errors="coerce").isna().to_numpy().argmax())


def _line(row: int) -> int:
    """Of a row of the table in its file, in which the header is line 1."""
    return row + 2


def _check_regime(table: pd.DataFrame, where: Path) -> None:
    """The board takes a submission's regime from its first row, so that there can be one alone."""
    found = sorted(set(table["frozen_or_full_ft"]))
    for regime in found:
        if regime not in REGIMES:
            raise GeoadaptError(where, f"frozen_or_full_ft '{regime}' is unknown", nearest(regime, REGIMES))
    if len(found) > 1:
        raise GeoadaptError(where, "is frozen in some rows and full_ft in others", "make two submissions of it")


def _check_metric(name: str, found: Sequence[str], suite: Suite, where: Path) -> None:
    wanted = suite.datasets[name].metric
    if len(found) > 1:
        problem = f"{name} has two metrics: {' and '.join(found)}"
        raise GeoadaptError(where, problem, f"one metric, in one direction: {wanted}")
    if found[0] != wanted:
        raise GeoadaptError(where, f"{name} is scored by {found[0]}", f"the board takes {wanted}")


def _check_cell(told: str, rows: pd.DataFrame, suite: Suite, where: Path) -> None:
    seeds = rows["Seed"].tolist()
    if any(seed != int(seed) or seed < 0 for seed in seeds):
        problem = f"{told} has a seed that is no whole number from 0: {_told(seeds)}"
        raise GeoadaptError(where, problem, "leave out what follows its point, and its sign")
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise GeoadaptError(where, f"{told} has seed {_told(twice[:1])} twice", "every run has a seed of its own")
    if len(rows) != suite.seeds:
        problem = f"{told} has {len(rows)} runs, the board wants exactly {suite.seeds}"
        raise GeoadaptError(where, problem, f"seeds found: {_told(sorted(seeds))}")
    _check_scores(told, rows["test metric"].to_numpy(), suite.datasets[str(rows["dataset"].iloc[0])].scale, where)


def _told(seeds: Sequence[float]) -> str:
    return ", ".join(f"{seed:.12g}" for seed in seeds)


def _check_scores(told: str, scores: NDArray[np.float64], scale: float | None, where: Path) -> None:
    """More is better, and 1 is perfect: whatever lies outside is in other units, or counts the other way."""
    least = 0.0 if scale is None else 1 - POOR * scale
    outside = scores[(scores < least) | (scores > 1)]
    if outside.size:
        hint = "" if scale is None else f"; submit 1 - RMSE x {scale:g} in place of an RMSE"
        problem = f"{told} has the score {outside[0]:g}, outside {least:.3g} to 1"
        raise GeoadaptError(where, problem, f"more is to be better in every row, and 1 perfect{hint}")


def _check_complete(table: pd.DataFrame, suite: Suite, where: Path) -> None:
    """At least one capability must be whole, or nothing of the submission can be ranked."""
    has = {backbone: set(rows["dataset"]) for backbone, rows in table.groupby("backbone")}
    if not any(set(group.datasets) <= found for group in suite.groups.values() for found in has.values()):
        lacking = {
            group.label: sorted(set(group.datasets) - found)
            for group in suite.groups.values()
            for found in has.values()
        }
        closest = min(lacking, key=lambda label: len(lacking[label]))
        hint = f"closest is {closest}: add {', '.join(lacking[closest])}"
        raise GeoadaptError(where, "no backbone has all data sets of any capability", hint)


def _check_info(info: Any, where: Path) -> None:
    if not isinstance(info, dict):
        raise GeoadaptError(where, "is no mapping of keys to values", f"its keys: {', '.join(INFO)}")
    _same_keys(list(info), INFO, where)
    for key in INFO[:-1]:
        if not isinstance(info[key], str):
            raise GeoadaptError(where, f"'{key}' is {json.dumps(info[key])[:40]}", "it takes text in quotes")
    models = info[INFO[-1]]
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise GeoadaptError(where, f"'{INFO[-1]}' is no list of models", f"a model has {', '.join(MODEL)}")
    for model in models:
        _same_keys(list(model), MODEL, where)


def _same_keys(found: Sequence[str], wanted: Sequence[str], where: Path) -> None:
    for key in found:
        if key not in wanted:
            raise GeoadaptError(
                where, f"unknown key '{key}'", nearest(key, [w for w in wanted if w not in found] or wanted)
            )
    for key in wanted:
        if key not in found:
            raise GeoadaptError(where, f"lacks the key '{key}'", "N/A stands for what there is not")
