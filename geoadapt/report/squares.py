"""Which parts of a scene to show: where a model is worst, and where it is as it usually is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import NODATA, ClassInfo
from geoadapt.report.pictures import MapRow, Panel
from geoadapt.report.quicklook import colour_errors, colour_labels, rgb

__all__ = ["Square", "error_row", "telling_squares"]

LEAST = 0.2
"""Share of a square's pixels that must be labelled for it to count."""


@dataclass(frozen=True, slots=True)
class Square:
    """A part of a scene, why it is shown, and the share of its labelled pixels that are wrong."""

    kind: str
    row: int
    col: int
    height: int
    width: int
    wrong: float

    def cut(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """This part of a map (h, w)."""
        return values[self.row : self.row + self.height, self.col : self.col + self.width]


def telling_squares(truth: NDArray[np.uint8], labels: NDArray[np.uint8], side: int, each: int = 2) -> list[Square]:
    """The ``each`` squares with most errors, and as many nearest to the median, of maps (h, w)."""
    height, width = truth.shape
    found: list[Square] = []
    for row in range(0, max(1, height - side // 2), side):
        for col in range(0, max(1, width - side // 2), side):
            square = Square("worst", row, col, min(side, height - row), min(side, width - col), 0.0)
            known = square.cut(truth) != NODATA
            if known.mean() >= LEAST:
                wrong = float((square.cut(truth) != square.cut(labels))[known].mean())
                found.append(Square("worst", row, col, square.height, square.width, wrong))
    if not found:
        return []
    found.sort(key=lambda s: -s.wrong)
    median = float(np.median([s.wrong for s in found]))
    usual = sorted(found[each:], key=lambda s: abs(s.wrong - median))[:each]
    return found[:each] + [Square("typical", s.row, s.col, s.height, s.width, s.wrong) for s in usual]


def error_row(
    name: str,
    square: Square,
    values: NDArray[np.floating],
    channels: tuple[str, ...],
    truth: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    classes: tuple[ClassInfo, ...],
) -> MapRow:
    """Image | label | prediction | errors; ``values`` (c, h, w) are the square's, the maps (h, w) the scene's."""
    known, said = square.cut(truth), square.cut(labels)
    return MapRow(
        f"{name}, row {square.row}, column {square.col}".lstrip(", "),
        f"{square.kind}: {100 * square.wrong:.1f} % of the labelled pixels are wrong",
        (
            Panel("image", rgb(values, channels), photo=True),
            Panel("label", colour_labels(known, classes)),
            Panel("prediction", colour_labels(said, classes)),
            Panel("errors", colour_errors(known, said)),
        ),
    )
