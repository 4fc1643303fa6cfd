"""Flat metrics of a cloud removal test, and the curves that say whether the predicted scale is right.

In: RemovalScores. Out: ``WHO/METRIC/REGION[/BAND]`` with intervals and paired gains; reliability and risk–coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.metrics import reliability
from geoadapt.metrics.reliability import COUNT, ERROR, SCALE
from geoadapt.metrics.restoration import RestorationSums, finish
from geoadapt.metrics.restoration_compare import compare_restorations
from geoadapt.metrics.stretched import compare_stretched
from geoadapt.training.land_cover import land_covers
from geoadapt.training.removal_scoring import RemovalScores
from geoadapt.training.removal_story import Curve, RemovalStory
from geoadapt.training.results import MODEL

__all__ = ["BINS", "doubt_curves", "removal_story", "summarise_removal"]

BINS = 10
"""Of the share that is hidden."""
Floats = NDArray[np.float64]


def summarise_removal(found: RemovalScores, *, draws: int, seed: int) -> dict[str, float]:
    """Scores by region and band with 90 % intervals and gains; MAE by hidden share; how good the scales are.

    Where places tell their land cover, ``WHO/mae/land_cover_NAME`` is that of its places alone.
    """
    flat = compare_restorations(found.sums, model=MODEL, draws=draws, seed=seed)
    for who, pair in found.partial.items():
        both = compare_restorations(pair, model=MODEL, draws=draws, seed=seed)
        flat |= {key: value for key, value in both.items() if key.startswith(f"{who}/")}
    everyone = {**found.sums, **{who: pair[who] for who, pair in found.partial.items()}}
    for who, sums in everyone.items():
        flat |= {f"{who}/mae/{name}": value for name, value in _by_hidden(sums, found.hidden).items()}
    flat |= _by_land_cover(everyone, found)
    unseen, asked = found.unseen.sum(0)
    flat |= {f"{MODEL}/unseen/masked": unseen / max(asked, 1.0), f"{MODEL}/samples": float(len(found.hidden))}
    for who, sums_of_scale in found.scales.items():
        flat |= {f"{who}/{key}/masked": value for key, value in _of_scale(sums_of_scale).items()}
    if len(found.left_out):
        flat |= {
            f"{MODEL}/scale_ratio_left_out_low/masked": float(found.left_out.min()),
            f"{MODEL}/scale_ratio_left_out_high/masked": float(found.left_out.max()),
            f"{MODEL}/calibration_places": float(len(found.left_out)),
        }
    if found.stretched:
        flat |= compare_stretched(_whole(found), found.places, model=MODEL, draws=draws, seed=seed)
    if MODEL in found.scales:
        flat[f"{MODEL}/aurc_perfect/masked"] = float(reliability.aurc(found.errors.sum(0)))
    return flat


def removal_story(found: RemovalScores, metrics: Mapping[str, float], **told: Any) -> RemovalStory:
    """What a page tells of a test; ``told`` is what the scores do not hold."""
    curve, risks = doubt_curves(found)
    return RemovalStory(
        channels=found.channels,
        metrics=metrics,
        examples=found.examples,
        reliability=curve,
        risks=risks,
        blocks=found.blocks,
        protocol=found.protocol,
        **told,
    )


def doubt_curves(found: RemovalScores) -> tuple[Curve | None, Mapping[str, Curve]]:
    """Predicted against found error of the model, and risk over coverage: its own order, and a perfect one."""
    if MODEL not in found.scales:
        return None, {}
    sums = found.scales[MODEL].sum(0)
    told = reliability.reliability(sums)
    orders = {
        "this model": reliability.risk_coverage(sums),
        "a perfect order": reliability.risk_coverage(found.errors.sum(0)),
    }
    return (told.predicted, told.observed), orders


def _whole(found: RemovalScores) -> dict[str, Mapping[str, Floats]]:
    """Without who leaves pixels missing that others restore: its images are rarely whole."""
    return {who: scores for who, scores in found.stretched.items() if who not in found.partial}


def _by_hidden(sums: RestorationSums, hidden: Floats) -> dict[str, float]:
    """MAE of the hidden pixels, mean over the bands, by the share of the chip that is hidden."""
    which = np.minimum((hidden * BINS).astype(int), BINS - 1)
    found = {}
    for place in np.unique(which):
        width = 100 // BINS
        found[f"covered_{place * width}_{(place + 1) * width}"] = _mae(sums, which == place)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _by_land_cover(everyone: Mapping[str, RestorationSums], found: RemovalScores) -> dict[str, float]:
    """MAE of the hidden pixels of the places of each land cover that is told, and how many places they are."""
    flat: dict[str, float] = {}
    for name, members in land_covers(found.land_covers).items():
        for who, sums in everyone.items():
            value = _mae(sums, members)
            if np.isfinite(value):
                places = len({found.series[n] for n in members})
                flat |= {f"{who}/mae/{name}": value, f"{MODEL}/places/{name}": float(places)}
    return flat


def _mae(sums: RestorationSums, chosen: NDArray[np.bool_] | list[int]) -> float:
    """MAE of the hidden pixels of some samples, mean over the bands; NaN where none counts."""
    totals = {name: values[chosen].sum(0) for name, values in sums.sums.items()}
    return float(finish("mae", totals)[0, 0])


def _of_scale(sums: Floats) -> dict[str, float]:
    """How well a scale tells the error, of sums (c, levels, 4)."""
    total = sums.sum((0, 1))
    over = sums.sum(0)
    if not total[COUNT]:
        return {}
    return {
        "scale_ratio": float(total[SCALE] / max(total[ERROR], 1e-12)),
        "calibration_error": reliability.calibration_error(over),
        "aurc": float(reliability.aurc(over)),
        "aurc_random": float(total[ERROR] / total[COUNT]),
    }
