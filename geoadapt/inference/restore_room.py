"""What a stack will need, before anything is computed, and GDAL's settings while it is read.

In: what a series holds and what is made of it. Out: bytes of memory and disk, or an error where they do not suffice.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from geoadapt.config import InferConfig
from geoadapt.cubes.series import SeriesInfo
from geoadapt.errors import GeoadaptError
from geoadapt.inference.restore_block import BlockJob
from geoadapt.inference.restore_blocks import ALIGN, shares_reads
from geoadapt.inference.restore_composites import months_of
from geoadapt.inference.restore_method import BUDGET

__all__ = ["StackRoom", "check_stack_room", "stack_room", "stack_settings"]

_LEAST, _MOST = 64 * 2**20, 256 * 2**20
"""Of GDAL's cache [bytes]."""
_PACKED = 0.6
"""What is left of reflectance when it is packed."""


@dataclass(frozen=True, slots=True)
class StackRoom:
    """Bytes of memory, the model's own left out, and of disk."""

    memory: int
    disk: int

    def __str__(self) -> str:
        """One phrase for people."""
        return f"{self.memory / 2**20:.0f} MiB of memory beside the model, about {self.disk / 2**20:.0f} MiB on disk"


def stack_settings(info: SeriesInfo) -> dict[str, str | int]:
    """Options for ``rasterio.Env``: a cache for the squares of all dates that are being read."""
    square = len(info.times) * len(info.bands) * ALIGN * ALIGN * 2
    return {
        "GDAL_CACHEMAX": max(_LEAST, min(5 * square // 4, _MOST)),
        "GDAL_NUM_THREADS": str(os.cpu_count() or 1),
    }


def stack_room(
    info: SeriesInfo,
    job: BlockJob,
    config: InferConfig,
    *,
    learned: bool,
    margin: int,
    heard: SeriesInfo | None = None,
) -> StackRoom:
    """What restoring holds at once, which the scene's size does not change, and what it writes, which it does.

    ``heard`` is the radar beside the stack, of which one block is read, one is used and one lies in a batch.
    """
    bands, dates = len(info.bands), len(job.wanted)
    values = _held(info, config.tile + 2 * margin)
    # One block is read, one is restored, as values and masks; packed ones are made, wait and are stored.
    memory = 4 * values + 2 * values // 2 + int(stack_settings(info)["GDAL_CACHEMAX"])
    memory += _held(info, 2 * (config.tile + margin)) if shares_reads(config.tile, margin) else 0
    memory += 2 * BUDGET if learned else 0
    memory += 0 if heard is None else 3 * _held(heard, config.tile + 2 * margin)
    months = len(months_of(info.times)[0]) if "monthly" in job.composites else 0
    images = dates + len({"median", "best_pixel"} & set(job.composites)) + months
    per_pixel = images * (2 * bands + 2) + (2 * bands * dates if job.scale else 0)
    pixels = info.height * info.width
    disk = int(pixels * (per_pixel * _PACKED * (1 + 4 / 3) + 2 * 2 * bands))
    return StackRoom(memory, disk)


def _held(info: SeriesInfo, side: int) -> int:
    """Bytes of all dates of a square within the scene."""
    return 4 * len(info.times) * len(info.bands) * min(side, info.height) * min(side, info.width)


def check_stack_room(
    info: SeriesInfo,
    job: BlockJob,
    config: InferConfig,
    folder: Path,
    *,
    learned: bool,
    margin: int,
    heard: SeriesInfo | None = None,
) -> None:
    """Raise GeoadaptError where memory or disk cannot suffice, before anything is allocated."""
    room = stack_room(info, job, config, learned=learned, margin=margin, heard=heard)
    free, disk = psutil.virtual_memory().available, shutil.disk_usage(folder).free
    if room.memory > free:
        raise GeoadaptError(
            info.name,
            f"{len(info.times)} dates need {_size(room.memory)} of memory, {_size(free)} are free",
            "choose a smaller infer.tile, or fewer dates",
        )
    if room.disk > disk:
        raise GeoadaptError(
            folder,
            f"needs about {_size(room.disk)}, {_size(disk)} are free",
            "choose another folder, or clear this one",
        )


def _size(count: float) -> str:
    """Bytes for people: small ones must not read as 0.0 GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
