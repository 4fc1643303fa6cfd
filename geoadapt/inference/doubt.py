"""Where a prediction may be wrong: by what the model says of itself, and by how much overlapping tiles disagree.

In: finished rows. Out: two measures per pixel (n, w), both 0 to 1 and both differences in probability, as a plane in a
sink, or as means over tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import NODATA
from geoadapt.inference.base import Finished
from geoadapt.io.base import Sink, Window
from geoadapt.io.windows import blocks

__all__ = [
    "DOUBT_SCALE",
    "MEASURES",
    "DoubtProduct",
    "TileDoubts",
    "TileScore",
    "both",
    "doubt",
    "instability",
    "quantise",
]

DOUBT_SCALE = 1 / 250
"""Doubts are stored as uint8: doubt = stored · scale, 255 = unknown."""

_ROWS = 64
"""Rows worked on at once, so that the intermediate planes stay small."""

Floats = NDArray[np.float32]
Measure = Callable[[Finished], Floats]


def doubt(rows: Finished) -> Floats:
    """1 − the largest probability (n, w); NaN where nothing is predicted."""
    if rows.sums is None:
        return np.full(rows.shape, np.nan, np.float32)
    norm = np.outer(rows.norm_rows, rows.norm_cols)
    largest = rows.sums.amax(dim=0).cpu().numpy()
    return _masked(np.maximum((norm - largest) / norm, 0), rows)


def instability(rows: Finished) -> Floats:
    """How far apart two tiles' probabilities are (n, w), root mean square over the pairs of tiles at a pixel.

    √(½ Σ w w′ ‖p − p′‖² / Σ w w′); for two classes and two tiles this is |p − p′|. A weighted variance would instead
    fall to zero at a tile's rim, whatever the tile says there. NaN where only one tile lies, or nothing is predicted.
    """
    if rows.spread is None or rows.pair_rows is None or rows.pair_cols is None:
        return np.full(rows.shape, np.nan, np.float32)
    norm_rows, norm_cols = rows.norm_rows.astype(np.float64), rows.norm_cols.astype(np.float64)
    pairs = np.outer(rows.pair_rows, norm_cols**2).astype(np.float32)
    pairs += np.outer(norm_rows**2 - rows.pair_rows, rows.pair_cols).astype(np.float32)
    variance: Floats = rows.spread.cpu().numpy() * np.outer(rows.norm_rows, rows.norm_cols)
    known = pairs > 0
    np.divide(variance, pairs, out=variance, where=known)
    variance[~known] = np.nan
    return _masked(np.minimum(np.sqrt(variance), 1), rows)


def both(rows: Finished) -> Floats:
    """The mean of ``doubt`` and ``instability`` (n, w); NaN where either is."""
    return np.asarray((doubt(rows) + instability(rows)) / 2, np.float32)


MEASURES: dict[str, Measure] = {"confidence": doubt, "instability": instability, "both": both}
"""By the name that metrics carry."""


def quantise(values: Floats) -> NDArray[np.uint8]:
    """Doubts 0 to 1 as stored, see ``DOUBT_SCALE``; NaN as nodata."""
    stored = np.rint(values / np.float32(DOUBT_SCALE))
    return np.where(np.isnan(stored), np.float32(NODATA), stored).astype(np.uint8)


class DoubtProduct:
    """One measure as a plane (1, h, w) of uint8."""

    def __init__(
        self, sink: Sink, measure: Measure = instability, store: Callable[[Floats], NDArray[np.uint8]] = quantise
    ) -> None:
        """Write ``store(measure(rows))`` into ``sink``."""
        self._sink = sink
        self._measure = measure
        self._store = store
        self.needs_disagreement = measure is not doubt

    def put(self, rows: Finished) -> None:
        """Measure and write the next rows; where no tile was run, they stay nodata."""
        for part in _parts(rows):
            self._sink.write(Window(part.row, 0, *part.shape), self._store(self._measure(part))[None])

    def finish(self) -> None:
        """Nothing is held back."""


@dataclass(frozen=True, slots=True)
class TileScore:
    """The means over one tile's pixels."""

    row: int
    col: int
    height: int
    width: int
    valid: float
    """Share of its pixels that have a prediction."""
    known: float
    """Share of these that lie in more than one tile."""
    doubt: float
    """Mean of 1 − the largest probability; NaN without a prediction."""
    instability: float
    """Mean over the known ones; NaN without one."""

    @property
    def score(self) -> float:
        """How doubtful the tile is: the sum of both means, or the first alone where no instability is known."""
        return self.doubt + (self.instability if self.known else 0.0)


class TileDoubts:
    """Means of the measures over squares that do not overlap, added up while the rows stream by."""

    needs_disagreement = True

    def __init__(self, height: int, width: int, tile: int) -> None:
        """For a scene of ``height`` × ``width`` px in squares of ``tile`` px, cut at its lower and right edges."""
        self._shape = (height, width)
        self._tile = tile
        self._edges = np.arange(0, width, tile)
        # valid, known, Σ doubt, Σ instability
        self._sums = np.zeros((4, -(-height // tile), len(self._edges)))

    def put(self, rows: Finished) -> None:
        """Add the next rows."""
        for part in _parts(rows):
            self._add(part)

    def _add(self, rows: Finished) -> None:
        doubts, instabilities = doubt(rows), instability(rows)
        planes = (
            ~np.isnan(doubts),
            ~np.isnan(instabilities),
            np.nan_to_num(doubts),
            np.nan_to_num(instabilities),
        )
        tops = np.arange(rows.row // self._tile * self._tile, rows.row + rows.shape[0], self._tile)
        starts = np.maximum(tops - rows.row, 0)
        into = slice(tops[0] // self._tile, tops[-1] // self._tile + 1)
        for sums, plane in zip(self._sums, planes, strict=True):
            columns = np.add.reduceat(plane, self._edges, axis=1, dtype=np.float64)
            sums[into] += np.add.reduceat(columns, starts, axis=0)

    def finish(self) -> None:
        """Nothing is held back."""

    def scores(self) -> list[TileScore]:
        """One per square, row by row."""
        valid, known, doubts, instabilities = (plane.ravel() for plane in self._sums)
        return [
            TileScore(
                w.row,
                w.col,
                w.height,
                w.width,
                float(valid[i] / (w.height * w.width)),
                float(known[i] / max(valid[i], 1)),
                _ratio(doubts[i], valid[i]),
                _ratio(instabilities[i], known[i]),
            )
            for i, w in enumerate(blocks(*self._shape, self._tile))
        ]


def _parts(rows: Finished) -> Iterator[Finished]:
    """The rows a few at a time; none where no tile was run."""
    if rows.sums is None:
        return
    for top in range(0, rows.shape[0], _ROWS):
        cut = slice(top, top + _ROWS)
        yield replace(
            rows,
            row=rows.row + top,
            sums=rows.sums[:, cut],
            norm_rows=rows.norm_rows[cut],
            valid=None if rows.valid is None else rows.valid[cut],
            spread=None if rows.spread is None else rows.spread[cut],
            pair_rows=None if rows.pair_rows is None else rows.pair_rows[cut],
        )


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below else float("nan")


def _masked(values: NDArray[np.floating], rows: Finished) -> Floats:
    made = values.astype(np.float32, copy=False)
    if rows.valid is not None:
        made[~rows.valid] = np.nan
    return made
