"""Public data sets of clouds, which are downloaded by hand: checks that their folders hold what training reads.

In: the folder of a data set. Out: the names of its images, or an error that says what to download and where to put it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoadapt.cubes.classes import NODATA
from geoadapt.cubes.cloud_layouts import CHANNELS, LAYOUTS, list_pairs
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.paths import as_path
from geoadapt.io.raster import RasterSource
from geoadapt.words import counted

__all__ = ["check_dataset"]


def check_dataset(name: str, root: Path, train_splits: Sequence[str]) -> list[str]:
    """SPLIT/NAME of every image; raises GeoadaptError for missing folders, lone files, or a first pair that is not so.

    Every file is looked for, and the first pair of each folder is read.
    """
    found: list[str] = []
    for split in (*train_splits, LAYOUTS[name].test):
        pairs = list_pairs(name, as_path(root), split)
        _check_pair(name, *next(iter(pairs.values())))
        found += [f"{split}/{stem}" for stem in pairs]
    return found


def _check_pair(name: str, image: Path, label: Path) -> None:
    picture, classes = RasterSource(image), RasterSource(label)
    try:
        sizes = [(s.info.height, s.info.width) for s in (picture, classes)]
        if picture.stored < len(CHANNELS) or picture.dataset.dtypes[0] != "uint8":
            problem = f"has {counted(picture.stored, 'band')} of {picture.dataset.dtypes[0]}"
            raise GeoadaptError(image, problem, "expected red, green, blue of 8 bits")
        if classes.stored != 1 or sizes[0] != sizes[1]:
            raise GeoadaptError(
                label, f"has {counted(classes.stored, 'band')} of {sizes[1]} px", f"expected one of {sizes[0]}"
            )
        values = {int(v) for v in np.unique(classes.read(Window(0, 0, *sizes[1])))} - {NODATA}
        odd = sorted(values - set(LAYOUTS[name].classes))
        if odd:
            known = sorted(LAYOUTS[name].classes)
            raise GeoadaptError(label, f"holds the values {odd[:8]}", f"{name} has {known}, and {NODATA} to ignore")
    finally:
        picture.close()
        classes.close()
