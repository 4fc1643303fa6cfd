"""The same scores by GEO-Bench-2's own protocol, beside ours: for whoever compares with its leaderboard.

In: a chapter. Out: a table of scores times 100, with the standard error of their Monte Carlo.
"""

from __future__ import annotations

import math

from markupsafe import Markup

from geoadapt.leaderboard.page_chapter import Chapter
from geoadapt.report.leaderboard_table import Cell, Column, Line, missing, sortable
from geoadapt.report.page import folded

__all__ = ["published_part"]

CAPTION = (
    "Scores times 100 by GEO-Bench-2's protocol, with the standard error of its 100 replicates: that error tells of "
    "the Monte Carlo, and not of how well a score is known."
)


def published_part(chapter: Chapter) -> Markup | None:
    """The table behind a line; None where nobody has a score."""
    told = chapter.board.published
    labels = [chapter.suite.groups[key].label for key in told.groups]
    rows = {entry: i for i, entry in enumerate(told.entries)}
    if not any(math.isfinite(score) for score in told.score.ravel()):
        return None
    chief = list(told.groups).index(chapter.leading)
    first = told.score[:, chief]
    order = sorted(told.entries, key=lambda e: -first[rows[e]] if math.isfinite(first[rows[e]]) else math.inf)
    columns = [Column("entry"), *(Column(label, "max", sorted=i == chief) for i, label in enumerate(labels))]
    lines = []
    for entry in order:
        scores, errors = told.score[rows[entry]], told.sem[rows[entry]]
        named = chapter.names[entry]
        cells = [_cell(chapter, key, entry, *pair) for key, *pair in zip(told.groups, scores, errors, strict=True)]
        lines.append(Line(named.regime, [Cell(Markup.escape(named.name)), *cells]))
    return folded("The same by GEO-Bench-2's protocol", sortable(CAPTION, columns, lines, "GEO-Bench-2's protocol"))


def _cell(chapter: Chapter, key: str, entry: tuple[str, ...], score: float, error: float) -> Cell:
    if not math.isfinite(score):
        return missing(chapter.why(entry, chapter.board.scores[key][entry].missing))
    return Cell(Markup(f"{100 * score:.1f} <small>± {100 * error:.2f}</small>"), float(score))
