"""Anything that holds pixels or fields, opened as a labelled cube.

In: a path, a glob, a folder, a SAFE product, a STAC item or collection, a Zarr, NetCDF or GRIB file. Out: an image cube
(time, band, y, x), reflectance 0–1 as float32 with NaN where missing and the CRS in ``spatial_ref``; of weather the
canonical Dataset of ``weather.open_weather``; of other fields the labelled Dataset.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from geoadapt.cubes.area import Area, outline, window_of
from geoadapt.cubes.assemble import as_cube, read_dask, read_plain
from geoadapt.cubes.find import RASTER_SUFFIXES, group_scenes
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.scene import open_files
from geoadapt.cubes.scene_paths import scenes_at
from geoadapt.cubes.store import open_store_cube, weather_cube
from geoadapt.cubes.weather_files import Candidate, weather_in
from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import local_file
from geoadapt.io.grib import is_grib, reads_grib
from geoadapt.io.listing import SceneFiles
from geoadapt.io.paths import as_path
from geoadapt.io.zarr_read import is_store

__all__ = ["expand_paths", "list_scenes", "open_cube"]


def open_cube(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    bands: Sequence[str] | None = None,
    bbox: Sequence[float] | None = None,
    aoi: Area | None = None,
    sensor: str | None = None,
    chunks: int | dict[str, int] | None = None,
    names: Sequence[str] | None = None,
    scale: float | None = None,
    offset: float | None = None,
    units: str = "auto",
    zero_is_nodata: str = "auto",
    resolution: float | None = None,
    resampling: str = "nearest",
    allow_external: bool = False,
) -> xr.DataArray | xr.Dataset:
    """A labelled cube (time, band, y, x) float32, NaN where missing; or the Dataset of weather and other fields.

    Several scenes of one grid are stacked by date. Bands that no metadata name are called ``band_1``…, and what is not
    known as reflectance keeps the numbers that the file declares; ``attrs["units"]`` and ``attrs["notes"]`` say so.

    Args:
        path: a file, folder, glob, SAFE product, STAC item or collection, store; or several of them.
        bands: the common names wanted, in this order; None = all (of a multi-file product all reflective ones).
        bbox: read only this (west, south, east, north) [degrees].
        aoi: read only this vector file or geometry; pixels outside of it are NaN.
        sensor: where names and metadata do not tell, one of ``geoadapt.cubes.sensors.SENSORS``.
        chunks: side of a dask chunk [px], or {"y": …, "x": …}; None reads at once into memory.
        names: what the bands of a stacked file are, where the file does not say.
        scale: reflectance = raw · scale + offset, in place of what the file declares.
        offset: see ``scale``.
        units: ``auto`` checks bands with optical names, ``reflectance`` demands them, ``raw`` checks nothing.
        zero_is_nodata: ``yes``, ``no``, or ``auto``: warn where a border is zero and no nodata is declared.
        resolution: pixel size of the common grid [units of the CRS]; None = the finest of the wanted bands.
        resampling: how bands of a coarser grid are brought to the common one; finer ones are averaged.
        allow_external: follow VRTs and STAC items that point to other folders or to the network.

    Raises GeoadaptError where bands, scale, grid or date cannot be told, or the cube would not fit into memory.
    """
    reading = Reading(
        sensor,
        None if bands is None else tuple(bands),
        None if names is None else tuple(names),
        scale,
        offset,
        units,
        zero_is_nodata,
        resolution,
        resampling,
        allow_external,
    )
    paths = expand_paths(path)
    file = local_file(paths[0])
    if len(paths) == 1 and file is not None and file.exists() and is_store(file):
        return open_store_cube(file, reading, bbox, aoi, chunks)
    found = None if (bbox, aoi, bands) != (None, None, None) else _weather(paths)
    if found is not None:
        return weather_cube(found, chunks)
    scenes = list_scenes(paths, reading)
    cubes = [_scene_cube(scene, reading, bbox, aoi, chunks) for scene in scenes]
    return cubes[0] if len(cubes) == 1 else _stack(cubes, str(path))


def _weather(paths: list[str]) -> list[Candidate] | None:
    """The fields of weather files; None unless every path is one, GRIB among them where cfgrib is there to tell."""
    found: list[Candidate] = []
    for path in paths:
        file = local_file(path)
        if file is None or not (is_store(file) or (is_grib(file) and reads_grib())):
            return None
        held = weather_in(file)
        if held is None:
            return None
        found += held
    return found


def expand_paths(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """Every path that was meant; a name that exists is itself, even where it looks like a glob."""
    if not isinstance(path, (str, os.PathLike)):
        found = [p for one in path for p in expand_paths(one)]
        if not found:
            raise GeoadaptError("open_cube", "got no paths", "give at least one")
        return found
    name = os.fspath(path)
    if local_file(name) is None:
        return [name]
    name = os.fspath(as_path(name))
    if os.path.exists(name) or not has_magic(name):
        return [name]
    matches = sorted(glob(name, recursive=True))
    if not matches:
        folder = Path(name).parent
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) if folder.is_dir() else "no such folder"
        raise GeoadaptError(name, "matches nothing", f"found there: {held or 'nothing'}")
    return matches


def list_scenes(paths: list[str], reading: Reading) -> list[SceneFiles | str]:
    """The scenes at all paths; files that are single bands of scenes are put together."""
    files = [Path(p) for p in paths]
    if len(files) > 1 and all(p.is_file() and p.suffix.lower() in RASTER_SUFFIXES for p in files):
        grouped = group_scenes(files, reading.sensor)
        if grouped:
            return list(grouped)
    return [scene for p in paths for scene in scenes_at(p, reading)]


def _scene_cube(
    scene: SceneFiles | str,
    reading: Reading,
    bbox: Sequence[float] | None,
    aoi: Area | None,
    chunks: int | dict[str, int] | None,
) -> xr.DataArray:
    source = open_files(scene, reading)
    try:
        info = source.info
        window = window_of(info, bbox, aoi)
        area = None if aoi is None or info.crs is None else outline(aoi, info.crs)
        if chunks is None:
            return as_cube(*read_plain(source, window), area)
        return as_cube(*read_dask(info, lambda: open_files(scene, reading), window, chunks), area)
    finally:
        source.close()


def _stack(cubes: list[xr.DataArray], where: str) -> xr.DataArray:
    """Scenes along time; raises GeoadaptError where they differ in grid or bands, or a date is missing or double."""
    first = cubes[0]
    for cube in cubes[1:]:
        if _grid(cube) != _grid(first):
            raise GeoadaptError(
                where,
                f"scenes lie on different grids: {_told(first)} and {_told(cube)}",
                "open_series brings scenes to one grid, or open them one by one",
            )
        if list(cube["band"].values) != list(first["band"].values):
            raise GeoadaptError(
                where,
                f"scenes hold different bands: {first.attrs['source']} {first['band'].values.tolist()} "
                f"and {cube.attrs['source']} {cube['band'].values.tolist()}",
                "choose common ones with bands=…",
            )
    times = np.array([c["time"].values[0] for c in cubes])
    undated = [c.attrs["source"] for c in cubes if np.isnat(c["time"].values[0])]
    if undated:
        raise GeoadaptError(
            where, f"{len(undated)} of {len(cubes)} scenes have no date: {undated[0]}", "put it in the name"
        )
    if len(set(times)) < len(times):
        raise GeoadaptError(
            where, "two scenes have the same date", "open_series can choose or mosaic them, or open them one by one"
        )
    notes = "; ".join(dict.fromkeys(c.attrs["notes"] for c in cubes if c.attrs.get("notes")))
    stacked: xr.DataArray = xr.concat([cubes[i] for i in np.argsort(times)], "time", combine_attrs="override")
    stacked.attrs |= {"source": where, **({"notes": notes} if notes else {})}
    if len({c.attrs.get("sensor") for c in cubes}) > 1:
        stacked.attrs.pop("sensor", None)  # no one sensor took them
    return stacked


def _grid(cube: xr.DataArray) -> tuple[Any, ...]:
    return cube.shape[2:], str(cube["spatial_ref"].attrs.get("crs_wkt")), cube["spatial_ref"].attrs.get("GeoTransform")


def _told(cube: xr.DataArray) -> str:
    crs = cube.rio.crs
    place = cube["spatial_ref"].attrs.get("GeoTransform", "no georeference")
    named = crs.to_string()[:40] if crs else "no CRS"
    return f"{cube.attrs['source']} ({named}, {cube.shape[2]} × {cube.shape[3]} px, {place})"
