"""What is made of a scene's blended scores: labels with threshold and cloud buffer, and probabilities.

In: finished rows, in order. Out: the same rows in a sink, missing pixels as nodata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoadapt.cubes.classes import NODATA, ClassInfo
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import Finished
from geoadapt.io.base import Sink, Window

__all__ = ["PROBABILITY_SCALE", "CloudBuffer", "LabelProduct", "ProbabilityProduct", "argmax", "class_index"]

PROBABILITY_SCALE = 1 / 250
"""Probabilities are stored as uint8: probability = stored · scale, 255 = nodata."""

_ROWS = 64
"""Rows worked on at once, so that the intermediate arrays stay in the processor's cache."""

RowTap = Callable[[int, NDArray[np.uint8]], None]


class LabelProduct:
    """Class values (h, w) uint8 of the most probable class, or of ``cloud`` where it reaches a threshold."""

    needs_disagreement = False

    def __init__(
        self,
        sink: Sink,
        classes: Sequence[ClassInfo],
        *,
        threshold: float | None = None,
        buffer: int = 0,
        thin: str = "keep",
        taps: Sequence[RowTap] = (),
    ) -> None:
        """``threshold`` on the probability of cloud, ``buffer`` around clouds [px], what ``thin`` cloud counts as.

        Raises GeoadaptError where a class that any of them needs is not among ``classes``.
        """
        self._sink = sink
        self._values = np.array([c.value for c in classes], np.uint8)
        self._threshold = threshold
        self._cloud = class_index(classes, "cloud") if threshold is not None or buffer else -1
        self._thin: tuple[int, int] | None = None
        if thin != "keep" and any(c.name == "thin_cloud" for c in classes):
            self._thin = class_index(classes, "thin_cloud"), class_index(classes, thin)
        self._taps = taps
        self.counts = np.zeros(256, np.int64)
        self._buffer: CloudBuffer | None = None
        if buffer:
            clear = classes[class_index(classes, "clear")].value
            self._buffer = CloudBuffer(buffer, classes[self._cloud].value, clear, self._emit)

    def put(self, rows: Finished) -> None:
        """Label the next rows."""
        labels = self._label(rows)
        if self._buffer:
            self._buffer.put(rows.row, labels)
        else:
            self._emit(rows.row, labels)

    def finish(self) -> None:
        """Write what the buffer still holds."""
        if self._buffer:
            self._buffer.finish()

    def _label(self, rows: Finished) -> NDArray[np.uint8]:
        if rows.sums is None:
            return np.full(rows.shape, NODATA, np.uint8)
        sums = rows.sums.cpu().numpy()
        if self._thin is not None:
            source, target = self._thin
            sums = sums.copy()
            sums[target] += sums[source]
            sums[source] = -np.inf
        if self._threshold is None:
            index = argmax(sums)
        else:
            others = sums.copy()
            others[self._cloud] = -np.inf
            index = argmax(others)
            norm = np.outer(rows.norm_rows, rows.norm_cols)
            index[sums[self._cloud] >= np.float32(self._threshold) * norm] = self._cloud
        labels = index if np.array_equal(self._values, np.arange(len(self._values))) else self._values[index]
        if rows.valid is not None:
            labels[~rows.valid] = NODATA
        return labels

    def _emit(self, row: int, labels: NDArray[np.uint8]) -> None:
        self.counts += np.bincount(labels.ravel(), minlength=256)
        self._sink.write(Window(row, 0, *labels.shape), labels[None])
        for tap in self._taps:
            tap(row, labels)


class ProbabilityProduct:
    """Probabilities (k, h, w) as uint8, see ``PROBABILITY_SCALE``."""

    needs_disagreement = False

    def __init__(self, sink: Sink) -> None:
        """Write into ``sink``, of uint8."""
        self._sink = sink

    def put(self, rows: Finished) -> None:
        """Quantise and write the next rows."""
        if rows.sums is None:
            return
        norm = np.outer(rows.norm_rows, rows.norm_cols) * np.float32(PROBABILITY_SCALE)
        stored = rows.sums.cpu().numpy() / norm
        np.clip(np.rint(stored, out=stored), 0, 1 / PROBABILITY_SCALE, out=stored)
        values = stored.astype(np.uint8)
        if rows.valid is not None:
            values[:, ~rows.valid] = NODATA
        self._sink.write(Window(rows.row, 0, *rows.shape), values)

    def finish(self) -> None:
        """Nothing is held back."""


class CloudBuffer:
    """Grows clouds over clear pixels within a distance [px], holding rows back until those below them are known."""

    def __init__(self, radius: int, cloud: int, clear: int, emit: Callable[[int, NDArray[np.uint8]], None]) -> None:
        """``cloud`` and ``clear`` are label values; ``emit`` takes the rows, in order."""
        self._radius = radius
        self._cloud = cloud
        self._clear = clear
        self._emit = emit
        self._held: NDArray[np.uint8] | None = None
        self._top = 0
        self._next = 0

    def put(self, row: int, labels: NDArray[np.uint8]) -> None:
        """Take the next rows; those that can no longer change are emitted."""
        self._held = labels if self._held is None else np.concatenate([self._held, labels])
        self._flush(row + len(labels) - self._radius)

    def finish(self) -> None:
        """Emit the last rows."""
        if self._held is not None:
            self._flush(self._top + len(self._held))

    def _flush(self, end: int) -> None:
        if self._held is None or end <= self._next:
            return
        grown = self._grow(self._held)[self._next - self._top : end - self._top]
        self._emit(self._next, grown)
        self._next = end
        top = max(self._top, end - self._radius)
        self._held = self._held[top - self._top :]
        self._top = top

    def _grow(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        cloud = labels == self._cloud
        if not cloud.any():
            return labels
        near = ndimage.distance_transform_edt(~cloud) <= self._radius
        return np.where(near & (labels == self._clear), np.uint8(self._cloud), labels)


def argmax(scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Index (n, w) of the largest score (k, n, w), the first where several are equal; raises GeoadaptError for NaN.

    Compared pair by pair in bytes, in rows that fit the cache: 25 times as fast as ``numpy.argmax`` here.
    """
    count, height, width = scores.shape
    labels = np.zeros((height, width), np.uint8)
    best = np.empty((min(_ROWS, height), width), np.float32)
    larger = np.empty(best.shape, np.bool_)
    for top in range(0, height, _ROWS):
        part = slice(top, min(top + _ROWS, height))
        rows = part.stop - top
        np.copyto(best[:rows], scores[0, part])
        for index in range(1, count):
            np.greater(scores[index, part], best[:rows], out=larger[:rows])
            np.maximum(best[:rows], scores[index, part], out=best[:rows])
            np.maximum(labels[part], larger[:rows].view(np.uint8) * np.uint8(index), out=labels[part])
        if np.isnan(best[:rows].sum()):
            raise GeoadaptError("model", "gives scores that are not numbers (NaN)", "check the bundle's weights")
    return labels


def class_index(classes: Sequence[ClassInfo], name: str) -> int:
    """Position of the class called ``name``; raises GeoadaptError listing the classes there are."""
    names = [c.name for c in classes]
    if name not in names:
        raise GeoadaptError(
            "bundle",
            f"predicts no class '{name}', which a threshold, a buffer or thin_cloud needs",
            "it predicts " + ", ".join(names),
        )
    return names.index(name)
