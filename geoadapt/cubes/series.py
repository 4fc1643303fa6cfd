"""All dates of one place on one grid, read by window: what cloud removal starts from.

In: scenes, a STAC catalogue, a store with dates, or files whose bands are dates. Out: a ``SeriesSource``: values
(t, c, h, w) [reflectance], NaN where missing, and what is clear (t, h, w).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS

from geoadapt.cubes.reading import Reading
from geoadapt.cubes.series_damage import LeftOut, told_left_out
from geoadapt.cubes.series_join import Joining, Plan, join
from geoadapt.cubes.series_parts import Choice, Part, span
from geoadapt.cubes.series_paths import Paths, Times, parts_at
from geoadapt.cubes.series_read import Masker, PlanReader, handle_limit
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SeriesInfo", "SeriesSource", "open_series"]

_METRES_PER_DEGREE = 111_195.0


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What a series holds."""

    name: str
    height: int
    width: int
    bands: tuple[str, ...]
    times: NDArray[np.datetime64]
    """(t,) datetime64[s], ascending, as irregular as they are."""
    crs: CRS | None
    transform: Affine | None
    names: tuple[str, ...]
    """(t,) scenes; of a mosaic all of them, joined by " + "."""
    sensors: tuple[str | None, ...]
    """(t,)."""
    resolution: float | None
    """[m]; of a grid in degrees along the meridian."""
    notes: tuple[str, ...] = ()
    """What was used and done: masks, resampling, mosaics."""
    scenes: tuple[int, ...] = ()
    """Of every scene, in order of time, the date that it is part of: what a function that makes masks is given."""
    left_out: tuple[str, ...] = ()
    """Files of the scenes that cannot be read and are not in the series."""
    files: tuple[str, ...] = ()
    """What scenes and their quality layers are read from."""


class SeriesSource:
    """A series that is read by window; a context manager. One source serves one thread: ``reopened`` gives another."""

    def __init__(self, plan: Plan, info: SeriesInfo, masker: Masker | None = None, handles: int | None = None) -> None:
        """``plan`` as ``join`` makes it; ``masker`` in place of quality layers; at most ``handles`` open files."""
        self._plan = plan
        self._info = info
        self._masker = masker
        self._handles = handle_limit() if handles is None else handles
        self._reader = PlanReader(plan, masker, self._handles)

    @property
    def info(self) -> SeriesInfo:
        """What the series holds."""
        return self._info

    def read(self, window: Window | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (t, c, h, w), NaN where missing, and what is clear (t, h, w) of a window, or of everything.

        A pixel is clear where every band is known and the mask says so. Dates without any data are NaN throughout.
        Raises GeoadaptError where the window leaves the grid or a file is damaged.
        """
        return self._reader.read(window or Window(0, 0, self._info.height, self._info.width))

    def keep_open(self, handles: int) -> None:
        """Keep at most ``handles`` files open between windows: of each GDAL holds a square, decoded, of all bands."""
        self._handles = handles
        self._reader.keep_open(handles)

    def reopened(self) -> SeriesSource:
        """The same series with handles of its own, for another thread."""
        return SeriesSource(self._plan, self._info, self._masker, self._handles)

    def cube(self, chunks: int = 256) -> xr.Dataset:
        """``image`` (time, band, y, x) and ``clear`` (time, y, x), lazy: all dates of a square of ``chunks`` [px]."""
        from geoadapt.cubes.series_cube import lazy_cube

        return lazy_cube(self, chunks)

    def close(self) -> None:
        """Release all handles."""
        self._reader.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without open files."""
        return SeriesSource, (self._plan, self._info, self._masker, self._handles)

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release all handles."""
        self.close()


def open_series(
    paths: Paths,
    *,
    bands: Sequence[str] | None = None,
    mask: str | Mapping[str, Any] | Masker = "auto",
    buffer: int = 0,
    grid: str | GeoBox = "first",
    resolution: float | None = None,
    resampling: str = "bilinear",
    duplicates: str = "error",
    damaged: str = "error",
    max_gap: float | None = None,
    start: object | None = None,
    end: object | None = None,
    times: Times | None = None,
    mask_scheme: str | None = None,
    treatment: Mapping[str, Any] | None = None,
    names: Sequence[str] | Mapping[str, str] | None = None,
    sensor: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
    nodata: float | None = None,
    units: str = "auto",
    zero_is_nodata: str = "auto",
    name: str | None = None,
    allow_external: bool = False,
) -> SeriesSource:
    """All dates of one place as one source on one grid.

    Args:
        paths: a folder of scenes, scenes or globs, a STAC item collection or catalogue, a Zarr or NetCDF store with
            dates (one array, or a variable per band), or, with ``times``, files whose layers are dates (a folder, a
            list, or a mapping band → file; a folder with a file ``timeline`` says its times itself).
        bands: the common names wanted, in this order; None = the reflective ones.
        mask: ``auto`` finds every scene's quality layer, ``none`` takes what is known for clear; a glob or a mapping
            scene or day → file gives masks; a function of values (t, c, h, w) makes them, (t, h, w), for every window.
        buffer: what lies within this distance of a masked pixel counts as masked too [px of the common grid].
        grid: that of the ``first`` date, its lattice over the ``union`` or ``intersection`` of all, or a GeoBox.
        resolution: pixel size of the common grid [units of its CRS], in place of the first scene's.
        resampling: how values come to the grid: ``nearest``, ``bilinear``, ``cubic`` or ``average``; the middle two
            average scenes that are much finer. Masks are always nearest.
        duplicates: two scenes of one day are an ``error``, the ``first`` counts, or a ``mosaic``: the first clear one.
        damaged: a scene that cannot be read is an ``error``, or left out with a warning: ``skip``. What only shows
            when a window is read stays an error.
        max_gap: two dates in a row that lie further apart are an error [days]; None = they may.
        start: first date wanted.
        end: last date wanted, its whole day included.
        times: dates of the layers, or a text file with one per line; or scene → date for scenes that tell none.
        mask_scheme: what quality layers mean, one of ``geoadapt.cubes.quality.SCHEMES``, where names do not tell.
        treatment: options of ``geoadapt.cubes.quality.decode``, such as ``{"snow": "cloudy"}``.
        names: what the bands of stacked files are; or found name → band name for stores and files of dates.
        sensor: where names and metadata do not tell, one of ``geoadapt.cubes.sensors.SENSORS``.
        scale: reflectance = raw · scale + offset, in place of what files declare.
        offset: see ``scale``.
        nodata: the raw number for missing, where files declare none.
        units: as in ``open_scene``.
        zero_is_nodata: as in ``open_scene``.
        name: what the series is called; None = the path's own name.
        allow_external: as in ``open_scene``.

    What was done is said in ``info.notes``; what may be wrong is a warning, too.

    Raises GeoadaptError where a scene has no date, days are double, bands or grids do not fit, or a mask is missing.
    """
    how = Joining(grid, resolution, resampling, duplicates, max_gap, buffer)
    reading = Reading(
        sensor=sensor,
        channels=None if bands is None else tuple(bands),
        names=None if names is None or isinstance(names, Mapping) else tuple(names),
        scale=scale,
        offset=offset,
        units=units,
        zero_is_nodata=zero_is_nodata,
        allow_external=allow_external,
    )
    span_ = span(start, end)
    choice = Choice(reading.channels, mask, mask_scheme, dict(treatment or {}), *span_, nodata, damaged=damaged)
    renamed = dict(names) if isinstance(names, Mapping) else {}
    parts, left = parts_at(paths, reading, choice, renamed, times)
    return _joined(parts, left, how, name or _called(paths), mask)


def _joined(
    parts: Sequence[Part], left: Sequence[LeftOut], how: Joining, called: str, mask: str | Mapping[str, Any] | Masker
) -> SeriesSource:
    """The parts as one source, with what is to be said about them; what may be wrong is a warning, too."""
    if left and not parts:
        raise GeoadaptError(
            left[0].file, f"{left[0].problem}; none of {called}'s {len(left)} scenes can be read", "copy them again"
        )
    for one in left:
        warnings.warn(f"{called}: {one}", stacklevel=3)
    plan = join(parts, how, called)
    doubts = [*plan.doubts, *_mask_doubt(plan, mask)]
    for doubt in doubts:
        warnings.warn(f"{called}: {doubt}", stacklevel=3)
    model = ["clear as a model says, window by window"] if callable(mask) else []
    notes = tuple(dict.fromkeys([*told_left_out(left, plan.frames), *model, *plan.notes, *doubts]))
    return SeriesSource(plan, _info(plan, called, notes, left), mask if callable(mask) else None)


def _mask_doubt(plan: Plan, mask: object) -> list[str]:
    if mask != "auto" or any(note.startswith("clear as") for note in plan.notes):
        return []
    return ["no quality layer was found: whatever is known counts as clear; say mask='none' if that is meant"]


def _called(paths: Paths) -> str:
    """The name of the folder or file, or of the first one."""
    first: object = paths
    if isinstance(paths, Mapping):
        first = next(iter(paths.values()), "series")
    elif not isinstance(paths, str) and isinstance(paths, Sequence):
        first = next(iter(paths), "series")

    return Path(str(first)).stem or str(first)


def _info(plan: Plan, name: str, notes: tuple[str, ...], left: Sequence[LeftOut]) -> SeriesInfo:
    grid = plan.grid
    return SeriesInfo(
        name=name,
        height=plan.size[0],
        width=plan.size[1],
        bands=plan.bands,
        times=plan.times,
        crs=None if grid is None or grid.crs is None else CRS.from_wkt(grid.crs.to_wkt()),
        transform=None if grid is None else grid.transform,
        names=plan.names,
        sensors=plan.sensors,
        resolution=_metres(grid),
        notes=notes,
        scenes=tuple(date for date, group in enumerate(plan.groups) for _ in group),
        left_out=tuple(one.file for one in left),
        files=tuple(file for part in plan.parts for file in part.files),
    )


def _metres(grid: GeoBox | None) -> float | None:
    """A pixel's side [m]."""
    if grid is None or grid.crs is None:
        return None
    side = float(abs(grid.transform.determinant) ** 0.5)
    if grid.crs.geographic:
        return side * _METRES_PER_DEGREE
    crs = CRS.from_wkt(grid.crs.to_wkt())
    return side * float(crs.linear_units_factor[1])
