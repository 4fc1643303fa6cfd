"""Landsat stacks in an archive: one small GeoTIFF per date with six bands, a thermal one and Fmask, all int16.

In: a ``.tar.gz`` whose members are named by scene, ``LT50350322000296…_stack.gtif``. Out: one ``Series``.
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from geoadapt.cubes.quality import decode
from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Series

__all__ = ["read_stacks"]

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
LAYERS, FMASK, MISSING = 8, 7, -9999
_SCENE = re.compile(r"(?:^|/)L[A-Z](\d)\d{6}(\d{4})(\d{3})[^/]*_stack\.gtif$")


def read_stacks(path: Path, name: str) -> Series:
    """All dates of the archive, read without unpacking it; raises GeoadaptError where it is not of this layout."""
    found: dict[np.datetime64, tuple[NDArray[np.int16], float]] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                scene = _SCENE.search(member.name)
                content = archive.extractfile(member) if scene and member.isfile() else None
                if scene is None or content is None:
                    continue
                day = np.datetime64(scene.group(2), "D") + np.timedelta64(int(scene.group(3)) - 1, "D")
                time = day.astype("datetime64[s]")
                if time in found:
                    raise GeoadaptError(path, f"holds two scenes of {day}", "keep one of them")
                found[time] = _stack(content.read(), member.name)
    except (OSError, tarfile.TarError) as error:
        raise GeoadaptError(path, f"cannot be read: {error}", "copy the archive again") from error
    if not found:
        raise GeoadaptError(
            path, "holds no *_stack.gtif", "expected one per date, such as LT50350322000296…_stack.gtif"
        )
    times = np.array(sorted(found))
    shapes = {found[time][0].shape for time in times}
    if len(shapes) > 1:
        raise GeoadaptError(path, f"its stacks differ in shape: {sorted(shapes)}", "cut them to one grid")
    stack = np.stack([found[time][0] for time in times])
    values = stack[:, : len(BANDS)].astype(np.float32) * np.float32(1e-4)
    values[(stack[:, : len(BANDS)] == MISSING)] = np.nan
    quality = np.where(stack[:, FMASK] == MISSING, 255, stack[:, FMASK])
    clear = decode(quality, "fmask", nodata=255) & np.isfinite(values).all(1)
    # saturated and overcorrected values are no reflectance
    clear &= ((values > 0) & (values <= 1)).all(1)
    return Series(name, values, clear, times, BANDS, None, found[times[0]][1])


def _stack(content: bytes, name: str) -> tuple[NDArray[np.int16], float]:
    """Layers (8, h, w) and the pixel's side [m]."""
    try:
        with MemoryFile(content) as file, file.open() as raster:
            if raster.count != LAYERS or raster.dtypes[0] != "int16":
                problem = f"has {raster.count} layers of {raster.dtypes[0]}"
                raise GeoadaptError(name, problem, f"expected {LAYERS} of int16: {', '.join(BANDS)}, thermal, Fmask")
            return raster.read(), float(raster.transform.a)
    except RasterioError as error:
        raise GeoadaptError(name, f"is damaged: {error}", "copy the archive again") from error
