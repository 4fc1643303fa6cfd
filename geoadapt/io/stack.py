"""Sources made of sources: bands from several files on one grid, and a part of a scene.

Grids are odc-geo's; a band on another grid is resampled by GDAL while its windows are read, never as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import windows
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo, Window
from geoadapt.io.gdal import quiet
from geoadapt.io.raster import RasterSource, check_window

__all__ = ["CropSource", "SelectSource", "StackSource", "WarpedSource", "geobox"]


def geobox(info: SourceInfo) -> GeoBox:
    """The grid of a source; raises GeoadaptError where it has no place on Earth."""
    if info.transform is None:
        raise GeoadaptError(info.origin, "has no georeference", "a grid needs an affine transform")
    return GeoBox((info.height, info.width), info.transform, info.crs)


class WarpedSource:
    """A raster brought to another grid while it is read; missing stays missing."""

    def __init__(self, source: RasterSource, grid: GeoBox, resampling: str) -> None:
        """Resample ``source`` to ``grid``, which must share a CRS that both declare."""
        self._source = source
        info = source.info
        if info.crs is None or grid.crs is None or info.transform is None:
            raise GeoadaptError(
                info.origin, "is on another grid than the other bands and has no CRS", "declare its CRS"
            )
        nodata = info.nodata if info.nodata is not None else (np.nan if info.dtype.kind == "f" else None)
        if nodata is None and not _covers(info, grid):
            raise GeoadaptError(
                info.origin,
                "does not cover the grid of the other bands, and declares no nodata for what is outside",
                "declare a nodata value, or use files of equal extent",
            )
        self._vrt = WarpedVRT(
            source.dataset,
            crs=rasterio.crs.CRS.from_wkt(grid.crs.to_wkt()),
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling[resampling],
            src_nodata=nodata,
            nodata=nodata,
            dtype=info.dtype.name,
            tolerance=0.001,
        )
        self._info = replace(
            info,
            height=grid.height,
            width=grid.width,
            crs=rasterio.crs.CRS.from_wkt(grid.crs.to_wkt()),
            transform=grid.transform,
            nodata=nodata,
        )

    @property
    def info(self) -> SourceInfo:
        """What the raster holds on the new grid."""
        return self._info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window`` on the new grid."""
        check_window(window, self._info)
        self._source.check_unchanged()
        indexes = [i + 1 for i in (range(len(self._info.bands)) if bands is None else bands)]
        area = windows.Window(window.col, window.row, window.width, window.height)
        try:
            with quiet():
                raw: NDArray[np.generic] = self._vrt.read([self._source.indexes[i - 1] for i in indexes], window=area)
        except (RasterioError, OSError) as error:
            raise GeoadaptError(
                self._info.origin,
                f"its pixels under rows {window.row}–{window.row + window.height} of the scene cannot be read",
                "it is cut short or damaged: copy or download it again",
            ) from error
        return raw

    def close(self) -> None:
        """Release both handles."""
        self._vrt.close()
        self._source.close()


class StackSource:
    """Bands from several sources of one grid, as one."""

    def __init__(self, parts: Sequence[tuple[Source, int]], info: SourceInfo) -> None:
        """``parts``: a source and a band position for every band of ``info``."""
        self._parts = tuple(parts)
        self._info = info

    @property
    def info(self) -> SourceInfo:
        """What all parts hold together."""
        return self._info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``, in the common dtype and with the common nodata value."""
        positions = range(len(self._parts)) if bands is None else bands
        out = np.empty((len(positions), window.height, window.width), self._info.dtype)
        for place, position in enumerate(positions):
            source, band = self._parts[position]
            layer = source.read(window, [band])[0]
            out[place] = layer
            own = source.info.nodata
            if own is not None and not np.isnan(own) and own != self._info.nodata and self._info.nodata is not None:
                out[place][layer == own] = self._info.nodata
        return out

    def close(self) -> None:
        """Release every part."""
        with ExitStack() as stack:
            for source in {id(s): s for s, _ in self._parts}.values():
                stack.callback(source.close)


class SelectSource:
    """Some bands of a source, told otherwise: other names, scale, nodata or tags."""

    def __init__(self, source: Source, positions: Sequence[int], info: SourceInfo) -> None:
        """``positions``: the band of ``source`` behind every band of ``info``."""
        self._source = source
        self._positions = tuple(positions)
        self._info = info

    @property
    def info(self) -> SourceInfo:
        """What the chosen bands hold."""
        return self._info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``."""
        chosen = self._positions if bands is None else [self._positions[b] for b in bands]
        return self._source.read(window, chosen)

    def close(self) -> None:
        """Release the source."""
        self._source.close()


class CropSource:
    """A rectangle of a source, as a source of its own."""

    def __init__(self, source: Source, window: Window) -> None:
        """The part ``window`` of ``source``."""
        check_window(window, source.info)
        self._source = source
        self._window = window
        transform = source.info.transform
        self._info = replace(
            source.info,
            height=window.height,
            width=window.width,
            transform=None if transform is None else transform * Affine.translation(window.col, window.row),
        )

    @property
    def info(self) -> SourceInfo:
        """What the part holds."""
        return self._info

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``, counted from the part's own upper left pixel."""
        check_window(window, self._info)
        moved = replace(window, row=window.row + self._window.row, col=window.col + self._window.col)
        return self._source.read(moved, bands)

    def close(self) -> None:
        """Release the source."""
        self._source.close()


def _covers(info: SourceInfo, grid: GeoBox) -> bool:
    """Whether the source reaches every pixel of ``grid``, to within half a pixel of its own."""
    own = geobox(info)
    extent = own.buffered(abs(own.transform.a) / 2).extent
    moved = extent if grid.crs is None or grid.crs == extent.crs else extent.to_crs(grid.crs)
    return bool(moved.contains(grid.extent))
