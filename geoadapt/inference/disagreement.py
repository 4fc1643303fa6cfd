"""How much overlapping tiles disagree, gathered in the blend in one plane more.

In: tiles' scores as they are blended. Out: Σ w ‖p − p̄‖² over the tiles of every pixel, and the weights that turn it
into a mean over pairs of tiles.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.io.windows import TileGrid, ramp, starts

__all__ = ["Disagreement", "pair_weights"]

_TINY = 1e-20
Floats = NDArray[np.float64]


class Disagreement:
    """Adds up how far every tile's scores lie from the mean of those before it (West 1979): nothing cancels out."""

    def __init__(self, grid: TileGrid, device: torch.device) -> None:
        """For the tiles of ``grid``, taken row by row."""
        self.pair_rows = pair_weights(grid.height, grid.tile, grid.overlap)
        self.pair_cols = pair_weights(grid.width, grid.tile, grid.overlap)
        self._rows = _earlier(grid.height, grid.tile, grid.overlap)
        self._cols = _earlier(grid.width, grid.tile, grid.overlap)
        self._norm_cols = grid.norms()[1]
        self._ramp = ramp(grid.tile_height, grid.overlap)
        self._width = grid.tile_width
        self._weights = torch.from_numpy(grid.weights()).to(device)

    def add(self, sums: Tensor, scores: Tensor, row: int, col: int) -> None:
        """Take the tile at (``row``, ``col``) before it is blended in.

        ``sums`` (k + 1, h, w): the blend of the tiles before it there, and in its last plane what this class adds up;
        ``scores`` (k, h, w).
        """
        # Tiles without a valid pixel were not run but count here: none of their pixels is asked for.
        across = self._norm_cols[col : col + self._width]
        weights = np.outer(self._rows[row], across) + np.outer(self._ramp, self._cols[col])
        before = torch.from_numpy(weights.astype(np.float32)).to(sums.device)
        apart = sums[:-1] / before.clamp_min(_TINY)
        apart.sub_(scores)
        share = before * self._weights / (before + self._weights)
        sums[-1].addcmul_(apart.square_().sum(dim=0), share)


def pair_weights(length: int, tile: int, overlap: int) -> Floats:
    """Σ w·w′ over all ordered pairs of different tiles at every pixel of an axis (length,); 0 where one tile lies."""
    size = min(tile, length)
    weight = ramp(size, overlap).astype(np.float64)
    total = np.zeros(length)
    for start, before in _earlier(length, tile, overlap).items():
        total[start : start + size] += 2 * before * weight
    return total


def _earlier(length: int, tile: int, overlap: int) -> dict[int, Floats]:
    """By a tile's start, the sum of the weights of the tiles before it along its own pixels (tile,)."""
    size = min(tile, length)
    weight = ramp(size, overlap).astype(np.float64)
    total = np.zeros(length)
    found = {}
    for start in starts(length, tile, overlap):
        part = total[start : start + size]
        found[start] = part.copy()
        part += weight
    return found
