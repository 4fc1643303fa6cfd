"""GDAL's settings while a scene is streamed, in one place and only for that time."""

from __future__ import annotations

import os

from geoadapt.io.base import SourceInfo

__all__ = ["gdal_settings"]

_BLOCK_ROWS = 2 * 512
"""Rows of blocks that reading and writing keep in mind at once [px]."""
_SLACK = 16 * 1024 * 1024


def gdal_settings(info: SourceInfo, threads: int | None = None) -> dict[str, str | int]:
    """Options for ``rasterio.Env``: a block cache for two rows of blocks instead of 5 % of the machine's memory."""
    row = info.width * len(info.bands) * info.dtype.itemsize
    return {
        "GDAL_CACHEMAX": min(_SLACK + _BLOCK_ROWS * row, 512 * 1024 * 1024),
        "GDAL_NUM_THREADS": str(threads or os.cpu_count() or 1),
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "VSI_CACHE": "TRUE",
    }
