"""What a run does differently for each kind of task; the order of its steps is the same for all.

In: a task's name. Out: the functions that ``training.run`` calls one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from geoadapt.config import JobConfig
from geoadapt.training.feeding import MakeLoaders
from geoadapt.training.fit_types import FitResult

__all__ = ["KINDS", "Kind", "carried", "kind_of", "told_of_run"]


@dataclass(frozen=True, slots=True)
class Kind:
    """The parts of a run; ``setting`` is what ``prepare`` made, an entry the model under test or a control."""

    prepare: Callable[[JobConfig, Path], Any]
    """Data, task and device of a run."""
    choose: Callable[[Any], tuple[str, ...]]
    """Names of the controls, found before the first fit."""
    adapt: Callable[[Any, JobConfig, str], tuple[Any, FitResult]]
    """Build and train what the job describes, under a name for its folder."""
    loaders: Callable[[Any, JobConfig, Any], MakeLoaders]
    """The batches of the model's fit."""
    own: Callable[[Any, Any, FitResult], Any]
    """The trained model as an entry."""
    controls: Mapping[str, Callable[[Any, float], Any]]
    """Name → how it is fitted, given the seconds that the model took."""
    score: Callable[[Any, Mapping[str, Any]], Any]
    """The test, read once, by all entries."""
    metrics: Callable[[Any, Any, FitResult, Path], dict[str, float]]
    """Flat metrics of what was scored; the last is the curves of the fit."""
    store: Callable[[Any, Any, Mapping[str, float], str, Mapping[str, Any], Path], Path]
    """The bundle, with what of the controls it carries."""
    page: Callable[[Any, Any, Mapping[str, float], Mapping[str, Any], str, Path], Path]


KINDS: dict[str, str] = {
    "classification": "geoadapt.training.labelled",
    "cloud_removal": "geoadapt.training.removal",
    "cloud_segmentation": "geoadapt.training.segmentation",
    "forecasting": "geoadapt.training.forecasting",
    "multilabel": "geoadapt.training.labelled",
    "regression": "geoadapt.training.labelled",
    "segmentation": "geoadapt.training.labelled",
}


def carried(entries: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The controls that a bundle carries, and their settings as its card tells them, by name."""
    kept = {name: entry for name, entry in entries.items() if entry.stored is not None}
    return {name: entry.stored for name, entry in kept.items()}, {name: e.settings for name, e in kept.items()}


def told_of_run(setting: Any, command: str, run_dir: Path) -> dict[str, Any]:
    """What every page tells of its run: data, command, configuration, and where the curves of the fit are."""
    return {
        "data": setting.data.note,
        "simulated": setting.data.simulated,
        "command": command,
        "config": asdict(setting.job),
        "curves": run_dir / "curves.csv",
    }


def kind_of(task: str) -> Kind:
    """The parts of a run of ``task``."""
    found: Kind = import_module(KINDS[task]).KIND
    return found
