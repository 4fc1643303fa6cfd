"""Made scenes of one place for tests of series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import transform

from geoadapt.cubes.series import SeriesSource
from tests import synth

NAMES = ("blue", "green", "red")


def moved(rows: float, cols: float, resolution: float = 10.0) -> Affine:
    """The grid of made scenes, its corner moved by pixels."""
    return synth.transform(resolution) * Affine.translation(cols, rows)


def write(
    folder: Path, date: str, seed: int = 0, mask: NDArray[np.uint8] | None = None, tail: str = "", **options: object
) -> Path:
    """A scene of three bands with its mask beside it."""
    place = options.get("place")
    values = options.pop("values", synth.scene(3, seed=seed))
    path = synth.write_tif(folder / f"scene_{date}{tail}.tif", values, names=NAMES, **options)  # type: ignore[arg-type]
    if mask is not None:
        synth.write_tif(folder / f"scene_{date}{tail}_mask.tif", mask[None], place=place)  # type: ignore[arg-type]
    return path


def labels(cloudy: float = 0.3, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((64, 48)) < cloudy, rng.integers(1, 4, (64, 48)), 0).astype(np.uint8)


def both(series: SeriesSource) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    with series:
        return series.read()


def other_zone(rows: int = 64, cols: int = 48) -> Affine:
    """A grid in the next UTM zone whose middle is that of the made scenes."""
    x, y = transform(synth.CRS, "EPSG:32632", [synth.LEFT + 240], [synth.TOP - 320])
    return Affine(10, 0, x[0] - cols * 5, 0, -10, y[0] + rows * 5)


def stack(dates: int = 5) -> NDArray[np.float32]:
    return np.stack([synth.scene(3, seed=i) for i in range(dates)])
