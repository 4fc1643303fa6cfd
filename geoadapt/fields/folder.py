"""Labelled scenes in a folder of one's own: images beside label rasters of the same name, or beside polygons.

In: ``root/images/NAME.tif`` (or a folder per scene), and ``root/labels/NAME.tif`` or one vector file with classes.
Out: a Dataset, split by scene where test scenes are named, else by spatial blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from geoadapt.cubes.bands import COMMON_NAMES
from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA
from geoadapt.cubes.scene import open_scene
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.config import FolderConfig
from geoadapt.fields.scenes import BlockSplit, Dataset, LabelledScene, MappedLabels, choose_test, split_blocks
from geoadapt.io.arrays import ArraySource
from geoadapt.io.base import Source, SourceInfo, Window
from geoadapt.io.paths import as_path
from geoadapt.io.raster import RasterSource
from geoadapt.io.vectors import rasterise

__all__ = ["build", "metres"]

RASTERS = (".tif", ".tiff", ".jp2", ".png", ".vrt", ".img", ".nc")
VECTORS = (".gpkg", ".geojson", ".json", ".fgb", ".shp")
LAND_COVER = "land_cover"
"""The tag of an image that tells what it lies over, in a word: ``gdal_edit -mo land_cover=forest``."""
STRIP = 1024
"""Rows read at once while looking which labels occur."""


def build(config: FolderConfig, seed: int = 0) -> Dataset:
    """The scenes under ``config.root``; raises GeoadaptError for a scene without labels, or grids that differ."""
    root = as_path(config.root)
    images = _images(root / config.images)
    labels = root / config.labels
    train, test = choose_test(list(images), config.test, config.train, "data.test")
    names = [*train, *test]
    opened = {name: open_scene(images[name], sensor=config.sensor) for name in names}
    channels = _channels(config.channels, {name: source.info for name, source in opened.items()})
    table = {str(key): value for key, value in config.classes.items()}
    _check_classes(table.values())
    scenes: dict[str, LabelledScene] = {}
    for name in names:
        image = open_scene(images[name], sensor=config.sensor, channels=channels)
        opened[name].close()
        label = _labels(labels, name, image.info, table, config.class_column)
        told = image.info.tags.get(LAND_COVER) or None
        scenes[name] = LabelledScene(name, image, label, (), metres(image.info), land_cover=told)
    classes = tuple(sorted(set(table.values()) - {NODATA})) or _occurring(list(scenes.values()))
    scenes = {name: replace(scene, classes=classes) for name, scene in scenes.items()}
    sides = {
        name: split_blocks(*scenes[name].shape, config.block, _fractions(config), seed + index)
        for index, name in enumerate(train)
    }
    return Dataset(
        name="folder",
        channels=channels,
        train=tuple(scenes[n] for n in train),
        test=tuple(scenes[n] for n in test),
        train_blocks=_side(sides, "train"),
        val_blocks=_side(sides, "val"),
        test_blocks=_side(sides, "test"),
        note=f"{root.name}: train {train}, test {test or 'spatial blocks of the training scenes'}",
    )


def _side(sides: Mapping[str, Mapping[str, BlockSplit]], side: str) -> dict[str, BlockSplit]:
    return {name: split[side] for name, split in sides.items() if side in split}


def _fractions(config: FolderConfig) -> dict[str, float]:
    test = 0.0 if config.test else config.test_fraction
    return {"test": test, "val": config.val_fraction, "train": 1 - config.val_fraction - test}


def _images(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        beside = sorted(p.name for p in folder.parent.iterdir())[:8] if folder.parent.is_dir() else []
        raise GeoadaptError(folder, "is no folder", f"set data.root and data.images; found {beside or 'nothing'}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in RASTERS):
            continue
        name = path.stem if path.is_file() else path.name
        if name in found:
            raise GeoadaptError(path, f"and {found[name].name} are both called '{name}'", "rename one of them")
        found[name] = path
    if not found:
        listing = sorted(p.name for p in folder.iterdir())[:5]
        raise GeoadaptError(folder, f"no image among {listing or 'no files'}", f"expected {', '.join(RASTERS)}")
    return found


def _channels(wanted: Sequence[str], scenes: Mapping[str, SourceInfo]) -> tuple[str, ...]:
    for name, info in scenes.items():
        for channel in wanted:
            if channel not in info.bands:
                raise GeoadaptError(info.origin, f"'{name}' has no band '{channel}'", nearest(channel, info.bands))
    first = next(iter(scenes.values()))
    shared = [b for b in first.bands if all(b in info.bands for info in scenes.values())]
    chosen = tuple(wanted) or tuple(b for b in shared if b in COMMON_NAMES)
    if not chosen:
        found = {name: list(info.bands) for name, info in scenes.items()}
        raise GeoadaptError(
            "data.channels", f"the scenes share no named band: {found}", "name the bands, or data.sensor"
        )
    return chosen


def _check_classes(values: object) -> None:
    known = {c.value for c in CLOUD_CLASSES} | {NODATA}
    odd = sorted(set(values) - known)  # type: ignore[call-overload]
    if odd:
        raise GeoadaptError("data.classes", f"maps to {odd}", f"expected classes of the task: {sorted(known)}")


def _labels(labels: Path, name: str, info: SourceInfo, table: Mapping[str, int], column: str) -> Source:
    if labels.suffix.lower() in VECTORS:
        if info.crs is None or info.transform is None:
            raise GeoadaptError(
                info.origin, "is not georeferenced, so polygons have no place in it", "use label rasters"
            )
        place: dict[str, object] = {"crs": info.crs, "transform": info.transform}
        drawn = _draw(labels, column, table, info.crs, info.transform, info.height, info.width)
        return ArraySource(drawn[None], ("class",), nodata=NODATA, origin=str(labels), **place)  # type: ignore[arg-type]
    found = [p for p in sorted(labels.glob(f"{_escape(name)}.*")) if p.suffix.lower() in RASTERS]
    if not found:
        raise GeoadaptError(labels, f"no label raster called '{name}'", "give every image a label of the same name")
    raster = RasterSource(found[0])
    _same_grid(raster.info, info, found[0])
    return MappedLabels(raster, _numbers(table) if table else {c.value: c.value for c in CLOUD_CLASSES})


def _numbers(table: Mapping[str, int]) -> dict[int, int]:
    try:
        return {int(key): value for key, value in table.items()}
    except ValueError as error:
        raise GeoadaptError(
            "data.classes", f"label rasters hold numbers, not {list(table)}", "write {0: 0, 4: 1} with their values"
        ) from error


def _draw(
    path: Path, column: str, table: Mapping[str, int], crs: CRS, transform: Affine, height: int, width: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    names = {c.name: c.value for c in CLOUD_CLASSES} | {str(c.value): c.value for c in CLOUD_CLASSES}
    return rasterise(
        path, column, dict(table) or names, crs=crs, transform=transform, height=height, width=width, fill=NODATA
    )


def _escape(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _same_grid(label: SourceInfo, image: SourceInfo, path: Path) -> None:
    if (label.height, label.width) != (image.height, image.width):
        found, wanted = f"{label.height}×{label.width}", f"{image.height}×{image.width}"
        raise GeoadaptError(path, f"has {found} px, its image {wanted}", "bring labels to the image's grid")
    if label.transform and image.transform and not label.transform.almost_equals(image.transform, 1e-3):
        raise GeoadaptError(path, "lies on another grid than its image", "bring labels to the image's grid")


def metres(info: SourceInfo) -> float | None:
    """Ground resolution of a projected image [m], None for any other."""
    if info.crs is None or info.transform is None or not info.crs.is_projected:
        return None
    return float(abs(info.transform.a)) * float(info.crs.linear_units_factor[1])


def _occurring(scenes: Sequence[LabelledScene]) -> tuple[int, ...]:
    seen = np.zeros(256, bool)
    for scene in scenes:
        if scene.label is None:
            seen[0] = True
            continue
        height, width = scene.shape
        for row in range(0, height, STRIP):
            window = Window(row, 0, min(STRIP, height - row), width)
            seen[np.unique(np.asarray(scene.label.read(window, [0]), np.uint8))] = True
    seen[NODATA] = False
    return tuple(int(v) for v in np.flatnonzero(seen))
