"""A box on the sphere: which rows and columns of a grid lie in it, across Greenwich or the date line if need be.

In: latitude and longitude of a grid, a box [degrees]. Out: a ``Part`` with longitudes that ascend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["Part", "part_of"]


@dataclass(frozen=True, slots=True)
class Part:
    """The points of a grid that are kept: rows, columns (n,), and their coordinates [degrees]."""

    rows: slice
    columns: NDArray[np.intp]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]

    def cut(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values (…, h, w) at these points."""
        return values[..., self.rows, :][..., self.columns]


def part_of(
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    bbox: Sequence[float] | None = None,
    key: str = "--bbox",
) -> Part:
    """The points inside ``bbox`` (west, south, east, north) [degrees]; a box may cross Greenwich or the date line.

    Raises GeoadaptError, naming ``key``, where no point lies in it.
    """
    if bbox is None:
        return Part(slice(None), np.arange(longitude.size), latitude, longitude)
    west, south, east, north = bbox
    rows = np.flatnonzero((latitude >= south) & (latitude <= north))
    offset = (longitude - west) % 360.0
    width = 360.0 if east - west >= 360.0 else (east - west) % 360.0
    columns = np.flatnonzero(offset <= width)
    columns = columns[np.argsort(offset[columns], kind="stable")]
    if not rows.size or not columns.size:
        asked = ",".join(f"{value:g}" for value in bbox)
        held = (
            f"latitude {latitude.min():g} to {latitude.max():g}, longitude {longitude.min():g} to {longitude.max():g}"
        )
        raise GeoadaptError(key, f"no grid point lies in {asked}", f"there is {held}")
    kept = longitude[columns]
    if (np.diff(kept) < 0).any():  # Across the grid's seam: what lies before it counts as west of Greenwich.
        kept = np.where(np.arange(kept.size) <= int(np.argmin(np.diff(kept))), kept - 360.0, kept)
    inside = slice(int(rows[0]), int(rows[-1]) + 1)
    return Part(inside, columns, latitude[inside], kept)
