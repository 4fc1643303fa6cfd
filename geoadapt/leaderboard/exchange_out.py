"""Runs as files for other boards: a GEO-Bench-2 submission of one regime, torchgeo-bench's CSV.

In: records, and what is said of them. Out: files that were checked and are ready to be written, and what they lack.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.atomic import write_text
from geoadapt.leaderboard.exchange import Said
from geoadapt.leaderboard.groups import Suite, read_suite
from geoadapt.leaderboard.records import BARRED, RunRecord
from geoadapt.leaderboard.submission import TOLD, ExportInfo, Model, listed, submission_texts, write_submission
from geoadapt.leaderboard.submission_checks import BESIDE, FILES
from geoadapt.leaderboard.torchgeo_csv import torchgeo_text
from geoadapt.words import counted

__all__ = ["Export", "checked_folder", "ready"]

ON_BACKBONES = ("frozen", "peft", "full")
"""Regimes that torchgeo-bench's columns can hold: rules and models from scratch would pass for frozen backbones."""

FOREIGN = "on data sets that"


@dataclass(frozen=True, slots=True)
class Export:
    """Files for other boards, checked, and what was left out of them and why."""

    submission: tuple[Path, Mapping[str, str]] | None = None
    torchgeo: tuple[Path, str] | None = None
    notes: tuple[str, ...] = ()

    def write(self) -> list[Path]:
        """Write them; returns where they are."""
        found = []
        if self.submission is not None:
            folder, texts = self.submission
            found.append(write_submission(texts, folder))
        if self.torchgeo is not None:
            path, text = self.torchgeo
            found.append(write_text(path, text))
        return found


def checked_folder(folder: Path) -> Path:
    """A folder that a submission may be written to; raises GeoadaptError where it holds anything else, or is none."""
    if folder.exists() and not folder.is_dir():
        raise GeoadaptError(folder, "is a file", "name a folder for the submission")
    others = [p.name for p in sorted(folder.glob("*")) if p.name not in (*FILES, BESIDE)] if folder.exists() else []
    if others:
        raise GeoadaptError(folder, f"holds {', '.join(others[:3])}", "name a folder of its own for the submission")
    return folder


def ready(
    runs: Sequence[RunRecord],
    said: Said,
    *,
    suite: Path | None = None,
    submission: Path | None = None,
    regime: str = "",
    torchgeo: Path | None = None,
) -> Export:
    """Files of these runs for other boards; raises GeoadaptError for what they would refuse, and writes nothing.

    ``regime`` is ``frozen`` or ``full``, and needed where a submission could be either.
    """
    notes: list[str] = []
    if (submission or torchgeo) is None:
        return Export()
    if suite is None:
        raise GeoadaptError("suite", "no suite says what a submission holds", "say which: suite=geobench2")
    known = read_suite(suite)
    texts = _submission(runs, known, said, regime, submission, notes) if submission is not None else {}
    text = _torchgeo(runs, known, torchgeo, notes) if torchgeo is not None else ""
    return Export(
        (submission, texts) if submission is not None else None,
        (torchgeo, text) if torchgeo is not None else None,
        tuple(notes),
    )


def _submission(
    runs: Sequence[RunRecord], suite: Suite, said: Said, regime: str, folder: Path, notes: list[str]
) -> Mapping[str, str]:
    kept, why = _submitted(runs, suite, said, regime)
    if not kept:
        raise GeoadaptError(folder, f"there is no run to submit: {'; '.join(why)}", "name runs of its data sets")
    notes += [f"left out of {folder}: {line}" for line in why]
    return submission_texts(kept, folder, suite, _info(kept, said, folder), peft_as=said.peft_as)


def _torchgeo(runs: Sequence[RunRecord], suite: Suite, path: Path, notes: list[str]) -> str:
    kept = [_measured(run, suite) for run in runs if run.regime in ON_BACKBONES and not run.extra.get(BARRED)]
    if not kept:
        raise GeoadaptError(path, "there is no run on a backbone to write", "name runs that are no controls")
    if len(kept) < len(runs):
        left = counted(len(runs) - len(kept), "run")
        notes.append(f"left out of {path}: {left} of rules and models from scratch, or not entered by the suite")
    return torchgeo_text(kept, path)


def _measured(run: RunRecord, suite: Suite) -> RunRecord:
    """An RMSE in place of the 1 - RMSE x scale that a submission holds under its name."""
    dataset = suite.datasets.get(run.dataset)
    if dataset is None or dataset.scale is None or (run.metric, run.direction) != (dataset.metric, dataset.direction):
        return run
    return replace(run, value=(1 - run.value) / dataset.scale, direction="min")


def _submitted(runs: Sequence[RunRecord], suite: Suite, said: Said, regime: str) -> tuple[list[RunRecord], list[str]]:
    """The runs of one regime that a submission takes, and in words which others there are."""
    adapters = {run.adapter for run in runs}
    for adapter in said.peft_as:
        if adapter not in adapters:
            raise GeoadaptError(
                f"info: peft_as.{adapter}", f"no run has the adapter '{adapter}'", nearest(adapter, adapters)
            )
    scored = {_cell(run) for run in runs if math.isfinite(run.value)}
    why = [_why_not(run, suite, said, scored) for run in runs]
    fit = [run for run, reason in zip(runs, why, strict=True) if not reason]
    _refuse_simulated(fit)
    word = _word(fit, said, regime)
    kept = [run for run in fit if listed(run, said.peft_as)[1] == word]
    _refuse_two_boards(kept)
    foreign = list(dict.fromkeys(run.dataset for run in runs if run.dataset not in suite.datasets))
    named = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
    reasons = Counter(
        f"{reason} {suite.name} lacks: {named}" if reason == FOREIGN else reason for reason in why if reason
    )
    if len(kept) < len(fit):
        reasons[f"of another regime than {word}"] = len(fit) - len(kept)
    return kept, [f"{counted(count, 'run')} {reason}" for reason, count in reasons.items()]


def _why_not(run: RunRecord, suite: Suite, said: Said, scored: set[tuple[str, ...]]) -> str:
    """Why no submission holds a run; empty where one may."""
    if run.dataset not in suite.datasets:
        return FOREIGN
    if run.regime not in ON_BACKBONES or run.extra.get("control"):
        return "of controls"
    if _cell(run) not in scored:
        return f"of {run.backbone} + {run.adapter}, which has no score on {run.dataset}"
    if run.regime == "peft" and run.adapter not in said.peft_as:
        way = f"peft_as: {{{run.adapter}: full_ft}}"
        return f"of {run.adapter}, for which the board has no word (into the file of info=, what it passes for: {way})"
    return ""


def _word(fit: Sequence[RunRecord], said: Said, regime: str) -> str:
    """The board's word for the regime that is submitted."""
    found = {listed(run, said.peft_as)[1] for run in fit}
    if regime:
        word = {str(name): word for name, word in TOLD.items()}[regime]
        if fit and word not in found:
            raise GeoadaptError(f"regime={regime}", f"every run is {', '.join(found)}", "leave it out")
        return word
    if len(found) > 1:
        problem = "the runs are frozen and full_ft, and a submission is of one regime"
        raise GeoadaptError("submission", problem, "add regime=frozen or regime=full")
    return next(iter(found), "")


def _refuse_simulated(runs: Iterable[RunRecord]) -> None:
    names = sorted({run.dataset for run in runs if run.simulated})
    if names:
        problem = f"runs on {', '.join(names)} are of simulated data"
        raise GeoadaptError("submission", problem, "the board takes runs on its own data sets alone")


def _refuse_two_boards(runs: Iterable[RunRecord]) -> None:
    boards: dict[tuple[str, ...], set[str]] = {}
    for run in runs:
        boards.setdefault(_cell(run)[1:], set()).add(run.board)
    for (backbone, adapter, _, dataset), found in boards.items():
        if len(found) > 1:
            problem = f"{backbone} + {adapter} on {dataset} stands on several boards: {', '.join(sorted(found))}"
            raise GeoadaptError("submission", problem, "name the runs of one board at a time")


def _cell(run: RunRecord) -> tuple[str, ...]:
    return run.board, run.backbone, run.adapter, run.regime, run.dataset


def _info(kept: Sequence[RunRecord], said: Said, folder: Path) -> ExportInfo:
    trials = [run.extra.get("n_trials") for run in kept]
    if said.trials is None and None in trials:
        raise GeoadaptError(folder, "runs do not say how many trials chose them", "trials: N in info=FILE.yaml")
    most = said.trials if said.trials is not None else max(int(count) for count in trials if count is not None)
    told = (said.paper, said.code, said.license, said.about, said.comments)
    return ExportInfo(_models(kept, said), *told, most, said.extra)


def _models(kept: Sequence[RunRecord], said: Said) -> list[Model]:
    """As they are said to be shown, or by name and size; with several heads, the smallest is nearest its backbone's."""
    sizes: dict[str, list[int]] = {}
    for run in kept:
        sizes.setdefault(listed(run, said.peft_as)[0], []).extend([run.total] if run.total else [])
    shown = said.models if said.models is not None else {key: {} for key in sizes}
    return [
        Model(told.get("display_name", key), told.get("size", _size(sizes.get(key, ()))), key)
        for key, told in shown.items()
    ]


def _size(totals: Sequence[int]) -> str:
    """Parameters in three digits, such as 86.2M."""
    if not totals:
        return "N/A"
    least = min(totals)
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if least >= unit:
            return f"{float(f'{least / unit:.3g}'):g}{name}"
    return str(least)
