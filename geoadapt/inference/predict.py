"""A folder of scenes through a bundle: every scene tried, none computed twice, none lost silently.

In: scenes and a bundle. Out: per scene a labels COG and what belongs to it; in the output folder ``manifest.jsonl``
and ``run.json``; and one result per scene, failed ones with their error.
"""

from __future__ import annotations

import hashlib
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rasterio.crs import CRS

from geoadapt import __version__
from geoadapt.config import InferConfig
from geoadapt.cubes.area import window_of
from geoadapt.cubes.classes import ClassInfo
from geoadapt.cubes.clip import clip
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.scene import open_files
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import SegmentationBundle
from geoadapt.inference.folder import hold, make_ready, write_run
from geoadapt.inference.machine import limited_threads
from geoadapt.inference.outputs import Made, kinds, make_outputs
from geoadapt.inference.products import class_index
from geoadapt.inference.scenes import Scene, find_all
from geoadapt.io.base import Source
from geoadapt.io.manifest import Manifest, config_hash, describe, input_stamp
from geoadapt.io.stack import CropSource
from geoadapt.io.vectors import read_area

__all__ = ["ItemResult", "check_classes", "open_part", "predict"]

_FORMAT = 1
"""Changes when the same configuration would write other files."""

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class ItemResult:
    """How one scene ended: ``status`` is done, skipped (finished before) or failed."""

    name: str
    source: str
    status: str
    files: dict[str, Path] = field(default_factory=dict)
    """By kind: labels, probabilities, instability, style, quicklook, item, tiles."""
    error: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    counts: dict[str, Any] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=dict)
    """Pixels per class."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What all scenes of one call share."""

    bundle: SegmentationBundle
    output: Path
    config: InferConfig
    bbox: tuple[float, ...] | None
    aoi: Path | None
    sensor: str | None
    device: torch.device
    threads: int | None
    config_hash: str
    bundle_hash: str
    progress: Progress | None
    tile_scores: bool


def predict(
    scenes: Sequence[str | Path],
    bundle: SegmentationBundle,
    output: Path,
    config: InferConfig,
    *,
    bbox: Sequence[float] | None = None,
    aoi: str | Path | None = None,
    sensor: str | None = None,
    bundle_hash: str = "",
    device: str = "cpu",
    threads: int | None = None,
    progress: Progress | None = None,
    verify: bool = False,
    command: str = "",
    tile_scores: bool = False,
) -> list[ItemResult]:
    """Run ``bundle`` over every scene; a failed one never stops the others and is listed with its error.

    Args:
        scenes: files, folders, products or glob patterns.
        bundle: what ``load_bundle`` gives.
        output: a folder; the scenes' relative paths are kept in it.
        config: tiles, threshold, buffer and what to write.
        bbox: only this (west, south, east, north) [degrees].
        aoi: only what lies inside the polygons of this vector file; the rest of their rectangle is nodata.
        sensor: where names and metadata do not tell.
        bundle_hash: part of what makes an earlier output still valid; empty takes the bundle's own.
        device: where the bundle's model is.
        threads: torch's threads; None leaves them.
        progress: told the scene, its rows done, and its rows.
        verify: read finished outputs again and compare their sha256.
        command: what was typed, for ``run.json``.
        tile_scores: also write how doubtful each tile is, for ``propose``; a scene that was finished without is run
            again.

    Raises GeoadaptError before any computation where the output folder cannot be used, no scene is found, or ``aoi``
    holds no polygons.
    """
    began = time.time()
    digest = bundle_hash or str(getattr(bundle, "sha256", ""))
    if config.threshold is None:
        config = replace(config, threshold=bundle.threshold)
    check_classes(bundle.classes, config)
    written = Manifest(output).paths()
    found = [s for s in find_all(scenes, sensor, exclude=output) if Path(s.origin).resolve() not in written]
    plain = {**asdict(config), "overwrite": None, "bbox": bbox and list(bbox), "sensor": sensor, "format": _FORMAT}
    if aoi is not None:
        plain["aoi"] = _area_hash(aoi, bbox)
    area = None if bbox is None else tuple(bbox)
    job = _Job(
        bundle,
        output,
        config,
        area,
        None if aoi is None else Path(aoi),
        sensor,
        torch.device(device),
        threads,
        config_hash(plain),
        digest,
        progress,
        tile_scores,
    )
    make_ready(output)
    results: list[ItemResult] = []
    with hold(output), limited_threads(threads):
        manifest = Manifest(output)
        try:
            for scene in found:
                results.append(_one(scene, job, manifest, verify))
        finally:
            write_run(output, results, len(found), plain, bundle.name, digest, command, began)
    return results


def _one(scene: Scene, job: _Job, manifest: Manifest, verify: bool) -> ItemResult:
    begin = time.perf_counter()
    result = ItemResult(scene.name, scene.origin, "failed")
    try:
        if scene.error:
            raise scene.error
        stamp = input_stamp(scene.inputs)
        entries = manifest.item(scene.name, job.config_hash, job.bundle_hash)
        absent = kinds(job.config, tile_scores=job.tile_scores) - {e.kind for e in entries}
        finished = not job.config.overwrite and manifest.finished(
            scene.name, job.config_hash, job.bundle_hash, stamp, verify=verify
        )
        if finished and not absent:
            result.status = "skipped"
            result.files = {e.kind: job.output / e.path for e in entries}
            return result
        made, notes = _run(scene, job)
        if finished and absent == {"tiles"}:
            notes.append("it was finished before, without tile scores, and was run again for them")
        manifest.append(
            describe(
                job.output,
                path,
                config=job.config_hash,
                bundle=job.bundle_hash,
                source=scene.origin,
                stamp=stamp,
                item=scene.name,
                kind=kind,
            )
            for kind, path in made.files.items()
        )
        result.status, result.files, result.notes = "done", made.files, tuple(notes)
        result.counts, result.pixels = asdict(made.counts), made.pixels
    except GeoadaptError as error:
        result.error = str(error)
    except Exception as error:  # noqa: BLE001 - whatever one scene meets, the others go on and this one is listed
        where = traceback.extract_tb(error.__traceback__)[-1]
        result.error = f"{scene.origin}: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    result.seconds = time.perf_counter() - begin
    return result


def _run(scene: Scene, job: _Job) -> tuple[Made, list[str]]:
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reading = Reading(sensor=job.sensor, channels=job.bundle.channels, zero_is_nodata=job.config.zero_is_nodata)
        source = open_part(scene, reading, job.bbox, job.aoi)
        try:
            height = source.info.height
            tell = None if job.progress is None else _told(job.progress, scene.name, height)
            made = make_outputs(
                source,
                job.bundle,
                job.output / scene.name,
                job.config,
                device=job.device,
                threads=job.threads,
                processing={"software": {"geoadapt": __version__}, "lineage": f"{job.bundle.name} on {scene.origin}"},
                progress=tell,
                note=notes.append,
                tile_scores=job.tile_scores,
            )
        finally:
            source.close()
    notes += [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    if made.counts.missing_pixels:
        share = made.counts.missing_pixels / made.counts.pixels
        where = "lack a value in some band" if job.aoi is None else "lie outside the area or lack a value in some band"
        notes.append(f"{made.counts.missing_pixels} px ({share:.1%}) {where} and are nodata")
    return made, notes


def check_classes(classes: Sequence[ClassInfo], config: InferConfig) -> None:
    """Raise GeoadaptError where ``config`` asks for a class that a bundle does not predict."""
    wanted = {"cloud": config.threshold is not None or config.cloud_buffer, "clear": config.cloud_buffer}
    if any(c.name == "thin_cloud" for c in classes) and config.thin_cloud != "keep":
        wanted[config.thin_cloud] = True
    for name in (name for name, asked in wanted.items() if asked):
        class_index(classes, name)


def open_part(scene: Scene, reading: Reading, bbox: Sequence[float] | None, aoi: Path | None) -> Source:
    """What is read of a scene, or of its part inside a box [degrees] or a vector file's polygons.

    Raises GeoadaptError where a band is missing, or the scene does not touch the box or the polygons.
    """
    source = open_files(scene.files, reading)
    try:
        if aoi is not None:
            return clip(source, aoi)
        window = window_of(source.info, bbox, None)
    except GeoadaptError:
        source.close()
        raise
    return source if window is None else CropSource(source, window)


def _area_hash(aoi: str | Path, bbox: Sequence[float] | None) -> str:
    """What makes an output of the same area the same; raises GeoadaptError where ``aoi`` cannot be one."""
    if bbox is not None:
        raise GeoadaptError(aoi, "is given beside bbox", "give one of them")
    shape = read_area(aoi, CRS.from_epsg(4326))
    return hashlib.sha256(shape.normalize().wkb).hexdigest()


def _told(progress: Progress, name: str, height: int) -> Callable[[float], None]:
    return lambda fraction: progress(name, round(fraction * height), height)
