"""The page of a run on labelled samples: verdicts first, then numbers, a drawing, the fit, and how to run it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from markupsafe import Markup

from geoadapt.fields.samples import Target
from geoadapt.report.charts import INK, curves, figure, intervals, plain, recorded, series
from geoadapt.report.numbers import decimals, metric_interval
from geoadapt.report.page import Page, folded
from geoadapt.report.provenance import provenance, versions
from geoadapt.report.tables import Cell, confusion, table
from geoadapt.report.verdicts import Verdict, verdict
from geoadapt.tasks.samples import SampleTask
from geoadapt.training.labelled_scoring import LESS, LabelledScores
from geoadapt.training.results import MODEL
from geoadapt.training.story import SHARED_NAMES, Story

__all__ = ["LabelledStory", "write_labelled_page"]

COLUMNS: dict[str, dict[str, str]] = {
    "classification": {"accuracy": "accuracy", "macro_f1": "macro F1"},
    "multilabel": {"macro_f1": "macro F1", "f1": "F1, all labels together"},
    "regression": {"rmse": "RMSE", "mae": "MAE", "bias": "bias", "r2": "R²"},
    "segmentation": {"miou": "mean IoU", "accuracy": "accuracy"},
}
"""Task → metric → its name; the first one is what the verdicts are about."""
EACH = {"classification": ("f1", "F1"), "multilabel": ("f1", "F1"), "segmentation": ("iou", "IoU")}
"""Task → the metric of single classes or labels."""
POINTS = {"%": "percentage points"}
"""Units of differences, where these are called otherwise."""
MOST_CLASSES = 12
"""A confusion matrix of more would not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledStory(Story):
    """What the page tells."""

    called: ClassVar[Mapping[str, str]] = {
        **SHARED_NAMES,
        "rule": "one answer for all",
        "simple": "a linear model of the raw inputs",
        "scratch": "a small network from scratch",
        "frozen_ridge": "a linear model of the frozen features",
    }
    found: LabelledScores
    task: SampleTask
    target: Target


def write_labelled_page(path: Path, story: LabelledStory) -> Path:
    """One self-contained HTML page, whole or not at all."""
    page = Page(story.title, f"{'Simulated data. ' if story.simulated else ''}{story.data}")
    page.add("Is it worth it?", *_verdicts(story))
    page.add("Scores", *_scores(story))
    if story.target.valued:
        page.add("Predicted and true values", _scatter(story))
    elif each := _each(story):
        page.add("Class by class", *each)
    if story.curves is not None:
        page.add("How the fit went", *_fit(story, story.curves))
    page.add("Run it again", provenance(story.command, story.config, versions(), {"data": story.data}))
    return page.write(path)


def _key(story: LabelledStory, metric: str) -> str:
    return f"{metric}/{story.target.names[0]}" if story.target.valued else metric


def _chief(story: LabelledStory) -> tuple[str, str]:
    return next(iter(COLUMNS[story.task.name].items()))


def _verdicts(story: LabelledStory) -> list[str]:
    metric, name = _chief(story)
    less = metric in LESS
    found = []
    for who, control in story.controls.items():
        gain = metric_interval(story.metrics, who, _key(story, f"{metric}_gain"))
        ends = (gain.value, gain.low, gain.high)
        off, low, high = (0 - gain.value, 0 - gain.high, 0 - gain.low) if less else ends
        unit = POINTS.get(story.target.unit, story.target.unit) if metric in LESS else ""
        digits = decimals((off, low, high))
        found.append(Verdict(control, name, off, low, high, story.level, less, unit=unit, digits=digits))
    return [
        verdict(found),
        f"Paired bootstrap over {story.found.blocks}, the same for both; {story.level} % intervals; one seed.",
    ]


def _scores(story: LabelledStory) -> list[str]:
    columns = COLUMNS[story.task.name]
    unit = f" [{story.target.unit}]" if story.target.unit else ""
    heads = [f"{name}{unit if metric in ('rmse', 'mae', 'bias') else ''}" for metric, name in columns.items()]
    rows: list[list[Cell]] = [
        [name, *(metric_interval(story.metrics, who, _key(story, metric)) for metric in columns)]
        for who, name in story.names.items()
    ]
    metric, chief = _chief(story)
    whiskers = []
    for who, name in story.names.items():
        found = metric_interval(story.metrics, who, _key(story, metric))
        whiskers.append((name, found.value, found.low, found.high))
    cells: list[list[Cell]] = [[name, story.entries[who], _count(story, who)] for who, name in story.names.items()]
    return [
        table(["", *heads], rows, f"Scores on the test, with {story.level} % intervals", own=0, stacked=True),
        intervals(whiskers, f"{chief}{unit if metric in LESS else ''}, {story.level} % intervals"),
        table(["", "what it is", "trained parameters"], cells, "What was compared, on the same samples", own=0),
    ]


def _count(story: LabelledStory, who: str) -> int | None:
    count = story.metrics.get(f"{who}/parameters")
    return None if count is None else int(count)


def _each(story: LabelledStory) -> list[str]:
    metric, name = EACH[story.task.name]
    classes = story.target.names
    rows: list[list[Cell]] = [
        [label.replace("_", " "), *(story.metrics.get(f"{who}/{metric}/{label}") for who in story.names)]
        for label in classes
    ]
    parts: list[str] = [table(["", *story.names.values()], rows, f"{name} of every class or label")]
    if story.task.name != "multilabel" and len(classes) <= MOST_CLASSES:
        counts = story.found.sums[MODEL].sum(0)[: len(classes) ** 2].reshape(len(classes), -1)
        parts.append(confusion(counts, classes))
    return parts


def _scatter(story: LabelledStory) -> Markup:
    """Every test value against what was said of it, and the line on which they would be the same."""
    from matplotlib.figure import Figure

    truth, said = story.found.truth, story.found.predicted
    drawing = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = drawing.add_subplot()
    low, high = float(min(truth.min(), said.min())), float(max(truth.max(), said.max()))
    axes.plot([low, high], [low, high], color=INK, alpha=0.4, linewidth=1)
    axes.plot(truth, said, ".", color="#2a9d74", markersize=3, alpha=0.5, rasterized=True)
    what = story.target.names[0].replace("_", " ")
    unit = f" [{story.target.unit}]" if story.target.unit else ""
    axes.set_xlabel(f"true {what}{unit}")
    axes.set_ylabel(f"predicted {what}{unit}")
    plain(axes)
    caption = f"Predicted against true {what} of {len(truth):,} test values."
    return figure(drawing, caption, caption)


def _fit(story: LabelledStory, path: Path) -> list[str]:
    rows = recorded(path)
    metric, name = _chief(story)
    label = f"{name} [{story.target.unit}]" if story.target.unit and metric in LESS else name
    told = "The validation score that chose the weights."
    return [
        curves(series(rows, [f"val/{story.task.monitor}"]), "step", label, told),
        folded("The loss", curves(series(rows, ["train/loss"]), "step", "loss", "Loss of the training batches.")),
    ]
