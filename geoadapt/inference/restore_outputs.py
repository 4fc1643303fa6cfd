"""The files of a restored stack: rasters, quick-looks, an animation, STAC items with their collection, one GeoZarr.

In: the work store, whole. Out: files, each whole or absent, by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.inference.restore_block import layers_of
from geoadapt.inference.restore_blocks import Block, Looker
from geoadapt.inference.restore_pack import NODATA, OBSERVED, SOURCES, unpack
from geoadapt.inference.restore_rasters import Piece, Plan, date_names, moment, pieces_of, write_raster
from geoadapt.inference.restore_store import Store
from geoadapt.io.stac_collection import write_collection
from geoadapt.io.stac_write import COG, OutputAsset, OutputItem
from geoadapt.io.zarr_cube import Layer
from geoadapt.report.before_after import before_after, write_animation, write_quicklook

__all__ = ["RestoredFiles", "write_outputs"]

TITLES = {
    "clear": "Reflectance without clouds",
    "source": "Where a value comes from",
    "scale": "Expected absolute error of what was restored",
    "count": "Clear dates",
    "day": "Date of the chosen observation [days since 1970-01-01]",
}


@dataclass(slots=True)
class RestoredFiles:
    """What one stack gave: its files by kind, and how many pixels of all its dates come from where."""

    files: dict[str, Path] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=lambda: {info.name: 0 for info in SOURCES})
    hidden: list[str] = field(default_factory=list)
    """Dates of which nothing was observed clearly, where what is clear is kept."""


def write_outputs(
    plan: Plan,
    store: Store,
    blocks: Sequence[Block],
    looker: Looker,
    *,
    zarr: bool,
    animation: bool,
    derived_from: Sequence[str],
    processing: Mapping[str, Any],
    told: Callable[[int, int], None] | None = None,
) -> RestoredFiles:
    """Write everything; ``told`` hears how many rasters are done, of how many."""
    made = RestoredFiles()
    layers = {layer.name: layer for layer in layers_of(plan.job)}
    assets: dict[str, list[OutputAsset]] = {}
    spans = {}
    pieces = list(pieces_of(plan, store))
    for done, piece in enumerate(pieces, 1):
        path, counts = write_raster(piece, layers[piece.layer], plan, store)
        for info, count in zip(SOURCES, counts, strict=True):
            made.pixels[info.name] += int(count)
        if layers[piece.layer].categories and plan.job.keep_clear and not counts[OBSERVED]:
            made.hidden.append(f"{piece.when[0]:%Y-%m-%d}")
        made.files[f"{piece.item}_{piece.kind}"] = path
        assets.setdefault(piece.item, []).append(_asset(piece, layers[piece.layer], path, plan))
        spans[piece.item] = piece.when
        if told:
            told(done, len(pieces))
    _pictures(plan, store, blocks, looker, made, assets, animation=animation)
    if zarr:
        made.files["cube"] = store.publish(_named(plan, "cube.zarr"))
    items = {}
    for name, held in assets.items():
        first, last = spans[name]
        common = {"derived_from": derived_from, "processing": processing}
        apart = {} if first == last else {"start_datetime": _iso(first), "end_datetime": _iso(last)}
        items[plan.stem.with_name(f"{plan.stem.name}_{name}.json")] = OutputItem(
            f"{plan.stem.name}_{name}",
            plan.info.height,
            plan.info.width,
            tuple(held),
            crs=plan.info.crs,
            transform=plan.info.transform,
            time=first if first == last else None,
            properties=apart,
            **common,  # type: ignore[arg-type]
        )
    made.files |= {f"{name}_item": path for name, path in zip(assets, items, strict=True)}
    span = moment(plan.info.times[0]), moment(plan.info.times[-1])
    words = f"{plan.stem.name}: {processing.get('lineage', 'restored')}"
    path = _named(plan, "collection.json")
    made.files["collection"] = write_collection(
        path, plan.stem.name, words, items, span=span, assets=_common(made.files)
    )
    return made


def _pictures(
    plan: Plan,
    store: Store,
    blocks: Sequence[Block],
    looker: Looker,
    made: RestoredFiles,
    assets: dict[str, list[OutputAsset]],
    *,
    animation: bool,
) -> None:
    """A quick-look per date, before and after, and all of them as an animation."""
    names = [date_names(plan.info.times)[date] for date in plan.job.wanted]
    before, after = _looks(store, blocks, looker, len(names))
    pictures = list(before_after(before, after, looker.channels))
    for name, pair in zip(names, pictures, strict=True):
        path = plan.stem.with_name(f"{plan.stem.name}_{name}_quicklook.png")
        made.files[f"{name}_quicklook"] = write_quicklook(path, *pair)
        assets[name].append(OutputAsset("quicklook", path, "image/png", ("thumbnail",), "Before and after"))
    if animation and len(pictures) > 1:
        labels = [f"{moment(plan.info.times[date]):%Y-%m-%d}" for date in plan.job.wanted]
        made.files["animation"] = write_animation(_named(plan, "animation.webp"), pictures, labels)


def _looks(
    store: Store, blocks: Sequence[Block], looker: Looker, dates: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shape = (dates, len(looker.channels), *looker.shape)
    packed = np.full((2, *shape), NODATA, np.int16)
    for block in blocks:
        row, col = looker.place(block)
        for target, part in zip(packed, store.looks(block.index), strict=True):
            target[..., row : row + part.shape[-2], col : col + part.shape[-1]] = part
    return unpack(packed[0]), unpack(packed[1])


def _asset(piece: Piece, layer: Layer, path: Path, plan: Plan) -> OutputAsset:
    return OutputAsset(
        piece.kind,
        path,
        COG,
        ("data",),
        TITLES[piece.kind],
        layer.dtype,
        0 if layer.categories else layer.nodata,
        layer.scale,
        bands=tuple(plan.info.bands) if layer.banded else (piece.kind,),
        classes=layer.categories,
    )


def _common(files: Mapping[str, Path]) -> list[OutputAsset]:
    found = []
    if "cube" in files:
        media = "application/vnd.zarr; version=3"
        found.append(OutputAsset("cube", files["cube"], media, ("data",), "All dates as one GeoZarr"))
    if "animation" in files:
        found.append(OutputAsset("animation", files["animation"], "image/webp", ("overview",), "Before and after"))
    return found


def _named(plan: Plan, what: str) -> Path:
    return plan.stem.with_name(f"{plan.stem.name}_{what}")


def _iso(when: Any) -> str:
    return when.isoformat().replace("+00:00", "Z")  # type: ignore[no-any-return]
