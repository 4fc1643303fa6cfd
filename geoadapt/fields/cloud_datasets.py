"""Public data sets of clouds in their published folders: thousands of small RGB images, opened when they are read.

In: the folders that ``cubes.cloud_layouts`` describes. Out: a Dataset; the test is the published one, and validation
is made of blocks inside the training images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.cloud_layouts import CHANNELS, LAYOUTS, SCALE, land_cover, list_pairs
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CloudDatasetConfig
from geoadapt.fields.scenes import Dataset, LabelledScene, MappedLabels, split_blocks
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.paths import as_path
from geoadapt.io.raster import RasterSource
from geoadapt.words import counted

__all__ = ["build"]


@dataclass(frozen=True, slots=True)
class _OnDemand:
    """A raster whose file is open only while it is read: an operating system allows some hundred open files."""

    path: Path
    info: SourceInfo
    names: tuple[str, ...]
    scale: tuple[float, ...] | None

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``, all bands or those at the given positions."""
        source = _open(self.path, self.names, self.scale)
        try:
            return source.read(window, bands)
        finally:
            source.close()

    def close(self) -> None:
        """Nothing stays open."""


def build(config: CloudDatasetConfig, seed: int = 0) -> Dataset:
    """The data set of ``config.name`` under ``config.root``; raises GeoadaptError that says what is missing.

    A class that the data set does not know is not among its scenes' classes, so that it is not trained.
    """
    layout, root = LAYOUTS[config.name], as_path(config.root)
    train = [scene for split in config.train_splits for scene in _scenes(config, root, split)]
    test = _scenes(config, root, layout.test)
    fractions = {"val": config.val_fraction, "train": 1 - config.val_fraction}
    sides = {
        scene.name: split_blocks(*scene.shape, config.block, fractions, seed + index)
        for index, scene in enumerate(train)
    }
    return Dataset(
        name=config.name,
        channels=CHANNELS,
        train=tuple(train),
        test=tuple(test),
        train_blocks={name: split["train"] for name, split in sides.items()},
        val_blocks={name: split["val"] for name, split in sides.items()},
        note=f"{root.name}: {counted(len(train), 'image')} of {', '.join(config.train_splits)}, "
        f"test {len(test)} of {layout.test}; RGB of 8 bits over 255, which is brightness and no reflectance",
    )


def _scenes(config: CloudDatasetConfig, root: Path, split: str) -> list[LabelledScene]:
    pairs = list(list_pairs(config.name, root, split).items())
    if 0 < config.images < len(pairs):
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, config.images).astype(int)]
    return [_scene(config.name, split, stem, *paths) for stem, paths in pairs]


def _scene(dataset: str, split: str, stem: str, image: Path, label: Path) -> LabelledScene:
    layout = LAYOUTS[dataset]
    picture = _on_demand(image, CHANNELS, (SCALE,) * len(CHANNELS))
    classes = _on_demand(label, ("label",), None)
    found, wanted = ((s.info.height, s.info.width) for s in (classes, picture))
    if found != wanted:
        raise GeoadaptError(label, f"has {found[0]}×{found[1]} px, its image {wanted[0]}×{wanted[1]}", "download again")
    known = tuple(sorted(set(layout.classes.values())))
    return LabelledScene(
        f"{split}_{stem}",
        picture,
        MappedLabels(classes, layout.classes),
        known,
        layout.resolution,
        land_cover=land_cover(dataset, stem),
    )


def _on_demand(path: Path, names: tuple[str, ...], scale: tuple[float, ...] | None) -> _OnDemand:
    stored = RasterSource(path)
    bands, kind = stored.stored, stored.dataset.dtypes[0]
    stored.close()
    if kind != "uint8" or bands < len(names) or (len(names) == 1 and bands != 1):
        problem = f"has {counted(bands, 'band')} of {kind}, expected {len(names)} of uint8"
        raise GeoadaptError(path, problem, "download it again, or convert it")
    source = _open(path, names, scale)
    source.close()
    return _OnDemand(path, source.info, names, scale)


def _open(path: Path, names: tuple[str, ...], scale: tuple[float, ...] | None) -> RasterSource:
    return RasterSource(path, range(len(names)), names, scale=scale)
