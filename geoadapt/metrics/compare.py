"""Scores by name, their intervals, and what one model gains over another: blocks of dates are resampled for all alike.

In: ``Statistics`` of every model. Out: flat results ``[WHO/]METRIC/CHANNEL/LEADh[/REGION]``, as in ``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.metrics.blocks import draw_blocks
from geoadapt.metrics.catalogue import SCORES, finish
from geoadapt.metrics.intervals import interval
from geoadapt.metrics.statistics import Statistics, Totals, common

__all__ = ["batch_means", "bootstrap", "compare", "flat", "key"]

Floats = NDArray[np.float64]
AT_ONCE = 1 << 22
"""Drawn sums that are held at a time."""


def key(metric: str, channel: str, lead: np.timedelta64, region: str = "") -> str:
    """``METRIC/CHANNEL/LEADh``, and ``/REGION`` where it is not the whole domain."""
    name = f"{metric}/{channel}/{lead / np.timedelta64(1, 'h'):g}h"
    return f"{name}/{region}" if region else name


def flat(statistics: Statistics, scores: Sequence[str]) -> dict[str, float]:
    """Every score that is one number, by ``key``; NaN where nothing was added."""
    totals = statistics.totals()
    found: dict[str, float] = {}
    for score in scores:
        values = finish(score, totals)
        if values.ndim == 3:
            found |= {key(score, *label): float(values[place]) for place, label in _labels(statistics)}
    return found


def _labels(statistics: Statistics) -> Iterator[tuple[tuple[int, int, int], tuple[str, np.timedelta64, str]]]:
    for n, lead in enumerate(statistics.leads):
        for r, region in enumerate(statistics.regions):
            for c, channel in enumerate(statistics.channels):
                yield (n, r, c), (channel, lead, region)


def bootstrap(
    models: Mapping[str, Statistics],
    score: str | Callable[[Totals], Floats],
    draws: int = 1000,
    seed: int = 0,
    block_days: float = 7,
) -> dict[str, Floats]:
    """The score of every model over the same resamples of blocks of init dates, WHO → (draws, n, r, c, *extra).

    Only dates and leads that all have count, so that differences are paired. A block is a period of ``block_days``
    days, since forecasts of neighbouring dates err alike; with less than two blocks every draw is NaN.
    """
    shared = common(models)
    name = score if isinstance(score, str) else None
    blocks = {who: _needed(part.blocks(block_days), name) for who, part in shared.items()}
    count = len(next(iter(next(iter(blocks.values())).values())))
    times = draw_blocks(count, draws, seed)
    step = max(1, AT_ONCE // max(max(v[0].size for v in sums.values()) for sums in blocks.values()))
    found = {}
    for who, sums in blocks.items():
        parts = []
        for start in range(0, draws, step):
            drawn = {k: np.tensordot(times[start : start + step], v, axes=1) for k, v in sums.items()}
            parts.append(finish(name, drawn) if name is not None else score(drawn))  # type: ignore[operator]
        values = np.concatenate(parts)
        found[who] = values if count > 1 else np.full_like(values, np.nan)
    return found


def batch_means(statistics: Statistics, score: str, size: int = 32) -> Floats:
    """The mean of the scores of batches of ``size`` consecutive init dates (n, r, c, *extra).

    What ChaosBench publishes; not the score of all dates, since a root of a mean is no mean of roots.
    """
    starts = np.arange(0, len(statistics.times), size)
    sums = {name: np.add.reduceat(values, starts, axis=0) for name, values in statistics.sums.items()}
    return np.asarray(finish(score, sums).mean(axis=0))


def _needed(sums: Totals, score: str | None) -> Totals:
    """Of the sums only those that a named score is finished from."""
    if score is None or score not in SCORES:
        return sums
    return {name: values for name, values in sums.items() if name in (*SCORES[score].needs, "weight", "count")}


def compare(
    models: Mapping[str, Statistics],
    scores: Sequence[str],
    *,
    model: str = "test",
    draws: int = 1000,
    seed: int = 0,
    block_days: float = 7,
    share: float = 0.9,
) -> dict[str, float]:
    """Every model's scores with intervals, and what ``model`` gains over every other, on the dates that all have.

    Keys: ``WHO/rmse/…``, ``WHO/rmse_low/…``, ``WHO/rmse_high/…``; ``WHO/rmse_gain/…`` with ``_gain_low`` and
    ``_gain_high`` is above zero where ``model`` is better than WHO: for errors WHO's minus the model's. Scores that are
    better neither high nor low have no gain. ``share`` is the intervals' central share of the draws.
    """
    if model not in models:
        raise GeoadaptError("model", f"'{model}' was not scored", nearest(model, models))
    shared = common(models)
    found: dict[str, float] = {}
    for score in scores:
        for channel in shared[model].channels:
            one = {who: part.only(channel) for who, part in shared.items()}
            values = {who: finish(score, part.totals()) for who, part in one.items()}
            if values[model].ndim == 3:
                drawn = bootstrap(one, score, draws, seed, block_days)
                for place, label in _labels(one[model]):
                    found |= _entries(score, model, label, place, values, drawn, share)
    return found


def _entries(
    score: str,
    model: str,
    label: tuple[str, np.timedelta64, str],
    place: tuple[int, int, int],
    values: Mapping[str, Floats],
    drawn: Mapping[str, Floats],
    share: float,
) -> dict[str, float]:
    found = {}
    sign = SCORES[score].better

    def enter(who: str, name: str, value: float, draws: Floats) -> None:
        low, high = interval(draws, share)
        for suffix, number in (("", value), ("_low", low), ("_high", high)):
            found[f"{who}/{key(name + suffix, *label)}"] = float(number)

    for who in values:
        own = drawn[who][:, *place]
        enter(who, score, values[who][place], own)
        if who != model and sign:
            gain = sign * (values[model][place] - values[who][place])
            enter(who, f"{score}_gain", gain, sign * (drawn[model][:, *place] - own))
    return found
