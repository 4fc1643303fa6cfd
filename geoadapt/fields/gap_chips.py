"""Chips of series: the dates nearest to the target's, missing pixels around what is too small, and augmentation.

In and out: series and samples (t, c, h, w); radar goes along and keeps its values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geoadapt.fields.series import Sample, Series

__all__ = ["augmented", "filled", "grown", "nearby", "owned"]

T = TypeVar("T", bound=np.generic)


def nearby(series: Series, target: int, frames: int) -> tuple[Series, int]:
    """The ``frames`` dates nearest to the target's, and where it is among them; 0 = all.

    A date without a clear pixel is taken only when others are used up.
    """
    if frames == 0 or len(series.times) <= frames:
        return series, target
    apart = np.abs((series.times - series.times[target]).astype("timedelta64[s]").astype(np.int64))
    order = np.lexsort((apart, ~series.clear.any((1, 2))))
    kept = np.sort([target, *order[order != target][: frames - 1]])
    return series.part(kept), int(np.searchsorted(kept, target))


def filled(series: Series, chip: int) -> Series:
    """The series with missing pixels below it and to its right, up to the chip's size [px]."""
    if series.clear.shape[1:] == (chip, chip):
        return series
    nan, radar = float("nan"), series.radar
    return replace(
        series,
        values=grown(series.values, chip, nan),
        clear=grown(series.clear, chip, False),
        truth=None if series.truth is None else grown(series.truth, chip, nan),
        radar=None if radar is None else replace(radar, values=grown(radar.values, chip, nan)),
    )


def owned(sample: Sample) -> Sample:
    """The sample with pixels of its own, so that the series that it was cut from need not stay in memory."""
    series, radar = sample.series, sample.series.radar
    made = replace(
        series,
        values=series.values.copy(),
        clear=series.clear.copy(),
        truth=None if series.truth is None else series.truth.copy(),
        radar=None if radar is None else replace(radar, values=radar.values.copy()),
    )
    return replace(sample, series=made)


def grown(array: NDArray[T], chip: int, value: float | bool) -> NDArray[T]:
    """The last two axes filled up with ``value`` to the chip's size [px]."""
    height, width = array.shape[-2:]
    margins = [(0, 0)] * (array.ndim - 2) + [(0, chip - height), (0, chip - width)]
    return np.pad(array, margins, constant_values=value)


def augmented(sample: Sample, gain: float, rng: np.random.Generator) -> Sample:
    """All dates turned and flipped alike, and each band's reflectance times one gain.

    ``gain`` is the standard deviation of its logarithm, half of it common to all bands.
    """
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def turned(array: NDArray[T]) -> NDArray[T]:
        made = np.rot90(array, turns, axes=(-2, -1))
        return np.ascontiguousarray(made[..., ::-1] if flip else made)

    series, radar = sample.series, sample.series.radar
    drawn = rng.normal(0, gain / np.sqrt(2), 1 + len(series.channels))
    gains = np.exp(drawn[0] + drawn[1:, None, None]).astype(np.float32)
    made = replace(
        series,
        values=turned(series.values) * gains,
        clear=turned(series.clear),
        truth=None if series.truth is None else turned(series.truth) * gains,
        radar=None if radar is None else replace(radar, values=turned(radar.values)),
    )
    return replace(sample, series=made, hidden=turned(sample.hidden))
