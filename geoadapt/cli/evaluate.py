"""``geoadapt evaluate``: score a bundle, and the simple models that it carries, on other labelled data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from geoadapt.cli.compose import compose
from geoadapt.cli.evaluate_forecast import FLAGS, plan_forecaster, plan_stored
from geoadapt.cli.evaluate_removal import plan_restorer, restorer_named
from geoadapt.cli.evaluate_run import begin, run_once, told
from geoadapt.cli.evaluate_samples import plan_samples, samples_named
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.predict import bundle_folder
from geoadapt.cli.train import data_note, outline
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError

__all__ = ["VERB"]

LOG = logging.getLogger(__name__)


def _plan(request: Request) -> Callable[[], int]:
    if (restorer := restorer_named(request)) is not None:
        return plan_restorer(request, restorer)
    if words := [word for word in request.overrides if word.startswith("task")]:
        raise GeoadaptError(words[0], "is for bundles of the task cloud_removal", "leave it out")
    if "--all" in request.flags:
        raise GeoadaptError("--all", "is for bundles of the task cloud_removal", "leave it out")
    if (labelled := samples_named(request)) is not None:
        return plan_samples(request, labelled)
    if "--bundle" in request.flags:
        return plan_forecaster(request)
    if "--truth" in request.flags:
        return plan_stored(request)
    if len(request.paths) != 1:
        found = ", ".join(request.paths) or "none is named"
        raise GeoadaptError("evaluate", f"takes one bundle: {found}", "geoadapt evaluate BUNDLE data=… data.root=…")
    bundle = bundle_folder(request.paths[0])
    job = compose(request.overrides)
    outline(job)
    if "--dry-run" in request.flags:
        note = data_note(job)
        return lambda: _dry_run(bundle, note)
    return lambda: _run(request, bundle)


def _dry_run(bundle: Path, note: list[str]) -> int:
    """What would be scored on what; only the bundle's card is read, and its files compared with it."""
    from geoadapt.bundle.card import read_card

    card, _ = read_card(bundle)
    print("\n".join([f"bundle    {card.name}, on {', '.join(card.channels)}", *note]))
    print("\nnothing was run (--dry-run)")
    return 0


def _run(request: Request, bundle: Path) -> int:
    def work(job: JobConfig, folder: Path) -> None:
        """Score once, in a run folder."""
        from geoadapt.training.evaluate import evaluate

        begin(folder, job, bundle, "data", "infer", "runtime")
        result = evaluate(
            bundle,
            job.data,
            folder,
            infer=job.infer,
            runtime=job.runtime,
            seed=job.seed,
            bootstrap=job.train.bootstrap,
            weights=request.flags.get("--weights"),
            allow_mismatch="--allow-mismatch" in request.flags,
            command=request.command,
        )
        told(result)

    return run_once(work, request.overrides)


VERB = Verb(
    summary="score a bundle, and the simple models it carries, on other data; or a stored forecast against truth",
    plan=_plan,
    paths="BUNDLE|FILE|SERIES",
    flags=(
        *FLAGS,
        Flag("--allow-mismatch", "use the backbone at hand although the bundle was trained on another"),
        Flag("--all", "of a restorer: all series of the data, not only those that test"),
        Flag("--dry-run", "check the bundle and the data, and stop"),
    ),
    sections=("data", "infer", "runtime", "task", "train", "seed", "hydra"),
    examples=(
        "geoadapt evaluate outputs/run/bundle data=csmask data.test=[sentinel2] hydra.run.dir=DIR",
        "geoadapt evaluate ERA5.nc --bundle outputs/run/bundle hydra.run.dir=DIR",
        "geoadapt evaluate SERIES --bundle outputs/run/bundle hydra.run.dir=DIR",
        "geoadapt evaluate FC.zarr --truth ERA5.zarr --scores rmse,crps hydra.run.dir=DIR",
    ),
)
