"""Each date of a stack before and after cloud removal: pictures, and all of them moving.

In: reflectance (t, c, h, w) before and after. Out: pictures (h, w, 3) of one stretch, PNG files, an animated WebP.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import write_bytes
from geoadapt.report.animation import pack
from geoadapt.report.quicklook import limits, rgb, shrink

__all__ = ["before_after", "labelled", "write_animation", "write_quicklook"]

Picture = NDArray[np.uint8]
GAP = 6
"""Between the two [px]."""
LIMIT = 8_000_000
"""Bytes of an animation as a file of its own."""
SIDE = 320
"""Longer side of one half of an animated picture [px]."""
SECONDS = 0.8
HEAD = 26
"""Height of the line of words above a picture [px]."""
PAPER, WORDS = (251, 250, 247), (29, 35, 32)


def before_after(
    before: NDArray[np.floating], after: NDArray[np.floating], channels: Sequence[str]
) -> Iterator[tuple[Picture, Picture]]:
    """Per date both pictures (h, w, 3), all under the stretch of those ``after`` removal; missing pixels are grey."""
    if before.shape != after.shape or before.ndim != 4:
        raise GeoadaptError("pictures", f"before {before.shape}, after {after.shape}", "expected (t, c, h, w), alike")
    step = max(1, before.shape[0] * before.shape[2] * before.shape[3] // 2_000_000)
    few = np.moveaxis(after[..., ::step], 0, 1).reshape(before.shape[1], -1, 1)
    between = limits(few, channels)
    for one, other in zip(before, after, strict=True):
        yield rgb(one, channels, between), rgb(other, channels, between)


def write_quicklook(path: Path, before: Picture, after: Picture) -> Path:
    """Both in one PNG: side by side, or one above the other where they are wide."""
    from PIL import Image

    buffer = io.BytesIO()
    # Of a stack there are many, and trying for the smallest file takes several times as long as all the rest.
    Image.fromarray(_joined(before, after)).save(buffer, "PNG", compress_level=3)
    return write_bytes(path, buffer.getvalue())


def _joined(before: Picture, after: Picture) -> Picture:
    axis = 0 if before.shape[1] > 1.5 * before.shape[0] else 1
    shape = [*before.shape]
    shape[axis] = GAP
    return np.concatenate([before, np.full(shape, 255, np.uint8), after], axis=axis)


def labelled(before: Picture, after: Picture, label: str) -> Picture:
    """Both side by side, under a line that says which is which, and ``label``."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = before.shape[:2]
    page: Any = Image.new("RGB", (2 * width + GAP, height + HEAD), PAPER)
    for left, picture, words in ((0, before, f"{label}  before"), (width + GAP, after, "after")):
        page.paste(Image.fromarray(picture), (left, HEAD))
        ImageDraw.Draw(page).text((left + 4, 4), words, fill=WORDS, font=ImageFont.load_default(14))
    return np.asarray(page)


def write_animation(path: Path, pictures: Sequence[tuple[Picture, Picture]], labels: Sequence[str]) -> Path:
    """The dates one after the other, before beside after, as an animated WebP."""
    frames = [
        labelled(shrink(before, SIDE), shrink(after, SIDE), label)
        for (before, after), label in zip(pictures, labels, strict=True)
    ]
    return write_bytes(path, pack(frames, SECONDS, LIMIT))
