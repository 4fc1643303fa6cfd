"""One place, one date, all wanted bands under common names on one grid, read by window.

In: a raster file, a folder with one file per band, a SAFE product, a Landsat folder, a STAC item, a store.
Out: a Source whose ``info`` turns raw numbers into reflectance 0–1 (thermal bands into kelvin).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from geoadapt.cubes.area import Area, window_of
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.scene_bands import open_bands
from geoadapt.cubes.scene_notes import checked
from geoadapt.cubes.scene_paths import scenes_at
from geoadapt.cubes.scene_stacked import open_stacked
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source
from geoadapt.io.listing import SceneFiles
from geoadapt.io.stack import CropSource

__all__ = ["open_files", "open_scene"]


def open_scene(
    path: str | os.PathLike[str],
    *,
    sensor: str | None = None,
    channels: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    bbox: Sequence[float] | None = None,
    aoi: Area | None = None,
    scale: float | None = None,
    offset: float | None = None,
    units: str = "auto",
    zero_is_nodata: str = "auto",
    resolution: float | None = None,
    resampling: str = "nearest",
    allow_external: bool = False,
) -> Source:
    """One scene as a Source, its bands under common names on one grid.

    Args:
        path: a raster file, a folder with one file per band, a SAFE product, a Landsat folder, a STAC item, a store.
        sensor: where names and metadata do not tell, one of ``geoadapt.cubes.sensors.SENSORS``.
        channels: the bands wanted, in this order; None = all, of a multi-file product all reflective ones.
        names: what the bands of a stacked file are, where the file does not say.
        bbox: read only this (west, south, east, north) [degrees].
        aoi: read only the rectangle around this vector file or geometry.
        scale: reflectance = raw · scale + offset, in place of what the file declares.
        offset: see ``scale``.
        units: ``auto`` checks bands with optical names, ``reflectance`` demands them, ``raw`` checks nothing.
        zero_is_nodata: ``yes``, ``no``, or ``auto``: warn where a border is zero and no nodata is declared.
        resolution: pixel size of the common grid [units of the CRS]; None = the finest of the wanted bands.
        resampling: how bands of a coarser grid are brought to the common one; finer ones are averaged.
        allow_external: follow VRTs and STAC items that point to other folders or to the network.

    Raises GeoadaptError where bands, scale or grid cannot be told: it lists what was wanted and what was found.
    """
    reading = Reading(
        sensor,
        None if channels is None else tuple(channels),
        None if names is None else tuple(names),
        scale,
        offset,
        units,
        zero_is_nodata,
        resolution,
        resampling,
        allow_external,
    )
    found = scenes_at(path, reading)
    if len(found) > 1:
        listing = ", ".join(s if isinstance(s, str) else s.tags.get("scene", s.origin) for s in found[:5])
        raise GeoadaptError(path, f"holds {len(found)} scenes ({listing})", "give one of them, or use open_cube")
    source = open_files(found[0], reading)
    try:
        window = window_of(source.info, bbox, aoi)
    except GeoadaptError:
        source.close()
        raise
    return source if window is None else CropSource(source, window)


def open_files(scene: SceneFiles | str, reading: Reading) -> Source:
    """The Source of one scene; raises GeoadaptError where its bands, scale or grid cannot be told."""
    source = open_stacked(scene, reading) if isinstance(scene, str) else open_bands(scene, reading)
    try:
        return checked(source, reading)
    except GeoadaptError:
        source.close()
        raise
