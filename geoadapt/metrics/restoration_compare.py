"""Scores of restored images by name, their intervals, and what a model gains over others: places are resampled for all.

In: ``RestorationSums`` of every model, of the same samples. Out: flat results ``WHO/METRIC/REGION[/BAND]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.metrics.blocks import draw_blocks
from geoadapt.metrics.intervals import interval
from geoadapt.metrics.restoration import REGIONS, RestorationSums, Totals, finish

__all__ = ["BETTER", "compare_restorations", "draw_scores"]

Floats = NDArray[np.float64]

BETTER = {"mae": -1, "rmse": -1, "psnr": 1, "ssim": 1, "sam": -1, "bias": 0, "coverage": 0}
"""1 where more is better, −1 where less is; the others have no gain."""


def compare_restorations(
    models: Mapping[str, RestorationSums],
    metrics: Sequence[str] = ("mae", "rmse", "psnr", "ssim", "sam", "bias", "coverage"),
    *,
    model: str = "test",
    draws: int = 1000,
    seed: int = 0,
    share: float = 0.9,
    data_range: float = 1.0,
) -> dict[str, float]:
    """Every entry's scores with intervals, over bands and by band, and what ``model`` gains over every other.

    Keys: ``WHO/mae/masked``, ``WHO/mae_low/masked``, ``WHO/mae/masked/red``; ``WHO/mae_gain/masked`` with ``_gain_low``
    and ``_gain_high`` is above zero where ``model`` is better than WHO. Intervals are the central ``share`` of draws of
    places with replacement, the same for all entries, so that gains are paired; NaN with fewer than two places. What is
    undefined is NaN. Raises GeoadaptError where entries do not hold the same samples and pixels: ``score`` makes such.
    """
    if model not in models:
        raise GeoadaptError("model", f"'{model}' was not scored", nearest(model, models))
    _same_pixels(models)
    found: dict[str, float] = {}
    for metric in metrics:
        values = {who: finish(metric, part.totals(), data_range) for who, part in models.items()}
        drawn = draw_scores(models, metric, draws, seed, data_range)
        for who in models:
            found |= _entries(f"{who}/{metric}", models[who].channels, values[who], drawn[who], share)
            sign = BETTER[metric]
            if who != model and sign:
                with np.errstate(invalid="ignore"):
                    gain, gains = sign * (values[model] - values[who]), sign * (drawn[model] - drawn[who])
                found |= _entries(f"{who}/{metric}_gain", models[who].channels, gain, gains, share)
    return found


def draw_scores(
    models: Mapping[str, RestorationSums], metric: str, draws: int = 1000, seed: int = 0, data_range: float = 1.0
) -> dict[str, Floats]:
    """The score of every entry over the same resamples of places, WHO → (draws, r, c + 1); NaN with fewer than two."""
    found = {}
    for who, part in models.items():
        names, blocks = part.blocks()
        times = draw_blocks(len(names), draws, seed)
        totals: Totals = {name: np.tensordot(times, values, axes=1) for name, values in blocks.items()}
        scores = finish(metric, totals, data_range)
        found[who] = scores if len(names) > 1 else np.full_like(scores, np.nan)
    return found


def _same_pixels(models: Mapping[str, RestorationSums]) -> None:
    first_name, first = next(iter(models.items()))
    for who, other in models.items():
        alike = other.places == first.places and other.channels == first.channels
        if not alike or not np.array_equal(other.sums["count"], first.sums["count"]):
            raise GeoadaptError(
                "restoration", f"'{who}' and '{first_name}' were scored on different pixels", "score them together"
            )


def _entries(name: str, channels: tuple[str, ...], values: Floats, drawn: Floats, share: float) -> dict[str, float]:
    found = {}
    metric_of = name.rsplit("/", 1)[-1]
    for r, region in enumerate(REGIONS):
        for c, band in enumerate(("", *(f"/{channel}" for channel in channels))):
            if metric_of.startswith("sam") and band:
                continue
            low, high = interval(drawn[:, r, c], share)
            for suffix, number in (("", float(values[r, c])), ("_low", low), ("_high", high)):
                found[f"{name}{suffix}/{region}{band}"] = number
    return found
