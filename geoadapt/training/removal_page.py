"""The page of a cloud removal run: verdicts first, then numbers, pictures, doubt, and how to run it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geoadapt.report.charts import Series, curves, intervals, recorded, series
from geoadapt.report.numbers import Interval, decimals, metric_interval, number
from geoadapt.report.page import Page, folded
from geoadapt.report.provenance import provenance, versions
from geoadapt.report.tables import Cell, table
from geoadapt.report.verdicts import Verdict, verdict
from geoadapt.training.land_cover import land_cover_parts
from geoadapt.training.removal_pictures import example_parts
from geoadapt.training.removal_story import DEFINITIONS, Curve, RemovalStory

__all__ = ["write_removal_page"]

PER_MILLE = 1000
"""Errors are told in thousandths of reflectance: they begin in the second decimal."""
COLUMNS = {
    "mae": "MAE [0.001]",
    "rmse": "RMSE [0.001]",
    "psnr": "PSNR [dB]",
    "ssim": "SSIM",
    "sam": "SAM [°]",
}
REGIONS = {"masked": "hidden pixels", "all": "all pixels"}
FIRST = 0.02
"""The risk curve begins at this share: of few pixels a mean says little."""
COVERED = "covered_"


def write_removal_page(path: Path, story: RemovalStory) -> Path:
    """One self-contained HTML page, whole or not at all."""
    page = Page(story.title, f"{'Simulated data. ' if story.simulated else ''}{story.data}")
    page.add("Is it worth it?", *_verdicts(story))
    page.add("Scores", *_scores(story))
    if story.protocol:
        page.add("Published protocol", *_eight_bits(story))
    page.add("By band", _by_band(story))
    if bins := _bins(story.metrics):
        page.add("By how much is hidden", *_by_cover(story, bins))
    if parts := _by_land_cover(story):
        page.add("By land cover", *parts)
    if story.examples:
        page.add("Before and after", *example_parts(story.examples, story.channels))
    if story.reliability is not None:
        page.add("Does it know how far off it is?", *_doubt(story, story.reliability))
    if story.curves is not None:
        page.add("How the fit went", *_fit(story.curves))
    page.add("Run it again", provenance(story.command, story.config, versions(), {"data": story.data}))
    return page.write(path)


def _verdicts(story: RemovalStory) -> list[str]:
    found = []
    for who, control in story.controls.items():
        gain = metric_interval(story.metrics, who, "mae_gain/masked")
        off, low, high = (0 - PER_MILLE * end for end in (gain.value, gain.high, gain.low))
        found.append(
            Verdict(
                control,
                "MAE of the hidden pixels",
                off,
                low,
                high,
                level=story.level,
                lower_is_better=True,
                unit="thousandths",
                digits=decimals((off, low, high)),
            )
        )
    return [
        verdict(found),
        f"Paired bootstrap over {story.blocks}, the same hidden pixels for both; {story.level} % intervals of the "
        "model's error minus the control's, in thousandths of reflectance; one seed. Few places say little about "
        "others, and chips or periods of one place nothing.",
        DEFINITIONS,
    ]


def _scores(story: RemovalStory) -> list[str]:
    parts: list[str] = []
    for region, words in REGIONS.items():
        rows: list[list[Cell]] = [
            [name, *(_told(story.metrics, who, f"{metric}/{region}") for metric in COLUMNS)]
            for who, name in story.names.items()
        ]
        caption = f"Scores on {words}, with {story.level} % intervals"
        parts.append(table(["", *COLUMNS.values()], rows, caption, own=0, stacked=True))
    whiskers = []
    for who, name in story.names.items():
        found = _told(story.metrics, who, "mae/masked")
        whiskers.append((name, found.value, found.low, found.high))
    parts.append(intervals(whiskers, f"MAE of the hidden pixels [0.001], {story.level} % intervals"))
    cells: list[list[Cell]] = [[name, story.entries[who], *_counts(story, who)] for who, name in story.names.items()]
    headers = ["", "what it is", "trained parameters", "hidden pixels restored [%]"]
    parts.append(table(headers, cells, "What was compared, on the same hidden pixels", own=0))
    unseen = story.metrics.get("test/unseen/masked", 0.0)
    parts.append(
        f"{number(100 * unseen, 2)} % of the hidden pixels are clear on no other date: nobody can know them, and they "
        "are in no score. The last clear date leaves more of them missing, and is compared on what it has."
    )
    return parts


def _eight_bits(story: RemovalStory) -> list[str]:
    """Never beside the scores of reflectance: the numbers look alike, and say something else."""
    rows: list[list[Cell]] = [
        [name, *(metric_interval(story.metrics, who, f"{metric}_8bit/all") for metric in ("psnr", "ssim"))]
        for who, name in story.names.items()
        if f"{who}/psnr_8bit/all" in story.metrics
    ]
    count = int(story.metrics.get("test/images_8bit/all", 0))
    caption = f"{story.protocol}: colours in 8 bits, means over {count} images, with {story.level} % intervals"
    return [
        table(["", "PSNR [dB], 8 bits", "SSIM, 8 bits"], rows, caption, own=0, stacked=True),
        f"As published for {story.protocol}: red, green and blue in 8 bits, each image stretched on its own, scored on "
        "whole images. The stretch hides offsets and wrong gains; compare these numbers with papers, not with the "
        "tables of reflectance. Images with a pixel that nobody can know are left out.",
    ]


def _told(metrics: Mapping[str, float], who: str, key: str) -> Interval:
    """A score and its interval, errors in thousandths of reflectance."""
    found = metric_interval(metrics, who, key)
    if not key.startswith(("mae", "rmse")):
        return found
    return Interval(PER_MILLE * found.value, PER_MILLE * found.low, PER_MILLE * found.high)


def _counts(story: RemovalStory, who: str) -> list[Cell]:
    count, given = (story.metrics.get(f"{who}/{key}") for key in ("parameters", "coverage/masked"))
    return [None if count is None else int(count), None if given is None else 100 * given]


def _by_band(story: RemovalStory) -> str:
    rows: list[list[Cell]] = [
        [name, *(_told(story.metrics, who, f"mae/masked/{band}") for band in story.channels)]
        for who, name in story.names.items()
    ]
    caption = f"MAE of the hidden pixels by band [0.001 reflectance], with {story.level} % intervals"
    return table(["", *story.channels], rows, caption, own=0, stacked=True)


def _bins(metrics: Mapping[str, float]) -> list[str]:
    """Bins of coverage that hold a sample, as ``covered_10_20``."""
    found = (key.split("/")[2] for key in metrics if key.startswith(f"test/mae/{COVERED}"))
    return sorted(found, key=lambda name: int(name.split("_")[1]))


def _by_cover(story: RemovalStory, bins: list[str]) -> list[str]:
    spans = [tuple(int(v) for v in name.split("_")[1:]) for name in bins]
    x = tuple(sum(span) / 2 for span in spans)
    lines = []
    for who, name in story.names.items():
        y = tuple(PER_MILLE * story.metrics.get(f"{who}/mae/{bin_}", math.nan) for bin_ in bins)
        if all(map(math.isfinite, y)):
            lines.append(Series(name, x, y, own=who == "test"))
    rows: list[list[Cell]] = [
        [name, *(_told(story.metrics, who, f"mae/{bin_}").value for bin_ in bins)] for who, name in story.names.items()
    ]
    heads = [f"{low}–{high} %" for low, high in spans]
    return [
        curves(lines, "hidden [%]", "MAE [0.001]", "MAE of the hidden pixels by the share of the chip that is hidden."),
        folded("As a table", table(["", *heads], rows, "MAE of the hidden pixels by the share that is hidden", own=0)),
    ]


def _by_land_cover(story: RemovalStory) -> list[str]:
    caption = "MAE of the hidden pixels [0.001] by what a place is, and of how many test places: one place says little"
    return land_cover_parts(story.metrics, story.names, "mae", "test/places", caption, PER_MILLE)


def _doubt(story: RemovalStory, reliability: Curve) -> list[str]:
    told, found = (np.asarray(v, np.float64) for v in reliability)
    ideal = (float(told.min()), float(told.max())) if told.size else ()
    lines = [
        Series("this model", tuple(map(float, told)), tuple(map(float, found)), own=True),
        Series("perfect calibration", ideal, ideal),
    ]
    parts: list[str] = []
    if told.size:
        parts.append(
            curves(
                lines,
                "predicted absolute error",
                "error that was found",
                "Reliability: hidden pixels in equal groups by the error that was predicted for them.",
            )
        )
    if story.risks:
        parts.append(
            curves(
                [_risk(name, curve) for name, curve in story.risks.items()],
                "pixels kept, the least doubtful first [%]",
                "MAE among them",
                "Risk–coverage: the error of the hidden pixels that are kept when the most doubtful are left out.",
            )
        )
    rows: list[list[Cell]] = [
        [words, story.metrics.get(f"test/{key}")]
        for words, key in (
            ("predicted over found absolute error", "scale_ratio/masked"),
            ("mean gap between predicted and found error of the groups [reflectance]", "calibration_error/masked"),
            ("area under the risk–coverage curve [reflectance]", "aurc/masked"),
            ("the same for pixels in random order [reflectance]", "aurc_random/masked"),
            ("the same for a perfect order [reflectance]", "aurc_perfect/masked"),
        )
        if story.metrics.get(f"test/{key}") is not None
    ]
    parts.append(table(["", ""], rows, "How well the predicted scale tells the error"))
    parts.append(_calibrated(story.metrics))
    return parts


def _calibrated(metrics: Mapping[str, float]) -> str:
    """How far the calibration may be off at a place that it has not seen."""
    count = int(metrics.get("test/calibration_places", 0))
    if not count:
        return "How the calibration holds at other places cannot be told: one place, or none, was there to tell it."
    low, high = (metrics[f"test/scale_ratio_left_out_{end}/masked"] for end in ("low", "high"))
    return (
        f"The scale was calibrated on {count} validation places. Calibrated on all but one of them, predicted over "
        f"found error of the one that was left out lies between {number(low, 2)} and {number(high, 2)}: so far off it "
        "may be at a new place, or further."
    )


def _risk(name: str, curve: Curve) -> Series:
    share, risk = (np.asarray(v, np.float64) for v in curve)
    kept = share >= FIRST
    return Series(name, tuple(map(float, 100 * share[kept])), tuple(map(float, risk[kept])), own=name == "this model")


def _fit(path: Path) -> list[str]:
    rows = recorded(path)
    losses = series(rows, ["train/loss", "val/loss"])
    bands = [name for name in (rows[0] if rows else {}) if name.startswith("val/mae/")]
    return [
        curves(losses, "step", "loss", "Loss of the training samples and of the validation samples."),
        curves(
            series(rows, ["val/mae", *bands]),
            "step",
            "MAE",
            "MAE of the hidden pixels of the validation samples, which chooses the weights.",
        ),
    ]
