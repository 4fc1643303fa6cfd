"""Does the model know where it is wrong? Verdict, risk–coverage curves and areas.

In: flat metrics, and right and wrong pixels by level of doubt. Out: parts of a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from geoadapt.metrics.selective import risk_coverage
from geoadapt.report.charts import COLOURS, INK, figure, plain
from geoadapt.report.numbers import Interval, metric_interval, number
from geoadapt.report.tables import Cell, table
from geoadapt.report.verdicts import Verdict, verdict

__all__ = ["doubt_parts", "doubt_verdicts", "risk_chart"]

NAMES = {
    "confidence": "softmax confidence",
    "instability": "instability",
    "both": "both together",
}
WORDS = {
    "confidence": "1 − the largest probability",
    "instability": "how far apart the probabilities of overlapping tiles are",
    "both": "the mean of the two",
    "perfect": "every wrong pixel after every right one",
}
DASHES = ("-", "--", ":", "-.")
PERCENT = 100
FIRST = 0.02
"""The curves begin at this coverage: of few pixels a share says little."""
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def doubt_parts(metrics: Mapping[str, float], counts: Mapping[str, Counts], who: str = "test") -> list[str]:
    """Verdict, curves, areas and what they mean; ``counts``: measure → (levels, 2), right and wrong pixels."""
    share = metrics.get(f"{who}/instability_share", 0.0)
    if not share:
        return ["No labelled pixel lies in more than one tile, so overlapping tiles cannot disagree: nothing is known."]
    lines = {NAMES[name]: risk_coverage(counts[name]) for name in NAMES}
    rows: list[list[Cell]] = [[NAMES[name], WORDS[name], _area(metrics, who, name)] for name in NAMES]
    rows.append(["a perfect ordering", WORDS["perfect"], PERCENT * metrics[f"{who}/aurc/perfect"]])
    return [
        verdict(doubt_verdicts(metrics, who)),
        risk_chart(lines, "How many of the kept pixels are wrong, when those that a measure doubts most are left out."),
        table(
            ["pixels ordered by", "which is", "area [%]"],
            rows,
            "Area under the curve, the mean of the risks at all coverages: lower is better; 90 % intervals from a "
            "bootstrap over blocks",
        ),
        f"On the {100 * share:.0f} % of the labelled test pixels that lie in more than one tile (the run's own tiles; "
        "more overlap, infer.overlap, covers more), in the pass that the scores are from.",
    ]


def doubt_verdicts(metrics: Mapping[str, float], who: str = "test") -> list[Verdict]:
    """Whether instability, alone and together with it, finds errors better than softmax confidence does."""
    found = []
    subjects: dict[Literal["instability", "both"], str] = {
        "instability": "Instability finds errors",
        "both": "Instability and confidence together find errors",
    }
    for name, subject in subjects.items():
        ends = ("", "_high", "_low")
        keys = (f"{who}/aurc_gain{end}/{name}" for end in ends)
        change, low, high = (-PERCENT * metrics.get(key, float("nan")) for key in keys)
        metric = "area under the risk\N{EN DASH}coverage curve [%]"
        found.append(Verdict("softmax confidence", metric, change, low, high, lower_is_better=True, subject=subject))
    return found


def risk_chart(lines: Mapping[str, tuple[Floats, Floats]], caption: str) -> Markup:
    """Risk over coverage, one line per measure: name → coverage and risk."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7.6, 3.1), layout="constrained")
    axes = drawing.add_subplot()
    for (name, (coverage, risk)), colour, dashes in zip(lines.items(), COLOURS, DASHES, strict=False):
        shown = coverage >= FIRST
        x, y = PERCENT * coverage[shown], PERCENT * risk[shown]
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.8, label=name)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("coverage: pixels kept, the least doubtful first [%]")
    axes.set_ylabel("wrong among them [%]")
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    plain(axes)
    spoken = "; ".join(f"{name} {_at_half(*line)} %" for name, line in lines.items())
    return figure(drawing, f"{caption} Wrong when half are kept, by {spoken}.", caption)


def _area(metrics: Mapping[str, float], who: str, name: str) -> Interval:
    found = metric_interval(metrics, who, f"aurc/{name}")
    return Interval(PERCENT * found.value, PERCENT * found.low, PERCENT * found.high)


def _at_half(coverage: Floats, risk: Floats) -> str:
    return number(PERCENT * float(np.interp(0.5, coverage, risk)), 2) if len(coverage) else number(None)
