"""How reflectance and its expected error are stored: 16 bits in steps of 0.0001, and where a value comes from.

In: reflectance, NaN where unknown. Out: integers with a nodata value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import ClassInfo

__all__ = [
    "BY_COMPOSITE",
    "BY_MODEL",
    "NODATA",
    "OBSERVED",
    "SOURCES",
    "STEP",
    "UNKNOWN",
    "pack",
    "pack_error",
    "unpack",
]

STEP = 1e-4
"""[reflectance]."""
NODATA, UNKNOWN = -32768, 65535
"""Of reflectance; of errors and days."""
OBSERVED, BY_MODEL, BY_COMPOSITE = 1, 2, 3
SOURCES: tuple[ClassInfo, ...] = (
    ClassInfo(0, "unknown", (90, 90, 90)),
    ClassInfo(OBSERVED, "observed_clear", (120, 170, 110)),
    ClassInfo(BY_MODEL, "restored_by_model", (230, 150, 40)),
    ClassInfo(BY_COMPOSITE, "restored_by_composite", (70, 120, 200)),
)
"""Where a pixel's value comes from."""
Floats = NDArray[np.float32]


def pack(values: Floats) -> tuple[NDArray[np.int16], int]:
    """Reflectance as int16 in steps of 0.0001, and how many values lay outside of its ±3.2767."""
    scaled = values / np.float32(STEP)
    np.rint(scaled, out=scaled)
    beyond = int(np.count_nonzero(np.abs(scaled) > -NODATA - 1))
    np.clip(scaled, NODATA + 1, -NODATA - 1, out=scaled)
    np.copyto(scaled, np.float32(NODATA), where=~np.isfinite(values))
    return scaled.astype(np.int16), beyond


def unpack(packed: NDArray[np.int16]) -> Floats:
    """Reflectance of packed values, NaN where nodata."""
    return np.where(packed == NODATA, np.float32(np.nan), packed * np.float32(STEP))


def pack_error(scale: Floats) -> NDArray[np.uint16]:
    """Expected errors as uint16 in steps of 0.0001, at most 6.5534."""
    steps = np.clip(np.rint(scale / np.float32(STEP)), 0, UNKNOWN - 1)
    return np.where(np.isfinite(scale), steps, UNKNOWN).astype(np.uint16)
