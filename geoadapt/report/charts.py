"""Charts: curves over training, and the model with its interval among its controls."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from geoadapt.report.numbers import MINUS, Interval, number
from geoadapt.report.wording import safe_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "INK", "Series", "curves", "figure", "intervals", "plain", "recorded", "series"]

INK = "#010203"
"""Stands for the page's text colour in a drawing, so that a chart is legible on light and dark alike."""
COLOURS = ("#2a9d74", "#d0782a", "#5b84d6", "#b8568f", "#8f8a2c", "#7d6bc0", "#4aa3b5", "#a05a45")
MARKERS = "os^DvPX*"
"""Differ where colours may not, on lines of few points."""


@dataclass(frozen=True, slots=True)
class Series:
    """A named line of points, with a band around it where its interval is known."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    own: bool = False
    """The model's own line is heavier, and lies on top."""


def recorded(path: Path) -> list[dict[str, str]]:
    """The rows of a run's ``curves.csv``: column → text, empty where a step has no such number."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def series(rows: Iterable[Mapping[str, object]], names: Sequence[str], x: str = "step") -> list[Series]:
    """The named columns of rows, such as those of ``curves.csv``; empty and non-finite cells are left out."""
    kept: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for row in rows:
        at = _float(row.get(x))
        for name in names:
            value = _float(row.get(name))
            if math.isfinite(at) and math.isfinite(value):
                kept[name].append((at, value))
    return [
        Series(name, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)) for name, pairs in kept.items() if pairs
    ]


def _float(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return math.nan


def curves(
    lines: Sequence[Series], x_label: str, y_label: str, caption: str, *, x_ticks: Sequence[float] = ()
) -> Markup:
    """Lines in one chart with their bands, each named at its end; ``x_ticks`` are the only ones where given."""
    from matplotlib.figure import Figure

    if not lines:
        return Markup('<p class="note">{}</p>').format(f"{caption}: nothing was recorded.")
    columns = _columns([line.name for line in lines])
    height = 2.9 + 0.2 * math.ceil(len(lines) / columns)
    drawing = Figure(figsize=(7.6, height), layout="constrained")
    axes = drawing.add_subplot()
    for index, line in enumerate(lines):
        _draw(axes, line, index)
    axes.set_xlabel(safe_text(x_label))
    axes.set_ylabel(safe_text(y_label))
    if len(x_ticks):
        axes.set_xticks(x_ticks)
    if len(lines) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}".replace("-", MINUS))
    plain(axes)
    ends = "; ".join(f"{line.name} ends at {number(line.y[-1])}" for line in lines)
    return figure(drawing, f"{caption} {ends}.", caption)


def _draw(axes: Axes, line: Series, index: int) -> None:
    colour = COLOURS[index % len(COLOURS)]
    marker = MARKERS[index % len(MARKERS)] if len(line.x) < 30 else ""
    width, above = (2.6, 4) if line.own else (1.8, 3)
    if line.low and line.high:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.16, linewidth=0, zorder=above - 2)
    axes.plot(
        line.x, line.y, color=colour, linewidth=width, marker=marker, markersize=4.5 if line.own else 3.8,
        label=safe_text(line.name), zorder=above,
    )  # fmt: skip


def _columns(names: Sequence[str]) -> int:
    """Columns of a legend that fit the chart's width."""
    longest = max(map(len, names))
    return 4 if longest <= 18 else 3 if longest <= 26 else 2


def plain(axes: Axes) -> None:
    """Draw axes lightly: a faint grid, no box, everything in the page's own colour."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.spines["bottom"].set_alpha(0.5)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.xaxis.label.set(color=INK, fontsize=9.5)
    axes.yaxis.label.set(color=INK, fontsize=9.5)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)
    axes.set_axisbelow(True)


def figure(drawing: Figure, alt: str, caption: str = "", kind: str = "chart") -> Markup:
    """A matplotlib figure as inline SVG; what was drawn in ``INK`` takes the page's text colour.

    ``kind`` is its class on the page: ``chart``, or ``chart wide``.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "geoadapt", "svg.fonttype": "none"}):
        drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1; font-family: inherit", svg)
    referred = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: m.group(0) if m.group(1) in referred else "", svg)
    # Equal markers have equal names in every drawing, but on one page a name must be said once only.
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{own}-", svg)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
    text = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
    return Markup('<figure class="{}">{}{}</figure>').format(kind, Markup(svg), text)


def intervals(rows: Sequence[tuple[str, float, float, float]], caption: str = "", own: int = 0) -> Markup:
    """Name, value, low and high per row, as dots with whiskers on one scale; a line marks row ``own``, the model's."""
    known = [v for row in rows for v in row[1:] if math.isfinite(v)]
    if not known:
        return Markup('<p class="note">{}</p>').format(f"{caption}: no numbers.")
    low, high = min(known), max(known)
    margin = 0.06 * (high - low) or 0.05
    low, high = low - margin, high + margin
    guide = _percent(rows[own][1], low, high)
    items = Markup("\n").join(_whisker(row, low, high, guide, i == own) for i, row in enumerate(rows))
    axis = Markup('<li class="axis" aria-hidden="true"><span><b>{}</b><b>{}</b></span></li>').format(
        number(low, 2), number(high, 2)
    )
    text = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
    return Markup('<figure><ul class="whiskers">{}{}</ul>{}</figure>').format(items, axis, text)


def _whisker(row: tuple[str, float, float, float], low: float, high: float, guide: str | None, own: bool) -> Markup:
    name, value, bottom, top = row
    interval = Interval(value, bottom, top)
    marks = Markup("")
    if guide is not None and not own:
        marks += Markup('<i class="guide" style="left: {}%"></i>').format(guide)
    ends = _percent(interval.low, low, high), _percent(interval.high, low, high)
    if ends[0] is not None and ends[1] is not None:
        width = f"{float(ends[1]) - float(ends[0]):.2f}"
        marks += Markup('<i class="bar" style="left: {}%; width: {}%"></i>').format(ends[0], width)
    if (at := _percent(value, low, high)) is not None:
        marks += Markup('<i class="dot" style="left: {}%"></i>').format(at)
    return Markup(
        '<li{}><span>{}</span><span class="track">{}</span>'
        '<span class="number">{}<span class="range">{} … {}</span></span></li>'
    ).format(Markup(' class="own"') if own else "", name, marks, number(value), number(bottom), number(top))


def _percent(value: float, low: float, high: float) -> str | None:
    return f"{100 * (value - low) / (high - low):.2f}" if math.isfinite(value) else None
