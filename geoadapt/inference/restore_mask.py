"""Masks of a stack by one of our own cloud bundles, in the same pass.

In: all dates of a window (t, c, h, w). Out: what is clear (t, h, w), for ``open_series(mask=…)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from geoadapt.cubes.series import SeriesInfo, open_series
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import SegmentationBundle
from geoadapt.inference.forward import fill_missing
from geoadapt.inference.products import class_index
from geoadapt.inference.restore_rasters import moment
from geoadapt.inference.restore_where import Stack
from geoadapt.io.base import Window

__all__ = ["Masker", "Narrowed", "bundle_masker", "open_masked"]

Masker = Callable[[NDArray[np.float32]], NDArray[np.bool_]]


class Narrowed:
    """The first bands of a stack; the others were read for its masks alone."""

    def __init__(self, stack: Stack, bands: int) -> None:
        self._stack, self._bands = stack, bands
        self.info = replace(stack.info, bands=stack.info.bands[:bands])

    def read(self, window: Window | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (t, c, h, w) of the bands, NaN where missing, and what is clear (t, h, w)."""
        values, clear = self._stack.read(window)
        return values[:, : self._bands], clear

    def keep_open(self, handles: int) -> None:
        """Keep at most ``handles`` files open between windows."""
        self._stack.keep_open(handles)

    def __enter__(self) -> Self:
        """This stack."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the stack's handles."""
        self._stack.__exit__(kind, error, trace)


def open_masked(
    paths: Sequence[str],
    channels: tuple[str, ...] | None,
    bundle: SegmentationBundle,
    *,
    threshold: float | None = None,
    device: torch.device | str = "cpu",
    **how: Any,
) -> Stack:
    """The stack at ``paths`` with the bands ``channels`` (None = all), its masks made by ``bundle``.

    ``how`` goes to ``open_series``. Raises what that raises, and GeoadaptError where a band of the bundle is missing.
    """
    bands = None
    if channels is not None:
        bands = (*channels, *(name for name in bundle.channels if name not in channels))
    with open_series(list(paths), bands=bands, mask="none", **how) as seen:
        info = seen.info
    masker = bundle_masker(bundle, info, threshold=threshold, device=device)
    stack = open_series(list(paths), bands=info.bands, mask=masker, **how)
    return stack if channels is None else Narrowed(stack, len(channels))


def bundle_masker(
    bundle: SegmentationBundle,
    info: SeriesInfo,
    *,
    threshold: float | None = None,
    device: torch.device | str = "cpu",
) -> Masker:
    """What ``bundle`` calls clear in scenes of a series like ``info``; any class but clear is not, nor what is missing.

    ``threshold`` of the cloud's probability, None = the bundle's own, or else the most probable class. Raises
    GeoadaptError where the series lacks a band of the bundle.
    """
    missing = [name for name in bundle.channels if name not in info.bands]
    if missing:
        raise GeoadaptError("--mask bundle", f"the stack has no {missing}", "give --mask auto, none or a pattern")
    picked = [info.bands.index(name) for name in bundle.channels]
    clear, cloud = class_index(bundle.classes, "clear"), class_index(bundle.classes, "cloud")
    least = bundle.threshold if threshold is None else threshold
    dates = info.scenes or tuple(range(len(info.times)))

    def masker(values: NDArray[np.float32]) -> NDArray[np.bool_]:
        made = np.zeros((len(values), *values.shape[2:]), bool)
        for index, image in enumerate(values[:, picked]):
            known = np.isfinite(image)
            if not known.all(axis=0).any():
                continue
            tile, valid = _fitted(image, known, bundle.multiple)
            scores = bundle.scores(
                torch.from_numpy(tile)[None].to(device),
                None if valid.all() else torch.from_numpy(valid)[None].to(device),
                time=moment(info.times[dates[index]]),
                resolution=info.resolution,
                sensor=info.sensors[dates[index]],
            )[0, :, : image.shape[1], : image.shape[2]]
            label = scores.argmax(0).cpu().numpy()
            seen = label == clear
            if least is not None:
                seen &= scores[cloud].cpu().numpy() < least
            made[index] = seen & known.all(axis=0)
        return made

    return masker


def _fitted(
    image: NDArray[np.float32], known: NDArray[np.bool_], multiple: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The image (c, h, w) without gaps, continued by its edge to sides that are multiples, and where it is known."""
    filled = image.copy()
    fill_missing(filled, known)
    pad: Sequence[tuple[int, int]] = ((0, 0), (0, -image.shape[1] % multiple), (0, -image.shape[2] % multiple))
    return np.pad(filled, pad, mode="edge"), np.pad(known, pad, mode="edge")
