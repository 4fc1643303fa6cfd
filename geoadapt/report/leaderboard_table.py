"""Tables that a reader sorts and filters: plain tables without a script, in the order in which they are given.

In: columns, and lines of cells with their sorting keys. Out: a table; ``leaderboard.js`` makes buttons of headers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from geoadapt.report.numbers import NOTHING, Interval, number

__all__ = ["Cell", "Column", "Line", "both", "interval_text", "missing", "plain", "sortable"]

Best = Literal["max", "min", ""]


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``best`` is what comes first when it is sorted, "" for words in alphabetical order."""

    label: str
    best: Best = ""
    raw_best: Best = ""
    """The same for raw scores, where they count the other way."""
    about: str = ""
    """What a pointer that rests on the header is told."""
    sorted: bool = False
    """Whether the lines are given in the order of this column."""
    closed: bool = False
    """Nothing to sort by."""
    mark: str = ""
    """Small print under the label, such as ``simulated``."""

    def html(self) -> Markup:
        """The header."""
        attributes = Markup("")
        if not self.closed:
            attributes += Markup(' data-best="{}"').format(self.best)
        if self.raw_best:
            attributes += Markup(' data-raw-best="{}"').format(self.raw_best)
        if self.sorted:
            attributes += Markup(' aria-sort="{}"').format("ascending" if self.best != "max" else "descending")
        if self.about:
            attributes += Markup(' title="{}"').format(self.about)
        if self.best:
            attributes += Markup(' class="number"')
        mark = Markup(" <small>{}</small>").format(self.mark) if self.mark else ""
        return Markup('<th scope="col"{}><span>{}</span>{}</th>').format(attributes, self.label, mark)


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, and what it is sorted by: ``key`` for normalised scores, ``raw`` where raw ones differ.

    NaN sorts last, whichever way a column is sorted; None is sorted by its words.
    """

    html: Markup
    key: float | None = None
    raw: float | None = None
    kind: str = ""
    """Class of the cell: "" for numbers, ``t`` for text, ``fold`` for what is long."""

    def told(self, head: bool) -> Markup:
        """The cell in its table."""
        attributes = f" class={self.kind}" if self.kind else ""
        if self.key is not None:
            attributes += f" data-v{_key(self.key)}"
        if self.raw is not None:
            attributes += f" data-r{_key(self.raw)}"
        start, end = ('<th scope="row"', "</th>") if head else ("<td", "</td>")
        return Markup(f"{start}{attributes}>{self.html}{end}")


@dataclass(frozen=True, slots=True)
class Line:
    """One row; ``regime`` is what the filter shows or hides it by."""

    regime: str
    cells: Sequence[Cell]
    anchor: str = ""


def sortable(caption: str | Markup, columns: Sequence[Column], lines: Sequence[Line], label: str = "") -> Markup:
    """A table in a region of its own, which scrolls within itself on a narrow screen; the first cell heads its row."""
    head = Markup("").join(column.html() for column in columns)
    body = Markup("\n").join(_line(line) for line in lines)
    return Markup(
        '<div class="scroll" role="region" aria-label="{}" tabindex="0"><table class="board">\n'
        "<caption><span>{}</span></caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody></table></div>"
    ).format(label or caption, caption, head, body)


def _line(line: Line) -> Markup:
    anchor = f' id="{escape(line.anchor)}"' if line.anchor else ""
    cells = "".join(cell.told(head=i == 0) for i, cell in enumerate(line.cells))
    return Markup(f'<tr data-regime="{escape(line.regime)}"{anchor}>{cells}</tr>')


def plain(value: float | int | None, why: str = "", digits: int = 3) -> Cell:
    """A number, or a dash that says why there is none."""
    if value is None or not math.isfinite(value):
        return missing(why)
    return Cell(escape(number(value, digits)), float(value))


def missing(why: str) -> Cell:
    """A dash, with the reason for whoever rests on it."""
    return Cell(_dash(why), math.nan)


def both(normal: Markup, raw: Markup, key: float | None, raw_key: float | None) -> Cell:
    """A cell that shows one of two scales."""
    # a page has thousands of these, and a class of one letter needs no quotes
    return Cell(Markup(f"<span class=n>{escape(normal)}</span><span class=r>{escape(raw)}</span>"), key, raw_key)


def interval_text(shown: Interval, why: str = "", digits: int = 3) -> Markup:
    """``0.712 0.701 … 0.723``, or a dash with the reason."""
    if not math.isfinite(shown.value):
        return _dash(why)
    known = math.isfinite(shown.low) and math.isfinite(shown.high)
    ends = f"{number(shown.low, digits)} … {number(shown.high, digits)}" if known else "one run"
    return Markup(f"{number(shown.value, digits)} <small>{ends}</small>")


def _dash(why: str) -> Markup:
    return Markup(f'<abbr title="{escape(why or "missing")}">{NOTHING}</abbr>')


def _key(value: float) -> str:
    """The rest of an attribute; a number needs no quotes, and a page has thousands."""
    return f"={value:.5g}" if math.isfinite(value) else ""
