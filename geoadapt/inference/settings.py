"""What a scene will need, and GDAL's settings while it is streamed: in one place and only for that time."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import psutil
from rasterio.crs import CRS

from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import StreamOptions
from geoadapt.io.base import SourceInfo

__all__ = ["check_room", "disk_needed", "gdal_settings", "memory_needed", "resolution_metres"]

_BLOCK_ROWS = 1024
"""Rows that the blocks of a file and an unaligned strip span together [px]."""
_SLACK = 16 * 2**20
_CACHE = 64 * 2**20
_METRES_PER_DEGREE = 111_320.0


def gdal_settings(info: SourceInfo, threads: int | None = None) -> dict[str, str | int]:
    """Options for ``rasterio.Env``: a block cache for the rows at hand instead of 5 % of the machine's memory."""
    row = info.width * len(info.bands) * info.dtype.itemsize
    return {
        "GDAL_CACHEMAX": max(_CACHE, min(_SLACK + _BLOCK_ROWS * row, 16 * _CACHE)),
        "GDAL_NUM_THREADS": str(threads or os.cpu_count() or 1),
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "VSI_CACHE": "TRUE",
    }


def memory_needed(info: SourceInfo, options: StreamOptions, *, disagreement: bool = False) -> int:
    """Bytes that streaming holds at once, the model's own left out: it grows with the width, not with the height."""
    rows = min(options.tile, info.height)
    channels = len(info.bands)
    strips = 2 * channels * (4 + 1) * rows * info.width
    raw = channels * info.dtype.itemsize * rows * info.width
    sums = 2 * (options.outputs + disagreement) * 4 * rows * info.width
    return strips + raw + sums + int(gdal_settings(info)["GDAL_CACHEMAX"])


def disk_needed(info: SourceInfo, bands: int) -> int:
    """Bytes for a temporary tiled file and the COG made of it, packed as labels usually are (about one in five)."""
    return int(2.4 * 0.2 * info.height * info.width * bands) + 2**20


def check_room(
    info: SourceInfo, options: StreamOptions, folder: Path, bands: int, *, disagreement: bool = False
) -> None:
    """Raise GeoadaptError where memory or disk cannot suffice, before anything is allocated."""
    memory, free_memory = memory_needed(info, options, disagreement=disagreement), psutil.virtual_memory().available
    if memory > free_memory:
        raise GeoadaptError(
            info.origin,
            f"{info.width} px wide, it needs {memory / 2**30:.1f} GiB of memory, {free_memory / 2**30:.1f} are free",
            "choose a smaller infer.tile, or cut it with bbox",
        )
    disk, free_disk = disk_needed(info, bands), shutil.disk_usage(folder).free
    if disk > free_disk:
        raise GeoadaptError(
            folder,
            f"needs about {disk / 2**30:.1f} GiB, {free_disk / 2**30:.1f} are free",
            "choose another output folder",
        )


def resolution_metres(info: SourceInfo) -> float | None:
    """The pixel's side on the ground [m]; None where the scene has no place on Earth."""
    if info.crs is None or info.transform is None:
        return None
    crs: CRS = info.crs
    side = math.sqrt(abs(info.transform.determinant))
    if crs.is_projected:
        return side * float(crs.linear_units_factor[1])
    latitude = info.transform.d * info.width / 2 + info.transform.e * info.height / 2 + info.transform.f
    return side * _METRES_PER_DEGREE * math.sqrt(max(math.cos(math.radians(latitude)), 1e-6))
