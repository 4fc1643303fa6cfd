"""What a path is: which files hold which bands of which scene, found from metadata and names before pixels are read.

In: a file, a folder, a SAFE product, a Landsat folder. Out: ``SceneFiles``, one per scene.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from geoadapt.cubes.bands import common_name
from geoadapt.cubes.dates import time_in_name
from geoadapt.cubes.sensors import SENSORS, Sensor, sensor_band, sensor_named
from geoadapt.errors import GeoadaptError
from geoadapt.io.landsat import band_scales, find_mtl, landsat_sensor, read_mtl
from geoadapt.io.listing import BandFile, SceneFiles
from geoadapt.io.safe import is_safe, read_safe

__all__ = [
    "RASTER_SUFFIXES",
    "find_scenes",
    "group_files",
    "group_scenes",
    "name_bands",
    "rasters_beside",
    "rasters_in",
    "rasters_without_band",
]

RASTER_SUFFIXES: tuple[str, ...] = (".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".hdf", ".h5", ".nc")

_NUMBERED = r"(?:SR_|ST_)?B(?:\d{1,2}|8A)(?:_VCID_\d)?"
_NAMED = r"coastal|aerosol|blue|green|red|rededge\d*|nir\d*|cirrus|swir\d*|pan|lwir\d*|vv|vh"
_BAND_FILE = re.compile(
    rf"^(?P<prefix>.*?)(?:^|[._-])(?P<band>{_NUMBERED}|{_NAMED})(?P<rest>(?:_(?:toa|sr|boa|10m|20m|60m))*)$", re.I
)
_AUXILIARY = re.compile(
    r"(?:^|[._-])(?:SCL|AOT|WVP|TCI|PVI|PREVIEW|THUMB\w*|CL[MPD]|F?MASK|MSK_\w+|B?QA\w*|ST_[A-Z]+|[SV][AZ]A)(?:_[126]0m)?$",
    re.I,
)
"""Layers that products put beside their bands: classifications, quality flags, angles, previews."""


def find_scenes(path: Path, sensor: str | None = None) -> list[SceneFiles]:
    """The scenes whose bands lie in separate files under ``path``; empty where ``path`` is no such folder.

    One file that is called like a band, beside rasters that are not, is an image by itself: ``rasters_beside`` tells
    those. Raises GeoadaptError where a folder holds no raster, or the sensor of numbered bands is unknown.
    """
    if is_safe(path):
        return [_with_sensor(read_safe(path), sensor)]
    if not path.is_dir():
        return []
    groups = group_files(rasters_in(path), path)
    several = {prefix: bands for prefix, bands in groups.items() if len(bands) > 1}
    claimed = {file for bands in groups.values() for file in bands.values()}
    if _others(rasters_in(path), claimed, several):
        groups = several
    return [_scene(path, prefix, bands, sensor) for prefix, bands in sorted(groups.items())]


def rasters_in(folder: Path) -> list[Path]:
    """The raster files of a folder itself, by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in RASTER_SUFFIXES and p.is_file())


def rasters_beside(folder: Path, scenes: Sequence[SceneFiles]) -> list[Path]:
    """Rasters of a folder that belong to none of its ``scenes``: neither a band of one nor a layer under its name."""
    claimed = {Path(band.path) for scene in scenes for band in scene.bands}
    return _others(rasters_in(folder), claimed, {s.tags.get("scene", "") for s in scenes if len(s.bands) > 1})


def rasters_without_band(folder: Path) -> list[Path]:
    """Rasters of a folder that are images by their names alone, whatever is wrong with the band files beside them."""
    found = {f: band for f in rasters_in(folder) if (band := _BAND_FILE.match(f.stem))}
    return _others(rasters_in(folder), set(found), {band["prefix"].rstrip("._-") for band in found.values()})


def group_scenes(files: list[Path], sensor: str | None = None) -> list[SceneFiles]:
    """The scenes that these files are the single bands of; empty unless every file is one."""
    scenes, taken = [], 0
    for folder in sorted({f.parent for f in files}):
        here = [f for f in files if f.parent == folder]
        groups = group_files(here, folder)
        taken += sum(len(bands) for bands in groups.values())
        scenes += [(folder, prefix, bands) for prefix, bands in sorted(groups.items())]
    if taken < len(files):
        return []
    return [_scene(folder, prefix, bands, sensor) for folder, prefix, bands in scenes]


def group_files(files: list[Path], where: Path) -> dict[str, dict[str, Path]]:
    """Scene prefix → band → file; raises GeoadaptError where two files claim one band."""
    groups: dict[str, dict[str, Path]] = defaultdict(dict)
    for file in files:
        found = _BAND_FILE.match(file.stem)
        if found is None:
            continue
        prefix = found["prefix"].rstrip("._-")
        band = found["band"].upper() if re.match(_NUMBERED, found["band"], re.I) else found["band"].lower()
        other = groups[prefix].get(band)
        if other is not None:
            better = _finer(file, other)
            if better is None:
                raise GeoadaptError(
                    where, f"'{other.name}' and '{file.name}' both claim band {band}", "keep one of them"
                )
            file = better
        groups[prefix][band] = file
    return dict(groups)


def _others(files: Iterable[Path], claimed: set[Path], prefixes: Collection[str]) -> list[Path]:
    """Files that are no band, no coarser copy of one, and no layer under a scene's name or by a product's own word."""
    if not claimed:
        return list(files)
    own = tuple(prefix + mark for prefix in prefixes if prefix for mark in "._-")
    left = [f for f in files if f not in claimed and not _AUXILIARY.search(f.stem) and not f.name.startswith(own)]
    found = [(f, _BAND_FILE.match(f.stem)) for f in left]
    return [f for f, band in found if band is None or band["prefix"].rstrip("._-") not in prefixes]


def name_bands(scene: SceneFiles, sensor: Sensor | None) -> SceneFiles:
    """The same scene with the common name of every band that has one."""
    named = []
    for band in scene.bands:
        own = None if sensor is None else sensor_band(sensor, band.name)
        common = sensor.bands[own] if sensor is not None and own is not None else common_name(band.name)
        named.append(replace(band, common=band.common or common))
    return replace(scene, bands=tuple(named))


def _scene(folder: Path, prefix: str, bands: dict[str, Path], sensor: str | None) -> SceneFiles:
    numbered = [b for b in bands if re.match(_NUMBERED, b)]
    kind = sensor or _sensor_of(folder, prefix, list(bands))
    if numbered and kind is None:
        raise GeoadaptError(
            folder, f"holds bands {sorted(bands)} of an unknown sensor", f"name it: sensor={'|'.join(SENSORS)}"
        )
    product = None if kind is None else sensor_named(kind)
    files = tuple(_band_file(name, file, product) for name, file in bands.items())
    scene = SceneFiles(str(folder), files, kind, time_in_name(prefix) or time_in_name(folder.name), {"scene": prefix})
    if kind is not None and kind.startswith("landsat"):
        scene = _with_mtl(scene, folder, prefix, kind)
    return name_bands(scene, product)


def _band_file(name: str, file: Path, product: Sensor | None) -> BandFile:
    if product is None:
        return BandFile(name, str(file))
    own = sensor_band(product, name)
    # A top-of-atmosphere or surface reflectance file is no longer in the product's own units.
    converted = re.search(r"_toa$|_boa$", file.stem, re.I) is not None
    if own is None or converted:
        return BandFile(name, str(file))
    if own in product.thermal:
        scale, offset = product.thermal[own]
        return BandFile(name, str(file), 0, scale, offset, product.nodata)
    offset_or_none = product.offset if product.scale is not None else None
    return BandFile(name, str(file), 0, product.scale, offset_or_none, product.nodata)


def _with_mtl(scene: SceneFiles, folder: Path, prefix: str, kind: str) -> SceneFiles:
    """The scene with the scaling of its MTL file, where it has one; converted files keep their own units."""
    file = find_mtl(folder, prefix)
    if file is None:
        return scene
    scales, time = band_scales(read_mtl(file), file, level2=kind.endswith("_l2"))
    bands = []
    for band in scene.bands:
        key = band.name.removeprefix("SR_")
        scaled = band.nodata is not None and key in scales
        bands.append(replace(band, scale=scales[key][0], offset=scales[key][1]) if scaled else band)
    return replace(scene, bands=tuple(bands), time=time or scene.time, tags={**scene.tags, "metadata": file.name})


def _sensor_of(folder: Path, prefix: str, bands: list[str]) -> str | None:
    """The sensor that names tell: a Landsat or HLS identifier, or Sentinel-2's own bands under a Sentinel-2 name."""
    hls = re.search(r"HLS\.([LS])30", f"{folder.name} {prefix}", re.I)
    if hls:
        return f"hls_{hls.group(1).lower()}30"
    example = f"{prefix}_{bands[0]}"
    found = landsat_sensor(example) or landsat_sensor(folder.name)
    if found:
        return found
    sentinel = re.search(r"(?:^|[_.-])(?:S2[ABC]?|T\d\d[A-Z]{3}|MSI)(?:[_.-]|$)", f"{prefix}_{folder.name}", re.I)
    return "sentinel2" if sentinel and any(re.match(r"B0\d|B8A|B1[0-2]", b) for b in bands) else None


def _finer(one: Path, other: Path) -> Path | None:
    """Of two files of one band, that with the finer resolution in its name; None if the names do not tell."""
    sizes = [re.search(r"_(10|20|60)m$", p.stem) for p in (one, other)]
    if sizes[0] is None or sizes[1] is None or sizes[0].group(1) == sizes[1].group(1):
        return None
    return one if int(sizes[0].group(1)) < int(sizes[1].group(1)) else other


def _with_sensor(scene: SceneFiles, sensor: str | None) -> SceneFiles:
    return name_bands(scene, sensor_named(sensor or scene.sensor or "sentinel2"))
