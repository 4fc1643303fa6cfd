"""The streaming engine: source → strips → tiles → model → blended rows → products, in memory that grows with the width.

In: a source, a function that scores tiles, and the products to make. Out: the products, complete, and counts.
A reader thread reads every row once; the caller's thread runs the model; a writer thread finishes rows and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.inference.base import Finished, Note, Product, Scores, StreamCounts, StreamOptions, Tap
from geoadapt.inference.crew import Channel, Crew
from geoadapt.inference.disagreement import Disagreement
from geoadapt.inference.forward import TileRunner
from geoadapt.inference.strips import Strip, StripReader
from geoadapt.io.base import Source
from geoadapt.io.windows import TileGrid

__all__ = ["stream"]

_ROUND = 2
"""Buffers of each kind: one being filled while the other is being used."""


def stream(
    source: Source,
    scores: Scores,
    products: Sequence[Product],
    options: StreamOptions,
    *,
    taps: Sequence[Tap] = (),
    progress: Callable[[float], None] | None = None,
    note: Note | None = None,
) -> StreamCounts:
    """Run a model over a whole scene; raises the first error of any thread as it was.

    ``progress`` is told the fraction done after every row of tiles; ``note`` what the user should know.
    """
    info = source.info
    grid = TileGrid(info.height, info.width, options.tile, options.overlap)
    counts = StreamCounts(pixels=info.height * info.width)
    channels = len(info.bands)
    with Crew() as crew, torch.inference_mode():
        runner = TileRunner(scores, grid, channels, options, counts, note)
        blender = _Blender(grid, options, crew, disagreement=any(p.needs_disagreement for p in products))
        free: Channel[Strip] = Channel(crew, _ROUND)
        ready: Channel[Strip] = Channel(crew, _ROUND)
        for _ in range(_ROUND):
            free.put(Strip.empty(channels, grid.tile_height, info.width))
        reader = StripReader(source, grid, taps)
        crew.start("reader", lambda: reader.run(free, ready))
        crew.start("writer", lambda: blender.serve(products))
        rows = grid.rows()
        for index, row in enumerate(rows):
            strip = ready.get()
            bottom = rows[index + 1] if index + 1 < len(rows) else info.height
            counts.missing_pixels += blender.add(strip, runner, bottom - row)
            free.put(strip)
            if progress:
                progress(bottom / info.height)
        blender.end()
        crew.wait()
    return counts


class _Blender:
    """Weighted sums of the tiles' scores for one strip; two buffers alternate between the model and the writer.

    With ``disagreement`` the buffers have one plane more, see ``Disagreement``.
    """

    def __init__(self, grid: TileGrid, options: StreamOptions, crew: Crew, *, disagreement: bool = False) -> None:
        self._grid = grid
        self._norm_rows, self._norm_cols = grid.norms()
        self._weights = torch.from_numpy(grid.weights()).to(options.device)
        self._outputs = options.outputs
        self._disagreement = Disagreement(grid, options.device) if disagreement else None
        shape = (options.outputs + disagreement, grid.tile_height, grid.width)
        self._sums: Channel[Tensor] = Channel(crew, _ROUND)
        for _ in range(_ROUND):
            self._sums.put(torch.zeros(shape, device=options.device))
        self._done: Channel[tuple[Finished, Tensor] | None] = Channel(crew, _ROUND)
        self._carry: Tensor | None = None
        self._ran = False

    def add(self, strip: Strip, runner: TileRunner, finished: int) -> int:
        """Blend in a strip's tiles, which completes its first ``finished`` rows; returns their missing pixels."""
        sums = self._sums.get()
        kept = 0
        if self._carry is not None:
            kept = self._carry.shape[1]
            sums[:, :kept] = self._carry
        sums[:, kept:] = 0
        ran = self._ran and kept > 0
        width = self._grid.tile_width
        for col, scores in runner.run(strip):
            tile = sums[:, :, col : col + width]
            if self._disagreement:
                self._disagreement.add(tile, scores, strip.row, col)
            tile[: self._outputs].addcmul_(scores, self._weights)
            ran = True
        self._carry = sums[:, finished:]
        self._ran = ran
        valid = _all_bands(strip, finished)
        self._done.put((self._finished(strip.row, sums[:, :finished] if ran else None, finished, valid), sums))
        return 0 if valid is None else int(valid.size - np.count_nonzero(valid))

    def _finished(self, row: int, sums: Tensor | None, count: int, valid: NDArray[np.bool_] | None) -> Finished:
        part = slice(row, row + count)
        blend = None if sums is None else sums[: self._outputs]
        rows = Finished(row, blend, self._norm_rows[part], self._norm_cols, valid)
        if self._disagreement is None or sums is None:
            return rows
        pairs = self._disagreement.pair_rows[part], self._disagreement.pair_cols
        return replace(rows, spread=sums[-1], pair_rows=pairs[0], pair_cols=pairs[1])

    def end(self) -> None:
        """No more strips."""
        self._done.put(None)

    def serve(self, products: Sequence[Product]) -> None:
        """Hand finished rows to the products, in order, until the end."""
        while (item := self._done.get()) is not None:
            rows, sums = item
            for product in products:
                product.put(rows)
            self._sums.put(sums)
        for product in products:
            product.finish()


def _all_bands(strip: Strip, rows: int) -> NDArray[np.bool_] | None:
    """Where all bands of the first ``rows`` rows are valid (n, w), as a copy; None = everywhere."""
    mask = strip.mask(0, rows)
    return None if mask is None else np.asarray(mask.all(axis=0))
