"""A scene in one file that holds all its bands: what they are called, and how raw numbers become values.

In: a raster file or a store, and a ``Reading``. Out: a Source of the wanted bands under common names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from geoadapt.cubes.bands import common_name
from geoadapt.cubes.dates import time_in_name
from geoadapt.cubes.reading import Reading, chosen_bands
from geoadapt.cubes.scene_notes import date_note, with_notes
from geoadapt.cubes.sensors import SENSORS, Sensor, sensor_in_tags, sensor_named
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo
from geoadapt.io.gdal import local_file
from geoadapt.io.raster import RasterSource
from geoadapt.io.stack import SelectSource
from geoadapt.io.zarr_read import StoreSource, is_store
from geoadapt.words import counted

__all__ = ["open_stacked"]


def open_stacked(path: str, reading: Reading) -> Source:
    """A file that holds all bands, its bands named by itself, by ``names`` or by the sensor."""
    file = local_file(path)
    if file is not None and is_store(file):
        store = StoreSource(file)
        chosen, stand_ins = chosen_bands(store.info.bands, reading, path, everything=True)
        return _select(store, chosen, _rescaled(store.info, reading, None), store.info.bands, reading, stand_ins)
    source = RasterSource(path, allow_external=reading.allow_external, time=time_in_name(Path(path).name))
    if source.info.dtype.kind == "c":
        source.close()
        raise GeoadaptError(path, f"holds complex numbers ({source.info.dtype})", "give the amplitude or the phase")
    try:
        names, said = _stacked_names(source.info, reading)
        chosen, stand_ins = chosen_bands(names, reading, path, everything=True)
    except GeoadaptError:
        source.close()
        raise
    sensor = None if reading.sensor is None else sensor_named(reading.sensor)
    info = _rescaled(source.info, reading, sensor)
    if sensor is not None and info.nodata is None and info.dtype.kind in "iu":
        info = replace(info, nodata=sensor.nodata)
    own = sensor_in_tags(info.tags)
    info = replace(info, sensor=reading.sensor or (own if own in SENSORS else None))
    return _select(source, chosen, info, names, reading, [*said, *stand_ins, *date_note(info, path)])


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
    return with_notes(SelectSource(source, chosen, picked), said)
