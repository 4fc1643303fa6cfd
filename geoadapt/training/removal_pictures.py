"""Pictures of restored dates: before and after beside the truth, where the error is, and where it was expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.report.comparison import comparison, key, top_of
from geoadapt.report.pictures import MapRow, maps
from geoadapt.training.removal_story import RemovalExample

__all__ = ["example_parts"]

SIDE = 260
"""Of a map [px]."""


def example_parts(examples: Sequence[RemovalExample], channels: tuple[str, ...]) -> list[str]:
    """A row per example: cloudy, restored, truth, error and scale; and what the colours mean."""
    top = top_of([_error(example) for example in examples])
    return [
        "On each date the cloudy, the restored and the true image have one stretch, from 2 to 98 % of the true one's "
        "clear pixels: equal colours are equal reflectance. Error and expected error are means over the bands "
        "[reflectance], of what was restored, in one range of colours on all dates.",
        maps(
            [_row(one, channels, top) for one in examples],
            key("missing, hidden on purpose, or not restored", top),
            side=SIDE,
        ),
    ]


def _row(example: RemovalExample, channels: tuple[str, ...], top: float) -> MapRow:
    images = {"cloudy": example.cloudy, "restored": example.restored}
    known = bool(np.isfinite(example.truth).any())
    if known:
        images["truth"] = example.truth
    return comparison(
        example.name,
        example.note,
        images,
        channels,
        reference=example.truth if known else example.restored,
        errors={"error": _error(example), "expected error": example.scale},
        top=top,
    )


def _error(example: RemovalExample) -> NDArray[np.floating]:
    """What was restored beside the truth: a pixel that stays as it was seen differs from it by noise alone."""
    return np.where(np.isfinite(example.scale), np.abs(example.restored - example.truth), np.nan)
