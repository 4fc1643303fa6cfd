"""An interval drawn in the cell of a table: a bar with a mark, on one scale for the whole column."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from geoadapt.report.numbers import Interval

__all__ = ["Scale", "whisker"]

WIDTH = 108
"""Of the drawing, as the style sheet has it [px]."""
EDGE = 5
"""Kept free at either side, so that a mark is whole [px]."""
ROOM = 0.08
"""Of the range of the values, left free beyond it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The values that lie at the left and at the right end."""

    low: float
    high: float

    @classmethod
    def around(cls, shown: Iterable[Interval]) -> Scale:
        """A scale for all of the values, NaN without any; an interval that reaches farther is cut at its end."""
        values = [i.value for i in shown if math.isfinite(i.value)]
        if not values:
            return cls(math.nan, math.nan)
        room = ROOM * (max(values) - min(values)) or 0.05 * abs(values[0]) or 0.05
        return cls(min(values) - room, max(values) + room)

    def place(self, value: float) -> float:
        """From the left [px], at most as far as the ends."""
        share = (value - self.low) / (self.high - self.low)
        return round(EDGE + (WIDTH - 2 * EDGE) * min(1.0, max(0.0, share)), 1)


def whisker(shown: Interval, scale: Scale) -> Markup:
    """The interval as a small drawing; nothing without a value, a mark alone without its ends."""
    if not math.isfinite(shown.value):
        return Markup("")
    known = math.isfinite(shown.low) and math.isfinite(shown.high)
    bar = f"M{scale.place(shown.low):g} 7H{scale.place(shown.high):g}" if known else ""
    return Markup(f'<svg class=w><path d="{bar}"/><path d="M{scale.place(shown.value):g} 1v12"/></svg>')
