"""GEO-Bench-2's data sets, and simulated stand-ins for them, as labelled samples.

In: a configuration that names a data set and a folder. Out: a SampleSet with the published split, read on demand.

What the benchmark's documents leave open about the files (stored units, names of columns) is assumed as its table in
``cubes.geobench2_table`` lists it, said in the note, and checked where it can be: values against their units, bands
against their number, classes against the benchmark's. None of it has been seen on the published files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geoadapt.cubes.geobench2 import Layout2, Modality, layout_of
from geoadapt.errors import GeoadaptError
from geoadapt.fields.geobench2_config import EVERY, Geobench2Config, Geobench2StandinConfig
from geoadapt.fields.geobench2_images import called, piece_of
from geoadapt.fields.geobench2_records import Record, records_under
from geoadapt.fields.geobench2_targets import class_names, find_label, find_mask, map_of, target_of
from geoadapt.fields.samples import Labelled, Layout, OnDemand, Piece, SampleSet, Target
from geoadapt.io.paths import as_path
from geoadapt.io.tortilla import Item

__all__ = ["build"]

GROUPS = ("group", "aoi", "location", "region", "site", "country", "tile", "grid", "patch_id")
"""Columns that say which samples lie together; without any, every sample is a place of its own."""
LATITUDES, LONGITUDES = ("lat", "latitude"), ("lon", "longitude", "lng")
POINT = re.compile(r"POINT\s*\(\s*([-+.\deE]+)\s+([-+.\deE]+)\s*\)")
SIMULATED = "simulated"
"""A column of ours: stand-ins say so in every row."""


@dataclass(frozen=True)
class _Reader:
    """One split, each sample read when it is asked for."""

    records: Sequence[Record]
    layout: Layout2
    inputs: tuple[Modality, ...]
    names: tuple[str, ...]
    config: Geobench2Config

    def sample(self, index: int) -> Labelled:
        """One of the records as a sample."""
        record = self.records[index]
        rasters = record.rasters
        masks = [self._mask(record, rasters)] if self.layout.mapped else []
        images = [raster for raster in rasters if raster not in masks]
        pieces = {modality.input: self._piece(record, images, modality) for modality in self.inputs}
        return Labelled(
            name=record.name,
            inputs=pieces,
            target=self._target(record, rasters, masks, pieces),
            group=_group(record),
            latlon=_latlon(record.row),
            resolution=self.layout.resolution,
            sensor=self.layout.sensor,
        )

    def _mask(self, record: Record, rasters: Sequence[Item]) -> Item:
        own = self.config.rasters.get("label")
        return find_mask(record, rasters, (own.lower(),) if own else (*self.layout.labels, "label"))

    def _piece(self, record: Record, rasters: Sequence[Item], modality: Modality) -> Piece:
        own = self.config.rasters.get(modality.input)
        words = (own.lower(),) if own else (modality.input, *modality.files)
        found = called(rasters, words) or (list(rasters) if len(rasters) == 1 and not own else [])
        if not found:
            names = ", ".join(f"{raster.name} ({raster.row.get('modality', '-')})" for raster in rasters)
            problem = f"has no raster called {' or '.join(words)}: it holds {names}"
            raise GeoadaptError(record.name, problem, f"say data.rasters={{{modality.input}: NAME}}")
        scale = self.config.scale.get(modality.input, modality.scale)
        return piece_of(found, modality, _dates(self.config, modality), scale)

    def _target(
        self, record: Record, rasters: Sequence[Item], masks: Sequence[Item], pieces: Mapping[str, Piece]
    ) -> Any:
        if not self.layout.mapped:
            value = find_label(record, rasters, _columns(self.config, self.layout))
            return target_of(value, self.layout, self.names, record.name)
        found = map_of(masks[0], self.layout, self.config.classes)
        size = pieces[self.inputs[0].input].values.shape[-2:]
        if found.shape != size:
            raise GeoadaptError(masks[0], f"has {found.shape} px, its image {size}", "download it again")
        return found


def build(config: Geobench2Config, seed: int = 0) -> SampleSet:
    """The data set of ``config.dataset`` with its own split; ``seed`` changes nothing.

    Raises GeoadaptError that says what to download, or what was expected and found.
    """
    if config.dataset == EVERY:
        raise GeoadaptError("data.dataset", "names every stand-in", "name one to train on: data.dataset=so2sat")
    layout = layout_of(config.dataset)
    root = as_path(config.root)
    root = root / layout.key if isinstance(config, Geobench2StandinConfig) else root
    records = records_under(root, layout)
    inputs = _chosen(config, layout)
    every = [record for part in records.values() for record in part]
    names = class_names(every, layout, _columns(config, layout))
    simulated = any(record.row.get(SIMULATED) for record in every)
    readers = {split: _Reader(part, layout, inputs, names, config) for split, part in records.items()}
    parts = {split: OnDemand(len(one.records), one.sample) for split, one in readers.items()}
    return SampleSet(
        name=f"{layout.key} (SIMULATED)" if simulated else layout.key,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        target=Target(layout.kind, names, layout.unit),
        layout=Layout(
            {modality.input: modality.used for modality in inputs},
            {modality.input: _dates(config, modality) for modality in inputs},
        ),
        note=_note(layout, inputs, {split: len(part) for split, part in records.items()}, simulated),
        simulated=simulated,
        licence=layout.licence,
        units={modality.input: _units(modality) for modality in inputs},
    )


def _chosen(config: Geobench2Config, layout: Layout2) -> tuple[Modality, ...]:
    known = [modality.input for modality in layout.inputs]
    odd = [name for name in config.inputs if name not in known]
    if odd:
        raise GeoadaptError("data.inputs", f"{layout.key} has no {odd[0]}", f"choose from {', '.join(known)}")
    return tuple(modality for modality in layout.inputs if not config.inputs or modality.input in config.inputs)


def _dates(config: Geobench2Config, modality: Modality) -> int:
    """How many are read at most; what has one date keeps it."""
    return config.dates if config.dates and modality.dates > 1 else modality.dates


def _columns(config: Geobench2Config, layout: Layout2) -> tuple[str, ...]:
    return (config.label,) if config.label else (*layout.labels, "label")


def _units(modality: Modality) -> str:
    """Brightness stands where reflectance is read, as in other data sets of pictures; the note says so."""
    return "reflectance" if modality.units == "brightness" else modality.units


def _note(layout: Layout2, inputs: Sequence[Modality], counts: Mapping[str, int], simulated: bool) -> str:
    found, published = tuple(counts.values()), layout.splits
    made = "SIMULATED stand-in, no real data, in the shape of " if simulated else ""
    words = [f"{made}GEO-Bench-2's {layout.title}: {found[0]:,} train, {found[1]:,} validate, {found[2]:,} test"]
    if found != published and not simulated:
        words.append(f"published are {published[0]:,}, {published[1]:,} and {published[2]:,}")
    if any(modality.units == "brightness" for modality in inputs):
        words.append("optical values are brightness, 0 to 1, and no reflectance")
    assumed = [f"{m.input}: {m.assumed}" for m in inputs if m.assumed] + ([layout.assumed] if layout.assumed else [])
    if assumed:
        words.append(f"assumed, as no document says it: {'; '.join(assumed)}")
    return "; ".join(words) + "."


def _group(record: Record) -> str:
    return next((str(record.row[name]) for name in GROUPS if record.row.get(name) is not None), record.name)


def _latlon(row: Mapping[str, Any]) -> tuple[float, float] | None:
    latitude, longitude = (
        next((row[n] for n in names if row.get(n) is not None), None) for names in (LATITUDES, LONGITUDES)
    )
    if latitude is not None and longitude is not None:
        return float(latitude), float(longitude)
    found = POINT.search(str(row.get("stac:centroid", "")))
    return (float(found[2]), float(found[1])) if found else None
