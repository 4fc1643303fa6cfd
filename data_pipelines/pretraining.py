"""What the shipped backbone was pre-trained on: simulated scenes, and real tiles without labels on canonical bands.

In: a folder, how many simulated scenes, the folder of the real sets. Out: ``simulated/`` and ``real/images/NAME.tif``,
float32 top-of-atmosphere reflectance, NaN = missing. Of the real data at hand only the four sets named here are used:
everything else is for evaluation.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from data_pipelines.simulate.dataset import write_dataset
from geoadapt.cubes.scene import open_scene
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.decode import decode
from geoadapt.io.geotiff import CogSink, RasterSpec
from geoadapt.io.raster import RasterSource

__all__ = ["CHANNELS", "REAL", "make_pretraining"]

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")
"""The six of HLS; Sentinel-2's near infrared is its narrow band 8A, as there."""
REAL = ("cloudmask/l8_toa", "timeseries/eopatch_s2", "geotiff/s2_multires", "cloudremoval/le7_slcoff")
"""Sets of real tiles, by their folders under GEOADAPT_DATA."""
LE7 = "LE70230282011250EDC00"
S2_13 = {"blue": 1, "green": 2, "red": 3, "nir": 8, "swir16": 11, "swir22": 12}
"""Place of each channel among Sentinel-2's 13 bands."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A real image (c, h, w) of ``CHANNELS`` [reflectance], NaN = missing."""

    name: str
    values: NDArray[np.float32]
    sensor: str
    crs: CRS | None
    transform: Affine | None


def make_pretraining(
    root: Path, scenes: int, size: int, seed: int, sensors: list[str], real: bool = True
) -> dict[str, list[str]]:
    """Simulated scenes and real tiles under ``root``, unless they are there; returns the names of both.

    Raises:
        GeoadaptError: a real set is not where GEOADAPT_DATA says, or cannot be read.
    """
    made = {"simulated": write_dataset(root / "simulated", scenes, size, seed, sensors), "real": []}
    if real:
        folder = Path(os.environ.get("GEOADAPT_DATA", "../shared/data"))
        made["real"] = [_write(root / "real" / "images", tile) for tile in _tiles(folder)]
    return made


def _tiles(folder: Path) -> Iterator[Tile]:
    for name in REAL:
        if not (folder / name).is_dir():
            raise GeoadaptError(folder / name, "is not there", "set GEOADAPT_DATA, or data.real=false to do without")
    yield _landsat8(folder / REAL[0])
    yield from _sentinel2_references(folder / REAL[1] / "REFERENCE_SCENES.npy")
    yield _sentinel2_window(folder / REAL[2])
    yield _landsat7(folder / REAL[3] / f"{LE7}_sub.zip")


def _landsat8(folder: Path) -> Tile:
    source = open_scene(folder, channels=list(CHANNELS), zero_is_nodata="yes")
    info = source.info
    values, valid = decode(source.read(Window(0, 0, info.height, info.width)), info)
    source.close()
    return Tile("landsat8_l8_toa", _with_gaps(values, valid), "landsat8", info.crs, info.transform)


def _sentinel2_references(path: Path) -> Iterator[Tile]:
    stack = np.load(path, allow_pickle=False)
    if stack.ndim != 4 or stack.shape[-1] != 13:
        raise GeoadaptError(path, f"is {stack.shape}", "expected (dates, h, w, 13)")
    for number, scene in enumerate(stack):
        values = np.stack([scene[..., S2_13[c]] for c in CHANNELS]).astype(np.float32)
        yield Tile(f"sentinel2_eopatch_{number}", values, "sentinel2", None, None)


def _sentinel2_window(folder: Path) -> Tile:
    bands = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B8A", "swir16": "B11"}
    paths = {name: folder / f"ref_input_S2_{band}.tif" for name, band in bands.items()}
    return _stack("sentinel2_s2_multires", paths, "sentinel2", 1e-4)


def _landsat7(path: Path) -> Tile:
    bands = {"blue": 1, "green": 2, "red": 3, "nir": 4, "swir16": 5, "swir22": 7}
    files = {name: f"{LE7}_toa_band{number}.tif" for name, number in bands.items()}
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                paths = {name: Path(archive.extract(file, folder)) for name, file in files.items()}
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise GeoadaptError(path, f"cannot be read: {error}", "copy it again") from error
        return _stack("landsat7_le7_slcoff", paths, "landsat7", 1e-4)


def _stack(name: str, paths: dict[str, Path], sensor: str, scale: float) -> Tile:
    """One file per channel, on one grid; a channel without a file is missing everywhere."""
    sources = {channel: RasterSource(path) for channel, path in paths.items()}
    info = next(iter(sources.values())).info
    values = np.full((len(CHANNELS), info.height, info.width), np.nan, np.float32)
    for channel, source in sources.items():
        raw = source.read(Window(0, 0, info.height, info.width))[0].astype(np.float32)
        if source.info.nodata is not None:
            raw[raw == source.info.nodata] = np.nan
        values[CHANNELS.index(channel)] = raw * scale
        source.close()
    return Tile(name, values, sensor, info.crs, info.transform)


def _with_gaps(values: NDArray[np.float32], valid: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    return values if valid is None else np.where(valid, values, np.float32(np.nan))


def _write(folder: Path, tile: Tile) -> str:
    path = folder / f"{tile.name}.tif"
    if path.is_file():
        return tile.name
    count, height, width = tile.values.shape
    spec = RasterSpec(
        height,
        width,
        count,
        "float32",
        tile.crs,
        tile.transform,
        nodata=float("nan"),
        names=CHANNELS,
        tags={"sensor": tile.sensor},
    )
    with CogSink(path, spec) as sink:
        sink.write(Window(0, 0, height, width), tile.values)
        sink.commit()
    return tile.name
