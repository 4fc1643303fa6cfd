"""The page of a run: verdicts first, then numbers, maps, curves, and how to run it again."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import ClassInfo
from geoadapt.fields.scenes import LabelledScene
from geoadapt.io.base import Window
from geoadapt.io.decode import decode
from geoadapt.report.charts import curves, intervals, series
from geoadapt.report.numbers import metric_interval
from geoadapt.report.page import Page
from geoadapt.report.pictures import MapRow, maps
from geoadapt.report.provenance import provenance, versions
from geoadapt.report.quicklook import ERROR_KINDS
from geoadapt.report.selective import doubt_parts
from geoadapt.report.squares import error_row, telling_squares
from geoadapt.report.tables import Cell, confusion, table
from geoadapt.report.verdicts import from_metrics, verdict
from geoadapt.training.land_cover import land_cover_parts
from geoadapt.training.scoring import SceneScore

__all__ = ["NAMES", "RunStory", "write_page"]

NAMES = {
    "test": "this model",
    "rule": "the rule blue > 0.2",
    "lda": "the per-pixel discriminant",
    "unet": "the U-Net from scratch",
    "random_backbone": "the same backbone with random weights",
    "full_finetune": "full fine-tuning",
    "dl_l8s2_uv": "the published cloud U-Net dl_l8s2_uv",
    "start": "the bundle it started from, as it stands",
}
CHIP = 128
"""Side of the maps' chips [px]."""


@dataclass(frozen=True, slots=True)
class RunStory:
    """What the page tells."""

    title: str
    channels: tuple[str, ...]
    scenes: Sequence[LabelledScene]
    """The test scenes."""
    classes: tuple[ClassInfo, ...]
    scored: Mapping[str, list[SceneScore]]
    """WHO → one score per test scene."""
    metrics: Mapping[str, float]
    notes: Mapping[str, str]
    """WHO → what it is."""
    data: str
    simulated: bool
    command: str
    config: Mapping[str, object]
    curves: Path | None = None


def write_page(path: Path, story: RunStory) -> Path:
    """One self-contained HTML page, whole or not at all."""
    names = [c.name for c in story.classes]
    word = "Simulated data. " if story.simulated else ""
    page = Page(story.title, f"{word}{story.data}")
    page.add(
        "Is it worth it?",
        verdict(from_metrics(story.metrics, _controls(story), _shown(names))),
        "Paired bootstrap over blocks of the same test pixels, 90 % intervals; one seed. "
        "Neighbouring blocks resemble each other, and one scene is one place: read narrow intervals with care.",
    )
    page.add("Scores", _scores(story, names), *(_whiskers(story, name) for name in _shown(names)), _entries(story))
    if parts := _by_land_cover(story):
        page.add("By land cover", *parts)
    page.add("Where it is right and wrong", maps(_map_rows(story), [*story.classes, *ERROR_KINDS[1:]]))
    if all(scene.doubts for scene in story.scored["test"]):
        page.add("Does it know where it is wrong?", *doubt_parts(story.metrics, _doubts(story)))
    counts = np.concatenate([s.counts for s in story.scored["test"]]).sum(axis=0)
    page.add("Which classes it confuses", confusion(counts[:, :-1], names))
    if story.curves is not None:
        page.add("How the fit went", *_curves(story.curves, names), *_shifts(story.metrics))
    page.add("Run it again", provenance(story.command, story.config, versions(), {"data": story.data}))
    return page.write(path)


def _doubts(story: RunStory) -> dict[str, NDArray[np.int64]]:
    scenes = story.scored["test"]
    return {name: np.concatenate([s.doubts[name] for s in scenes]).sum(axis=0) for name in scenes[0].doubts}


def _shown(names: Sequence[str]) -> list[str]:
    return [name for name in ("cloud", "shadow") if name in names] or list(names[:2])


def _controls(story: RunStory) -> dict[str, str]:
    return {who: NAMES.get(who, who) for who in story.scored if who != "test"}


def _scores(story: RunStory, names: Sequence[str]) -> str:
    keys = [*(f"iou/{name}" for name in names), "miou"]
    headers = ["", *(f"IoU {name.replace('_', ' ')}" for name in names), "mean IoU", "accuracy"]
    rows = [
        [
            NAMES.get(who, who),
            *(metric_interval(story.metrics, who, key) for key in keys),
            story.metrics.get(f"{who}/accuracy"),
        ]
        for who in story.scored
    ]
    return table(headers, rows, "Scores on the test pixels, with 90 % intervals from a bootstrap over blocks", own=0)


def _by_land_cover(story: RunStory) -> list[str]:
    names = {who: NAMES.get(who, who) for who in story.scored}
    caption = "Mean IoU by what most of a scene lies over, and of how many test scenes: one scene says little"
    return land_cover_parts(story.metrics, names, "miou", "test/scenes", caption)


def _entries(story: RunStory) -> str:
    rows: list[list[Cell]] = [
        [NAMES.get(who, who), story.notes.get(who, ""), None if count is None else int(count)]
        for who, count in ((who, story.metrics.get(f"{who}/parameters")) for who in story.scored)
    ]
    return table(["", "what it is", "trained parameters"], rows, "What was trained, on the same chips", own=0)


def _whiskers(story: RunStory, name: str) -> str:
    rows = []
    for who in story.scored:
        found = metric_interval(story.metrics, who, f"iou/{name}")
        rows.append((NAMES.get(who, who), found.value, found.low, found.high))
    return intervals(rows, f"IoU of {name.replace('_', ' ')}, 90 % intervals")


def _map_rows(story: RunStory) -> list[MapRow]:
    rows: list[MapRow] = []
    for scene, score in zip(story.scenes, story.scored["test"], strict=True):
        for square in telling_squares(score.truth, score.labels, CHIP):
            window = Window(square.row, square.col, square.height, square.width)
            values, valid = decode(scene.image.read(window), scene.image.info)
            if valid is not None:
                values = np.where(valid, values, np.nan)
            rows.append(error_row(scene.name, square, values, story.channels, score.truth, score.labels, story.classes))
    return rows


def _shifts(metrics: Mapping[str, float]) -> list[str]:
    """A table of the validation score under each crafted shift, where they chose the weights."""
    each = {key.rpartition("/")[2]: value for key, value in metrics.items() if key.startswith("test/val_shift_miou/")}
    if not each:
        return []
    mean: list[Cell] = ["mean, which chooses the weights", metrics["test/val_shifts_miou"]]
    rows: list[list[Cell]] = [[name.replace("_", " "), value] for name, value in each.items()]
    return [table(["shift", "mean IoU"], [mean, *rows], "The validation blocks under each crafted shift", own=0)]


def _curves(path: Path, names: Sequence[str]) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[Mapping[str, object]] = list(csv.DictReader(file))
    scores = series(rows, ["val/miou", *(f"val/iou/{name}" for name in names)])
    losses = series(rows, ["train/loss", "val/loss"])
    return [
        curves(losses, "step", "loss", "Loss of the training chips and of the validation blocks."),
        curves(scores, "step", "IoU", "Scores on the validation blocks, which choose the weights."),
    ]
