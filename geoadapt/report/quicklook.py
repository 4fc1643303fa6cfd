"""Pictures of arrays: reflectance as colour, labels as their classes' colours, errors by kind.

In: arrays (c, h, w) or (h, w). Out: uint8 pictures (h, w, 3), and PNG files or bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import NODATA, ClassInfo
from geoadapt.errors import GeoadaptError

__all__ = ["ERROR_KINDS", "colour_errors", "colour_labels", "encode", "limits", "rgb", "shrink", "write_png"]

GREY = 128
MISSING = (128, 128, 128)
RGB_CHANNELS = ("red", "green", "blue")

ERROR_KINDS: tuple[ClassInfo, ...] = (
    ClassInfo(0, "right", (222, 224, 220)),
    ClassInfo(1, "false alarm", (214, 120, 30)),
    ClassInfo(2, "missed", (40, 90, 180)),
    ClassInfo(3, "wrong class", (150, 50, 140)),
)
"""What a pixel of an error map says; class 0 of the labels is taken as the background."""


def rgb(
    values: NDArray[np.floating], channels: Sequence[str], between: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Natural colour (h, w, 3) of reflectance (c, h, w) under a robust stretch; missing pixels are grey.

    Without red, green and blue the first channel is shown in grey. The white point follows the darker pixels, so that
    clouds saturate before the ground turns black. ``between`` gives black and white points of several pictures at once.
    """
    picked, known = _picked(values, channels)
    out = np.full((*picked.shape[1:], 3), GREY, np.uint8)
    if known.any():
        low, high = _stretch(picked[:, known]) if between is None else between
        scaled = np.clip((picked[:, known] - low) / (high - low), 0, 1) ** (1 / 1.6)
        out[known] = np.round(scaled * 255).astype(np.uint8).T
    return out


def limits(values: NDArray[np.floating], channels: Sequence[str], *, clear: bool = False) -> tuple[float, float] | None:
    """Black and white points [reflectance] of values (c, h, w), as ``rgb`` chooses them; None where all is missing.

    Where all is ``clear`` nothing bright is a cloud: between 2 and 98 % of what is known.
    """
    picked, known = _picked(values, channels)
    if not known.any():
        return None
    if not clear:
        return _stretch(picked[:, known])
    low, high = (float(q) for q in np.percentile(picked[:, known], [2, 98]))
    return low, high if high > low else low + 1e-3


def _picked(values: NDArray[np.floating], channels: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The three shown channels (3, h, w), and where all of them are known (h, w)."""
    if values.ndim != 3 or values.shape[0] != len(channels):
        raise GeoadaptError("quick-look", f"values {values.shape}, {len(channels)} channels", "expected (c, h, w)")
    names = list(channels)
    index = [names.index(c) for c in RGB_CHANNELS] if set(RGB_CHANNELS) <= set(names) else [0, 0, 0]
    picked = values[index].astype(np.float32)
    return picked, np.asarray(np.isfinite(picked).all(axis=0))


def _stretch(values: NDArray[np.float32]) -> tuple[float, float]:
    """Black and white points [reflectance] of values (3, n): the ground's range, whatever share of it is cloud."""
    step = max(1, values.shape[1] // 200_000)
    sample = values[:, ::step].mean(axis=0)
    low, middle, top = (float(q) for q in np.percentile(sample, [1, 40, 98]))
    high = min(top, low + 5 * max(middle - low, 0.02))
    return low, high if high > low else low + 1e-3


def colour_labels(labels: NDArray[np.integer], classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Labels (h, w) in their classes' colours (h, w, 3); values without a class, such as 255, are grey."""
    table = np.full((256, 3), MISSING, np.uint8)
    for info in classes:
        table[info.value] = info.colour
    return table[labels.astype(np.uint8)]


def colour_errors(labels: NDArray[np.integer], prediction: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Where and how prediction (h, w) differs from labels (h, w), in the colours of ``ERROR_KINDS`` (h, w, 3)."""
    kind = np.zeros(labels.shape, np.uint8)
    wrong = labels != prediction
    kind[wrong] = 3
    kind[wrong & (labels == 0)] = 1
    kind[wrong & (prediction == 0)] = 2
    kind[(labels == NODATA) | (prediction == NODATA)] = NODATA
    return colour_labels(kind, ERROR_KINDS)


def shrink(picture: NDArray[np.uint8], side: int, *, smooth: bool = True) -> NDArray[np.uint8]:
    """The picture (h, w, 3) with its longer side at most ``side`` [px]; labels want ``smooth=False``."""
    from PIL import Image

    height, width = picture.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize(size, method))


def encode(picture: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """The picture (h, w, 3) as the bytes of a PNG or JPEG file."""
    from PIL import Image

    buffer = io.BytesIO()
    options = {"quality": 88} if kind == "JPEG" else {"optimize": True}
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def write_png(path: Path, array: NDArray[np.uint8]) -> Path:
    """Write a picture (h, w, 3) or (h, w) as PNG, whole or not at all."""
    from geoadapt.io.atomic import write_bytes

    write_bytes(path, encode(array))
    return path
