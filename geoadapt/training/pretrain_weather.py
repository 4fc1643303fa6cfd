"""A pre-training run of a weather backbone, top to bottom: archives, fit, weights with their card.

In: a checked JobConfig with ``task=weather_pretraining``. Out: the run folder, with ``backbone/NAME/NAME.safetensors``
in half precision and ``backbone/NAME/card.json``.
"""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from geoadapt.backbones.config import SmallWxConfig
from geoadapt.backbones.small_wx import SmallWx, drawn
from geoadapt.backbones.small_wx import build as build_backbone
from geoadapt.backbones.weights import fingerprint
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.chips import FromStep
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.types import Batch
from geoadapt.fields.weather_archives import PretrainingArchives
from geoadapt.io.atomic import write_text
from geoadapt.registry import build
from geoadapt.report.charts import curves, series
from geoadapt.report.page import Page
from geoadapt.report.provenance import provenance, versions
from geoadapt.report.tables import Cell, table
from geoadapt.standard import fit_standard
from geoadapt.tasks.processes import rank, world
from geoadapt.tasks.weather_pretraining import KINDS, Reader, WeatherPretraining
from geoadapt.training.feeding import MakeLoaders
from geoadapt.training.fit_types import ParameterGroup
from geoadapt.training.loop import fit
from geoadapt.training.precision import chosen_precision
from geoadapt.training.pretrain import made_on, read_curve, save_half
from geoadapt.training.results import MODEL, RunResult, join_curves, write_metrics
from geoadapt.training.setting import settle
from geoadapt.training.weather_windows import WindowBatches
from geoadapt.training.window_archives import Archive, Held, make_archive, standardised

__all__ = ["pretrain_weather", "weather_ready"]

log = logging.getLogger(__name__)
TRIVIAL = "no_change"
"""The control: nothing changes, and what is hidden is as usual: the squared error of saying zero."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The job as it runs here, the model on its device, the archives and their batches."""

    job: JobConfig
    reader: Reader
    data: PretrainingArchives
    checked: WindowBatches
    """Of the validation."""
    loaders: MakeLoaders


def pretrain_weather(job: JobConfig, run_dir: Path, command: str = "") -> RunResult:
    """Pre-train ``job.backbone`` from random weights, or on from ``backbone.weights``, and store it with its card.

    Raises GeoadaptError for another backbone, or archives that cannot be read.
    """
    begin = time.perf_counter()
    found = weather_ready(job)
    job, reader, data, checked = found.job, found.reader, found.data, found.checked
    count = sum(p.numel() for p in reader.parameters())
    log.info("data: %s", data.note)
    log.info("pre-training %s: %d parameters, %s", job.backbone.name, count, chosen_precision(job.runtime))
    result = fit(
        reader,
        [ParameterGroup(list(reader.parameters()))],
        WeatherPretraining(),
        None,
        job.train,
        job.runtime,
        job.seed,
        run_dir / "fits" / "fit",
        loaders=found.loaders,
    )
    folder = run_dir / "backbone" / job.backbone.name
    if rank() > 0:
        return RunResult(run_dir, {}, folder, run_dir / "report.html")
    join_curves(result.curves, run_dir / "curves.csv")
    metrics = _errors(reader, checked) | {
        f"{MODEL}/parameters": float(count),
        f"{MODEL}/train_seconds": result.seconds,
        "run/seconds": time.perf_counter() - begin,
    }
    weights = save_half(reader.backbone.state_dict(), folder / f"{job.backbone.name}.safetensors")
    card = _card(job, data, metrics, command) | {
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": round(result.seconds),
        "loss_curve": read_curve(run_dir / "curves.csv", "val/forecast"),
        "sha256": fingerprint(weights),
    }
    write_text(folder / "card.json", json.dumps(card, indent=1) + "\n")
    write_metrics(run_dir, metrics)
    page = _page(run_dir, job, data, metrics, command)
    return RunResult(run_dir, metrics, folder, page)


def weather_ready(job: JobConfig) -> Ready:
    """What a pre-training begins with; raises what ``pretrain_weather`` raises before a fit."""
    job = replace(job, runtime=settle(job.runtime))
    if not isinstance(job.backbone, SmallWxConfig):
        raise GeoadaptError("backbone", f"{job.backbone.name} is not pre-trained so", "choose backbone=small_wx")
    data: PretrainingArchives = build(DATASETS, job.data, job.seed)
    train, val = _sides(data, job)
    reader = Reader(_backbone(job)).to(job.runtime.device)
    checked = _batches(val, job, job.task.val_batches, job.seed + 1)

    def loaders(start: int) -> Loaders:
        return Loaders(
            DataLoader(
                _batches(train, job, job.train.steps, job.seed),
                batch_size=None,
                sampler=FromStep(job.train.steps, start),
                num_workers=job.train.workers,
            ),
            DataLoader(replace(checked, world=1, rank=0), batch_size=None, sampler=_every(checked)),
        )

    return Ready(job, reader, data, checked, loaders)


def _backbone(job: JobConfig) -> SmallWx:
    config: SmallWxConfig = job.backbone
    if config.weights is None:
        return drawn(replace(config, random_weights=True, seed=job.seed)).requires_grad_(True)
    return build_backbone(config).requires_grad_(True)


def _sha256(config: SmallWxConfig) -> str:
    """Of the weights that the pre-training went on from."""
    return build_backbone(config).source.sha256


def _sides(data: PretrainingArchives, job: JobConfig) -> tuple[list[Archive], list[Archive]]:
    train: list[Archive] = []
    val: list[Archive] = []
    held: dict[int, Held] = {}
    for side in data.sides:
        known = id(side.history.states)
        if known not in held:
            dates = side.train if side.train.any() else side.val
            # of a single state the climatology of a place would be the state itself
            anomalies = "season" if side.leads else "channel"
            standard = fit_standard(side.history, dates, anomalies, changes=False)
            held[known] = standardised(side.history, standard)
        for mask, into in ((side.train, train), (side.val, val)):
            if mask.any():
                into.append(make_archive(side.history, held[known], mask, side.leads, side.share, job.task.frames))
    if not val:
        raise GeoadaptError("data", "no archive has dates for validation", "keep data.real, or more data.planets")
    return train, [replace(archive, share=1.0) for archive in val]


def _batches(archives: list[Archive], job: JobConfig, count: int, seed: int) -> WindowBatches:
    task = job.task
    return WindowBatches(
        tuple(archives),
        count,
        job.train.batch,
        seed,
        task.paint,
        (task.window[0], task.window[1]),
        world(),
        rank(),
    )


def _every(checked: WindowBatches) -> FromStep:
    return FromStep(len(checked), 0, world(), rank())


def _errors(reader: Reader, checked: WindowBatches) -> dict[str, float]:
    """Mean squared errors of the model and of saying zero, in full precision, on the validation batches."""
    task = WeatherPretraining()
    tallies = {MODEL: task.tally(), TRIVIAL: task.tally()}
    device = next(reader.parameters()).device
    reader.eval()
    with torch.inference_mode():
        for index in range(len(checked)):
            batch: Batch = replace(checked, world=1, rank=0)[index].to(device)
            said: Tensor = reader(batch)
            tallies[MODEL].add(said, batch)
            tallies[TRIVIAL].add(torch.zeros_like(said), batch)
    return {f"{who}/{kind}_mse": tally.scores()[kind] for who, tally in tallies.items() for kind in tally.seen()}


def _card(job: JobConfig, data: PretrainingArchives, metrics: dict[str, float], command: str) -> dict[str, object]:
    """All that one must know of the weights; plain data."""
    return {
        "name": job.backbone.name,
        "what": "weather backbone and readout: forecasts and paintings of standardised anomalies, float16",
        "units": "anomalies from the climatology of place and date over their standard deviation",
        "parameters": int(metrics[f"{MODEL}/parameters"]),
        "data": data.note,
        "archives": list(data.names),
        "simulated_share": data.simulated_share,
        "command": command,
        "seed": job.seed,
        **made_on(job),
        "mse": {key: value for key, value in metrics.items() if key.endswith("_mse")},
        "licence": "Apache-2.0; the real archives keep theirs, and none of their values are stored",
        "config": {**asdict(job.backbone), "weights": None},
        "started_from": None if job.backbone.weights is None else _sha256(job.backbone),
    }


def _page(run_dir: Path, job: JobConfig, data: PretrainingArchives, metrics: dict[str, float], command: str) -> Path:
    import csv

    with (run_dir / "curves.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    page = Page(f"Pre-training: {job.backbone.name}", data.note)
    shown: list[list[Cell]] = [
        [name, *(metrics.get(f"{who}/{kind}_mse", math.nan) for kind in KINDS)]
        for who, name in ((MODEL, "this model"), (TRIVIAL, "saying that nothing changes, and all is as usual"))
    ]
    page.add("Scores", table(["", "forecasts", "paintings"], shown, "Mean squared error on what was held out", own=0))
    lines = series(rows, ["train/loss", *(f"val/{kind}" for kind in KINDS)])
    page.add("How the fit went", curves(lines, "step", "mean squared error", "Training windows and held-out ones."))
    page.add("Run it again", provenance(command, asdict(job), versions(), {"data": data.note}))
    return page.write(run_dir / "report.html")
