"""The windows of a series: every part read once, frames in order of time, doubles of a day made one.

In: a ``Plan``. Out: values (t, c, h, w) and what is clear (t, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from geoadapt.cubes.series_join import Plan
from geoadapt.cubes.series_parts import Reader
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window

__all__ = ["Masker", "PlanReader", "handle_limit"]

Masker = Callable[[NDArray[np.float32]], NDArray[np.bool_]]
"""Values (t, c, h, w), NaN where missing → what is clear (t, h, w)."""


_FEW_HANDLES, _MANY_HANDLES = 256, 1024


def handle_limit() -> int:
    """How many files a series may keep open: half of what the system grants, for others need some too."""
    try:
        import resource  # not everywhere
    except ImportError:
        return _FEW_HANDLES
    return max(1, min(_MANY_HANDLES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))


class PlanReader:
    """Reads a plan window by window, with at most ``handles`` files open.

    Parts that do not fit any more are opened for every window and closed again: windows visit all parts in turn, so
    that dropping the one used longest ago would keep none.
    """

    def __init__(self, plan: Plan, masker: Masker | None, handles: int) -> None:
        self._plan = plan
        self._masker = masker
        self._free = handles
        self._open: dict[int, Reader] = {}

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (t, c, h, w), NaN where missing, and what is clear (t, h, w)."""
        self._check(window)
        reads, inner = _around(window, self._plan.size, self._plan.buffer)
        values, clear = self._frames(reads)
        if self._plan.buffer:
            _widen(values, clear, self._plan.buffer)
            values, clear = values[..., *inner], clear[..., *inner]
        if all(len(group) == 1 for group in self._plan.groups):
            return values, clear
        return _mosaics(values, clear, self._plan.groups)

    def close(self) -> None:
        """Release all handles."""
        for reader in self._open.values():
            reader.close()
        self._open.clear()

    def keep_open(self, handles: int) -> None:
        """Keep at most ``handles`` files open from now on."""
        self.close()
        self._free = handles

    def _frames(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Every scene by itself: values (n, c, h, w) and what is clear (n, h, w)."""
        plan = self._plan
        values = np.empty((plan.frames, len(plan.bands), window.height, window.width), np.float32)
        clear = np.empty((plan.frames, window.height, window.width), bool)
        for k, slots in enumerate(plan.slots):
            kept = slots >= 0
            with self._part(k) as reader:
                found, seen = reader.read(window)
                values[slots[kept]], clear[slots[kept]] = (found, seen) if kept.all() else (found[kept], seen[kept])
        clear &= np.isfinite(values).all(1)
        if self._masker is not None:
            clear &= self._masked(values)
        return values, clear

    @contextmanager
    def _part(self, k: int) -> Iterator[Reader]:
        if k in self._open:
            yield self._open[k]
            return
        part = self._plan.parts[k]
        reader = part.opener(self._plan.grid, self._plan.resampling)
        if part.handles <= self._free:
            self._free -= part.handles
            self._open[k] = reader
            yield reader
            return
        try:
            yield reader
        finally:
            reader.close()

    def _masked(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        made = np.asarray(self._masker(values)) if self._masker is not None else np.ones((), bool)
        wanted = (values.shape[0], *values.shape[2:])
        if made.shape != wanted or made.dtype != np.bool_:
            raise GeoadaptError(
                "mask", f"its function gave {made.dtype} {made.shape}", f"expected bool {wanted} of what is clear"
            )
        return made

    def _check(self, window: Window) -> None:
        height, width = self._plan.size
        inside = window.row >= 0 and window.col >= 0 and window.height > 0 and window.width > 0
        if not (inside and window.row + window.height <= height and window.col + window.width <= width):
            raise GeoadaptError("series", f"{window} leaves the grid of {height} × {width} px", "choose one inside")


def _around(window: Window, size: tuple[int, int], margin: int) -> tuple[Window, tuple[slice, slice]]:
    """``window`` with ``margin`` px around it as far as the grid goes, and where in it ``window`` lies."""
    top, left = max(0, window.row - margin), max(0, window.col - margin)
    bottom = min(size[0], window.row + window.height + margin)
    right = min(size[1], window.col + window.width + margin)
    row, col = window.row - top, window.col - left
    inner = slice(row, row + window.height), slice(col, col + window.width)
    return Window(top, left, bottom - top, right - left), inner


def _widen(values: NDArray[np.float32], clear: NDArray[np.bool_], buffer: int) -> None:
    """Take from ``clear`` (n, h, w), in place, what lies within ``buffer`` px of a pixel that is known, but not clear.

    What is missing hides nothing around it: the edge of a scene is no cloud.
    """
    for image, seen in zip(values, clear, strict=True):
        hidden = np.isfinite(image).all(0) & ~seen
        if hidden.any() and seen.any():
            seen &= distance_transform_edt(~hidden) > buffer


def _mosaics(
    values: NDArray[np.float32], clear: NDArray[np.bool_], groups: tuple[tuple[int, ...], ...]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """One frame per group: of every pixel the first scene that is clear, else the first that knows anything."""
    out = np.empty((len(groups), *values.shape[1:]), np.float32)
    seen = np.empty((len(groups), *clear.shape[1:]), bool)
    for n, group in enumerate(groups):
        members = list(group)
        rank = clear[members] * 2 + np.isfinite(values[members]).any(1)
        best = rank.argmax(0)
        out[n] = np.take_along_axis(values[members], best[None, None], 0)[0]
        seen[n] = np.take_along_axis(clear[members], best[None], 0)[0]
    return out, seen
