"""Any raster that GDAL reads, by window, through one handle that stays open.

In: a path. Out: raw pixels (c, h, w). Masks and alpha bands become NaN, so that ``info.nodata`` and NaN say it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import windows
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.gdal import local_file, open_dataset, quiet
from geoadapt.words import counted

__all__ = ["RasterSource", "check_window"]


class RasterSource:
    """A GDAL raster as a Source. One handle, opened once: reopening costs more than the pixels do."""

    def __init__(
        self,
        path: str | Path,
        bands: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        *,
        scale: Sequence[float] | None = None,
        offset: Sequence[float] | None = None,
        nodata: float | None = None,
        time: datetime | None = None,
        sensor: str | None = None,
        allow_external: bool = False,
    ) -> None:
        """Open ``path``: all bands that hold data, or the positions ``bands`` (from 0), under ``names`` if given.

        ``scale`` and ``offset`` (one per band) replace what the file declares, ``nodata`` holds where it declares none;
        ``time`` replaces the file's own, from its imagery metadata or TIFFTAG_DATETIME.
        Raises GeoadaptError for a file that is missing, damaged, without bands, or pointing elsewhere.
        """
        self._path = str(path)
        self._file = local_file(self._path)
        self._handle: DatasetReader = open_dataset(self._path, allow_external=allow_external)
        self._stamp = self._state()
        if self._handle.count == 0:
            listing = ", ".join(self._handle.subdatasets) or "none"
            self._handle.close()
            raise GeoadaptError(self._path, "holds no band of its own", f"open one of its subdatasets: {listing}")
        self.stored = len(_data_bands(self._handle))
        """Number of bands in the file that hold data, read by this source or not."""
        held = _data_bands(self._handle) if bands is None else list(bands)
        if any(not 0 <= band < self._handle.count for band in held):
            raise GeoadaptError(self._path, f"has {counted(self._handle.count, 'band')}, wanted positions {held}")
        self._indexes = [band + 1 for band in held]
        self._masked = _has_mask(self._handle)
        self._nodatas = [self._handle.nodatavals[band] for band in held]
        declared = nodata if self._nodatas[0] is None else self._nodatas[0]
        self._info = SourceInfo(
            origin=self._path,
            height=self._handle.height,
            width=self._handle.width,
            bands=tuple(names) if names is not None else _names(self._handle, held),
            dtype=self._dtype(held),
            crs=self._handle.crs,
            transform=None if self._handle.transform.is_identity else self._handle.transform,
            nodata=float("nan") if self._masked else declared,
            scale=_per_band(scale, [self._handle.scales[b] for b in held], neutral=1.0),
            offset=_per_band(offset, [self._handle.offsets[b] for b in held], neutral=0.0),
            time=_moment(self._handle) if time is None else time,
            sensor=sensor,
            tags=_tags(self._handle),
        )
        if len(self._info.bands) != len(held):
            raise GeoadaptError(
                self._path, f"has {counted(len(held), 'band')}, names were given for {len(self._info.bands)}"
            )

    @property
    def info(self) -> SourceInfo:
        """What this raster holds."""
        return self._info

    @property
    def dataset(self) -> DatasetReader:
        """The open rasterio dataset, for what windows of pixels do not tell."""
        return self._handle

    @property
    def masked(self) -> bool:
        """Whether a mask or alpha band tells what is missing."""
        return self._masked

    @property
    def indexes(self) -> tuple[int, ...]:
        """GDAL's number, from 1, of every band of this source."""
        return tuple(self._indexes)

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.generic]:
        """Raw values (c, h, w) of ``window``, all bands or those at the given positions.

        Raises GeoadaptError where the window leaves the raster, the file was changed or removed since it was opened,
        or its pixels are damaged: the message names the first row that cannot be read.
        """
        check_window(window, self._info)
        self.check_unchanged()
        positions = range(len(self._indexes)) if bands is None else bands
        indexes = [self._indexes[position] for position in positions]
        area = windows.Window(window.col, window.row, window.width, window.height)
        try:
            raw: NDArray[np.generic] = self._handle.read(indexes, window=area)
            mask = self._handle.dataset_mask(window=area) if self._masked else None
        except (RasterioError, OSError) as error:
            row = _first_bad_row(self._handle, indexes, window)
            raise GeoadaptError(
                self._path,
                f"its pixels cannot be read from row {row} of {self._info.height} on",
                "it is cut short or damaged: copy or download it again",
            ) from error
        return self._mark_missing(raw, mask, list(positions))

    def check_unchanged(self) -> None:
        """Raise GeoadaptError where the file was changed or removed since it was opened."""
        if self._state() != self._stamp:
            raise GeoadaptError(
                self._path, "was changed or removed while it was being read", "run again on the final file"
            )

    def close(self) -> None:
        """Release the handle."""
        self._handle.close()

    def _dtype(self, held: list[int]) -> np.dtype[np.generic]:
        stored = [np.dtype("complex64" if d == "complex_int16" else d) for d in (self._handle.dtypes[b] for b in held)]
        common = np.result_type(*stored)
        if self._masked and common.kind in "iub":
            return np.dtype(np.float32 if common.itemsize <= 2 else np.float64)
        return common

    def _mark_missing(
        self, raw: NDArray[np.generic], mask: NDArray[np.uint8] | None, positions: list[int]
    ) -> NDArray[np.generic]:
        """One dtype and one nodata value for all bands: a mask becomes NaN, a band's own nodata the common one."""
        raw = raw.astype(self._info.dtype, copy=False)
        if mask is not None:
            raw[:, mask == 0] = np.nan
        for place, position in enumerate(positions):
            own = self._nodatas[position]
            if own is not None and not self._masked and self._info.nodata is not None and own != self._nodatas[0]:
                layer = raw[place]
                layer[layer == own] = self._info.nodata
        return raw

    def _state(self) -> tuple[int, int] | None:
        """Size and time of the file, None where it is no local file."""
        if self._file is None:
            return None
        try:
            stat = self._file.stat()
        except OSError:
            return (-1, -1)
        return stat.st_size, stat.st_mtime_ns


def check_window(window: Window, info: SourceInfo) -> None:
    """Raise GeoadaptError where ``window`` is empty or leaves the source."""
    inside = window.row >= 0 and window.col >= 0 and window.height > 0 and window.width > 0
    if not (inside and window.row + window.height <= info.height and window.col + window.width <= info.width):
        raise GeoadaptError(info.origin, f"{window} leaves the raster of {info.height} × {info.width} px")


def _data_bands(handle: DatasetReader) -> list[int]:
    """Positions of the bands that hold data: an alpha band is a mask."""
    bands = [i for i, meaning in enumerate(handle.colorinterp) if meaning != ColorInterp.alpha]
    return bands or list(range(handle.count))


def _has_mask(handle: DatasetReader) -> bool:
    return any(MaskFlags.per_dataset in flags for flags in handle.mask_flag_enums)


def _names(handle: DatasetReader, held: list[int]) -> tuple[str, ...]:
    """The bands' own descriptions, ``band_1``… where they have none or share one."""
    names = [(handle.descriptions[b] or "").strip() or f"band_{b + 1}" for b in held]
    return tuple(n if names.count(n) == 1 else f"band_{b + 1}" for n, b in zip(names, held, strict=True))


def _per_band(given: Sequence[float] | None, declared: list[float], neutral: float) -> tuple[float, ...]:
    values = tuple(float(v) for v in (declared if given is None else given))
    return () if all(v == neutral for v in values) else values


def _tags(handle: DatasetReader) -> dict[str, str]:
    """The file's own tags, its driver, and how it is placed where that is not by a transform."""
    tags: dict[str, Any] = {str(k): str(v) for k, v in handle.tags().items()}
    tags["driver"] = handle.driver
    if handle.gcps[0]:
        tags["georeference"] = "gcps"
    elif handle.rpcs is not None:
        tags["georeference"] = "rpcs"
    return tags


def _moment(handle: DatasetReader) -> datetime | None:
    """When the file says that it was taken, as UTC where it names no zone."""
    said = (handle.tags(ns="IMAGERY").get("ACQUISITIONDATETIME"), handle.tags().get("TIFFTAG_DATETIME"))
    return next((moment for text in said if text and (moment := _parsed(text.strip()))), None)


def _parsed(text: str) -> datetime | None:
    for form in ("%Y:%m:%d %H:%M:%S", None):
        try:
            found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007
        except ValueError:
            continue
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _first_bad_row(handle: DatasetReader, indexes: list[int], window: Window) -> int:
    """Where the damage begins: the first bad row of blocks in ``window``, or above it by bisection if all is bad.

    Bisection takes it that all below is damaged too, as in a file that was cut short.
    """
    step = max(1, int(handle.block_shapes[0][0]))
    first, last = window.row // step, (window.row + window.height - 1) // step
    bad = next((b for b in range(first, last + 1) if not _readable(handle, indexes, window, b * step, step)), first)
    if bad > first:
        return bad * step
    good = -1
    while bad - good > 1:
        middle = (good + bad) // 2
        if _readable(handle, indexes, window, middle * step, step):
            good = middle
        else:
            bad = middle
    return bad * step


def _readable(handle: DatasetReader, indexes: list[int], window: Window, row: int, height: int) -> bool:
    area = windows.Window(window.col, row, window.width, min(height, handle.height - row))
    try:
        with quiet(), rasterio.Env():
            handle.read(indexes, window=area)
    except (RasterioError, OSError):
        return False
    return True
