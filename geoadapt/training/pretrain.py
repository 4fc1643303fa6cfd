"""A pre-training run, top to bottom: images without labels, fit, weights with their card, page.

In: a checked JobConfig with ``task=pretraining``. Out: the run folder, with ``backbone/NAME/NAME.safetensors`` in half
precision (encoder and decoder) and ``backbone/NAME/card.json``.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.prithvi_eo import PrithviEo
from geoadapt.backbones.prithvi_eo_mae import Painted, PrithviEoMae, build_mae, patchify
from geoadapt.backbones.weights import fingerprint
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.config import MixedConfig, PretrainingDataConfig
from geoadapt.fields.loaders import make_loaders
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.io.atomic import write_bytes, write_text
from geoadapt.registry import build
from geoadapt.tasks.pretraining import Painter, Pretraining
from geoadapt.tasks.processes import rank
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.loop import fit
from geoadapt.training.precision import chosen_precision
from geoadapt.training.pretrain_page import PretrainStory, write_pretrain_page
from geoadapt.training.results import MODEL, RunResult, join_curves, write_metrics
from geoadapt.training.setting import settle

__all__ = ["made_on", "pretrain", "read_curve", "ready", "save_half"]

log = logging.getLogger(__name__)
TRIVIAL = "mean_of_visible"
"""The control: every hidden patch is painted with the mean of what is visible, per channel."""
LARGEST_HALF = 65504.0


def pretrain(job: JobConfig, run_dir: Path, command: str = "") -> RunResult:
    """Pre-train ``job.backbone`` from random weights, or on from ``backbone.weights``, and store it with its card.

    Raises GeoadaptError for a backbone that has no masked autoencoder, or data that cannot feed it.
    """
    begin = time.perf_counter()
    job, painter, data = ready(job)
    device, multiple = job.runtime.device, painter.multiple
    count = sum(p.numel() for p in painter.parameters())
    how = f"{count:,} parameters, {device}, {chosen_precision(job.runtime)}"
    log.info("data: %s", data.note)
    log.info("pre-training %s: %s", job.backbone.name, how)
    result = fit(
        painter,
        [ParameterGroup(list(painter.parameters()))],
        Pretraining(),
        data,
        job.train,
        job.runtime,
        job.seed,
        run_dir / "fits" / "fit",
        multiple=multiple,
    )
    folder = run_dir / "backbone" / job.backbone.name
    if rank() > 0:
        return RunResult(run_dir, {}, folder, run_dir / "report.html")
    painter.to(device)
    join_curves(result.curves, run_dir / "curves.csv")
    metrics = _errors(painter, data, job, multiple) | {
        f"{MODEL}/parameters": float(count),
        f"{MODEL}/train_seconds": result.seconds,
        "run/seconds": time.perf_counter() - begin,
    }
    # the tables of positions are computed anyway
    state = {k: v for k, v in painter.autoencoder.state_dict().items() if not k.endswith("pos_embed")}
    weights = save_half(state, folder / f"{job.backbone.name}.safetensors")
    card = _card(job, data, metrics, result, command, run_dir / "curves.csv") | {"sha256": fingerprint(weights)}
    write_text(folder / "card.json", json.dumps(card, indent=1) + "\n")
    write_metrics(run_dir, metrics)
    story = PretrainStory(job.backbone.name, data, metrics, card, asdict(job), command, run_dir / "curves.csv")
    shown = next(_batches(painter, data, job, multiple))
    page = write_pretrain_page(run_dir / "report.html", story, painter.autoencoder, *shown)
    return RunResult(run_dir, metrics, folder, page)


def ready(job: JobConfig) -> tuple[JobConfig, Painter, Dataset]:
    """The job as it runs here, the model on its device and the images; raises what ``pretrain`` raises before a fit."""
    job = replace(job, runtime=settle(job.runtime))
    data: Dataset = build(DATASETS, job.data, job.seed)
    painter = Painter(_autoencoder(job)).to(job.runtime.device)
    multiple, chip = painter.multiple, job.train.chip
    if chip % multiple:
        near = max(1, round(chip / multiple)) * multiple
        raise GeoadaptError("train.chip", f"{chip} px is no multiple of {multiple} px", f"choose {near}")
    return job, painter, data


def _autoencoder(job: JobConfig) -> PrithviEoMae:
    if not isinstance(job.backbone, PrithviEoConfig):
        raise GeoadaptError(
            "backbone", f"{job.backbone.name} has no masked autoencoder", "choose backbone=small_eo or a Prithvi-EO"
        )
    config = job.backbone
    if config.weights is None:
        config = replace(config, random_weights=True, seed=job.seed)
    return build_mae(config, hide=job.task.hide, norm_target=job.task.norm_target)


def _batches(painter: Painter, data: Dataset, job: JobConfig, multiple: int) -> Iterator[tuple[Batch, Painted]]:
    """Validation blocks and how they are painted, in full precision, hidden as in every validation."""
    device = next(painter.parameters()).device
    loader = make_loaders(data, job.train, job.seed, multiple=multiple).val
    painter.eval()
    with torch.inference_mode():
        for index, batch in enumerate(loader):
            batch = batch.to(device)
            painter.draw(job.seed, -1 - index, range(job.train.batch), job.train.batch)
            yield batch, painter(batch)


def _errors(painter: Painter, data: Dataset, job: JobConfig, multiple: int) -> dict[str, float]:
    """Mean squared error of hidden values [normalised] of the model, and of painting the mean of what is visible."""
    sums = torch.zeros(3, dtype=torch.float64)
    for batch, painted in _batches(painter, data, job, multiple):
        target, valid = _tokens(painter.autoencoder, batch)
        if painter.autoencoder.norm_target:
            target = (target - target.mean((-2, -1), keepdim=True)) / (target.var((-2, -1), keepdim=True) + 1e-6).sqrt()
        hidden = painted.mask[..., None, None] > 0
        mean = _mean(target, valid & ~hidden)
        counted = valid & hidden
        trivial = torch.where(counted, (target - mean) ** 2, 0.0).sum()
        sums += torch.stack([painted.error, trivial, counted.sum()]).double().cpu()
    count = max(1.0, float(sums[2]))
    return {f"{MODEL}/masked_mse": float(sums[0]) / count, f"{TRIVIAL}/masked_mse": float(sums[1]) / count}


def _tokens(model: PrithviEoMae, batch: Batch) -> tuple[Tensor, Tensor]:
    """What is to be painted and what of it is known, both (b, patches, pixels, c)."""
    if not isinstance(model.encoder, PrithviEo):
        raise GeoadaptError("pretraining", "the bare encoder reads no batch", "build it with build_mae")
    seen = model.encoder.read(batch)
    pixels, valid = (patchify(x, model.encoder.layout.patch) for x in (seen.pixels, seen.valid))
    shape = (*pixels.shape[:2], -1, seen.pixels.shape[1])
    return pixels.reshape(shape), valid.reshape(shape)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over patches and pixels (b, n, p, c) of what is known, per sample and channel (b, 1, 1, c)."""
    total = torch.where(known, values, 0.0).sum((1, 2), keepdim=True)
    return total / known.sum((1, 2), keepdim=True).clamp(min=1)


def save_half(state: dict[str, Tensor], path: Path) -> Path:
    """Tensors as safetensors in half precision."""
    from safetensors.torch import save

    half = {k: v.detach().cpu().clamp(-LARGEST_HALF, LARGEST_HALF).half().contiguous() for k, v in state.items()}
    write_bytes(path, save(half))
    return path


def made_on(job: JobConfig) -> dict[str, str]:
    """Machine and date, for a card."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {job.runtime.device}"
    return {"machine": machine, "date": time.strftime("%Y-%m-%d", time.gmtime())}


def _card(
    job: JobConfig, data: Dataset, metrics: dict[str, float], result: FitResult, command: str, curves: Path
) -> dict[str, object]:
    """All that one must know of the weights; plain data."""
    return {
        "name": job.backbone.name,
        "what": "masked autoencoder (encoder and decoder) of Prithvi-EO's family, float16",
        "channels": list(job.backbone.channels),
        "units": "top-of-atmosphere reflectance 0-1",
        "parameters": int(metrics[f"{MODEL}/parameters"]),
        "data": data.note,
        "scenes": [scene.name for scene in data.train],
        "simulated_share": _simulated_share(job.data, data),
        "command": command,
        "seed": job.seed,
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": round(result.seconds),
        **made_on(job),
        "masked_mse": {key.partition("/")[0]: v for key, v in metrics.items() if key.endswith("/masked_mse")},
        "loss_curve": read_curve(curves),
        "licence": "Apache-2.0; the real tiles keep theirs, and none of their pixels are stored",
        "config": asdict(job.backbone),
    }


def _simulated_share(config: object, data: Dataset) -> float:
    """Share of the training samples that are simulated."""
    if isinstance(config, MixedConfig):
        return config.share
    if isinstance(config, PretrainingDataConfig):
        return round(1 - config.real_share, 2) if config.real else 1.0
    return float(data.simulated)


def read_curve(path: Path, name: str = "val/loss") -> list[tuple[int, float]]:
    """Step and validation score."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(name)]
    return [(int(row["step"]), round(float(row[name]), 5)) for row in rows]
