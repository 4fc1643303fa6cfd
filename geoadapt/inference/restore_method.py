"""What restores: a model's bundle or a composite, and how it is asked for several dates of one block at once.

In: a series (t, c, h, w) of one block. Out: for each wanted date an image (c, h, w), NaN where there is nothing to say,
and its expected absolute error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.restorer import Restored, Restorer
from geoadapt.fields.series import Series
from geoadapt.inference.base import Note
from geoadapt.inference.forward import out_of_memory
from geoadapt.inference.restore_dates import DateBatches
from geoadapt.inference.restore_memory import give_back
from geoadapt.inference.restore_pack import BY_COMPOSITE, BY_MODEL
from geoadapt.inference.restore_scan import SCANS, scan

__all__ = ["MEDIAN", "DateRestorer", "Method", "composite_method", "model_method"]

BUDGET = 128 * 2**20
"""Bytes of the dates that a model is given at once, several blocks of them where they are few."""
MEDIAN = "temporal_median"
TRIM = 4
"""After so many batches what they left free is given back: their pieces of all sizes tear holes into the heap."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to restore, by the name and hash that its outputs carry."""

    name: str
    build: Callable[[tuple[str, ...]], Restorer]
    """The restorer for these bands."""
    sha256: str = ""
    channels: tuple[str, ...] | None = None
    """Bands that it must have; None = it takes any."""
    multiple: int = 1
    """Sides that it takes are multiples of this [px]."""
    learned: bool = True
    """False for composites, which look at one pixel at a time and need no surroundings."""
    radar: tuple[str, ...] = ()
    """Channels of the radar that it must be given, where it was trained with some."""


def composite_method(name: str) -> Method:
    """The composite ``name`` of ``geoadapt.baselines.composites``; raises GeoadaptError for an unknown one."""
    from geoadapt.baselines.composites import COMPOSITES, build_composite

    if name not in COMPOSITES:
        raise GeoadaptError("--method", f"'{name}' is unknown", nearest(name, COMPOSITES))
    return Method(name, lambda channels: build_composite(name, channels), learned=False)


def model_method(model: Any) -> Method:
    """What ``load_restorer`` gives, as a method."""
    return Method(
        model.name,
        lambda channels: model,
        model.sha256,
        tuple(model.channels),
        model.multiple,
        radar=tuple(getattr(model, "radar", ())),
    )


class DateRestorer:
    """Asks a method for dates of blocks, as many at once as memory allows."""

    def __init__(
        self,
        method: Method,
        channels: tuple[str, ...],
        *,
        batch: int = 8,
        device: torch.device | str = "cpu",
        note: Note | None = None,
    ) -> None:
        """``batch``: dates at once at most."""
        self._restorer = method.build(channels)
        if tuple(self._restorer.channels) != tuple(channels):
            raise GeoadaptError(
                method.name, f"takes {list(self._restorer.channels)}", f"the stack has {list(channels)}"
            )
        self._method, self._device, self._batch, self._note = method, device, batch, note

    @property
    def rule(self) -> str | None:
        """The composite that it is, where it is one."""
        return None if self._method.learned else self._method.name

    @property
    def flag(self) -> int:
        """What stands in ``_source.tif`` where it restored."""
        return BY_MODEL if self._method.learned else BY_COMPOSITE

    def restore(self, series: Series, dates: Sequence[int]) -> Iterator[tuple[int, Floats, Floats | None]]:
        """Of each of ``dates`` its position, image and scale (c, h, w)."""
        if self.rule in SCANS:
            seen = series.clear[:, None] & np.isfinite(series.values)
            for date, image in scan(str(self.rule), series.values, seen, series.times, dates):
                yield date, image, None
            return
        padded = DateBatches(_padded(series, self._method.multiple))
        height, width = series.values.shape[2:]
        waiting, turn = list(dates), 0
        while waiting:
            turn += 1
            if turn % TRIM == 0:
                give_back()
            chosen = waiting[: self._at_once(padded)]
            restored = self._try(padded, chosen)
            if restored is None:
                continue
            waiting = waiting[len(chosen) :]
            scales = None if restored.scale is None else restored.scale.float().cpu().numpy()
            for place, (date, image) in enumerate(zip(chosen, restored.image.float().cpu().numpy(), strict=True)):
                scale = None if scales is None else scales[place, :, :height, :width]
                yield date, image[:, :height, :width], scale

    def _at_once(self, held: DateBatches) -> int:
        # Of every sample a batch holds values as float32 and a mask.
        return max(1, min(self._batch, BUDGET // max(1, 5 * held.series.values.size)))

    def _try(self, held: DateBatches, dates: Sequence[int]) -> Restored | None:
        """What the method says; None where memory did not suffice and fewer dates are to be tried."""
        try:
            batch = held.batch(dates)
            with torch.inference_mode():
                restored = self._restorer.restore(batch.to(self._device))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            self._shrink(len(dates), error)
            return None
        held.used(batch)
        expected = (len(dates), *held.series.values.shape[1:])
        if tuple(restored.image.shape) != expected:
            raise GeoadaptError(
                self._method.name, f"gave an image of shape {tuple(restored.image.shape)}", f"expected {expected}"
            )
        return restored

    def _shrink(self, tried: int, error: Exception) -> None:
        if tried <= 1:
            raise GeoadaptError(
                self._method.name, "does not fit into memory even with one date", "choose a smaller infer.tile"
            ) from error
        self._batch = tried // 2
        if self._note:
            self._note(f"out of memory with {tried} dates at once; going on with {self._batch}")


def _padded(series: Series, multiple: int) -> Series:
    """The series with missing pixels below and to the right, so that its sides are multiples of ``multiple``."""
    height, width = series.values.shape[2:]
    pad = ((0, 0), (0, -height % multiple), (0, -width % multiple))
    if not any(sum(each) for each in pad):
        return series
    values = np.pad(series.values, ((0, 0), *pad), constant_values=np.float32(np.nan))
    radar = series.radar
    if radar is not None:
        radar = replace(radar, values=np.pad(radar.values, ((0, 0), *pad), constant_values=np.float32(np.nan)))
    return replace(series, values=values, clear=np.pad(series.clear, pad), radar=radar)
