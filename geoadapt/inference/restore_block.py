"""One block of a stack: its dates restored, its composites, as they are stored.

In: all dates of a block, with a margin where a model wants to see its surroundings. Out: by layer the packed arrays of
the block without its margin. A pixel that no date shows clearly is nodata, whatever a model makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.baselines.composites_archive import masked_median
from geoadapt.fields.series import Series
from geoadapt.inference.restore_composites import composite_parts
from geoadapt.inference.restore_method import MEDIAN, DateRestorer
from geoadapt.inference.restore_pack import NODATA, OBSERVED, SOURCES, STEP, UNKNOWN, pack, pack_error
from geoadapt.io.zarr_cube import Layer

__all__ = ["BlockJob", "Parts", "fill_block", "layers_of"]

Parts = dict[str, NDArray[np.generic]]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BlockJob:
    """What is made of every block."""

    wanted: tuple[int, ...]
    """Positions of the dates that are restored."""
    composites: tuple[str, ...] = ()
    """Of ``median``, ``best_pixel`` and ``monthly``."""
    keep_clear: bool = True
    scale: bool = True


def layers_of(job: BlockJob) -> list[Layer]:
    """The layers that ``fill_block`` may give; ``expected_error`` only of models that know one."""
    reflectance = {"dtype": "int16", "nodata": NODATA, "scale": STEP, "banded": True}
    found = [
        Layer("clear", "reflectance without clouds", lead="time", **reflectance),  # type: ignore[arg-type]
        Layer("source", "where a value comes from", "uint8", lead="time", categories=SOURCES),
    ]
    if job.scale:
        title = "expected absolute error of what was restored [reflectance]"
        found.append(Layer("expected_error", title, "uint16", UNKNOWN, STEP, "time", banded=True))
    if job.composites:
        found.append(Layer("count", "dates that are clear", "uint16"))
    if "median" in job.composites:
        found.append(Layer("median", "median of the clear dates", **reflectance))  # type: ignore[arg-type]
    if "best_pixel" in job.composites:
        title = "the clear observation nearest to the median"
        found.append(Layer("best_pixel", title, **reflectance))  # type: ignore[arg-type]
        found.append(Layer("best_pixel_day", "its date [days since 1970-01-01]", "uint16", UNKNOWN))
    if "monthly" in job.composites:
        title = "median of the month's clear dates"
        found.append(Layer("monthly_median", title, lead="month", **reflectance))  # type: ignore[arg-type]
        found.append(Layer("monthly_count", "dates of the month that are clear", "uint16", lead="month"))
    return found


def fill_block(series: Series, inner: tuple[slice, slice], job: BlockJob, restorer: DateRestorer) -> tuple[Parts, int]:
    """The parts of the block ``inner`` of ``series``, by layer, and how many values did not fit into their type."""
    values, clear = series.values[..., *inner], series.clear[..., *inner]
    seen = clear[:, None] & np.isfinite(values)
    known = np.asarray(seen.any(axis=0))
    middle = None
    if "median" in job.composites:
        middle = masked_median(values, seen)
    parts, clipped = composite_parts(values, clear, middle, series.times, job.composites)
    images = _images(series, inner, _to_restore(seen, known, job), restorer, middle)
    clear_, source, error, more = _restored(values, seen, known, job, restorer.flag, images)
    parts |= {"clear": clear_, "source": source}
    if error is not None:
        parts["expected_error"] = error
    return parts, clipped + more


Image = tuple[int, Floats, Floats | None]


def _to_restore(seen: Bools, known: Bools, job: BlockJob) -> list[int]:
    """The wanted dates with a pixel that is to be made anew, and that other dates know."""
    if not job.keep_clear:
        return list(job.wanted) if known.any() else []
    return [date for date in job.wanted if (known & ~seen[date]).any()]


def _images(
    series: Series, inner: tuple[slice, slice], dates: Sequence[int], restorer: DateRestorer, middle: Floats | None
) -> Iterator[Image]:
    if restorer.rule == MEDIAN and middle is not None:
        # All dates share one median, and the composite is it.
        yield from ((date, middle, None) for date in dates)
        return
    for date, image, scale in restorer.restore(series, dates):
        yield date, image[:, *inner], None if scale is None else scale[:, *inner]


def _restored(
    values: Floats, seen: Bools, known: Bools, job: BlockJob, flag: int, images: Iterator[Image]
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.uint16] | None, int]:
    """Clear images (n, c, h, w), their sources (n, h, w), their errors (n, c, h, w), and how many values were cut."""
    shape = (len(job.wanted), *values.shape[1:])
    out, source = np.full(shape, NODATA, np.int16), np.zeros((shape[0], *shape[2:]), np.uint8)
    error: NDArray[np.uint16] | None = None
    place = {date: index for index, date in enumerate(job.wanted)}
    clipped = 0
    for date, index in place.items():
        out[index], beyond = pack(np.where(seen[date], values[date], np.float32(np.nan)))
        source[index][seen[date].any(axis=0)] = OBSERVED
        clipped += beyond
    last: Floats | None = None
    for date, image, scale in images:
        if image is not last:
            # A composite may give one image for all dates.
            packed, beyond = pack(image)
            told, last = known & np.isfinite(image), image
        taken = told & ~seen[date] if job.keep_clear else told
        clipped += beyond and pack(np.where(taken, image, np.float32(np.nan)))[1]
        np.copyto(out[place[date]], packed, where=taken)
        source[place[date]][taken.any(axis=0)] = flag
        if scale is not None and job.scale:
            error = np.full(shape, UNKNOWN, np.uint16) if error is None else error
            error[place[date]] = pack_error(np.where(taken, scale, np.float32(np.nan)))
    return out, source, error, clipped
