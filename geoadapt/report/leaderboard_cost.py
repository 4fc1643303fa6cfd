"""Score against what it costs: a chart whose points are links, have names, and obey the page's filter.

In: points and their marks. Out: inline SVG on a logarithmic axis of cost. What costs nothing has a column of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from geoadapt.report.charts import COLOURS
from geoadapt.report.leaderboard_whisker import Scale
from geoadapt.report.numbers import Interval, number

__all__ = ["SHAPES", "CostPoint", "Mark", "cost_chart", "cost_ticks", "cost_words", "front", "key_of_marks", "marks"]

SHAPES = {
    "circle": ("m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z", "o"),
    "square": ("m-4.5-4.5h9v9h-9z", "s"),
    "diamond": ("m0-6l6 6l-6 6l-6-6z", "D"),
    "up": ("m0-6l5.6 10.6h-11.2z", "^"),
    "down": ("m0 6l5.6-10.6h-11.2z", "v"),
    "plus": ("m-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z", "P"),
    "star": ("m0-6.5l1.6 4.5h4.8l-3.8 3l1.4 4.6l-4-2.7l-4 2.7l1.4-4.6l-3.8-3h4.8z", "*"),
}
"""Name → an SVG path round where the pen is [px], and the same of matplotlib."""
WIDTH, HEIGHT = 620, 330
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 44
"""Free round the axes [px]."""
FREE = 46
"""Width of the column of what costs nothing [px]."""
LINE = 13
"""Height of a label [px]."""
LETTER = 6.1
"""Width of a letter, about [px]."""


@dataclass(frozen=True, slots=True)
class CostPoint:
    """One entry: its score with its interval, what it cost, and where on the page it is told of."""

    name: str
    regime: str
    shown: Interval
    cost: float
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """How a way of training is drawn."""

    label: str
    colour: str
    shape: str


def marks(labels: Mapping[str, str]) -> dict[str, Mark]:
    """A colour and a shape per key of the filter, in its order."""
    shapes = tuple(SHAPES)
    return {
        key: Mark(label, COLOURS[i % len(COLOURS)], shapes[i % len(shapes)])
        for i, (key, label) in enumerate(labels.items())
    }


def front(points: Sequence[CostPoint]) -> list[CostPoint]:
    """Those that nothing cheaper reaches, from the cheapest on."""
    best, found = -math.inf, []
    for point in sorted(points, key=lambda p: (p.cost, -p.shown.value)):
        if point.shown.value > best:
            best = point.shown.value
            found.append(point)
    return found


def cost_words(value: float) -> str:
    """``12 k``, ``3.4 M``; small numbers as they are."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def cost_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from 10^``low`` to 10^``high``, with their doubles and fivefolds where there are few."""
    tens = range(math.floor(low), math.ceil(high) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        found = [s * 10.0**t for t in tens for s in steps if low <= math.log10(s * 10.0**t) <= high]
        if len(found) >= 3:
            break
    return found


def cost_chart(
    points: Sequence[CostPoint], styles: Mapping[str, Mark], x_label: str, y_label: str, caption: str
) -> Markup:
    """Score over cost, a dashed line along those that nothing cheaper reaches; they alone are named in the drawing."""
    drawn = [p for p in points if math.isfinite(p.shown.value) and math.isfinite(p.cost) and p.cost >= 0]
    left_out = len(points) - len(drawn)
    if not drawn:
        return Markup('<p class="note">{}: nothing is known of it.</p>').format(x_label)
    axes = _Axes.of(drawn)
    best = front(drawn)
    steps = "".join(
        f"{'M' if i == 0 else 'H'}{axes.x(p.cost):.1f}{' ' if i == 0 else 'V'}{axes.y(p.shown.value):.1f}"
        for i, p in enumerate(best)
    )
    parts = [
        *_grid(axes, x_label, y_label),
        Markup('<path class="front" d="{}"/>').format(steps),
        *_points(drawn, axes, styles),
        *_labels(best, axes),
    ]
    about = f"{y_label} over {x_label}; best at each cost: " + "; ".join(
        f"{p.name} {number(p.shown.value)}" for p in best
    )
    note = f" {left_out} without it or without a score are left out." if left_out else ""
    return Markup(
        '<figure class="cost"><svg viewBox="0 0 {} {}" role="group" aria-label="{}">{}</svg>'
        "<figcaption>{}{}</figcaption></figure>"
    ).format(WIDTH, HEIGHT, about, Markup("\n").join(parts), caption, note)


def key_of_marks(styles: Mapping[str, Mark]) -> Markup:
    """What the marks stand for."""
    items = Markup("").join(
        Markup(
            '<li data-regime="{}"><svg viewBox="-7 -7 14 14" aria-hidden="true" style="--tone: {}">'
            '<path d="M0 0{}"/></svg> {}</li>'
        ).format(key, mark.colour, SHAPES[mark.shape][0], mark.label)
        for key, mark in styles.items()
    )
    return Markup('<ul class="marks">{}</ul>').format(items)


@dataclass(frozen=True, slots=True)
class _Axes:
    low: float
    """Of the cost, as a power of ten."""
    high: float
    scores: Scale
    free: bool
    """Whether anything costs nothing."""

    @classmethod
    def of(cls, points: Sequence[CostPoint]) -> _Axes:
        powers = [math.log10(p.cost) for p in points if p.cost > 0] or [0.0]
        room = max(0.05 * (max(powers) - min(powers)), 0.1)
        scores = Scale.around(p.shown for p in points)
        return cls(min(powers) - room, max(powers) + room, scores, any(p.cost == 0 for p in points))

    def x(self, cost: float) -> float:
        begin = LEFT + (FREE if self.free else 0)
        if cost == 0:
            return LEFT + FREE / 2
        return begin + (WIDTH - RIGHT - begin) * (math.log10(cost) - self.low) / (self.high - self.low)

    def y(self, score: float) -> float:
        share = (score - self.scores.low) / (self.scores.high - self.scores.low)
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, max(0.0, share)))

    def ticks(self) -> list[float]:
        """Round scores on the axis."""
        span = self.scores.high - self.scores.low
        step = 10.0 ** math.floor(math.log10(span / 3))
        step *= next(s for s in (1, 2, 5, 10) if span / (s * step) <= 6)
        first = math.ceil(self.scores.low / step)
        return [round(i * step, 10) for i in range(first, math.floor(self.scores.high / step) + 1)]


def _grid(axes: _Axes, x_label: str, y_label: str) -> list[Markup]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    text = Markup('<text class="soft" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    line = Markup('<path class="grid" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>')
    parts = []
    for tick in axes.ticks():
        parts += [
            line.format(LEFT, axes.y(tick), right, axes.y(tick)),
            text.format(LEFT - 6, axes.y(tick) + 4, "end", f"{tick:g}"),
        ]
    places = [(axes.x(cost), cost_words(cost)) for cost in cost_ticks(axes.low, axes.high)]
    if axes.free:
        places.append((axes.x(0), "0"))
    for x, words in places:
        parts += [line.format(x, bottom, x, bottom + 4), text.format(x, bottom + 17, "middle", words)]
    parts.append(line.format(LEFT, bottom, right, bottom))
    parts.append(text.format((LEFT + right) / 2, HEIGHT - 6, "middle", x_label))
    middle = (TOP + bottom) / 2
    parts.append(
        Markup('<text class="soft" transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
            middle, y_label
        )
    )
    return parts


def _points(points: Sequence[CostPoint], axes: _Axes, styles: Mapping[str, Mark]) -> list[Markup]:
    """A group per way of training, in the order of the styles; the highest points on top within it."""
    groups = []
    for key, mark in styles.items():
        own = sorted((p for p in points if p.regime == key), key=lambda p: p.shown.value)
        inner = "".join(_point(p, axes, SHAPES[mark.shape][0]) for p in own)
        groups.append(Markup(f'<g data-regime="{escape(key)}" style="--tone: {mark.colour}">{inner}</g>'))
    return groups


def _point(point: CostPoint, axes: _Axes, shape: str) -> str:
    x, y = axes.x(point.cost), axes.y(point.shown.value)
    low, high = point.shown.low, point.shown.high
    known = math.isfinite(low) and math.isfinite(high)
    told = f"{point.name}: {number(point.shown.value)}" + (f" ({number(low)} … {number(high)})" if known else "")
    bar = f'<path d="M{x:.1f} {axes.y(low):.1f}V{axes.y(high):.1f}"/>' if known else ""
    link = f' href="#{escape(point.anchor)}"' if point.anchor else ""
    title = f"<title>{escape(told)}, {escape(cost_words(point.cost))}</title>"
    return f'<a{link}>{title}{bar}<path d="M{x:.1f} {y:.1f}{shape}"/></a>'


def _labels(points: Sequence[CostPoint], axes: _Axes) -> list[Markup]:
    """Names beside their points, one above the other where they would meet."""
    taken: list[tuple[float, float, float]] = []
    parts = []
    for point in points:
        x, y = axes.x(point.cost), axes.y(point.shown.value) - 8
        width = LETTER * len(point.name)
        left = min(max(x - width / 2, LEFT), WIDTH - RIGHT - width)
        while any(left < end and left + width > begin and abs(y - other) < LINE for begin, end, other in taken):
            y -= LINE
        if y > TOP - 4:
            taken.append((left, left + width, y))
            parts.append(
                Markup('<text data-regime="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
                    point.regime, left, y, point.name
                )
            )
    return parts
