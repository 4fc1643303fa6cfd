"""A tiny dataset that a model can learn in seconds: bright blobs are cloud, dark ones are shadow."""

from __future__ import annotations

import numpy as np

from geoadapt.fields.csmask import CHANNELS
from geoadapt.fields.scenes import Dataset, LabelledScene, split_blocks
from geoadapt.io.arrays import ArraySource
from tests.synth import scene as reflectance


def labelled(name: str, height: int, width: int, seed: int, hole: bool = False) -> LabelledScene:
    """One scene; with ``hole`` the pixel at row 3, column 4 is missing."""
    values = reflectance(6, height, width, seed)
    brightness = values.mean(axis=0)
    labels = np.select(
        [brightness > np.quantile(brightness, 0.7), brightness < np.quantile(brightness, 0.2)], [1, 3], 0
    )
    if hole:
        values[:, 3, 4] = np.nan
    return LabelledScene(
        name,
        ArraySource(values, CHANNELS, origin=name),
        ArraySource(labels[None].astype(np.uint8), ("class",), origin=name),
        (0, 1, 3),
        10.0,
    )


def dataset(height: int = 96, width: int = 80, hole: bool = False) -> Dataset:
    """One training and one test scene."""
    train, test = labelled("train", height, width, 0, hole), labelled("test", 64, 72, 1)
    sides = split_blocks(height, width, 16, {"val": 0.25, "train": 0.75}, 0)
    return Dataset(
        "small", CHANNELS, (train,), (test,), {"train": sides["train"]}, {"train": sides["val"]}, note="made for tests"
    )
