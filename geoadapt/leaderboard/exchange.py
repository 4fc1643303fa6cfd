"""Results of other boards as records: GEO-Bench-2's submission folders and torchgeo-bench's CSV.

In: a path, and a file with what neither results nor records say themselves. Out: records, checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.leaderboard.groups import Suite, read_suite
from geoadapt.leaderboard.records import DIRECTIONS, RunRecord
from geoadapt.leaderboard.submission import TOLD, import_submission
from geoadapt.leaderboard.submission_checks import FILES
from geoadapt.leaderboard.torchgeo_csv import import_torchgeo
from geoadapt.registry import from_plain

__all__ = ["SUITE", "Said", "read_foreign", "read_said", "source_of", "submission_of"]

SUITE = "geobench2"
"""By which a submission is checked where no other suite is named."""
SHOWN = ("display_name", "size")
EXTRA: Mapping[str, type] = {
    **dict.fromkeys(("lr", "weight_decay"), float),
    **dict.fromkeys(("batch_size", "early_stop_patience", "data_percentages"), int),
    **dict.fromkeys(("batch_size_selection", "experiment_name", "partition"), str),
}
"""Key of ``extra`` → what it is."""

MAPPINGS = ("models", "extra", "peft_as", "only", "directions")


@dataclass
class Said:
    """The file of ``info=``: what neither records nor results say themselves."""

    paper: str = "N/A"
    code: str = "N/A"
    license: str = "N/A"
    about: str = "N/A"
    comments: str = "N/A"
    trials: int | None = None
    """Of the search; without it, the most that any run says."""
    models: dict[str, dict[str, str]] | None = None
    """Key of a model's rows → ``display_name`` and ``size``; without it all are listed, by name and parameters."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What runs are to have where their records do not say it, such as ``weight_decay``."""
    peft_as: dict[str, str] = field(default_factory=dict)
    """Adapter → ``frozen`` or ``full_ft``, which it is to pass for in a submission."""
    only: dict[str, str] = field(default_factory=dict)
    """Column of a torchgeo-bench CSV → the value whose rows are read."""
    directions: dict[str, str] = field(default_factory=dict)
    """Metric of such a CSV → ``max`` or ``min``."""

    def __post_init__(self) -> None:
        for key, told in (self.models or {}).items():
            _known(told, SHOWN, f"info: models.{key}")
        _known(self.extra, list(EXTRA), "info: extra")
        for key, value in self.extra.items():
            fits = (int, float) if EXTRA[key] is float else (EXTRA[key],)
            if type(value) not in fits:
                raise GeoadaptError(f"info: extra.{key}", f"{value!r} does not fit", f"expected {EXTRA[key].__name__}")
        for name, words, known in (
            ("peft_as", self.peft_as, sorted(TOLD.values())),
            ("directions", self.directions, DIRECTIONS),
        ):
            for key, word in words.items():
                if word not in known:
                    raise GeoadaptError(f"info: {name}.{key}", f"'{word}' is unknown", nearest(word, known))
        if self.trials is not None and self.trials < 0:
            raise GeoadaptError("info: trials", f"{self.trials}", "write a number from 0")


def read_said(path: Path) -> Said:
    """The file of ``info=``; raises GeoadaptError with the nearest name for an unknown key."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        plain: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except OSError as error:
        raise GeoadaptError(path, f"cannot be read: {error.strerror or error}", "name a YAML file") from error
    except (UnicodeDecodeError, OmegaConfBaseException, YAMLError) as error:
        raise GeoadaptError(path, f"cannot be read: {str(error).splitlines()[0]}", "it is to be a YAML file") from error
    for key in MAPPINGS if isinstance(plain, Mapping) else ():
        if not isinstance(plain.get(key) or {}, Mapping):
            hint = f"write {key}: {{NAME: …}}, see the README"
            raise GeoadaptError(f"{path}.{key}", f"{plain[key]!r} is no mapping of names", hint)
    return from_plain(Said, plain, str(path))


def source_of(path: Path) -> Path | None:
    """The results of another board that ``path`` names: a submission's table or a CSV; None for all else."""
    if path.is_dir():
        return path / FILES[0] if any((path / name).is_file() for name in FILES) else None
    return path if path.suffix.lower() == ".csv" and path.is_file() else None


def submission_of(path: Path) -> Path | None:
    """The submission folder that ``path`` names, itself or by its table; None for all else."""
    source = source_of(path)
    return source.parent if source is not None and source.name == FILES[0] else None


def read_foreign(source: Path, suite: Path | None, said: Said) -> tuple[list[RunRecord], Suite | None]:
    """The runs of another board's results, and the suite that checked them; raises GeoadaptError for what breaks it.

    A submission's board is called as its folder. The rows of a CSV are one board, or one per probing method where a
    model has several on a data set: a board has one score for it.
    """
    if source.name == FILES[0]:
        if suite is None:
            raise GeoadaptError(source.parent, "is a submission, and no suite is named", "say which: suite=geobench2")
        known = read_suite(suite)
        return import_submission(source.parent, known, board=source.parent.resolve().name), known
    directions: Mapping[str, Any] = said.directions
    runs = import_torchgeo(source, directions=directions, only=said.only)
    probes = Counter((run.backbone, run.adapter, run.dataset, run.metric, run.seed) for run in runs)
    if max(probes.values(), default=0) > 1:
        runs = [replace(run, board=f"{run.board} {run.head}") for run in runs]
    return runs, None


def _known(told: Iterable[str], known: Sequence[str], where: str) -> None:
    for key in told:
        if key not in known:
            raise GeoadaptError(f"{where}.{key}", "unknown key", nearest(str(key), known))
