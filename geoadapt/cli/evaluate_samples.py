"""What ``geoadapt evaluate`` does for bundles of labelled samples: on their own test again, or on other samples."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from geoadapt.cli.compose import compose
from geoadapt.cli.evaluate_run import begin, run_once, say, told
from geoadapt.cli.grammar import Request
from geoadapt.cli.predict import bundle_folder
from geoadapt.cli.predict_series import task_of
from geoadapt.cli.train import data_note
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.paths import as_path

__all__ = ["plan_samples", "samples_named"]

LOG = logging.getLogger(__name__)
TASKS = ("classification", "multilabel", "regression", "segmentation")


def samples_named(request: Request) -> Path | None:
    """The bundle of labelled samples that a request names, by ``--bundle`` or as its path; None where it names none."""
    words = [request.flags["--bundle"]] if "--bundle" in request.flags else list(request.paths[:1])
    folders = [as_path(word) for word in words]
    return next((bundle_folder(str(folder)) for folder in folders if task_of(folder) in TASKS), None)


def plan_samples(request: Request, bundle: Path) -> Callable[[], int]:
    """Score a bundle on the test samples of its data configuration; a path is the folder that these lie in."""
    paths = request.paths if "--bundle" in request.flags else request.paths[1:]
    if len(paths) > 1 or not any(word.startswith("data=") for word in request.overrides):
        found = ", ".join(paths) or "none is named"
        raise GeoadaptError("evaluate", f"takes one data set: {found}", "geoadapt evaluate BUNDLE data=…")
    overrides = (*request.overrides, *(f"data.root={as_path(path)}" for path in paths))
    job = compose(overrides)
    if "--dry-run" in request.flags:
        note = data_note(job)
        return lambda: say("\n".join([f"bundle    {bundle}", *note, "\nnothing was run (--dry-run)"]))

    def work(job: JobConfig, folder: Path) -> None:
        """Score the bundle once, in a run folder."""
        from geoadapt.training.labelled_evaluate import evaluate_samples

        begin(folder, job, bundle, "data", "runtime")
        result = evaluate_samples(
            bundle,
            job.data,
            folder,
            runtime=job.runtime,
            seed=job.seed if any(word.startswith("seed=") for word in request.overrides) else None,
            bootstrap=job.train.bootstrap,
            weights=request.flags.get("--weights"),
            allow_mismatch="--allow-mismatch" in request.flags,
            command=request.command,
        )
        told(result)

    return lambda: run_once(work, overrides)
