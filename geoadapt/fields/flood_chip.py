"""A hand-labelled flood chip of Sen1Floods11 (Bonafilia 2020) in squares: radar and optical, water or not.

In: ``S1/*_S1Hand.tif`` (VV, VH [dB]), ``S2/*_S2Hand.tif`` (13 bands, reflectance × 10,000), ``Labels/*_LabelHand.tif``
(-1 unknown, 0 dry, 1 water). Out: a SampleSet of squares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.roots import ASK, data_root
from geoadapt.fields.samples import IGNORE, Labelled, Layout, Piece, SampleSet, Target
from geoadapt.fields.samples_config import FloodChipConfig
from geoadapt.fields.samples_split import PARTS, split_groups
from geoadapt.io.gdal import open_dataset

__all__ = ["build"]

OPTICAL = (
    *("coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078"),
    *("nir", "nir08", "nir09", "cirrus", "swir16", "swir22"),
)
RADAR = ("vv", "vh")
REFLECTANCE = np.float32(1e-4)


def build(config: FloodChipConfig, seed: int = 0) -> SampleSet:
    """The squares of every chip; each is a place of its own. ``seed`` changes nothing.

    Raises GeoadaptError where a file is missing or not of this layout.
    """
    root = data_root(config.root, "benchmark/sen1floods11")
    labels = sorted((root / "Labels").glob("*_LabelHand.tif"))
    if not labels:
        raise GeoadaptError(root, "holds no Labels/*_LabelHand.tif", ASK)
    made = [sample for path in labels for sample in _squares(root, path, config.block)]
    # squares are dealt out by how much water is in them, so that no part has none
    water = [_rank(sample.target) for sample in made]
    part = split_groups(
        [sample.group for sample in made], water, (config.val_fraction, config.test_fraction), config.split_seed
    )
    parts = {name: [made[n] for n in np.flatnonzero(part == number)] for number, name in enumerate(PARTS)}
    told = ", ".join(f"{name} {len(samples)}" for name, samples in parts.items())
    note = (
        f"Sen1Floods11, hand-labelled: {', '.join(path.stem.removesuffix('_LabelHand') for path in labels)} in squares "
        f"of {config.block} px, Sentinel-1 VV and VH and all bands of Sentinel-2; split by square: {told}. Squares of "
        f"one chip are neighbours of one scene: the test says nothing about other floods."
    )
    return SampleSet(
        name="flood_chip",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        target=Target("class_map", ("dry", "water")),
        layout=Layout({"optical": OPTICAL, "sar": RADAR}, {"optical": 1, "sar": 1}),
        note=note,
        licence="CC-BY-4.0 (Sen1Floods11, not verified in the repository); Copernicus",
        units={"optical": "reflectance", "sar": "dB"},
    )


def _squares(root: Path, label: Path, block: int) -> list[Labelled]:
    name = label.stem.removesuffix("_LabelHand")
    truth, (latitudes, longitudes) = _read(label, 1)
    optical, _ = _read(root / "S2" / f"{name}_S2Hand.tif", len(OPTICAL), truth.shape[1:])
    radar, _ = _read(root / "S1" / f"{name}_S1Hand.tif", len(RADAR), truth.shape[1:])
    reflectance = np.where(optical > 0, optical * REFLECTANCE, np.nan).astype(np.float32)
    classes = np.where((truth[0] == 0) | (truth[0] == 1), truth[0], IGNORE).astype(np.int64)
    found = []
    for row in range(0, truth.shape[1] - block + 1, block):
        for col in range(0, truth.shape[2] - block + 1, block):
            part = np.s_[..., row : row + block, col : col + block]
            middle = row + block // 2, col + block // 2
            found.append(
                Labelled(
                    name=f"{name} {row} {col}",
                    inputs={"optical": Piece(reflectance[part][None], OPTICAL), "sar": Piece(radar[part][None], RADAR)},
                    target=classes[part],
                    group=f"{name} {row} {col}",
                    latlon=(float(latitudes[middle[0]]), float(longitudes[middle[1]])),
                    resolution=10.0,
                    sensor="sentinel2",
                )
            )
    return found


def _read(path: Path, bands: int, size: tuple[int, ...] | None = None) -> tuple[NDArray[np.float32], tuple[Any, Any]]:
    """Values (c, h, w) and the latitudes and longitudes of rows and columns."""
    with open_dataset(path) as dataset:
        values: NDArray[np.float32] = dataset.read().astype(np.float32)
        transform = dataset.transform
    if len(values) != bands or (size is not None and values.shape[1:] != size):
        raise GeoadaptError(path, f"has shape {values.shape}", f"expected {bands} bands on the grid of its label")
    rows, cols = (np.arange(n) + 0.5 for n in values.shape[1:])
    return values, (transform.f + transform.e * rows, transform.c + transform.a * cols)


def _rank(classes: NDArray[np.integer]) -> int:
    """0 dry, 1 some water, 2 mostly water."""
    share = float((classes == 1).mean())
    return 0 if share < 0.02 else 1 if share < 0.5 else 2  # noqa: PLR2004 - what is meant by some and mostly
