"""What a score costs: a chapter's entries over trained parameters and over seconds.

In: a chapter. Out: points, and charts of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from markupsafe import Markup

from geoadapt.leaderboard.page_chapter import Chapter
from geoadapt.leaderboard.page_tables import group_anchor
from geoadapt.report.leaderboard_cost import CostPoint, Mark, cost_chart, key_of_marks
from geoadapt.report.page import folded

__all__ = ["COSTS", "cost_parts", "points"]

COSTS = {
    "trainable": "trainable parameters",
    "seconds": "training time [s]",
}
"""Field of a record → the axis it is drawn on."""
SCORE = "normalised score"


def points(chapter: Chapter, group: str, what: str) -> list[CostPoint]:
    """The entries of a group that have a score, with the median cost of their runs in it."""
    members = chapter.suite.groups[group].datasets
    found = []
    for place, entry in enumerate(chapter.ordered(group)):
        shown = chapter.normal(group, entry)
        if math.isfinite(shown.value):
            named = chapter.names[entry]
            cost = chapter.cost(entry, what, members)
            found.append(
                CostPoint(
                    named.name,
                    named.regime,
                    shown,
                    cost,
                    group_anchor(chapter, group, entry) if place < chapter.most else "",
                )
            )
    return found


def cost_parts(chapter: Chapter, styles: Mapping[str, Mark]) -> list[Markup]:
    """Two charts per capability, those of all but the leading one behind a line."""
    parts = [key_of_marks(styles)]
    for key, group in chapter.suite.groups.items():
        simulated = chapter.simulated_in(group)
        word = f" Simulated data among them: {', '.join(simulated)}." if simulated else ""
        caption = f"{group.label}. Dashed: the best at each cost, hidden ones among them.{word}"
        charts = Markup("").join(
            cost_chart(points(chapter, key, what), styles, label, SCORE, caption) for what, label in COSTS.items()
        )
        both = Markup('<div class="costs">{}</div>').format(charts)
        if key == chapter.leading:
            parts.insert(1, both)
        else:
            parts.append(folded(group.label, both))
    return parts
