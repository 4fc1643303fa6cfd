"""What a dataset is: the same when it is built again, another when anything is that samples are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from geoadapt.fields.identity import identity
from geoadapt.fields.scenes import BlockSplit, Dataset, LabelledScene, MappedLabels
from geoadapt.io.arrays import ArraySource


def scene(seed: int = 0, table: dict[int, int] | None = None, sensor: str = "sentinel2") -> LabelledScene:
    rng = np.random.default_rng(seed)
    image = ArraySource(rng.random((2, 16, 16)).astype(np.float32), ("red", "nir"), sensor=sensor, origin="made")
    label = ArraySource(np.ones((1, 16, 16), np.uint8), ("label",), origin="made")
    return LabelledScene("a", image, MappedLabels(label, {0: 0, 1: 1} if table is None else table), (0, 1), 10.0)


def data(**changed: object) -> Dataset:
    mask = np.array([[True, False], [False, True]])
    sides = {"a": BlockSplit(8, mask)}, {"a": BlockSplit(8, ~mask)}
    made = Dataset("made", ("red", "nir"), (scene(),), (), *sides)
    return replace(made, **changed)  # type: ignore[arg-type]


def test_the_same_scenes_built_again_are_the_same() -> None:
    assert identity(data()) == identity(data())


@pytest.mark.parametrize(
    "changed",
    [
        lambda: {"train": (scene(seed=1),)},
        lambda: {"train": (scene(table={0: 0, 1: 2}),)},
        lambda: {"train": (scene(sensor="landsat8"),)},
        lambda: {"train": (replace(scene(), resolution=30.0),)},
        lambda: {"train": (replace(scene(), classes=(0,)),)},
        lambda: {"train": (replace(scene(), label=None),)},
        lambda: {"channels": ("nir", "red")},
        lambda: {"turns": (0, 0)},
        lambda: {"train_blocks": {"a": BlockSplit(8, np.ones((2, 2), bool))}},
        lambda: {"val_blocks": {"a": BlockSplit(4, np.ones((4, 4), bool))}},
    ],
)
def test_whatever_changes_a_sample_makes_it_another(changed: Callable[[], dict[str, object]]) -> None:
    assert identity(data(**changed())) != identity(data())
