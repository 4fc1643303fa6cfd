"""One look over the training blocks: channel statistics, class shares, and a sample of labelled pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import NODATA
from geoadapt.errors import GeoadaptError
from geoadapt.fields.chips import read_sample
from geoadapt.fields.scenes import Dataset

__all__ = ["Survey", "survey"]

MOST_BLOCKS = 400
MOST_PIXELS = 20_000


@dataclass(frozen=True, slots=True)
class Survey:
    """What the training blocks hold, per channel (c,) [reflectance] and per class value."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    counts: dict[int, int]
    pixels: NDArray[np.float32]
    """A sample of labelled pixels (n, c)."""
    labels: NDArray[np.uint8]
    """Their class values (n,)."""


def survey(data: Dataset, seed: int = 0) -> Survey:
    """Statistics of up to 400 training blocks a scene; raises GeoadaptError where nothing is labelled."""
    rng = np.random.default_rng(seed)
    bands = len(data.channels)
    total, square, number = np.zeros(bands), np.zeros(bands), np.zeros(bands)
    counts = np.zeros(256, np.int64)
    pixels: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.uint8]] = []
    for scene in data.train:
        side = data.train_blocks[scene.name]
        windows = side.windows(*scene.shape)
        chosen = rng.permutation(len(windows))[:MOST_BLOCKS]
        share = max(1, MOST_PIXELS // max(1, len(chosen)))
        for index in chosen:
            sample = read_sample(scene, windows[index], data.channels, side)
            valid = sample.valid
            total += np.where(valid, sample.values, 0).sum(axis=(1, 2), dtype=np.float64)
            square += np.where(valid, sample.values.astype(np.float64) ** 2, 0).sum(axis=(1, 2))
            number += valid.sum(axis=(1, 2))
            counts += np.bincount(sample.label.ravel(), minlength=256)
            places = np.flatnonzero((sample.label != NODATA).ravel())
            taken = rng.permutation(places)[:share]
            pixels.append(sample.values.reshape(bands, -1).T[taken])
            labels.append(sample.label.ravel()[taken])
    known = {int(v): int(n) for v, n in enumerate(counts) if n and v != NODATA}
    if not known:
        raise GeoadaptError("data", f"no labelled pixel in {[s.name for s in data.train]}", "check the labels' values")
    mean = total / np.maximum(number, 1)
    std = np.sqrt(np.maximum(square / np.maximum(number, 1) - mean**2, 1e-8))
    return Survey(
        mean.astype(np.float32), std.astype(np.float32), known, np.concatenate(pixels), np.concatenate(labels)
    )
