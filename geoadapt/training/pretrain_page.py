"""The page of a pre-training run: does it paint better than a plain mean, pictures, and how the fit went."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.backbones.prithvi_eo import PrithviEo
from geoadapt.backbones.prithvi_eo_bands import REFLECTANCE
from geoadapt.backbones.prithvi_eo_mae import Painted, PrithviEoMae, patchify, unpatchify
from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.report.charts import curves, series
from geoadapt.report.page import Page
from geoadapt.report.pictures import MapRow, Panel, maps
from geoadapt.report.provenance import provenance, versions
from geoadapt.report.quicklook import rgb
from geoadapt.report.tables import table

__all__ = ["PretrainStory", "write_pretrain_page"]

SHOWN = 6
"""Chips on the page."""


@dataclass(frozen=True, slots=True)
class PretrainStory:
    """What the page tells."""

    name: str
    data: Dataset
    metrics: Mapping[str, float]
    card: Mapping[str, object]
    config: Mapping[str, object]
    command: str
    curves: Path


def write_pretrain_page(path: Path, story: PretrainStory, model: PrithviEoMae, batch: Batch, painted: Painted) -> Path:
    """One self-contained HTML page; ``batch`` holds the chips that are shown, ``painted`` what became of them."""
    page = Page(f"Pre-training: {story.name}", story.data.note)
    own, trivial = (story.metrics[f"{who}/masked_mse"] for who in ("test", "mean_of_visible"))
    word = "Better" if own < trivial else "Not better"
    page.add(
        "Does it see anything?",
        f"{word} than painting the mean of what is visible: mean squared error {own:.3f} against {trivial:.3f} "
        "[normalised], on validation blocks, the same hidden patches. What the features are worth for a task, only "
        "the task tells: beside the same network with random weights.",
        table(
            ["", "masked mean squared error"],
            [["this model", own], ["mean of what is visible", trivial]],
            "Hidden patches of the validation blocks",
            own=0,
        ),
    )
    page.add("What it paints", maps(_rows(model, batch, painted)))
    with story.curves.open(encoding="utf-8", newline="") as file:
        rows: list[Mapping[str, object]] = list(csv.DictReader(file))
    page.add("How the fit went", curves(series(rows, ["train/loss", "val/loss"]), "step", "loss", "Masked error."))
    page.add("Run it again", provenance(story.command, story.config, versions(), {"data": story.data.note}))
    return page.write(path)


def _rows(model: PrithviEoMae, batch: Batch, painted: Painted) -> list[MapRow]:
    """Image, what was visible, and what was painted of the hidden patches, in the model's own channels."""
    if not isinstance(model.encoder, PrithviEo):
        raise GeoadaptError("pretraining", "the bare encoder reads no batch", "build it with build_mae")
    encoder, patch = model.encoder, model.encoder.layout.patch
    seen, channels = encoder.read(batch), encoder.settings.channels
    grid = encoder.grid(seen.pixels)
    mask = unpatchify(painted.mask[..., None].expand(-1, -1, patch[0] * patch[1] * patch[2]), grid, patch)[:, 0, 0] > 0
    tokens = painted.tokens
    if model.norm_target:  # each patch was painted with its own mean and deviation taken out
        target = patchify(seen.pixels, patch)
        tokens = tokens * (target.var(-1, keepdim=True) + 1e-6).sqrt() + target.mean(-1, keepdim=True)
    images, made = (_reflectance(encoder, p[:, :, 0]) for p in (seen.pixels, unpatchify(tokens, grid, patch)))
    images = np.where(seen.valid[:, :, 0].cpu().numpy(), images, np.float32(np.nan))
    rows = []
    for index in range(min(SHOWN, len(images))):
        image, hidden = images[index], mask[index].cpu().numpy()
        shown = np.where(hidden, np.float32(np.nan), image)
        whole = np.where(hidden, made[index], image)
        panels = tuple(
            Panel(label, rgb(values, channels), photo=True)
            for label, values in (("image", image), ("visible", shown), ("painted", whole))
        )
        where = batch.where[index]
        rows.append(MapRow(where.scene, f"row {where.row}, col {where.col}", panels))
    return rows


def _reflectance(encoder: PrithviEo, pixels: Tensor) -> NDArray[np.float32]:
    """Normalised pixels (b, c, h, w) as reflectance 0–1."""
    mean, std = (pixels.new_tensor(s)[:, None, None] / REFLECTANCE for s in (encoder.mean, encoder.std))
    made: NDArray[np.float32] = (pixels * std + mean).float().cpu().numpy()
    return made
