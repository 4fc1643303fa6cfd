"""The files of one scene's prediction: labels, probabilities, instability, STAC item, quick-look, tile scores.

In: a source, a bundle and a configuration. Out: the files, each whole or absent, and what was counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from torch import Tensor

from geoadapt.config import InferConfig
from geoadapt.cubes.classes import NODATA
from geoadapt.inference.base import Note, Product, SegmentationBundle, StreamCounts, StreamOptions
from geoadapt.inference.disagreement import pair_weights
from geoadapt.inference.doubt import DOUBT_SCALE, DoubtProduct, TileDoubts
from geoadapt.inference.products import PROBABILITY_SCALE, LabelProduct, ProbabilityProduct
from geoadapt.inference.propose import write_scores
from geoadapt.inference.settings import check_room, gdal_settings, resolution_metres
from geoadapt.inference.stream import stream
from geoadapt.io.base import Source, SourceInfo
from geoadapt.io.gdal import quiet
from geoadapt.io.geotiff import CogSink, RasterSpec
from geoadapt.io.qgis import write_style
from geoadapt.io.stac_write import COG, OutputAsset, OutputItem, write_item
from geoadapt.report.quicklook import colour_labels, rgb, write_png

__all__ = ["Made", "kinds", "make_outputs", "planes"]

_LOOK = 768
"""Longer side of the quick-look's pictures [px]."""


@dataclass(slots=True)
class Made:
    """What one scene gave: its files by kind, and how many pixels each class got."""

    files: dict[str, Path] = field(default_factory=dict)
    counts: StreamCounts = field(default_factory=StreamCounts)
    pixels: dict[str, int] = field(default_factory=dict)


def kinds(config: InferConfig, *, tile_scores: bool = False) -> set[str]:
    """The kinds of files that a scene gives."""
    wanted = {"probabilities": config.probabilities, "instability": config.instability, "tiles": tile_scores}
    return {"labels", "style", "quicklook", "item", *(kind for kind, asked in wanted.items() if asked)}


def planes(config: InferConfig, classes: int) -> int:
    """Bands of all the rasters that a scene gives."""
    return 1 + classes * config.probabilities + config.instability


def make_outputs(
    source: Source,
    bundle: SegmentationBundle,
    stem: Path,
    config: InferConfig,
    *,
    device: torch.device,
    threads: int | None = None,
    processing: Mapping[str, Any] | None = None,
    progress: Callable[[float], None] | None = None,
    note: Note | None = None,
    tile_scores: bool = False,
) -> Made:
    """Run ``bundle`` over ``source`` and write ``<stem>_labels.tif`` and what belongs to it.

    With ``tile_scores`` also ``<stem>_tiles.csv``: how doubtful each tile is, for ``propose``.
    """
    info = source.info
    options = StreamOptions(len(bundle.classes), config.tile, config.overlap, config.batch, bundle.multiple, device)
    stem.parent.mkdir(parents=True, exist_ok=True)
    bands = planes(config, len(bundle.classes))
    check_room(info, options, stem.parent, bands, disagreement=config.instability or tile_scores)
    if note and config.instability and not _overlaps(info, config):
        note("no pixel of it lies in two tiles, so its instability is unknown everywhere: choose a smaller infer.tile")
    if note and info.transform is None and info.tags.get("georeference") == "rpcs":
        note("it is placed by RPCs, which its outputs do not carry: they have its pixels but no place")
    made = Made()
    look = _Look(info)
    with rasterio.Env(**gdal_settings(info, threads)), ExitStack() as stack:
        sinks = {"labels": stack.enter_context(CogSink(_named(stem, "labels"), _label_spec(info, bundle, config)))}
        labels = LabelProduct(
            sinks["labels"],
            bundle.classes,
            threshold=config.threshold,
            buffer=config.cloud_buffer,
            thin=config.thin_cloud,
            taps=[look.labels],
        )
        products: list[Product] = [labels]
        if config.probabilities:
            path = _named(stem, "probabilities")
            sinks["probabilities"] = stack.enter_context(CogSink(path, _probability_spec(info, bundle, config)))
            products.append(ProbabilityProduct(sinks["probabilities"]))
        if config.instability:
            path = _named(stem, "instability")
            sinks["instability"] = stack.enter_context(CogSink(path, _instability_spec(info, bundle, config)))
            products.append(DoubtProduct(sinks["instability"]))
        tiles = TileDoubts(info.height, info.width, config.tile)
        if tile_scores:
            products.append(tiles)
        scores = _scores(bundle, info)
        made.counts = stream(source, scores, products, options, taps=[look.values], progress=progress, note=note)
        for kind, sink in sinks.items():
            made.files[kind] = sink.commit()
    made.pixels = {c.name: int(labels.counts[c.value]) for c in bundle.classes}
    made.files["style"] = write_style(made.files["labels"], bundle.classes)
    made.files["quicklook"] = look.write(stem.with_name(stem.name + "_quicklook.png"), bundle)
    if tile_scores:
        made.files["tiles"] = write_scores(stem.with_name(stem.name + "_tiles.csv"), tiles.scores())
    item = _item(info, bundle, stem, made, processing or {})
    made.files["item"] = write_item(item, stem.with_name(stem.name + ".json"))
    return made


class _Look:
    """Collects every n-th pixel of the image and of its labels while they stream by."""

    def __init__(self, info: SourceInfo) -> None:
        self._step = max(1, -(-max(info.height, info.width) // _LOOK))
        self._channels = info.bands
        self._values: list[NDArray[np.float32]] = []
        self._labels: list[NDArray[np.uint8]] = []

    def values(self, row: int, values: NDArray[np.float32], valid: NDArray[np.bool_] | None) -> None:
        """Take rows of the image; called in the reader's thread."""
        picked = values[:, self._first(row) :: self._step, :: self._step].copy()
        if valid is not None:
            picked[~valid[:, self._first(row) :: self._step, :: self._step]] = np.nan
        self._values.append(picked)

    def labels(self, row: int, labels: NDArray[np.uint8]) -> None:
        """Take rows of labels; called in the writer's thread."""
        self._labels.append(labels[self._first(row) :: self._step, :: self._step].copy())

    def write(self, path: Path, bundle: SegmentationBundle) -> Path:
        """The image and its labels side by side, or one above the other where the scene is wide."""
        image = rgb(np.concatenate(self._values, axis=1), self._channels)
        labels = colour_labels(np.concatenate(self._labels), bundle.classes)
        axis = 0 if image.shape[1] > 1.5 * image.shape[0] else 1
        shape = [*image.shape]
        shape[axis] = 6
        gap = np.full(shape, 255, np.uint8)
        return write_png(path, np.concatenate([image, gap, labels], axis=axis))

    def _first(self, row: int) -> int:
        return -row % self._step


def _scores(bundle: SegmentationBundle, info: SourceInfo) -> Callable[[Tensor, Tensor | None], Tensor]:
    resolution = resolution_metres(info)

    def scores(values: Tensor, valid: Tensor | None) -> Tensor:
        return bundle.scores(values, valid, time=info.time, resolution=resolution, sensor=info.sensor)

    return scores


def _overlaps(info: SourceInfo, config: InferConfig) -> bool:
    """Whether any pixel lies in two tiles; without an overlap the last ones still do, pushed inwards."""
    return any(pair_weights(n, config.tile, config.overlap).any() for n in (info.height, info.width))


def _named(stem: Path, kind: str) -> Path:
    return stem.with_name(f"{stem.name}_{kind}.tif")


def _label_spec(info: SourceInfo, bundle: SegmentationBundle, config: InferConfig) -> RasterSpec:
    crs, gcps = _ground_points(info)
    return RasterSpec(
        info.height,
        info.width,
        crs=crs,
        transform=info.transform,
        gcps=gcps,
        nodata=NODATA,
        names=("label",),
        categories=bundle.classes,
        tags=_tags(info, bundle),
        compress=config.compress,
    )


def _probability_spec(info: SourceInfo, bundle: SegmentationBundle, config: InferConfig) -> RasterSpec:
    names = tuple(c.name for c in bundle.classes)
    plain = replace(_label_spec(info, bundle, config), categories=())
    return replace(plain, count=len(names), names=names, scale=PROBABILITY_SCALE)


def _instability_spec(info: SourceInfo, bundle: SegmentationBundle, config: InferConfig) -> RasterSpec:
    plain = replace(_label_spec(info, bundle, config), categories=())
    tags = plain.tags | {"NODATA_MEANS": "no valid pixel, or only one tile lies here and nothing is known"}
    return replace(plain, names=("instability",), scale=DOUBT_SCALE, tags=tags)


def _ground_points(info: SourceInfo) -> tuple[CRS | None, tuple[GroundControlPoint, ...]]:
    """The CRS of the output, and the source's ground control points where it is placed by them."""
    if info.transform is not None or info.tags.get("georeference") != "gcps":
        return info.crs, ()
    try:
        with quiet(), rasterio.open(info.tags.get("georeference_file", info.origin)) as dataset:
            points, crs = dataset.gcps
    except RasterioError:
        return info.crs, ()
    if not crs or dataset.shape != (info.height, info.width):
        return info.crs, ()
    return crs, tuple(points)


def _tags(info: SourceInfo, bundle: SegmentationBundle) -> dict[str, str]:
    tags = {"SOFTWARE": "geoadapt", "BUNDLE": bundle.name, "SOURCE": Path(info.origin).name}
    return tags | ({"DATETIME_OF_SCENE": info.time.isoformat()} if info.time else {})


def _item(
    info: SourceInfo, bundle: SegmentationBundle, stem: Path, made: Made, processing: Mapping[str, Any]
) -> OutputItem:
    classes = tuple(bundle.classes)
    names = tuple(c.name for c in classes)
    assets = [OutputAsset("labels", made.files["labels"], COG, ("data",), "Labels", "uint8", NODATA, classes=classes)]
    if "probabilities" in made.files:
        path = made.files["probabilities"]
        assets.append(
            OutputAsset(
                "probabilities", path, COG, ("data",), "Probabilities", "uint8", NODATA, PROBABILITY_SCALE, bands=names
            )
        )
    if "instability" in made.files:
        path, title = made.files["instability"], "Instability: how far apart overlapping tiles' probabilities are"
        assets.append(
            OutputAsset(
                "instability", path, COG, ("data",), title, "uint8", NODATA, DOUBT_SCALE, bands=("instability",)
            )
        )
    if "tiles" in made.files:
        title = "How doubtful each tile is"
        assets.append(OutputAsset("tiles", made.files["tiles"], "text/csv", ("metadata",), title))
    assets.append(OutputAsset("quicklook", made.files["quicklook"], "image/png", ("thumbnail",), "Quick-look"))
    assets.append(OutputAsset("style", made.files["style"], "text/xml", ("metadata",), "QGIS style"))
    known = sum(made.pixels.values())
    cover = {f"geoadapt:fraction_{n}": round(count / known, 6) for n, count in made.pixels.items()} if known else {}
    where = getattr(bundle, "path", None)
    origins = [info.origin, *([] if where is None else [str(where)])]
    return OutputItem(
        stem.name,
        info.height,
        info.width,
        tuple(assets),
        crs=info.crs,
        transform=info.transform,
        time=info.time,
        derived_from=origins,
        processing=processing,
        properties=cover,
    )
