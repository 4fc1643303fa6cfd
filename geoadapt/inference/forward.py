"""Tiles of a strip through the model: batches in one preallocated buffer, empty tiles left out, memory respected.

In: a strip (c, h, w). Out: scores (k, tile height, tile width) per tile, in the order of the tiles.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import Note, Scores, StreamCounts, StreamOptions
from geoadapt.inference.strips import Strip
from geoadapt.io.windows import TileGrid

__all__ = ["TileRunner", "fill_missing", "out_of_memory"]


_CPU_TILES = 4
"""More tiles at once leave the processor's cache and make a forward pass slower, by a fifth for a small network."""
_HEAP_BLOCK = 31 * 2**20


class TileRunner:
    """Runs the tiles of strips through a model; keeps the batch buffer and the batch size that fits."""

    def __init__(
        self,
        scores: Scores,
        grid: TileGrid,
        channels: int,
        options: StreamOptions,
        counts: StreamCounts,
        note: Note | None = None,
    ) -> None:
        """Allocate the batch buffer; ``counts`` is kept up to date."""
        self._scores = scores
        self._grid = grid
        self._options = options
        self._counts = counts
        self._note = note
        self._batch = min(options.batch, len(grid.cols()))
        if options.device.type == "cpu":
            self._batch = min(self._batch, max(_CPU_TILES, torch.get_num_threads()))
            _settle_heap()
        height, width = grid.tile_height, grid.tile_width
        self._pad_rows = _reflection(height, options.multiple)
        self._pad_cols = _reflection(width, options.multiple)
        shape = (self._batch, channels, height + len(self._pad_rows), width + len(self._pad_cols))
        pinned = options.device.type == "cuda"
        self._values = torch.zeros(shape, pin_memory=pinned)
        self._valid = torch.ones(shape, dtype=torch.bool, pin_memory=pinned)
        counts.batch = self._batch

    def run(self, strip: Strip) -> Iterator[tuple[int, Tensor]]:
        """Left edge and scores (k, tile height, tile width) of every tile with a pixel whose bands are all valid."""
        height, width = self._grid.tile_height, self._grid.tile_width
        mask = strip.mask(0, height)
        usable = None if mask is None else np.asarray(mask.all(axis=0))
        cols = [c for c in self._grid.cols() if usable is None or usable[:, c : c + width].any()]
        self._counts.tiles += len(self._grid.cols())
        self._counts.empty_tiles += len(self._grid.cols()) - len(cols)
        while cols:
            parts = -(-len(cols) // self._batch)
            chosen, cols = cols[: -(-len(cols) // parts)], cols[-(-len(cols) // parts) :]
            values, valid = self._assemble(strip, mask, chosen)
            begin = time.perf_counter()
            scores = self._forward(values, valid)
            self._counts.forward_seconds += time.perf_counter() - begin
            self._counts.batches += 1
            for position, col in enumerate(chosen):
                yield col, scores[position, :, :height, :width]

    def _assemble(self, strip: Strip, mask: NDArray[np.bool_] | None, cols: list[int]) -> tuple[Tensor, Tensor | None]:
        height, width = self._grid.tile_height, self._grid.tile_width
        values, valid = self._values.numpy(), self._valid.numpy()
        whole = True
        for position, col in enumerate(cols):
            target = values[position, :, :height, :width]
            np.copyto(target, strip.values[:, :, col : col + width])
            if mask is not None:
                present = mask[:, :, col : col + width]
                valid[position, :, :height, :width] = present
                if not present.all():
                    whole = False
                    fill_missing(target, present)
        self._pad(values[: len(cols)])
        if not whole:
            self._pad(valid[: len(cols)])
        count = len(cols)
        return self._values[:count], None if whole else self._valid[:count]

    def _pad(self, tiles: NDArray[np.generic]) -> None:
        height, width = self._grid.tile_height, self._grid.tile_width
        if len(self._pad_rows):
            tiles[:, :, height:, :width] = tiles[:, :, self._pad_rows, :width]
        if len(self._pad_cols):
            tiles[:, :, :, width:] = tiles[:, :, :, self._pad_cols]

    def _forward(self, values: Tensor, valid: Tensor | None) -> Tensor:
        try:
            return self._call(values, valid)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            self._shrink(len(values), error)
        if self._options.device.type == "cuda":
            torch.cuda.empty_cache()
        pieces, step = [], self._batch
        for start in range(0, len(values), step):
            part = slice(start, start + step)
            pieces.append(self._forward(values[part], None if valid is None else valid[part]))
        return torch.cat(pieces)

    def _call(self, values: Tensor, valid: Tensor | None) -> Tensor:
        device = self._options.device
        scores = self._scores(values.to(device), None if valid is None else valid.to(device))
        expected = (len(values), self._options.outputs, *values.shape[2:])
        if tuple(scores.shape) != expected:
            raise GeoadaptError(
                "model",
                f"gave scores of shape {tuple(scores.shape)} for tiles {tuple(values.shape)}",
                f"expected {expected}",
            )
        return scores.detach().float()

    def _shrink(self, tried: int, error: Exception) -> None:
        if tried <= 1:
            raise GeoadaptError(
                "model",
                f"does not fit into memory even with one tile of {self._grid.tile} px",
                "choose a smaller infer.tile",
            ) from error
        self._batch = max(1, min(self._batch, tried) // 2)
        self._counts.batch = self._batch
        if self._note:
            self._note(f"out of memory with {tried} tiles at once; going on with {self._batch}")


def fill_missing(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Replace missing values of a tile (c, h, w) in place by the mean of the band's valid ones.

    A black hole would look like a shadow to the model, and its edge like a real one.
    """
    for band, present in zip(values, valid, strict=True):
        count = int(present.sum())
        mean = float(band.sum(where=present, dtype=np.float64)) / count if count else 0.0
        np.copyto(band, np.float32(mean), where=~present)


def _settle_heap() -> None:
    """Free one large block, after which glibc reuses blocks up to its size instead of asking the kernel every time.

    Without it every activation costs page faults, a third of a small network's forward pass.
    """
    np.empty(_HEAP_BLOCK, np.uint8)


def _reflection(size: int, multiple: int) -> NDArray[np.intp]:
    """Positions whose pixels continue an axis of ``size`` px by reflection up to the next multiple."""
    extra = -size % multiple
    mode = "reflect" if size > 1 else "edge"
    return np.pad(np.arange(size), (0, extra), mode=mode)[size:]  # type: ignore[call-overload,no-any-return]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
