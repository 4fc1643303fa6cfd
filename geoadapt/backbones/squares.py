"""An image as equal squares that are encoded one by one, and their maps put together again. Pure geometry.

Where the side is no multiple of the square's, the last squares move inwards: no padding, and every square is as those
of the pre-training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Squares"]


@dataclass(frozen=True, slots=True)
class Squares:
    """Upper and left edges of the squares, and their height and width [px]."""

    rows: tuple[int, ...]
    cols: tuple[int, ...]
    height: int
    width: int
    size: tuple[int, int]
    """Height and width of the image [px]."""

    @classmethod
    def of(cls, size: tuple[int, int] | torch.Size, side: int) -> Squares:
        """A cover of an image of ``size`` by squares of ``side`` px, smaller where the image is; 0 = one for all."""
        height, width = (min(side, n) if side else n for n in size)
        return cls(_starts(size[0], height), _starts(size[1], width), height, width, (size[0], size[1]))

    def take(self, pixels: Tensor) -> Tensor:
        """Images (b, …, h, w) as squares (b · n, …, height, width), those of one image behind each other."""
        if len(self.rows) * len(self.cols) == 1:
            return pixels
        parts = [pixels[..., r : r + self.height, c : c + self.width] for r in self.rows for c in self.cols]
        return torch.stack(parts, 1).flatten(0, 1)

    def repeat(self, told: Tensor | None) -> Tensor | None:
        """What is told of each image (b, …), for each of its squares (b · n, …)."""
        return None if told is None else told.repeat_interleave(len(self.rows) * len(self.cols), 0)

    def join(self, maps: Tensor, stride: int) -> Tensor:
        """Maps of the squares (b · n, …, height / stride, width / stride) as maps of the images (b, …)."""
        count = len(self.rows) * len(self.cols)
        if count == 1:
            return maps
        parts = maps.unflatten(0, (-1, count))  # type: ignore[no-untyped-call]
        out = maps.new_empty(*parts.shape[:1], *parts.shape[2:-2], self.size[0] // stride, self.size[1] // stride)
        places = [(r // stride, c // stride) for r in self.rows for c in self.cols]
        for index, (row, col) in enumerate(places):
            out[..., row : row + self.height // stride, col : col + self.width // stride] = parts[:, index]
        return out


def _starts(length: int, side: int) -> tuple[int, ...]:
    """Edges of squares along an axis, the last one ending where the axis does."""
    return (*range(0, length - side, side), length - side)
