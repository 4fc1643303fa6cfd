"""Pictures of restored dates: before and after beside the truth, where the error is, and where it was expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.report.pictures import MapRow, Panel, maps
from geoadapt.report.quicklook import GREY, rgb
from geoadapt.training.removal_story import RemovalExample

__all__ = ["example_parts", "heat"]

TOP = 98
"""The colours of errors end at this percentile [%]."""
Floats = NDArray[np.floating]


def example_parts(examples: Sequence[RemovalExample], channels: tuple[str, ...]) -> list[str]:
    """A row per example: cloudy, restored, truth, error and scale; and what the colours mean."""
    return [
        maps([_row(example, channels) for example in examples], side=260),
        "Cloudy, restored and true image share one stretch; grey is missing, or hidden on purpose. Error and expected "
        "error are means over the bands, dark where small, in one range of colours, which is told for each row.",
    ]


def heat(values: Floats, top: float) -> NDArray[np.uint8]:
    """Values (h, w) from 0 to ``top`` in colours from dark to bright (h, w, 3); NaN is grey."""
    from matplotlib import colormaps

    known = np.isfinite(values)
    share = np.clip(np.where(known, values, 0) / max(top, 1e-9), 0, 1)
    picture = np.round(255 * colormaps["magma"](share)[..., :3]).astype(np.uint8)
    picture[~known] = GREY
    return picture


def _row(example: RemovalExample, channels: tuple[str, ...]) -> MapRow:
    images = [example.cloudy, example.restored, example.truth]
    # in one picture, so that all three have the same stretch
    shown = np.split(rgb(np.concatenate(images, 2), channels), 3, 1)
    # what stays as it was seen is no restoration, and differs from the truth by noise
    asked = np.isfinite(example.scale)
    error = _mean(np.where(asked, np.abs(example.restored - example.truth), np.nan))
    scale = _mean(example.scale)
    known = np.isfinite(error)
    top = float(np.percentile(error[known], TOP)) if known.any() else 0.0
    return MapRow(
        example.name,
        f"{example.note}; colours from 0 to {top:.3f}",
        (
            Panel("cloudy", shown[0], photo=True),
            Panel("restored", shown[1], photo=True),
            Panel("truth", shown[2], photo=True),
            Panel("error", heat(error, top)),
            Panel("expected error", heat(scale, top)),
        ),
    )


def _mean(values: Floats) -> Floats:
    """Mean over the bands that are known (h, w), NaN where none is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(0)
    count = known.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
