"""Tables: of numbers with intervals, and of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from geoadapt.report.numbers import Interval, number

__all__ = ["Cell", "confusion", "table"]

Cell = str | int | float | Interval | None


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    caption: str,
    own: int | None = None,
    *,
    stacked: bool = False,
) -> Markup:
    """A table; the first column heads its row, numbers stand right, and row number ``own`` is set off.

    ``stacked`` puts intervals under their numbers, where many stand side by side.
    """
    numeric = [any(isinstance(row[i], int | float | Interval) for row in rows) for i in range(len(headers))]
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(_align(numeric[i]), name) for i, name in enumerate(headers)
    )
    body = Markup("\n").join(
        Markup("<tr{}>{}</tr>").format(Markup(' class="own"') if i == own else "", _row(row, numeric))
        for i, row in enumerate(rows)
    )
    return Markup(
        '<div class="scroll" role="region" aria-label="{0}" tabindex="0"><table{3}><caption>{0}</caption>\n'
        "<thead><tr>{1}</tr></thead>\n<tbody>\n{2}\n</tbody></table></div>"
    ).format(caption, head, body, Markup(' class="stacked"') if stacked else "")


def _row(row: Sequence[Cell], numeric: Sequence[bool]) -> Markup:
    first, *rest = row
    cells = [Markup('<th scope="row"{}>{}</th>').format(_align(numeric[0]), _cell(first))]
    cells += [Markup("<td{}>{}</td>").format(_align(numeric[i]), _cell(cell)) for i, cell in enumerate(rest, 1)]
    return Markup("").join(cells)


def _align(numeric: bool) -> Markup:
    return Markup(' class="number"') if numeric else Markup("")


def _cell(cell: Cell) -> Markup | str:
    if isinstance(cell, str):
        return cell
    if not isinstance(cell, Interval):
        return number(cell)
    return Markup('{} <span class="range">{} … {}</span>').format(*map(number, (cell.value, cell.low, cell.high)))


def confusion(matrix: NDArray[np.integer] | NDArray[np.floating], names: Sequence[str]) -> Markup:
    """A confusion matrix (k, k), rows the truth and columns the prediction, as shares of each row, shaded."""
    names = [name.replace("_", " ") for name in names]
    counts = np.asarray(matrix, np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in names)
    rows = []
    for i, name in enumerate(names):
        cells = Markup("").join(_share(shares[i, j], counts[i, j], i == j) for j in range(len(names)))
        rows.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(name, cells))
    caption = "Each row is what the label says, each column what was predicted: share of the row, and pixels."
    return Markup(
        '<div class="scroll" role="region" aria-label="Confusion matrix" tabindex="0"><table class="confusion">'
        "<caption>{}</caption>\n<thead><tr><td></td>{}</tr></thead>\n<tbody>\n{}\n</tbody></table></div>"
    ).format(caption, head, Markup("\n").join(rows))


def _share(share: float, count: float, hit: bool) -> Markup:
    kind = Markup(' class="hit"') if hit else Markup("")
    return Markup('<td{} style="--share: {}">{} %<small>{}</small></td>').format(
        kind, f"{share:.3f}", f"{100 * share:.1f}", number(int(count))
    )
