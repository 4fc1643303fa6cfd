"""What ``geoadapt evaluate`` does for restorers: a bundle, and what it was tested against, on other series."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from geoadapt.cli.compose import compose
from geoadapt.cli.evaluate_run import begin, existing, run_once, say, told
from geoadapt.cli.grammar import Request
from geoadapt.cli.predict import bundle_folder
from geoadapt.cli.predict_series import TASK, task_of
from geoadapt.cli.train import data_note
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.paths import as_path
from geoadapt.tasks.config import REMOVAL_ASKED

__all__ = ["plan_restorer", "restorer_named"]

LOG = logging.getLogger(__name__)
HINT = "geoadapt evaluate SERIES --bundle BUNDLE, or geoadapt evaluate BUNDLE data=…"


def restorer_named(request: Request) -> Path | None:
    """The restorer's bundle that a request names, by ``--bundle`` or as its path; None where it names none."""
    words = [request.flags["--bundle"]] if "--bundle" in request.flags else list(request.paths[:1])
    folders = [as_path(word) for word in words]
    return next((bundle_folder(str(folder)) for folder in folders if task_of(folder) == TASK), None)


def plan_restorer(request: Request, bundle: Path) -> Callable[[], int]:
    """Score a bundle on the test series of its data configuration, or on all of them."""
    paths = request.paths if "--bundle" in request.flags else request.paths[1:]
    chosen = any(word.startswith("data=") for word in request.overrides)
    if len(paths) > 1 or not (paths or chosen):
        raise GeoadaptError("evaluate", f"takes one folder of series: {', '.join(paths) or 'none is named'}", HINT)
    overrides = (*_own(bundle, chosen), *request.overrides)
    if paths:
        overrides = (*overrides, f"data.root={existing(paths[0])}")
    job = compose(overrides)
    if "--dry-run" in request.flags:
        note = data_note(job)
        return lambda: say("\n".join([f"bundle    {bundle}", *note, "\nnothing was run (--dry-run)"]))

    def work(job: JobConfig, folder: Path) -> None:
        """Score the bundle once, in a run folder."""
        from geoadapt.training.removal_evaluate import evaluate_restorer

        begin(folder, job, bundle, "data", "task", "runtime")
        result = evaluate_restorer(
            bundle,
            job.data,
            folder,
            task=job.task,
            whole="--all" in request.flags,
            batch=job.train.batch,
            runtime=job.runtime,
            seed=job.seed,
            bootstrap=job.train.bootstrap,
            weights=request.flags.get("--weights"),
            allow_mismatch="--allow-mismatch" in request.flags,
            command=request.command,
        )
        told(result)

    return lambda: run_once(work, overrides)


def _own(bundle: Path, chosen: bool) -> list[str]:
    """The seed and the test that the bundle's card names, as overrides; those on the command line win."""
    card: dict[str, Any] = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    plain = {name: card.get("removal", {}).get(name) for name in REMOVAL_ASKED}
    words = [f"task.{name}={_word(value)}" for name, value in plain.items() if value is not None]
    series = [] if chosen else ["data=timeseries", f"data.bands={_word(card['channels'])}"]
    return [f"task={TASK}", f"seed={int(card['seed'])}", *words, *series]


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_word, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
