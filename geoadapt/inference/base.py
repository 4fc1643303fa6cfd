"""What the streaming engine asks of a model, and what it hands to those who write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.cubes.classes import ClassInfo

__all__ = ["Finished", "Note", "Product", "Scores", "SegmentationBundle", "StreamCounts", "StreamOptions", "Tap"]

Scores = Callable[[Tensor, Tensor | None], Tensor]
"""Values (b, c, h, w), finite float32, and where they are valid (same shape, None = everywhere), to (b, k, h, w)."""

Note = Callable[[str], None]
"""Takes a sentence that the user should see."""

Tap = Callable[[int, NDArray[np.float32], NDArray[np.bool_] | None], None]
"""Sees every row of the scene once, in order: first row, values (c, n, w), valid (c, n, w) or None."""


class SegmentationBundle(Protocol):
    """The part of a bundle that prediction uses."""

    @property
    def name(self) -> str:
        """For messages and metadata."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Bands it takes, in its order."""

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """Classes it predicts, in the order of its scores."""

    @property
    def multiple(self) -> int:
        """Tile sides must be a multiple of this [px]."""

    @property
    def threshold(self) -> float | None:
        """The probability of cloud from which it was tested; None = the most probable class."""

    def scores(
        self,
        values: Tensor,
        valid: Tensor | None,
        *,
        time: datetime | None,
        resolution: float | None,
        sensor: str | None = None,
    ) -> Tensor:
        """Reflectance (b, c, h, w) to probabilities (b, k, h, w); ``resolution`` [m], ``sensor`` as in ``cubes``."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a scene is cut and batched."""

    outputs: int
    """Number of scores per pixel, k."""
    tile: int = 256
    overlap: int = 64
    batch: int = 8
    multiple: int = 1
    """The model's tile sides must be a multiple of this [px]; tiles are padded by reflection and cropped after."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(slots=True)
class StreamCounts:
    """What happened to a scene."""

    tiles: int = 0
    empty_tiles: int = 0
    """Tiles without a valid pixel, which cost no forward pass."""
    pixels: int = 0
    missing_pixels: int = 0
    batches: int = 0
    batch: int = 0
    """The largest batch that fitted into memory."""
    forward_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """Rows of a scene whose scores are complete: ``row`` is the first.

    ``sums`` (k, n, w): weighted sums of scores, None where no tile was run; ``norm_rows`` (n,) and ``norm_cols`` (w,):
    their product is the sum of the weights; ``valid`` (n, w): where all bands are, None = everywhere.
    Where a product asked for it, ``spread`` (n, w): Σ w ‖p − p̄‖² over the tiles, and ``pair_rows`` (n,), ``pair_cols``
    (w,): Σ w·w′ over pairs of tiles along each axis.
    """

    row: int
    sums: Tensor | None
    norm_rows: NDArray[np.float32]
    norm_cols: NDArray[np.float32]
    valid: NDArray[np.bool_] | None
    spread: Tensor | None = None
    pair_rows: NDArray[np.float64] | None = None
    pair_cols: NDArray[np.float64] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (n, w)."""
        return len(self.norm_rows), len(self.norm_cols)


class Product(Protocol):
    """Something made of finished rows, in order, in the writer thread."""

    @property
    def needs_disagreement(self) -> bool:
        """Whether ``Finished.spread`` is wanted, which costs the blend a plane and some work."""

    def put(self, rows: Finished) -> None:
        """Take the next rows; their arrays are reused after this returns."""

    def finish(self) -> None:
        """All rows were put."""
