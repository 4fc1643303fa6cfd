"""``geoadapt evaluate``: score a bundle, and the simple models that it carries, on other labelled data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from geoadapt.cli.compose import as_yaml, compose, run_jobs
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.predict import bundle_folder
from geoadapt.cli.train import headline, make_data, outline
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import write_text

__all__ = ["VERB"]

LOG = logging.getLogger(__name__)


def _plan(request: Request) -> Callable[[], int]:
    if len(request.paths) != 1:
        found = ", ".join(request.paths) or "none is named"
        raise GeoadaptError("evaluate", f"takes one bundle: {found}", "geoadapt evaluate BUNDLE data=… data.root=…")
    bundle = bundle_folder(request.paths[0])
    outline(compose(request.overrides))
    return lambda: _run(request, bundle)


def _run(request: Request, bundle: Path) -> int:
    def work(job: JobConfig, folder: Path) -> None:
        from geoadapt.training.evaluate import evaluate

        LOG.info("run folder: %s", folder)
        shown = {"bundle": str(bundle), "data": asdict(job.data), "infer": asdict(job.infer), "seed": job.seed}
        write_text(folder / "config.yaml", as_yaml(shown))
        make_data(job)
        result = evaluate(
            bundle,
            job.data,
            folder,
            infer=job.infer,
            seed=job.seed,
            bootstrap=job.train.bootstrap,
            weights=request.flags.get("--weights"),
            command=request.command,
        )
        print("\n".join([*headline(result), f"page    {result.page}"]))

    failures = run_jobs(work, "evaluate", request.overrides)
    if failures:
        raise failures[0]
    return 0


VERB = Verb(
    summary="score a bundle, and the simple models it carries, on labelled data; writes metrics and a page",
    plan=_plan,
    paths="BUNDLE",
    flags=(Flag("--weights", "where the backbone's weights are, if not in GEOADAPT_WEIGHTS", value="PATH"),),
    sections=("data", "infer", "runtime", "train", "seed", "hydra"),
    examples=("geoadapt evaluate outputs/run/bundle data=csmask data.test=[sentinel2] hydra.run.dir=DIR",),
)
