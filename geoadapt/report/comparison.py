"""Images of one place side by side, so that their colours can be compared: one stretch, one grey, one range of errors.

In: reflectance (c, h, w) and errors (h, w). Out: a row of maps, which wraps on a narrow screen, and its legend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.classes import ClassInfo
from geoadapt.report.pictures import MapRow, Panel
from geoadapt.report.quicklook import MISSING, limits, rgb

__all__ = ["comparison", "heat", "key", "same_stretch", "top_of"]

TOP = 98
"""The colours of errors end at this percentile [%]."""
STOPS = (0.0, 0.5, 1.0)
"""Of the range of errors, in the legend."""
Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]


def same_stretch(images: Sequence[Floats], channels: Sequence[str], reference: Floats) -> list[Picture]:
    """Images (c, h, w) as pictures (h, w, 3) between 2 and 98 % of ``reference`` (c, h, w), which shows no clouds."""
    between = limits(reference, channels, clear=True)
    return [rgb(image, channels, between) for image in images]


def comparison(
    name: str,
    note: str,
    images: Mapping[str, Floats],
    channels: Sequence[str],
    *,
    reference: Floats,
    errors: Mapping[str, Floats],
    top: float,
) -> MapRow:
    """One date: ``images`` by what they show, under one stretch, and ``errors`` (c, h, w) as means over the bands."""
    shown = same_stretch(list(images.values()), channels, reference)
    photos = (Panel(label, picture, photo=True) for label, picture in zip(images, shown, strict=True))
    heats = (Panel(label, heat(_mean(values), top)) for label, values in errors.items())
    return MapRow(name, note, (*photos, *heats))


def top_of(errors: Sequence[Floats]) -> float:
    """Where the colours of errors (c, h, w) of all rows end, so that rows can be compared; 0 where none is known."""
    means = [_mean(values) for values in errors]
    known = np.concatenate([[0.0], *(mean[np.isfinite(mean)] for mean in means)])
    return float(np.percentile(known[1:], TOP)) if known.size > 1 else 0.0


def heat(values: Floats, top: float) -> Picture:
    """Values (h, w) from 0 to ``top`` in colours from dark to bright (h, w, 3); NaN is grey."""
    known = np.isfinite(values)
    picture = _colours(np.where(known, values, 0) / max(top, 1e-9))
    picture[~known] = MISSING
    return picture


def key(missing: str, top: float) -> list[ClassInfo]:
    """The legend of a comparison: what is grey, and how large an error is [reflectance]."""
    stops = _colours(np.array(STOPS)).tolist()
    errors = [f"error {stop * top:.3f}{' or more' if stop == STOPS[-1] else ''}" for stop in STOPS]
    names = [missing, *(errors if top > 0 else [])]
    return [
        ClassInfo(place, name, (int(red), int(green), int(blue)))
        for place, (name, (red, green, blue)) in enumerate(zip(names, [MISSING, *stops], strict=False))
    ]


def _colours(share: Floats) -> Picture:
    from matplotlib import colormaps

    return np.round(255 * colormaps["magma"](np.clip(share, 0, 1))[..., :3]).astype(np.uint8)


def _mean(values: Floats) -> Floats:
    """Mean over the bands that are known (h, w), NaN where none is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(0)
    count = known.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
