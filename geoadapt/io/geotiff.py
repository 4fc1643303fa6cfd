"""Writing rasters: by window into a tiled file, then as a cloud-optimised GeoTIFF that exists only when it is whole.

In: a grid (size, CRS, transform), a type, and pixels (c, h, w) by window. Out: a COG with overviews, nodata, band
names, and for labels a colour map and class names.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import part_path, publish, remove
from geoadapt.io.base import Window
from geoadapt.io.category import Category
from geoadapt.io.reason import reason
from geoadapt.io.rows import RowGatherer
from geoadapt.io.windows import blocks

__all__ = ["CogSink", "RasterSpec"]

BLOCK = 512
"""Side of the blocks in the file [px], the COG driver's own choice."""


@dataclass(frozen=True, slots=True)
class RasterSpec:
    """What a raster is: its grid, type and labels. Physical value = stored · scale + offset."""

    height: int
    width: int
    count: int = 1
    dtype: str = "uint8"
    crs: CRS | None = None
    transform: Affine | None = None
    """None = not georeferenced, and the file says so."""
    gcps: tuple[GroundControlPoint, ...] = ()
    """Ground control points in ``crs``, for a raster without a transform."""
    nodata: float | None = None
    names: tuple[str, ...] = ()
    """One per band."""
    categories: tuple[Category, ...] = ()
    """Classes of a label raster; they give it colours, names, and overviews by the most frequent value."""
    scale: float = 1.0
    offset: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    compress: str = "DEFLATE"


class CogSink:
    """Takes windows, best full rows from top to bottom; ``finish_tiles`` and ``commit`` make the COG."""

    def __init__(self, path: Path, spec: RasterSpec) -> None:
        """Open temporary files beside ``path``; raises GeoadaptError where that cannot be."""
        self.path = path
        self.spec = spec
        self._tiled = part_path(path.with_name(path.name + ".tiled"))
        self._part = part_path(path)
        self._rows = RowGatherer(spec.count, spec.width, spec.dtype, BLOCK, self._put)
        self._dataset: Any = None
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._dataset = rasterio.open(self._tiled, "w", **_tiled_profile(spec))
            _describe(self._dataset, spec)

    def write(self, window: Window, values: NDArray[np.generic]) -> None:
        """Put values (c, h, w) at ``window``; full rows in order are gathered into whole blocks."""
        if values.shape != (self.spec.count, window.height, window.width):
            raise GeoadaptError(
                self.path, f"values {values.shape} do not fit {window}", f"expected {self.spec.count} bands of its size"
            )
        if window.col or window.width != self.spec.width:
            self._put(window, values)
            return
        self._rows.add(window.row, values)

    def finish_tiles(self) -> Path:
        """Complete the temporary tiled file, before the COG is made of it; returns its path."""
        if self._dataset is not None:
            with self._explained():
                self._rows.flush()
                self._dataset.close()
            self._dataset = None
        return self._tiled

    def commit(self) -> Path:
        """Make the COG, read it back, and rename it into place."""
        self.finish_tiles()
        try:
            with self._explained(), _quiet():
                rasterio.shutil.copy(self._tiled, self._part, driver="COG", **_cog_options(self.spec))
                _compare(self.path, self._tiled, self._part)
                publish(self._part, self.path)
        finally:
            self.abort()
        return self.path

    def abort(self) -> None:
        """Remove whatever was written."""
        if self._dataset is not None:
            dataset, self._dataset = self._dataset, None
            with suppress(RasterioError, CPLE_BaseError, OSError):
                dataset.close()
        for part in (self._tiled, self._part):
            for path in part.parent.glob(_escaped(part.name) + "*"):
                remove(path)

    def __enter__(self) -> Self:
        """This sink."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not committed."""
        self.abort()

    def _put(self, window: Window, values: NDArray[np.generic]) -> None:
        with self._explained():
            self._dataset.write(values, window=RasterWindow(window.col, window.row, window.width, window.height))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with _quiet():
                yield
        except (RasterioError, CPLE_BaseError, OSError) as error:
            self.abort()
            told = reason(error.__cause__ or error)
            raise GeoadaptError(
                self.path, f"cannot be written: {told}", "check the free space and the rights of its folder"
            ) from error


def _tiled_profile(spec: RasterSpec) -> dict[str, Any]:
    profile = {
        "driver": "GTiff",
        "height": spec.height,
        "width": spec.width,
        "count": spec.count,
        "dtype": spec.dtype,
        "nodata": spec.nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "band",
        "compress": "ZSTD",
        "zstd_level": 1,
        "sparse_ok": True,
        "bigtiff": "IF_SAFER",
    }
    if spec.crs is not None:
        profile["crs"] = spec.crs
    if spec.transform is not None:
        profile["transform"] = spec.transform
    elif spec.gcps:
        profile["gcps"] = list(spec.gcps)
    return profile


def _cog_options(spec: RasterSpec) -> dict[str, Any]:
    return {
        "COMPRESS": spec.compress,
        "PREDICTOR": "NO" if spec.categories else "YES",
        "BLOCKSIZE": BLOCK,
        "OVERVIEW_RESAMPLING": "MODE" if spec.categories else "AVERAGE",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": str(os.cpu_count() or 1),
    }


def _describe(dataset: Any, spec: RasterSpec) -> None:
    for band, name in enumerate(spec.names, 1):
        dataset.set_band_description(band, name)
    if spec.tags:
        dataset.update_tags(**spec.tags)
    if spec.scale != 1.0 or spec.offset != 0.0:
        dataset.scales = (spec.scale,) * spec.count
        dataset.offsets = (spec.offset,) * spec.count
    if spec.categories:
        dataset.write_colormap(1, _colours(spec.categories, spec.nodata))
        dataset.update_tags(1, **{f"CLASS_{c.value}": c.name for c in spec.categories})


def _colours(categories: Sequence[Category], nodata: float | None) -> dict[int, tuple[int, int, int, int]]:
    colours = {c.value: (*c.colour, 255) for c in categories}
    if nodata is not None:
        colours[int(nodata)] = (0, 0, 0, 0)
    return colours


def _compare(path: Path, tiled: Path, cog: Path) -> None:
    """Read both files through; raises GeoadaptError where the COG does not hold what the tiled file does."""
    with rasterio.open(tiled) as before, rasterio.open(cog) as after:
        if (before.shape, before.count) != (after.shape, after.count):
            raise GeoadaptError(
                path, f"was written as {after.count} × {after.shape}, not {before.count} × {before.shape}"
            )
        # by squares of all bands: a band by itself has every block decoded again, where the file exceeds GDAL's cache
        for square in blocks(before.height, before.width, 2 * BLOCK):
            window = RasterWindow(square.col, square.row, square.width, square.height)
            wrong = _differing(before.read(window=window), after.read(window=window))
            if wrong:
                raise GeoadaptError(path, f"band {wrong} reads back differently than it was written", "check the disk")


def _differing(before: NDArray[np.generic], after: NDArray[np.generic]) -> int:
    """The number of the first band (c, h, w) whose bytes differ, from 1; 0 where none does."""
    if before.dtype != after.dtype:
        return 1
    return next(
        (n for n, pair in enumerate(zip(before, after, strict=True), 1) if pair[0].tobytes() != pair[1].tobytes()), 0
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Images without georeference are welcome here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
