"""A scene with one file per band, the wanted ones brought to one grid.

In: ``SceneFiles`` and a ``Reading``. Out: a Source of the wanted bands under common names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from geoadapt.cubes.grid import one_grid
from geoadapt.cubes.reading import Reading, chosen_bands
from geoadapt.cubes.scene_notes import date_note, with_notes
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo
from geoadapt.io.listing import BandFile, SceneFiles
from geoadapt.io.raster import RasterSource
from geoadapt.io.stack import StackSource
from geoadapt.words import counted

__all__ = ["open_bands"]


def open_bands(scene: SceneFiles, reading: Reading) -> Source:
    """A scene with one file per band, brought to one grid."""
    names = [b.common or b.name for b in scene.bands]
    chosen, said = chosen_bands(names, reading, scene.origin)
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
    dated = [] if scene.time is not None else date_note(info, "")
    return with_notes(StackSource([(p, 0) for p in parts], info), [*said, *how, *dated])


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
