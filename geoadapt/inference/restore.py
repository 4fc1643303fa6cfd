"""A stack of one place without its clouds: every date, its composites, and what is needed to trust them.

In: the paths of one stack, and a method. Out: files as ``restore_outputs`` makes them, ``manifest.jsonl``,
``run.json``, and how it ended. A finished stack is skipped; one that was killed goes on at the block where it was.
"""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from geoadapt import __version__
from geoadapt.config import InferConfig
from geoadapt.errors import GeoadaptError
from geoadapt.inference.folder import hold, make_ready, write_run
from geoadapt.inference.machine import limited_threads
from geoadapt.inference.predict import ItemResult
from geoadapt.inference.restore_block import BlockJob, layers_of
from geoadapt.inference.restore_blocks import Looker, plan_blocks, restore_blocks
from geoadapt.inference.restore_method import DateRestorer, Method
from geoadapt.inference.restore_outputs import RestoredFiles, write_outputs
from geoadapt.inference.restore_radar import Heard
from geoadapt.inference.restore_rasters import Plan
from geoadapt.inference.restore_room import check_stack_room, stack_settings
from geoadapt.inference.restore_store import Store
from geoadapt.inference.restore_where import Stack, check_apart, chosen_dates, inputs_of, safe_name
from geoadapt.io.manifest import Manifest, config_hash, describe, input_stamp
from geoadapt.words import counted

__all__ = ["StackJob", "block_job", "margin_of", "restore_stack"]

_FORMAT = 1
"""Changes when the same configuration would write other files."""
_TOLD = 6
"""Dates and months that a note names."""
_LOOK = 400
"""Longer side of a quick-look's pictures [px]."""

Opener = Callable[[], Stack]
Progress = Callable[[str, int, int], None]
_USED = ("tile", "overlap", "keep_clear", "composites", "zarr", "animation", "scale", "compress", "cloud_buffer")
"""Fields of the configuration that change what is written."""


@dataclass(frozen=True, slots=True)
class StackJob:
    """What is asked of one stack: ``source`` says in words what it is, ``dates`` which are restored, "" = all.

    ``how``: plain data of how it was opened, such as masks and grid; they are part of what keeps outputs valid.
    """

    paths: tuple[str, ...]
    open: Opener
    method: Method
    output: Path
    config: InferConfig
    dates: str = ""
    how: Mapping[str, Any] = field(default_factory=dict)
    masks: tuple[str, ...] = ()
    """Further files that are read: a change of any makes the outputs stale, as one of ``paths`` does."""
    masked: bool = False
    """A model makes the masks of what is read."""

    def plain(self) -> dict[str, Any]:
        """What makes two runs one."""
        config = asdict(self.config)
        told = {name: config[name] for name in _USED}
        return {**told, **self.how, "dates": self.dates, "method": self.method.name, "format": _FORMAT}


def restore_stack(
    job: StackJob,
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: Progress | None = None,
    verify: bool = False,
    command: str = "",
) -> ItemResult:
    """Restore one stack; what goes wrong with it is in the result, which lists it as failed.

    Raises GeoadaptError before any computation where the output folder cannot be used.
    """
    began = time.time()
    check_apart(job.output, job.paths)
    make_ready(job.output)
    result = ItemResult(Path(job.paths[0]).name, ", ".join(job.paths), "failed")
    with hold(job.output), limited_threads(threads):
        try:
            _try(job, result, device, progress, verify)
        finally:
            result.seconds = time.time() - began
            name, digest = job.method.name, job.method.sha256
            write_run(job.output, [result], 1, job.plain(), name, digest, command, began, items="stacks")
    return result


def block_job(job: StackJob, times: Any) -> BlockJob:
    """What is made of every block of a stack with these dates; raises GeoadaptError for dates that it lacks."""
    config = job.config
    wanted = chosen_dates(job.dates, times)
    return BlockJob(wanted, tuple(config.composites), config.keep_clear, config.scale and job.method.learned)


def margin_of(job: StackJob) -> int:
    """Pixels that are read around a block and thrown away after: half the overlap where a model restores or masks."""
    return job.config.overlap // 2 if job.method.learned or job.masked else 0


def _try(job: StackJob, result: ItemResult, device: str, progress: Progress | None, verify: bool) -> None:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with job.open() as source:
                # Masks lie beside scenes, and what a STAC item names lies anywhere: all that is read counts.
                stamp = input_stamp(inputs_of(dict.fromkeys((*job.paths, *job.masks, *source.info.files))))
                result.name = safe_name(source.info.name)
                result.counts = {"dates": len(source.info.times), "left_out": len(source.info.left_out)}
                _finish_or_skip(job, source, result, stamp, device, progress, verify)
        told = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
        told = [text for text in told if not text.endswith(tuple(result.notes) or ("\0",))]
        result.notes = tuple(dict.fromkeys([*result.notes, *told]))
    except GeoadaptError as error:
        result.error = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a stack meets is told and listed, with its place
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        result.error = f"{result.source}: {type(error).__name__}: {error} ({place})"


def _finish_or_skip(
    job: StackJob,
    source: Stack,
    result: ItemResult,
    stamp: tuple[int, int],
    device: str,
    progress: Progress | None,
    verify: bool,
) -> None:
    manifest, config, digest = Manifest(job.output), config_hash(job.plain()), job.method.sha256
    entries = {entry.kind: entry for entry in manifest.item(result.name, config, digest)}
    whole = "collection" in entries and manifest.finished(result.name, config, digest, stamp, verify=verify)
    if whole and not job.config.overwrite:
        result.status = "skipped"
        result.files = {kind: _whole(job.output / entry.path) for kind, entry in entries.items()}
        return
    made, notes = _run(job, source, result.name, stamp, device, progress)
    common = {"config": config, "bundle": digest, "source": result.source, "stamp": stamp, "item": result.name}
    manifest.append(
        describe(job.output, path, kind=kind, **common)  # type: ignore[arg-type]
        for kind, path in _every_file(made.files)
    )
    result.status, result.files, result.pixels, result.notes = "done", made.files, made.pixels, tuple(notes)


def _run(
    job: StackJob,
    source: Stack,
    name: str,
    stamp: tuple[int, int],
    device: str,
    progress: Progress | None,
) -> tuple[RestoredFiles, list[str]]:
    info, config, notes = source.info, job.config, list[str]()
    blocks = plan_blocks(info.height, info.width, config.tile, margin_of(job))
    made_of = block_job(job, info.times)
    margin, heard = margin_of(job), source.heard if isinstance(source, Heard) else None
    check_stack_room(info, made_of, config, job.output, learned=job.method.learned, margin=margin, heard=heard)
    method = job.method
    restorer = DateRestorer(method, tuple(info.bands), batch=config.batch, device=device, note=notes.append)
    looker = Looker(info, made_of.wanted, _LOOK)
    tags = {"SOFTWARE": "geoadapt", "METHOD": method.name, "STACK": info.name}
    plan = Plan(info, job.output / name, made_of, tags, config.compress)
    key = {**job.plain(), "bundle": method.sha256, "input": stamp, "times": [str(t) for t in info.times]}
    store = Store(job.output / f".{name}.work", key, plan.cube(), layers_of(made_of), config.tile)
    done = len(store.done)
    if done:
        notes.append(f"{done} of {len(blocks)} blocks were there from a run that was stopped")

    def told() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(f"{name}: blocks", done, len(blocks))

    if margin:
        # Windows that overlap gain nothing from squares that GDAL keeps, which of 40 files take hundreds of MB.
        source.keep_open(0)
    try:
        todo = [block for block in blocks if block.index not in store.done]
        with rasterio.Env(**stack_settings(info)):
            clipped = restore_blocks(source, store, todo, made_of, restorer, looker, told=told)
            made = write_outputs(
                plan,
                store,
                blocks,
                looker,
                zarr=config.zarr,
                animation=config.animation,
                derived_from=job.paths,
                processing={"software": {"geoadapt": __version__}, "lineage": f"{method.name} on {info.name}"},
                told=None if progress is None else lambda n, of: progress(f"{name}: rasters", n, of),
            )
    except Exception:
        # What an error left is of no use to a later run: the input will be another then, or the disk is full.
        store.remove()
        raise
    store.remove()
    if clipped:
        notes.append(f"{clipped} values beyond ±3.2767 were cut to it")
    return made, [*notes, *_told_pixels(made.pixels, list(info.notes)), *_told_dates(info.times, job, made.hidden)]


def _told_pixels(pixels: Mapping[str, int], notes: Sequence[str]) -> list[str]:
    total = sum(pixels.values())
    if pixels["unknown"]:
        share = pixels["unknown"] / total
        return [
            *notes,
            f"{share:.1%} of all dates' pixels stay nodata: no date shows them clearly, or too little to say",
        ]
    return list(notes)


def _told_dates(times: Any, job: StackJob, hidden: Sequence[str]) -> list[str]:
    """The dates that show nothing clearly, whatever stands in their place, and the months without a composite."""
    told = []
    if hidden:
        told.append(f"{counted(len(hidden), 'date')} without a clear pixel: {_some(hidden)}")
    months = times.astype("datetime64[M]")
    empty = np.setdiff1d(np.arange(months[0], months[-1]), months)
    if empty.size and "monthly" in job.config.composites:
        told.append(f"no composite of {counted(empty.size, 'month')} without a date: {_some([*map(str, empty)])}")
    return told


def _some(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - _TOLD
    return ", ".join(names[:_TOLD]) + (f" and {more} more" if more > 0 else "")


def _every_file(files: Mapping[str, Path]) -> list[tuple[str, Path]]:
    """Kinds and files; of a store every file in it."""
    found = []
    for kind, path in files.items():
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found += [(kind, each) for each in inside]
    return found


def _whole(path: Path) -> Path:
    """The store that a file belongs to, or the file."""
    return next((parent for parent in path.parents if parent.suffix == ".zarr"), path)
