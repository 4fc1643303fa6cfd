"""Tiles over a scene: which windows to read, and how their predictions blend.

In: a scene's height and width, a tile size and an overlap [px]. Out: windows and weights. Pure geometry: no files,
no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window

__all__ = ["TileGrid", "blocks", "norm", "ramp", "starts"]


@dataclass(frozen=True, slots=True)
class TileGrid:
    """A regular cover of a scene by equal, overlapping tiles; the last row and column are shifted inwards.

    A scene smaller than the tile is one tile of the scene's own size in that direction.
    """

    height: int
    width: int
    tile: int = 256
    overlap: int = 64

    def __post_init__(self) -> None:
        """Raise GeoadaptError for sizes that make no grid."""
        if self.height < 1 or self.width < 1:
            raise GeoadaptError("tiles", f"a scene of {self.height} × {self.width} px has no pixels")
        if self.tile < 1:
            raise GeoadaptError("tiles", f"tile {self.tile} px", "choose 1 or more")
        if not 0 <= self.overlap < self.tile:
            raise GeoadaptError(
                "tiles", f"overlap {self.overlap} px does not fit tile {self.tile} px", "choose overlap < tile"
            )

    @property
    def tile_height(self) -> int:
        """Height of every tile [px]: ``tile``, or the scene's height where that is less."""
        return min(self.tile, self.height)

    @property
    def tile_width(self) -> int:
        """Width of every tile [px]: ``tile``, or the scene's width where that is less."""
        return min(self.tile, self.width)

    def rows(self) -> list[int]:
        """Top edges, ascending; together the tiles cover every row of pixels."""
        return starts(self.height, self.tile, self.overlap)

    def cols(self) -> list[int]:
        """Left edges, ascending; together the tiles cover every column of pixels."""
        return starts(self.width, self.tile, self.overlap)

    def windows(self) -> Iterator[Window]:
        """All tiles, row by row."""
        for row in self.rows():
            for col in self.cols():
                yield Window(row, col, self.tile_height, self.tile_width)

    def weights(self) -> NDArray[np.float32]:
        """Blend weights of one tile (tile_height, tile_width), all positive."""
        return np.outer(ramp(self.tile_height, self.overlap), ramp(self.tile_width, self.overlap))

    def norms(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Sums of the weights over all tiles, per row (height,) and column (width,): their product is the norm."""
        return norm(self.height, self.tile, self.overlap), norm(self.width, self.tile, self.overlap)


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Ascending offsets of tiles that cover ``length`` px, at most ``tile − overlap`` apart, none reaching outside."""
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile - overlap), length - tile]


def ramp(tile: int, overlap: int) -> NDArray[np.float32]:
    """Separable blend weight along one axis (tile,): rises over ``overlap`` px, positive everywhere.

    Positive weights let labels be chosen by argmax of the weighted sum, without dividing by its norm.
    """
    index = np.arange(tile)
    rise = np.minimum(index + 1, tile - index)
    return (np.minimum(rise, overlap + 1) / np.float32(overlap + 1)).astype(np.float32)


def norm(length: int, tile: int, overlap: int) -> NDArray[np.float32]:
    """The sum of all tiles' ramps at every pixel of an axis (length,), positive everywhere."""
    size = min(tile, length)
    weight = ramp(size, overlap)
    total = np.zeros(length, np.float32)
    for start in starts(length, tile, overlap):
        total[start : start + size] += weight
    return total


def blocks(height: int, width: int, size: int) -> Iterator[Window]:
    """Squares of ``size`` px that cover a scene without overlap, row by row, cut at its lower and right edges."""
    for row in range(0, height, size):
        for col in range(0, width, size):
            yield Window(row, col, min(size, height - row), min(size, width - col))
