"""A leaderboard as pictures: the scores of a capability with their intervals, and scores against cost.

In: chapters. Out: PNG files beside the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geoadapt.io.atomic import staged
from geoadapt.leaderboard.page_chapter import Chapter
from geoadapt.leaderboard.page_costs import COSTS, points
from geoadapt.leaderboard.page_words import ways
from geoadapt.report.charts import INK
from geoadapt.report.leaderboard_cost import SHAPES, CostPoint, Mark, cost_ticks, cost_words, front, marks
from geoadapt.report.wording import safe_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_plots"]

SHOWN = 30
"""Most entries in a picture."""
DOTS = 144
"""Per inch."""


def write_plots(chapters: Mapping[str, Chapter], page: Path) -> list[Path]:
    """``PAGE-scores.png`` and ``PAGE-cost.png`` of each board's first capability."""
    made = []
    every = [named for chapter in chapters.values() for named in chapter.names.values()]
    styles = marks(ways(every))
    for board, chapter in chapters.items():
        group = chapter.leading
        begin = page.stem if len(chapters) == 1 else f"{page.stem}-{board.replace('/', '_')}"
        if not points(chapter, group, "trainable"):
            continue
        drawn = {"scores": _scores(chapter, group, styles)}
        if costs := [what for what in COSTS if _known(chapter, group, what)]:
            drawn["cost"] = _costs(chapter, group, styles, costs)
        for kind, drawing in drawn.items():
            path = page.with_name(f"{begin}-{kind}.png")
            _save(drawing, path)
            made.append(path)
    return made


def _save(drawing: Figure, path: Path) -> None:
    with staged(path) as part, part.open("wb") as file:
        drawing.savefig(file, format="png", dpi=DOTS, metadata={"Software": None})


def _scores(chapter: Chapter, group: str, styles: Mapping[str, Mark]) -> Figure:
    from matplotlib.figure import Figure

    found = points(chapter, group, "trainable")
    shown = found[:SHOWN]
    drawing = Figure(figsize=(7.5, 1.2 + 0.27 * len(shown)), layout="constrained")
    axes = drawing.add_subplot()
    for place, point in enumerate(reversed(shown)):
        _point(axes, point, place, styles, across=True)
    axes.set_yticks(range(len(shown)), [safe_text(p.name) for p in reversed(shown)])
    rest = f", the best {SHOWN} of {len(found)}" if len(found) > SHOWN else ""
    percent = round(100 * chapter.board.level)
    axes.set_xlabel(f"normalised score, {percent} % intervals{_simulated(chapter, group)}")
    axes.set_title(safe_text(f"{chapter.suite.groups[group].label}{rest}"), loc="left", fontsize=11)
    _light(axes, "x")
    return drawing


def _known(chapter: Chapter, group: str, what: str) -> list[CostPoint]:
    return [p for p in points(chapter, group, what) if math.isfinite(p.cost)]


def _costs(chapter: Chapter, group: str, styles: Mapping[str, Mark], costs: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(11, 4.4), layout="constrained")
    sides = drawing.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes, what in zip(sides, costs, strict=True):
        known = _known(chapter, group, what)
        for point in known:
            _point(axes, point, point.cost, styles, across=False)
        best = front(known)
        axes.plot(
            [p.cost for p in best],
            [p.shown.value for p in best],
            color=INK,
            alpha=0.5,
            drawstyle="steps-post",
            linestyle=":",
            zorder=1,
        )
        _scale(axes, [p.cost for p in known])
        axes.set_xlabel(COSTS[what])
        _light(axes, "y")
    sides[0].set_ylabel("normalised score")
    title = f"{chapter.suite.groups[group].label}: score against cost{_simulated(chapter, group)}"
    drawing.suptitle(safe_text(title), x=0.01, ha="left", fontsize=11)
    used = {p.regime for p in points(chapter, group, "trainable")}
    handles = [_handle(mark) for key, mark in styles.items() if key in used]
    drawing.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=9)
    return drawing


def _scale(axes: Axes, costs: Sequence[float]) -> None:
    """A logarithmic axis that begins at nothing where anything costs nothing."""
    smallest = min((cost for cost in costs if cost > 0), default=1.0)
    axes.set_xscale("symlog", linthresh=smallest)
    free = 0.0 in costs
    axes.set_xlim(left=-0.3 * smallest if free else smallest / 1.5)
    ticks = cost_ticks(math.log10(smallest / 1.5), math.log10(axes.get_xlim()[1]))
    ticks = [0.0, *(tick for tick in ticks if tick >= smallest)] if free else ticks
    axes.set_xticks(ticks, [cost_words(tick) for tick in ticks])


def _point(axes: Axes, point: CostPoint, place: float, styles: Mapping[str, Mark], *, across: bool) -> None:
    mark, shown = styles[point.regime], point.shown
    ends = [[max(0.0, shown.value - shown.low)], [max(0.0, shown.high - shown.value)]]
    spread = ends if math.isfinite(shown.low) and math.isfinite(shown.high) else None
    x, y = (shown.value, place) if across else (place, shown.value)
    x_spread, y_spread = (spread, None) if across else (None, spread)
    shape = SHAPES[mark.shape][1]
    axes.errorbar(x, y, xerr=x_spread, yerr=y_spread, fmt=shape, color=mark.colour, markersize=6, elinewidth=1.4)


def _handle(mark: Mark) -> object:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=mark.colour, marker=SHAPES[mark.shape][1], linestyle="", label=safe_text(mark.label))


def _light(axes: Axes, grid: str) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=9, length=0)
    axes.grid(axis="x" if grid == "x" else "y", alpha=0.25)
    axes.set_axisbelow(True)


def _simulated(chapter: Chapter, group: str) -> str:
    return " (simulated data among them)" if chapter.simulated_in(chapter.suite.groups[group]) else ""
