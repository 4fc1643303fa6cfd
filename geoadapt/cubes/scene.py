"""One place, one date, all wanted bands under common names on one grid, read by window.

In: a raster file, a folder with one file per band, a SAFE product, a Landsat folder, a STAC item, a store.
Out: a Source whose ``info`` turns raw numbers into reflectance 0–1 (thermal bands into kelvin).
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geoadapt.cubes.area import Area, window_of
from geoadapt.cubes.bands import COMMON_NAMES, REFLECTIVE, common_name, match
from geoadapt.cubes.checks import check_reflectance, offset_doubt, sample, zero_corners
from geoadapt.cubes.dates import time_in_name
from geoadapt.cubes.find import RASTER_SUFFIXES, find_scenes, rasters_beside, rasters_in
from geoadapt.cubes.grid import one_grid
from geoadapt.cubes.sensors import SENSORS, Sensor, sensor_in_tags, sensor_named
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.base import Source, SourceInfo
from geoadapt.io.gdal import local_file
from geoadapt.io.listing import BandFile, SceneFiles
from geoadapt.io.raster import RasterSource
from geoadapt.io.safe import is_safe
from geoadapt.io.stac import is_stac, read_stac
from geoadapt.io.stack import CropSource, SelectSource, StackSource
from geoadapt.io.zarr_read import StoreSource, is_store
from geoadapt.words import counted

__all__ = ["Reading", "open_files", "open_scene", "scenes_at"]

UNITS = ("auto", "reflectance", "raw")
RESAMPLING = ("nearest", "bilinear", "cubic", "average")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a scene is to be read; what each part means is said at ``open_scene``."""

    sensor: str | None = None
    channels: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    scale: float | None = None
    offset: float | None = None
    units: str = "auto"
    zero_is_nodata: str = "auto"
    resolution: float | None = None
    resampling: str = "nearest"
    allow_external: bool = False

    def __post_init__(self) -> None:
        """Raise GeoadaptError for a word that is none of the choices."""
        choices = {"units": UNITS, "zero_is_nodata": ("auto", "yes", "no"), "resampling": RESAMPLING}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise GeoadaptError(name, f"'{getattr(self, name)}' is unknown", nearest(getattr(self, name), known))
        if self.sensor is not None:
            sensor_named(self.sensor)


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


def scenes_at(path: str | os.PathLike[str], reading: Reading) -> list[SceneFiles | str]:
    """What lies at ``path``: scenes with one file per band, or paths of stacked rasters and stores."""
    name = os.fspath(path)
    file = local_file(name)
    if file is None:
        return [name]
    if not file.exists():
        raise GeoadaptError(name, "does not exist", "check the path")
    if is_stac(file):
        return list(read_stac(file, allow_external=reading.allow_external))
    if is_store(file):
        return [name]
    if not file.is_dir() or is_safe(file):
        return list(find_scenes(file, reading.sensor)) or [name]
    return _inside(file, reading) or _below(file, reading) or [str(p) for p in _stacked(file)]


def _inside(folder: Path, reading: Reading) -> list[SceneFiles | str]:
    """The scenes of a folder with one file per band, and the rasters beside them: none is passed over silently."""
    scenes = find_scenes(folder, reading.sensor)
    return [*scenes, *(str(p) for p in rasters_beside(folder, scenes))] if scenes else []


def _below(folder: Path, reading: Reading) -> list[SceneFiles | str]:
    """The scenes of a folder that holds no raster itself but products in folders of their own."""
    if rasters_in(folder):
        return []
    found: list[SceneFiles | str] = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        if is_store(path):
            found.append(str(path))
        elif is_safe(path):
            found += find_scenes(path, reading.sensor)
        else:
            found += _inside(path, reading) or [str(p) for p in rasters_in(path)]
    return found


def open_files(scene: SceneFiles | str, reading: Reading) -> Source:
    """The Source of one scene; raises GeoadaptError where its bands, scale or grid cannot be told."""
    source = _open_stacked(scene, reading) if isinstance(scene, str) else _open_bands(scene, reading)
    try:
        return _checked(source, reading)
    except GeoadaptError:
        source.close()
        raise


def _stacked(folder: Path) -> list[Path]:
    files = rasters_in(folder)
    if not files:
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise GeoadaptError(
            folder, f"holds no raster (*{', *'.join(RASTER_SUFFIXES)}); found {held}", "give a folder of images"
        )
    return files


def _open_stacked(path: str, reading: Reading) -> Source:
    """A file that holds all bands, its bands named by itself, by ``names`` or by the sensor."""
    file = local_file(path)
    if file is not None and is_store(file):
        store = StoreSource(file)
        chosen, stand_ins = _chosen(store.info.bands, reading, path, everything=True)
        return _select(store, chosen, _rescaled(store.info, reading, None), store.info.bands, reading, stand_ins)
    source = RasterSource(path, allow_external=reading.allow_external, time=time_in_name(Path(path).name))
    if source.info.dtype.kind == "c":
        source.close()
        raise GeoadaptError(path, f"holds complex numbers ({source.info.dtype})", "give the amplitude or the phase")
    try:
        names, said = _stacked_names(source.info, reading)
        chosen, stand_ins = _chosen(names, reading, path, everything=True)
    except GeoadaptError:
        source.close()
        raise
    sensor = None if reading.sensor is None else sensor_named(reading.sensor)
    info = _rescaled(source.info, reading, sensor)
    if sensor is not None and info.nodata is None and info.dtype.kind in "iu":
        info = replace(info, nodata=sensor.nodata)
    own = sensor_in_tags(info.tags)
    info = replace(info, sensor=reading.sensor or (own if own in SENSORS else None))
    return _select(source, chosen, info, names, reading, [*said, *stand_ins, *_dated(info, path)])


def _dated(info: SourceInfo, path: str) -> list[str]:
    """A sentence on the date where only the file's own tags tell it, which may be when it was written."""
    if info.time is None or time_in_name(Path(path).name) is not None:
        return []
    return [f"the date {info.time:%Y-%m-%d} is the file's own tag"]


def _rescaled(info: SourceInfo, reading: Reading, sensor: Sensor | None) -> SourceInfo:
    """What the caller says of scale and offset, else what the file says, else what the sensor is defined with."""
    count = len(info.bands)
    if reading.scale is not None or reading.offset is not None:
        scale = info.scale if reading.scale is None else (reading.scale,) * count
        offset = info.offset if reading.offset is None else (reading.offset,) * count
        return replace(info, scale=scale, offset=offset)
    if sensor is not None and sensor.scale is not None and not info.scale and info.dtype.kind in "iu":
        return replace(info, scale=(sensor.scale,) * count, offset=(sensor.offset,) * count)
    return info


def _stacked_names(info: SourceInfo, reading: Reading) -> tuple[list[str], list[str]]:
    """The names of a stacked file's bands, and a sentence on where they come from if not from the file."""
    if reading.names is not None:
        if len(reading.names) != len(info.bands):
            raise GeoadaptError(
                info.origin, f"has {counted(len(info.bands), 'band')}, names were given for {len(reading.names)}"
            )
        return [common_name(n) or n for n in reading.names], ["bands are named as the caller said"]
    if reading.sensor is not None and all(n.startswith("band_") for n in info.bands):
        return _names_of(sensor_named(reading.sensor), info)
    table = None if reading.sensor is None else sensor_named(reading.sensor).bands
    names = [_known(n, table) for n in info.bands]
    return (names if len(set(names)) == len(names) else list(info.bands)), []


def _known(name: str, table: dict[str, str] | None) -> str:
    if table is not None and name.upper() in table:
        return table[name.upper()]
    return common_name(name) or name


def _names_of(sensor: Sensor, info: SourceInfo) -> tuple[list[str], list[str]]:
    """The sensor's own order, where the number of bands leaves no doubt (Level-2A lacks the cirrus band)."""
    order = list(dict.fromkeys(sensor.bands.values()))
    if sensor.name in ("sentinel2", "sentinel2_l2a") and len(info.bands) == len(order) - 1:
        order.remove("cirrus")
    if len(order) != len(info.bands):
        raise GeoadaptError(
            info.origin,
            f"has {counted(len(info.bands), 'unnamed band')}, {sensor.name} has {len(order)}: {order}",
            "name them: names=blue,green,…",
        )
    return order, [f"bands are named in the order of {sensor.name}"]


def _chosen(
    names: Sequence[str], reading: Reading, where: str, *, everything: bool = False
) -> tuple[list[int], list[str]]:
    """Positions of the wanted bands; without a wish all, or of a product with many files all reflective ones."""
    if reading.channels is not None:
        return match(reading.channels, names, where)
    if everything:
        return list(range(len(names))), []
    order = {name: i for i, name in enumerate(COMMON_NAMES)}
    positions = [i for i, n in enumerate(names) if n in REFLECTIVE]
    if not positions:
        positions = list(range(len(names)))
    return sorted(positions, key=lambda i: (order.get(names[i], len(order)), i)), []


def _select(
    source: Source, chosen: Sequence[int], info: SourceInfo, names: Sequence[str], reading: Reading, said: Sequence[str]
) -> Source:
    """The chosen bands of a source, under the wanted names."""
    picked = replace(
        info,
        bands=reading.channels if reading.channels is not None else tuple(names[i] for i in chosen),
        scale=tuple(info.scale[i] for i in chosen) if info.scale else (),
        offset=tuple(info.offset[i] for i in chosen) if info.offset else (),
    )
    return _said(SelectSource(source, chosen, picked), said)


def _open_bands(scene: SceneFiles, reading: Reading) -> Source:
    """A scene with one file per band, brought to one grid."""
    names = [b.common or b.name for b in scene.bands]
    chosen, said = _chosen(names, reading, scene.origin)
    wanted = [scene.bands[i] for i in chosen]
    final = list(reading.channels) if reading.channels is not None else [names[i] for i in chosen]
    described = Counter(band.path for band in scene.bands)
    sources = [_open_band(b, reading, described[b.path]) for b in wanted]
    try:
        parts, how = one_grid(sources, reading.resolution, reading.resampling)
        info = _common_info(scene, parts, final, reading)
    except GeoadaptError:
        for source in sources:
            source.close()
        raise
    dated = [] if scene.time is not None else _dated(info, "")
    return _said(StackSource([(p, 0) for p in parts], info), [*said, *how, *dated])


def _open_band(band: BandFile, reading: Reading, described: int) -> RasterSource:
    """One band of a scene; raises GeoadaptError where its file holds more bands than the ``described`` ones."""
    scale = band.scale if reading.scale is None else reading.scale
    offset = band.offset if reading.offset is None else reading.offset
    source = RasterSource(
        band.path,
        [band.index],
        [band.common or band.name],
        scale=None if scale is None else [scale],
        offset=None if offset is None and scale is None else [offset or 0.0],
        nodata=band.nodata,
        allow_external=reading.allow_external,
    )
    if source.stored > described:
        source.close()
        raise GeoadaptError(
            band.path,
            f"holds {counted(source.stored, 'band')}, but is taken for the band '{band.name}' alone",
            "open the file by itself, with names=… for its bands",
        )
    return source


def _common_info(scene: SceneFiles, parts: list[Source], names: list[str], reading: Reading) -> SourceInfo:
    infos = [p.info for p in parts]
    dtype = np.result_type(*(i.dtype for i in infos))
    declared = [i.nodata for i in infos if i.nodata is not None]
    if dtype.kind == "f" and any(i.dtype.kind != "f" for i in infos) and declared:
        declared = [float("nan")]
    nodata = declared[0] if declared else None
    scale = tuple(i.scale[0] if i.scale else 1.0 for i in infos)
    offset = tuple(i.offset[0] if i.offset else 0.0 for i in infos)
    return replace(
        infos[0],
        origin=scene.origin,
        bands=tuple(names),
        dtype=dtype,
        nodata=nodata,
        scale=() if all(s == 1.0 for s in scale) else scale,
        offset=() if all(o == 0.0 for o in offset) else offset,
        time=scene.time or (infos[0].time if len({i.time for i in infos}) == 1 else None),
        sensor=reading.sensor or scene.sensor,
        tags={**scene.tags, **_placed_by(infos[0])},
    )


def _placed_by(info: SourceInfo) -> dict[str, str]:
    """How the first band is placed where that is not by a transform, and in which file it says so."""
    if info.transform is not None or "georeference" not in info.tags:
        return {}
    return {"georeference": info.tags["georeference"], "georeference_file": info.origin}


def _checked(source: Source, reading: Reading) -> Source:
    """The source with its doubts said, or an error where it cannot be what is asked for."""
    info, said = source.info, []
    if reading.zero_is_nodata == "yes" and info.nodata is None:
        source = _retold(source, replace(info, nodata=0.0))
    elif reading.zero_is_nodata == "auto" and info.nodata is None and zero_corners(source):
        said.append(
            "a border is all zero but no nodata is declared: "
            "say zero_is_nodata=yes (infer.zero_is_nodata=yes) if it is missing"
        )
    optical = [b for b in info.bands if common_name(b) in REFLECTIVE]
    if reading.units == "reflectance" and not optical:
        raise GeoadaptError(
            info.origin,
            f"bands {list(info.bands)} are no optical bands",
            "name them with names=…, sensor=… or --sensor …",
        )
    if reading.units == "raw" or not optical:
        if not optical:
            said.append(
                f"bands {list(info.bands)} are not known as reflectance: values are kept as the file declares them"
            )
        return _said(source, said, units="raw")
    taken = sample(source)
    said += check_reflectance(source.info, taken)
    if reading.sensor is None and info.sensor == "sentinel2" and info.scale and not sensor_in_tags(info.tags):
        said.append("scale 0.0001 and offset 0 are Sentinel-2's by its names alone: no metadata were found")
    # A file that names its sensor itself declares its scale and offset too.
    told = info.sensor != sensor_in_tags(info.tags) or not info.scale
    if told and (info.sensor or "").startswith("sentinel2") and "processing_baseline" not in info.tags:
        doubt = offset_doubt(info, taken)
        said += [doubt] if doubt else []
    return _said(source, said, units="reflectance")


def _retold(source: Source, info: SourceInfo) -> Source:
    return SelectSource(source, range(len(info.bands)), info)


def _said(source: Source, sentences: Sequence[str], units: str | None = None) -> Source:
    """The source with sentences added to ``info.tags['notes']``; with units, each is also a Python warning."""
    tags = dict(source.info.tags)
    notes = [n for n in (tags.get("notes", ""), *sentences) if n]
    if notes:
        tags["notes"] = "; ".join(notes)
    if units is not None:
        tags["units"] = units
        for sentence in sentences:
            warnings.warn(f"{source.info.origin}: {sentence}", stacklevel=4)
    return _retold(source, replace(source.info, tags=tags)) if tags != source.info.tags else source
