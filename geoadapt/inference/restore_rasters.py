"""The rasters of a restored stack: of each date its clear image, where that comes from, and its expected error.

In: the work store of a stack. Out: COGs with scale, nodata, band names and classes, one after the other, so that no
more than one is open; and how many pixels come from where.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.series import SeriesInfo
from geoadapt.inference.restore_block import BlockJob
from geoadapt.inference.restore_composites import months_of
from geoadapt.inference.restore_pack import SOURCES
from geoadapt.inference.restore_store import Store
from geoadapt.io.base import Window
from geoadapt.io.geotiff import BLOCK, CogSink, RasterSpec
from geoadapt.io.zarr_cube import CubeSpec, Layer

__all__ = ["Piece", "Plan", "date_names", "moment", "pieces_of", "write_raster"]

_WIDE = 2048
"""Width of the pieces that are copied, a multiple of the file's blocks [px]."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the outputs of one stack have in common."""

    info: SeriesInfo
    stem: Path
    """Of every file: the folder and the stack's name."""
    job: BlockJob
    tags: dict[str, str]
    compress: str

    def cube(self) -> CubeSpec:
        """The axes of the store."""
        info = self.info
        months = months_of(info.times)[0] if "monthly" in self.job.composites else None
        times = info.times[list(self.job.wanted)]
        return CubeSpec(info.height, info.width, tuple(info.bands), times, months, info.crs, info.transform)


@dataclass(frozen=True, slots=True)
class Piece:
    """One raster: ``item`` is the date or composite that it belongs to, ``kind`` what it says."""

    item: str
    kind: str
    layer: str
    index: int | None
    when: tuple[datetime, datetime]
    """First and last date that it rests on."""


def pieces_of(plan: Plan, store: Store) -> Iterator[Piece]:
    """All rasters of a stack, date by date, then the composites."""
    info, job = plan.info, plan.job
    names = date_names(info.times)
    for index, date in enumerate(job.wanted):
        when = moment(info.times[date])
        for kind, layer in (("clear", "clear"), ("source", "source"), ("scale", "expected_error")):
            if store.holds(layer):
                yield Piece(names[date], kind, layer, index, (when, when))
    span = moment(info.times[0]), moment(info.times[-1])
    for name in ("median", "best_pixel"):
        if name in job.composites:
            yield Piece(name, "clear", name, None, span)
            yield Piece(name, "count", "count", None, span)
    if "best_pixel" in job.composites:
        yield Piece("best_pixel", "day", "best_pixel_day", None, span)
    if "monthly" in job.composites:
        months, member = months_of(info.times)
        for index, month in enumerate(months):
            inside = info.times[member == index]
            item, when_ = f"{str(month).replace('-', '')}_median", (moment(inside[0]), moment(inside[-1]))
            yield Piece(item, "clear", "monthly_median", index, when_)
            yield Piece(item, "count", "monthly_count", index, when_)


def write_raster(piece: Piece, layer: Layer, plan: Plan, store: Store) -> tuple[Path, NDArray[np.int64]]:
    """Write one COG; returns its path, and how many pixels have each value where it holds classes, else nothing."""
    spec = _spec(piece, layer, plan)
    counts = np.zeros(len(SOURCES), np.int64)
    path = plan.stem.with_name(f"{plan.stem.name}_{piece.item}_{piece.kind}.tif")
    with CogSink(path, spec) as sink:
        for window in _windows(spec.height, spec.width):
            values = store.read(piece.layer, window, piece.index)
            sink.write(window, values)
            if layer.categories:
                counts += np.bincount(values.ravel(), minlength=len(counts))
        return sink.commit(), counts


def date_names(times: NDArray[np.datetime64]) -> list[str]:
    """``YYYYMMDD`` of each date; with the time of day where two are of one day."""
    days = [f"{moment(time):%Y%m%d}" for time in times]
    return [f"{moment(t):%Y%m%dT%H%M%S}" if days.count(day) > 1 else day for t, day in zip(times, days, strict=True)]


def moment(time: np.datetime64) -> datetime:
    """A date as a datetime in UTC."""
    return datetime.fromtimestamp(int(time.astype("datetime64[s]").astype(np.int64)), UTC)


def _spec(piece: Piece, layer: Layer, plan: Plan) -> RasterSpec:
    info = plan.info
    tags = plan.tags | {"TITLE": layer.title}
    first, last = piece.when
    tags |= (
        {"DATETIME_OF_SCENE": first.isoformat()}
        if first == last
        else {"FIRST_DATE": first.isoformat(), "LAST_DATE": last.isoformat()}
    )
    return RasterSpec(
        info.height,
        info.width,
        count=len(info.bands) if layer.banded else 1,
        dtype=layer.dtype,
        crs=info.crs,
        transform=info.transform,
        nodata=0 if layer.categories else layer.nodata,
        names=tuple(info.bands) if layer.banded else (piece.kind,),
        categories=layer.categories,
        scale=layer.scale,
        tags=tags,
        compress=plan.compress,
    )


def _windows(height: int, width: int) -> Iterator[Window]:
    for row in range(0, height, BLOCK):
        for col in range(0, width, _WIDE):
            yield Window(row, col, min(BLOCK, height - row), min(_WIDE, width - col))
