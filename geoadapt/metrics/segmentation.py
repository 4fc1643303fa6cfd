"""Segmentation scores from confusion matrices, which add over chunks; intervals from a bootstrap over blocks.

In: labels and predictions (h, w), class indices. Out: matrices (k, k), rows = truth, columns = prediction; scores 0–1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import NODATA
from geoadapt.metrics.blocks import draw_blocks

__all__ = ["Counts", "accuracy", "block_counts", "bootstrap", "confusion", "f1", "iou", "mean_iou", "scores"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer], values: Sequence[int]) -> Counts:
    """Pixels by truth and prediction (k, k), classes in the order of ``values``.

    Pixels whose truth is not in ``values`` are ignored. A prediction that is not in ``values`` (nodata, say) counts in
    the extra last column, so that its pixel is a miss: the shape is (k, k + 1).
    """
    table = np.full(256, -1, np.int64)
    table[list(values)] = np.arange(len(values))
    rows = table[truth.astype(np.uint8)]
    columns = table[predicted.astype(np.uint8)]
    known = rows >= 0
    k = len(values)
    columns = np.where(columns < 0, k, columns)
    return np.bincount(rows[known] * (k + 1) + columns[known], minlength=k * (k + 1)).reshape(k, k + 1)


def block_counts(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], values: Sequence[int], block: int
) -> Counts:
    """One matrix per square block with any labelled pixel (n, k, k + 1), blocks row by row."""
    height, width = truth.shape
    found = []
    for row in range(0, height, block):
        for col in range(0, width, block):
            part = np.s_[row : row + block, col : col + block]
            if (truth[part] != NODATA).any():
                found.append(confusion(truth[part], predicted[part], values))
    return np.stack(found) if found else np.zeros((0, len(values), len(values) + 1), np.int64)


def _parts(counts: NDArray[np.number]) -> tuple[Floats, Floats, Floats]:
    square = counts[..., :-1].astype(np.float64)
    hit = np.diagonal(square, axis1=-2, axis2=-1)
    return hit, counts.sum(axis=-1).astype(np.float64), square.sum(axis=-2)


def _ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)


def iou(counts: NDArray[np.number]) -> Floats:
    """Intersection over union per class (…, k); NaN where a class is neither true nor predicted."""
    hit, truth, predicted = _parts(counts)
    return _ratio(hit, truth + predicted - hit)


def f1(counts: NDArray[np.number]) -> Floats:
    """F1 per class (…, k): 2 hits / (truth + predicted)."""
    hit, truth, predicted = _parts(counts)
    return _ratio(2 * hit, truth + predicted)


def mean_iou(counts: NDArray[np.number]) -> Floats:
    """Mean of the classes' IoU (…); classes that are neither true nor predicted are left out."""
    per_class = iou(counts)
    known = ~np.isnan(per_class)
    return _ratio(np.where(known, per_class, 0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))


def accuracy(counts: NDArray[np.number]) -> Floats:
    """Share of labelled pixels that are right (…)."""
    hit, truth, _ = _parts(counts)
    return _ratio(hit.sum(axis=-1), truth.sum(axis=-1))


def scores(counts: NDArray[np.number], names: Sequence[str]) -> dict[str, float]:
    """All scores by name: ``iou/NAME``, ``f1/NAME``, ``miou``, ``accuracy``."""
    flat = {f"iou/{name}": value for name, value in zip(names, iou(counts), strict=True)}
    flat |= {f"f1/{name}": value for name, value in zip(names, f1(counts), strict=True)}
    flat |= {"miou": mean_iou(counts), "accuracy": accuracy(counts)}
    return {name: float(value) for name, value in flat.items()}


def bootstrap(
    blocks: Mapping[str, Counts], score: Callable[[Floats], Floats], *, draws: int = 1000, seed: int = 0
) -> dict[str, Floats]:
    """The score of every entry over the same ``draws`` resamples of blocks, WHO → (draws, …).

    ``blocks`` holds WHO → (n, k, k + 1), the same n blocks in the same order for everyone: differences are paired.
    Without any block every score is NaN.
    """
    count = len(next(iter(blocks.values())))
    if count == 0:
        return {who: score(np.zeros((draws, *matrices.shape[1:]))) for who, matrices in blocks.items()}
    times = draw_blocks(count, draws, seed)
    return {who: score(np.tensordot(times, matrices.astype(np.float64), axes=1)) for who, matrices in blocks.items()}
