"""Scores of forecasts against lead time: tables, curves with their intervals, and how far the skill reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from geoadapt.report.charts import Series, curves
from geoadapt.report.numbers import Interval, metric_interval, number
from geoadapt.report.tables import Cell, table
from geoadapt.report.verdicts import rmse_verdicts
from geoadapt.report.wording import METRICS, capital, channel_words, lead_axis, lead_key, lead_words, unit_words

__all__ = [
    "lead_scores",
    "metric_label",
    "reach",
    "score_table",
    "skill_chart",
    "skill_series",
    "tally",
    "told_metrics",
]

UNITLESS = (
    "acc", "spread_skill", "mean_spread_skill", "crpss", "msssim", "seeps", "fss", "brier", "spec_div", "spec_res",
)  # fmt: skip


def told_metrics(metrics: Mapping[str, float], channel: str, leads: Sequence[float], who: str = "test") -> list[str]:
    """The scores that a model has for a channel at any of the lead times [h], in the order of ``METRICS``."""
    return [name for name in METRICS if any(f"{who}/{name}/{channel}/{lead_key(lead)}" in metrics for lead in leads)]


def metric_label(metric: str, unit: str = "") -> str:
    """``rmse`` in Pa as "RMSE [Pa]"; scores without a unit by name alone."""
    name = METRICS.get(metric, metric.replace("_", " "))
    return f"{name} [{unit_words(unit)}]" if unit and metric not in UNITLESS else name


def lead_scores(
    metrics: Mapping[str, float], who: str, metric: str, channel: str, leads: Sequence[float]
) -> list[Interval]:
    """A score with its interval at each lead time [h], NaN where it is not known."""
    return [metric_interval(metrics, who, f"{metric}/{channel}/{lead_key(lead)}") for lead in leads]


def score_table(
    metrics: Mapping[str, float],
    names: Mapping[str, str],
    metric: str,
    channel: str,
    leads: Sequence[float],
    unit: str = "",
    level: int = 90,
) -> Markup:
    """One score of one channel: a row per entry (WHO → name; the model is ``test``), a column per lead time [h]."""
    found = {who: lead_scores(metrics, who, metric, channel, leads) for who in names}
    told = {who: scores for who, scores in found.items() if any(math.isfinite(s.value) for s in scores)}
    sure = any(math.isfinite(s.low) for scores in told.values() for s in scores)
    rows: list[list[Cell]] = [
        [names[who], *(score if math.isfinite(score.low) else score.value for score in scores)]
        for who, scores in told.items()
    ]
    own = list(told).index("test") if "test" in told else None
    label = f"{capital(metric_label(metric, unit))} of {channel_words(channel)}"
    caption = f"{label}, with {level} % intervals" if sure else label
    return table(["", *(capital(lead_words(lead)) for lead in leads)], rows, caption, own=own, stacked=True)


def skill_series(
    metrics: Mapping[str, float], names: Mapping[str, str], metric: str, channel: str, leads: Sequence[float]
) -> list[Series]:
    """A line per entry (WHO → name) over the lead times where its score is known, with its band if all have one."""
    places, _ = lead_axis(leads)
    lines = []
    for who, name in names.items():
        scores = lead_scores(metrics, who, metric, channel, leads)
        known = [(x, s) for x, s in zip(places, scores, strict=True) if math.isfinite(s.value)]
        if not known:
            continue
        x, y = tuple(x for x, _ in known), tuple(s.value for _, s in known)
        low, high = tuple(s.low for _, s in known), tuple(s.high for _, s in known)
        banded = all(map(math.isfinite, (*low, *high)))
        lines.append(Series(name, x, y, low if banded else (), high if banded else (), own=who == "test"))
    return lines


def skill_chart(
    metrics: Mapping[str, float],
    names: Mapping[str, str],
    metric: str,
    channel: str,
    leads: Sequence[float],
    unit: str = "",
    level: int = 90,
) -> Markup:
    """One score of one channel against lead time [h], for the model and every control, with bands of the intervals."""
    lines = skill_series(metrics, names, metric, channel, leads)
    places, label = lead_axis(leads)
    score = metric_label(metric, unit)
    bands = f"; the bands are {level} % intervals" if any(line.low for line in lines) else ""
    caption = f"{capital(METRICS.get(metric, metric))} of {channel_words(channel)} with lead time{bands}."
    return curves(lines, label, score, caption, x_ticks=places if len(places) <= 15 else ())


def reach(metrics: Mapping[str, float], controls: Mapping[str, str], channel: str, leads: Sequence[float]) -> Markup:
    """Up to which lead time [h] the model's RMSE is below each control's without a break, by the paired interval."""
    rows: list[list[Cell]] = []
    for who, name in controls.items():
        known = [h for h in leads if f"{who}/rmse_gain/{channel}/{lead_key(h)}" in metrics]
        if known:
            rows.append([name, _until([_outcome(metrics, channel, h, who) for h in known], known)])
    if not rows:
        return Markup("")
    caption = f"How far the RMSE of {channel_words(channel)} is below a control's without a break, by its interval"
    return table(["control", "better"], rows, caption)


def _until(outcomes: Sequence[str], leads: Sequence[float]) -> str:
    count = next((i for i, outcome in enumerate(outcomes) if outcome != "better"), len(outcomes))
    if count == 0:
        return f"not at {lead_words(leads[0])}, the shortest lead time"
    return f"up to {lead_words(leads[count - 1])}{', the longest lead time' if count == len(leads) else ''}"


def tally(
    metrics: Mapping[str, float], controls: Mapping[str, str], channels: Sequence[str], leads: Sequence[float]
) -> Markup:
    """Of how many channels the model's RMSE is better, even or worse: a row per control, a column per lead time [h]."""
    rows: list[list[Cell]] = [
        [name, *(_count([_outcome(metrics, channel, lead, who) for channel in channels]) for lead in leads)]
        for who, name in controls.items()
    ]
    caption = f"Of {number(len(channels))} variables and levels, by the paired interval of the RMSE"
    return table(["against", *(capital(lead_words(lead)) for lead in leads)], rows, caption)


def _outcome(metrics: Mapping[str, float], channel: str, lead: float, who: str) -> str:
    return rmse_verdicts(metrics, {who: who}, channel, lead)[0].outcome


def _count(outcomes: Sequence[str]) -> str:
    words = {"better": "better", "even": "not better", "worse": "worse", "unknown": "unknown"}
    return ", ".join(f"{n} {word}" for key, word in words.items() if (n := outcomes.count(key)))
