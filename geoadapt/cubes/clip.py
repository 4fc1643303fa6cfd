"""The part of a scene inside an area: its rectangle cut out, and every pixel missing whose centre lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geoadapt.cubes.area import outline, window_of
from geoadapt.io.base import Source, SourceInfo, Window
from geoadapt.io.decode import decode
from geoadapt.io.stack import CropSource
from geoadapt.io.vectors import within

__all__ = ["ClippedSource", "clip"]


class ClippedSource:
    """A source whose pixels outside an area are missing: physical values in float32, NaN = missing.

    Raw integers may leave no number free to stand for what is missing.
    """

    def __init__(self, source: Source, area: BaseGeometry) -> None:
        """The pixels of ``source`` inside ``area``, which is in the source's own CRS."""
        self._source, self._area = source, area
        self._transform = source.info.transform or Affine.identity()
        self._info = replace(source.info, dtype=np.dtype(np.float32), nodata=float("nan"), scale=(), offset=())

    @property
    def info(self) -> SourceInfo:
        """As the source's, but for type, scale and nodata."""
        return self._info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Physical values (c, h, w) of ``window``, NaN where missing or outside."""
        values, valid = decode(self._source.read(window, bands), self._source.info, bands)
        if valid is not None:
            values[~valid] = np.nan
        moved = self._transform * Affine.translation(window.col, window.row)
        values[:, ~within(self._area, moved, window.height, window.width)] = np.nan
        return values

    def close(self) -> None:
        """Release the source."""
        self._source.close()


def clip(source: Source, aoi: str | Path | BaseGeometry) -> Source:
    """The part of a scene inside a vector file's polygons, or a geometry in longitude and latitude [degrees].

    Raises GeoadaptError where the scene has no georeference or does not touch the area.
    """
    window = window_of(source.info, None, aoi)
    assert window is not None and source.info.crs is not None  # ``window_of`` has raised otherwise
    return ClippedSource(CropSource(source, window), outline(aoi, source.info.crs))
