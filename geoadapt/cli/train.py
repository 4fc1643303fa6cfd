"""``geoadapt train``: adapt a backbone, and stand the result beside its controls."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoadapt.adapters import TUNED
from geoadapt.cli.compose import as_yaml, compose, run_jobs, store_config
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.keys import CONFIG_SECTIONS, prepare
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields import DATASETS
from geoadapt.io.paths import as_path
from geoadapt.registry import build
from geoadapt.report.numbers import number
from geoadapt.words import counted

if TYPE_CHECKING:
    from geoadapt.training.results import RunResult

__all__ = ["VERB", "train"]

LOG = logging.getLogger(__name__)
PRETRAININGS = ("pretraining", "weather_pretraining")
MADE = (
    "simulated",
    "pretraining",
    "simulated_series",
    "simulated_weather",
    "weather_pretraining",
    "geobench2_standin",
)
LEAD = re.compile(r"[\d.]+h")
"""A lead time as metrics name it."""
CHIEF = ("/miou", "/masked_mse", "/forecast_mse")
"""By which metrics runs are told apart at a glance."""
SAMPLED = ("test/rmse/", "test/macro_f1", "test/accuracy")
"""The same of labelled samples."""


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
        GeoadaptError: the configuration, the data or the weights are not as they must be, or another run is at work in
            ``run_dir``.
    """
    job = _as_job(config)
    from geoadapt.inference.folder import hold
    from geoadapt.inference.machine import choose_device
    from geoadapt.tasks.processes import join, rank, same_on_all, wait_for_all
    from geoadapt.training.run import train as run

    join(choose_device(job.runtime.device))
    folder = same_on_all(Path(run_dir) if run_dir is not None else _new_folder())
    if rank() > 0:
        wait_for_all()
        return run(job, folder, command)
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder):
        store_config(folder, job)
        make_data(job)
        wait_for_all()
        return run(job, folder, command)


def _new_folder() -> Path:
    return Path(f"outputs/{datetime.now():%Y-%m-%d/%H-%M-%S}")


def _as_job(config: JobConfig | Mapping[str, Any] | Sequence[str]) -> JobConfig:
    if isinstance(config, JobConfig):
        return config
    if isinstance(config, Mapping):
        return job_from_plain(config)
    return compose([config] if isinstance(config, str) else config)


def make_data(job: JobConfig) -> None:
    """Make what a job's data configuration asks for, where it is not there yet; check a public data set's folders."""
    from data_pipelines import ensure

    ensure(job.data)


def outline(job: JobConfig) -> list[str]:
    """What a job would do, in a few lines; raises GeoadaptError where its data are not there."""
    steps, chips = counted(job.train.steps, "step"), counted(job.train.batch, "chip")
    training = f"{steps} of {chips} of {job.train.chip} px, seed {job.seed}"
    whole = job.task.name in PRETRAININGS
    parts = [] if whole else [f"adapter   {job.adapter.name}", f"head      {job.head.name}"]
    return [
        f"backbone  {job.backbone.name}" + ("" if whole else f", {TUNED.get(job.adapter.name, 'frozen')}"),
        *parts,
        f"task      {job.task.name}",
        f"data      {job.data.name} in {data_root(job)}",
        f"training  {training}",
        *([] if whole else [f"controls  {', '.join(job.train.chosen_controls(job.task.name)) or 'none'}"]),
    ]


def headline(result: RunResult) -> list[str]:
    """The chief score of the model and of every control."""
    found = {key: value for key, value in result.metrics.items() if key.count("/") == 1 and key.endswith(CHIEF)}
    lines = [f"  {key:<28}{number(value)}" for key, value in found.items()]
    return [*lines, *_errors(result.metrics), *_hidden(result.metrics), *_sampled(result.metrics)]


def _errors(metrics: Mapping[str, float]) -> list[str]:
    """Of forecasts: who errs by how much in the first channel, at the first, the middle and the last lead."""
    found = (key.split("/") for key in metrics)
    keys = [parts for parts in found if len(parts) == 4 and parts[1] == "rmse" and LEAD.fullmatch(parts[3])]
    if not keys:
        return []
    channel = keys[0][2]
    leads = sorted({parts[3] for parts in keys if parts[2] == channel}, key=lambda lead: float(lead[:-1]))
    shown = list(dict.fromkeys([leads[0], leads[len(leads) // 2], leads[-1]]))
    whos = sorted(dict.fromkeys(parts[0] for parts in keys), key=lambda who: who != "test")
    rows = [
        f"  {who:<18}" + "".join(f"{metrics.get(f'{who}/rmse/{channel}/{lead}', math.nan):>9.4g}" for lead in shown)
        for who in whos
    ]
    return [f"RMSE of {channel} at {', '.join(shown)}", *rows]


def _hidden(metrics: Mapping[str, float]) -> list[str]:
    """Of restorers: who errs by how much on the hidden pixels."""
    tail = "/mae/masked"
    found = {key.removesuffix(tail): value for key, value in metrics.items() if key.endswith(tail)}
    rows = [f"  {who:<18}{value:>9.4f}" for who, value in sorted(found.items(), key=lambda row: row[0] != "test")]
    return ["MAE of the hidden pixels [reflectance]", *rows] if rows else []


def _sampled(metrics: Mapping[str, float]) -> list[str]:
    """Of labelled samples: everyone's score, the model first."""
    if "test/places" not in metrics:
        return []
    found = [key.removeprefix("test/") for key in metrics if key.startswith(SAMPLED)]
    rows = {key.removesuffix(f"/{tail}"): key for tail in found[:1] for key in metrics if key.endswith(f"/{tail}")}
    lines = [f"  {who:<18}{metrics[key]:>9.4g}" for who, key in sorted(rows.items(), key=lambda row: row[0] != "test")]
    return [f"{' of '.join(found[0].split('/')).replace('rmse', 'RMSE')}", *lines] if lines else []


def closing(result: RunResult) -> str:
    """What came out, where everything is, and what to type next."""
    what, words = "bundle", ["predict", "SCENE", "--bundle", str(result.bundle), "--output", "OUT"]
    card = result.bundle / "bundle.json"
    if not card.is_file():
        what, chosen = "weights", f"backbone={result.bundle.name}"
        task = "slp_natl" if result.bundle.name == "small_wx" else "cloud_segmentation"
        words = ["train", f"experiment={task}", chosen, f"backbone.weights={result.bundle}"]
    elif (plain := json.loads(card.read_text(encoding="utf-8"))).get("removal"):
        words[1] = "STACK"
    elif plain.get("samples"):
        words = ["evaluate", str(result.bundle), "data=\N{HORIZONTAL ELLIPSIS}"]
    elif plain.get("forecast"):
        words = ["forecast", "FILE", "--bundle", str(result.bundle)]
        words += ["--init", "DATE", "--lead", "5d", "--output", "FC.zarr"]
    lines = [f"page    {result.page}", f"{what:<8}{result.bundle}", f"next    {shlex.join(['geoadapt', *words])}"]
    return "\n".join([*headline(result), *lines])


def data_root(job: JobConfig) -> str:
    """Where a job's data are, and which of them the run makes; raises GeoadaptError where they are not there."""
    if getattr(job.data, "source", ""):
        return f"{as_path(job.data.path)}, made by the run from {job.data.source}"
    if hasattr(job.data, "path"):
        if not job.data.path or not as_path(job.data.path).exists():
            raise GeoadaptError("data.path", f"'{job.data.path}' does not exist", "name a NetCDF, GRIB or Zarr archive")
        return str(as_path(job.data.path))
    root, made = as_path(job.data.root), _made_in(job)
    if made == root:
        return f"{root}, made by the run"
    if job.data.root and not root.is_dir():
        raise GeoadaptError("data.root", f"'{root}' is no folder", "name the folder that holds the scenes")
    found = str(root) if job.data.root else "the folder of GEOADAPT_DATA"
    return found if made is None else f"{found}, and {made}, made by the run"


def _made_in(job: JobConfig) -> Path | None:
    """The folder in which a run makes its data, or the simulated part of them; None where all are brought."""
    data = job.data.parts()[1] if job.data.name == "mixed" else job.data
    return as_path(data.root) if data.name in MADE else None


def _plan(request: Request) -> Callable[[], int]:
    dirs = [Path(request.flags["--config-dir"])] if "--config-dir" in request.flags else []
    if "--multirun" in request.flags:
        if "TORCHELASTIC_RUN_ID" in os.environ:
            raise GeoadaptError("--multirun", "is not for torchrun's processes", "start torchrun once for each job")
        prepare(request.overrides, dirs)
        return lambda: _run(request, dirs, ["--multirun"])
    job = compose(request.overrides, dirs)
    shown = request.flags.get("--cfg")
    if shown is not None:
        if shown not in ("job", "hydra", "all"):
            raise GeoadaptError("--cfg", f"'{shown}'", nearest(shown, ("job", "hydra", "all")))
        return lambda: _print(as_yaml(job).rstrip()) if shown == "job" else _run(request, dirs, ["--cfg", shown])
    check_brought(job)
    lines = outline(job)
    if "--dry-run" in request.flags:
        lines += data_note(job)
        return lambda: _print("\n".join([*lines, *_cost(job), "", "nothing was run (--dry-run)"]))
    return lambda: _run_together(request, dirs, job)


def check_brought(job: JobConfig) -> None:
    """Raise GeoadaptError where what a fit starts from or goes on from is not there: before the data are read."""
    start, resume = job.train.start, job.train.resume
    if start not in (None, "shipped") and not (as_path(start) / "bundle.json").is_file():
        raise GeoadaptError("train.start", f"'{start}' is no bundle", "name the bundle/ of a run folder, or 'shipped'")
    if resume is not None and not Path(resume).exists():
        raise GeoadaptError("train.resume", f"'{resume}' does not exist", "name a run's folder, or one of its files")


def data_note(job: JobConfig) -> list[str]:
    """What the data set found; raises GeoadaptError where it cannot be read or split as asked."""
    if _made_in(job) is not None:
        return []
    data = build(DATASETS, job.data, job.seed)
    return [f"found     {data.note}"]


def _cost(job: JobConfig) -> list[str]:
    """Time, memory and disk, from a few steps of the fit; data that are yet to be simulated cannot be tried."""
    made = _made_in(job)
    if made is not None and not made.is_dir():
        return [f"estimate  none before the data are made: geoadapt prepare data={job.data.name}"]
    from geoadapt.training.estimate import estimate

    return estimate(job).lines()


def _run_together(request: Request, dirs: Sequence[Path], job: JobConfig) -> int:
    """The same run folder for all processes that torchrun started; Hydra's own files are written by the first."""
    from geoadapt.inference.machine import choose_device
    from geoadapt.tasks.processes import join, rank, same_on_all, world

    join(choose_device(job.runtime.device))
    if world() == 1:
        return _run(request, dirs, [])
    words = list(request.overrides)
    if not any(word.startswith("hydra.run.dir=") for word in words):
        words.append(f"hydra.run.dir={same_on_all(_new_folder())}")
    if rank() > 0:
        words.append("hydra.output_subdir=null")
    return _run(replace(request, overrides=tuple(words)), dirs, [])


def _run(request: Request, dirs: Sequence[Path], flags: Sequence[str]) -> int:
    def work(job: JobConfig, folder: Path) -> None:
        LOG.info("run folder: %s", folder)
        result = train(job, folder, command=request.command)
        if result.metrics:  # of several processes the first alone has them
            _print(closing(result))

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
