"""The demo's page: the masked scene first, then what was compared, and what all of it is worth."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio
from markupsafe import Markup
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geoadapt.cli.demo_series import RestoredPlace, chapter
from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA
from geoadapt.report.charts import intervals
from geoadapt.report.numbers import metric_interval
from geoadapt.report.page import Page
from geoadapt.report.pictures import MapRow, legend, maps, picture
from geoadapt.report.provenance import provenance
from geoadapt.report.quicklook import ERROR_KINDS, colour_labels, rgb
from geoadapt.report.squares import error_row, telling_squares
from geoadapt.report.tables import confusion, table
from geoadapt.report.verdicts import from_metrics, verdict

__all__ = ["MaskedScene", "write_demo_page"]

CONTROLS = {"rule": "the rule blue > 0.2", "random_backbone": "the same backbone with random weights"}
SHOWN = 1000
"""Side of the large pictures [px]."""
CHIP = 256
"""Side of the close-ups [px]."""


@dataclass(frozen=True, slots=True)
class MaskedScene:
    """The files of one scene: image, truth, and predicted labels."""

    image: Path
    truth: Path
    labels: Path


def write_demo_page(
    path: Path,
    scene: MaskedScene,
    place: RestoredPlace,
    metrics: Mapping[str, float],
    notes: Mapping[str, str],
    seconds: Mapping[str, float],
    report: Path,
) -> Path:
    """One self-contained page; ``metrics`` as in metrics.json, ``seconds`` per step of the demo."""
    page = Page(
        "geoadapt demo: clouds on a simulated scene",
        "Everything here is simulated: the land, the clouds, the sensor and so the truth. It shows that the path works "
        "from pixels to a page; how well a model does on real scenes it cannot show.",
    )
    page.add("A whole scene, masked", *_whole(scene))
    page.add("Up close", maps(_close(scene), [*CLOUD_CLASSES, *ERROR_KINDS[1:]]))
    page.add("Which classes it confuses", confusion(_counts(scene), [info.name for info in CLOUD_CLASSES]))
    page.add(
        "Is adapting worth it?",
        "On two simulated scenes that training never saw, beside controls from the same run:",
        verdict(from_metrics(metrics, CONTROLS, ("cloud", "shadow"))),
        intervals(_rows(metrics), "Cloud IoU on the simulated test scenes, 90 % intervals."),
        Markup('<p>The <a href="{}">full report of the fit</a> has maps and curves.</p>').format(
            report.relative_to(path.parent).as_posix()
        ),
    )
    page.add("A year without clouds", *chapter(place))
    page.add("How long it took", table(["step", "seconds"], [*seconds.items()], "Wall time on this machine."))
    versions = {name: version(name) for name in ("geoadapt", "torch", "peft", "rasterio")}
    page.add("Run it again", provenance("geoadapt demo", {}, versions | {"python": platform.python_version()}, notes))
    return page.write(path)


def _whole(scene: MaskedScene) -> list[str]:
    values, channels = _read(scene.image)
    labels = _labels(scene.labels, SHOWN)
    name = scene.image.stem
    return [
        picture(rgb(values, channels), f"{name} in natural colour", "What the simulated sensor saw.", photo=True),
        legend(CLOUD_CLASSES),
        picture(
            colour_labels(labels, CLOUD_CLASSES), f"Predicted classes of {name}", f"The predicted mask: {scene.labels}"
        ),
    ]


def _close(scene: MaskedScene) -> list[MapRow]:
    truth, labels = _labels(scene.truth), _labels(scene.labels)
    rows = []
    for square in telling_squares(truth, labels, min(CHIP, *truth.shape), each=1):
        values, channels = _read(scene.image, (square.row, square.col, square.height, square.width))
        rows.append(error_row(scene.image.stem, square, values, channels, truth, labels, CLOUD_CLASSES))
    return rows


def _read(path: Path, square: tuple[int, int, int, int] | None = None) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Reflectance (3, h, w) of the visible bands: of a part (row, col, height, width), or of all, reduced."""
    from rasterio.windows import Window as RasterWindow

    channels = ("red", "green", "blue")
    with rasterio.open(path) as raster:
        bands = [raster.descriptions.index(channel) + 1 for channel in channels]
        if square is None:
            factor = max(1.0, max(raster.shape) / SHOWN)
            shape = (3, round(raster.height / factor), round(raster.width / factor))
            stored = raster.read(bands, out_shape=shape, resampling=Resampling.average, masked=True)
        else:
            row, col, height, width = square
            stored = raster.read(bands, window=RasterWindow(col, row, width, height), masked=True)
        values: NDArray[np.float32] = stored.astype(np.float32).filled(np.nan) * np.float32(raster.scales[0])
    return values, channels


def _labels(path: Path, side: int | None = None) -> NDArray[np.uint8]:
    """Labels (h, w), the longer side at most ``side`` [px]."""
    with rasterio.open(path) as raster:
        factor = 1.0 if side is None else max(1.0, max(raster.shape) / side)
        shape = (round(raster.height / factor), round(raster.width / factor))
        labels: NDArray[np.uint8] = raster.read(1, out_shape=shape, resampling=Resampling.nearest)
    return labels


def _counts(scene: MaskedScene) -> NDArray[np.int64]:
    """Pixels by true class and predicted class (k, k)."""
    truth, labels = _labels(scene.truth), _labels(scene.labels)
    known = (truth != NODATA) & (labels != NODATA)
    k = len(CLOUD_CLASSES)
    return np.bincount(truth[known].astype(np.int64) * k + labels[known], minlength=k * k).reshape(k, k)


def _rows(metrics: Mapping[str, float]) -> list[tuple[str, float, float, float]]:
    rows = []
    for who, name in {"test": "adapted with LoRA", **CONTROLS}.items():
        found = metric_interval(metrics, who, "iou/cloud")
        rows.append((name, found.value, found.low, found.high))
    return rows
