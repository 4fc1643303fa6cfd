"""Radar beside a stack whose clouds are removed: all its dates on the stack's grid, read by the same windows.

In: Sentinel-1 backscatter [dB] of the same place. Out: a stack that is also heard. Which radar image goes with which
date is left to the model, as in training: the one nearest in time, however far that is; how far is told.
"""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geoadapt.cubes.series import SeriesInfo, SeriesSource, open_series
from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Radar
from geoadapt.inference.restore_where import Stack
from geoadapt.io.base import Window

__all__ = ["Heard", "check_radar", "open_heard"]

_SIDE = 256
"""Of the window in the middle whose numbers are looked at [px]."""
_LOOKED = 3
"""Dates of it."""


class Heard:
    """A stack with the radar of the same place."""

    def __init__(self, stack: Stack, radar: SeriesSource) -> None:
        """``radar`` lies on the stack's grid."""
        self._stack, self._radar = stack, radar
        self.info = replace(
            stack.info,
            notes=(*stack.info.notes, _told(stack.info, radar.info), *(f"radar: {n}" for n in radar.info.notes)),
            left_out=(*stack.info.left_out, *radar.info.left_out),
        )

    @property
    def heard(self) -> SeriesInfo:
        """What the radar holds."""
        return self._radar.info

    def read(self, window: Window | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (t, c, h, w), NaN where missing, and what is clear (t, h, w)."""
        return self._stack.read(window)

    def hear(self, window: Window) -> Radar:
        """The radar of a window: values (t, c, h, w) [dB], NaN where missing, on dates of its own."""
        return Radar(self._radar.read(window)[0], self._radar.info.times, self._radar.info.bands)

    def keep_open(self, handles: int) -> None:
        """Keep at most ``handles`` files of either open between windows."""
        self._stack.keep_open(handles)
        self._radar.keep_open(handles)

    def __enter__(self) -> Self:
        """This stack."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the handles of both."""
        self._radar.close()
        self._stack.__exit__(kind, error, trace)


def check_radar(name: str, channels: tuple[str, ...], path: str | None) -> None:
    """Raise GeoadaptError unless radar is given to a bundle that was trained with it, and to no other."""
    if channels and path is None:
        heard = " and ".join(c.upper() for c in channels)
        raise GeoadaptError(
            "infer.radar", f"{name} was trained with radar ({heard}) and is given none", "say infer.radar=FOLDER"
        )
    if path is not None and not channels:
        raise GeoadaptError("infer.radar", f"{name} takes no radar", "leave it out")


def open_heard(stack: Stack, path: str, channels: tuple[str, ...], **how: Any) -> Heard:
    """``stack`` with the radar at ``path``: its bands ``channels`` [dB] on the stack's grid; ``how`` to open it.

    Scenes of one day are a mosaic, as passes come in slices. Raises what ``open_series`` raises, and GeoadaptError
    where the numbers cannot be decibels, or both cannot be brought to one grid.
    """
    grid = _grid(stack.info)
    radar = open_series(
        path,
        bands=channels,
        mask="none",
        units="raw",
        duplicates="mosaic",
        grid="first" if grid is None else grid,
        **how,
    )
    try:
        _check(radar, stack.info, path)
    except GeoadaptError:
        radar.close()
        raise
    return Heard(stack, radar)


def _grid(info: SeriesInfo) -> GeoBox | None:
    if info.transform is None:
        return None
    return GeoBox((info.height, info.width), info.transform, None if info.crs is None else info.crs.to_wkt())


def _check(radar: SeriesSource, stack: SeriesInfo, path: str) -> None:
    info = radar.info
    if (info.height, info.width) != (stack.height, stack.width):
        problem = f"has {info.height} × {info.width} px and no place, the stack {stack.height} × {stack.width} px"
        raise GeoadaptError(path, problem, "georeference both")
    row, col = max(0, (info.height - _SIDE) // 2), max(0, (info.width - _SIDE) // 2)
    window = Window(row, col, min(_SIDE, info.height), min(_SIDE, info.width))
    values, _ = radar.read(window)
    some = values[np.unique(np.linspace(0, len(values) - 1, _LOOKED).astype(int))]
    known = some[np.isfinite(some)]
    if known.size and np.median(known) >= 0:
        low, high = np.percentile(known, (5, 95))
        raise GeoadaptError(
            path,
            f"holds {low:.4g}…{high:.4g}, but backscatter of land is below 0 dB",
            "give decibels, 10·log10 of the power, or files whose scale and offset make them",
        )


def _told(stack: SeriesInfo, radar: SeriesInfo) -> str:
    apart = np.abs(stack.times[:, None] - radar.times[None]).min(1) / np.timedelta64(1, "D")
    return (
        f"radar of {len(radar.times)} dates is given to the model, for each date the nearest in time: "
        f"{np.median(apart):.1f} days away in the median, {apart.max():.1f} at most"
    )
