"""``geoadapt train``: adapt a backbone, and stand the result beside its controls."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoadapt.cli.compose import as_yaml, compose, run_jobs
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.keys import CONFIG_SECTIONS, prepare
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields import DATASETS
from geoadapt.io.atomic import write_text
from geoadapt.io.paths import as_path
from geoadapt.registry import build
from geoadapt.report.numbers import number

if TYPE_CHECKING:
    from geoadapt.training.results import RunResult

__all__ = ["VERB", "train"]

LOG = logging.getLogger(__name__)


def train(
    config: JobConfig | Mapping[str, Any] | Sequence[str],
    run_dir: str | Path | None = None,
    *,
    command: str = "geoadapt.train(…)",
) -> RunResult:
    """Fit, compare and store one job in ``run_dir`` (default: outputs/DATE/TIME).

    Args:
        config: a job, the same as plain data, or the overrides that describe it, as typed after ``geoadapt train``.
        run_dir: where config.yaml, metrics.json, report.html and bundle/ go.
        command: what the report says was typed.

    Raises:
        GeoadaptError: the configuration, the data or the weights are not as they must be.
    """
    job = _as_job(config)
    folder = Path(run_dir) if run_dir is not None else Path(f"outputs/{datetime.now():%Y-%m-%d/%H-%M-%S}")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", as_yaml(job))
    make_data(job)
    from geoadapt.training.run import train as run

    return run(job, folder, command)


def _as_job(config: JobConfig | Mapping[str, Any] | Sequence[str]) -> JobConfig:
    if isinstance(config, JobConfig):
        return config
    if isinstance(config, Mapping):
        return job_from_plain(config)
    return compose([config] if isinstance(config, str) else config)


def make_data(job: JobConfig) -> None:
    """Simulate the scenes that a job asks for, where they are not there yet."""
    if job.data.name == "simulated":
        from data_pipelines import ensure

        ensure(job.data)


def outline(job: JobConfig) -> list[str]:
    """What a job would do, in a few lines; raises GeoadaptError where its data are not there."""
    controls = ", ".join(job.train.chosen_controls()) or "none"
    return [
        f"backbone  {job.backbone.name}, frozen" if job.adapter.name != "full" else f"backbone  {job.backbone.name}",
        f"adapter   {job.adapter.name}",
        f"head      {job.head.name}",
        f"task      {job.task.name}",
        f"data      {job.data.name} in {_data_root(job)}",
        f"training  {job.train.steps} steps of {job.train.batch} chips of {job.train.chip} px, seed {job.seed}",
        f"controls  {controls}",
    ]


def headline(result: RunResult) -> list[str]:
    """The mean IoU of the model and of every control."""
    found = {key: value for key, value in result.metrics.items() if key.count("/") == 1 and key.endswith("/miou")}
    return [f"  {key:<28}{number(value)}" for key, value in found.items()]


def closing(result: RunResult) -> str:
    """What came out, where everything is, and what to type next."""
    scene = shlex.join(["geoadapt", "predict", "SCENE", "--bundle", str(result.bundle), "--output", "OUT"])
    return "\n".join([*headline(result), f"page    {result.page}", f"bundle  {result.bundle}", f"next    {scene}"])


def _data_root(job: JobConfig) -> str:
    root = as_path(job.data.root)
    if job.data.name == "simulated":
        return f"{root}, made by the run"
    if job.data.root and not root.is_dir():
        raise GeoadaptError("data.root", f"'{root}' is no folder", "name the folder that holds the scenes")
    return str(root) if job.data.root else "the folder of GEOADAPT_DATA"


def _plan(request: Request) -> Callable[[], int]:
    dirs = [Path(request.flags["--config-dir"])] if "--config-dir" in request.flags else []
    if "--multirun" in request.flags:
        prepare(request.overrides, dirs)
        return lambda: _run(request, dirs, ["--multirun"])
    job = compose(request.overrides, dirs)
    shown = request.flags.get("--cfg")
    if shown is not None:
        if shown not in ("job", "hydra", "all"):
            raise GeoadaptError("--cfg", f"'{shown}'", nearest(shown, ("job", "hydra", "all")))
        return lambda: _print(as_yaml(job).rstrip()) if shown == "job" else _run(request, dirs, ["--cfg", shown])
    lines = outline(job)
    if "--dry-run" in request.flags:
        lines += data_note(job)
        return lambda: _print("\n".join([*lines, *_cost(job), "", "nothing was run (--dry-run)"]))
    return lambda: _run(request, dirs, [])


def data_note(job: JobConfig) -> list[str]:
    """What the data set found; raises GeoadaptError where it cannot be read or split as asked."""
    if job.data.name == "simulated":
        return []
    data = build(DATASETS, job.data, job.seed)
    return [f"found     {data.note}"]


def _cost(job: JobConfig) -> list[str]:
    """Time, memory and disk, from a few steps of the fit; data that are yet to be simulated cannot be tried."""
    if job.data.name == "simulated" and not Path(job.data.root).is_dir():
        return ["estimate  none before the data are made: geoadapt prepare data=simulated"]
    from geoadapt.training.estimate import estimate

    return estimate(job).lines()


def _run(request: Request, dirs: Sequence[Path], flags: Sequence[str]) -> int:
    def work(job: JobConfig, folder: Path) -> None:
        LOG.info("run folder: %s", folder)
        _print(closing(train(job, folder, command=request.command)))

    failures = run_jobs(work, "train", request.overrides, config_dirs=dirs, flags=flags)
    if failures and "--multirun" not in flags:
        raise failures[0]
    for failure in failures:
        LOG.error("error: %s (%s)", failure, "; ".join(failure.__notes__))
    return 1 if failures else 0


def _print(text: str) -> int:
    print(text)
    return 0


VERB = Verb(
    summary="adapt a backbone to labelled data, beside its controls; writes a bundle and a report",
    plan=_plan,
    flags=(
        Flag("--multirun", "run every combination of comma-separated choices", short="-m"),
        Flag("--dry-run", "check the configuration and the data, say what would run, and stop"),
        Flag("--cfg", "print the configuration and stop: job, hydra or all", value="WHAT", short="-c"),
        Flag("--resolve", "with --cfg: interpolations are resolved (they always are for job)"),
        Flag("--config-dir", "a folder of your own choices: experiment/mine.yaml, data/mine.yaml …", value="DIR"),
    ),
    sections=CONFIG_SECTIONS,
    examples=(
        "geoadapt train experiment=cloud_segmentation data=folder data.root=DIR",
        "geoadapt train experiment=cloud_segmentation data.test=[landsat7] seed=0 hydra.run.dir=DIR",
        "geoadapt train -m experiment=cloud_segmentation seed=0,1,2",
    ),
)
