"""Pictures on the page: single images, and grids of maps with a legend; all inline."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from geoadapt.cubes.classes import ClassInfo
from geoadapt.report.quicklook import encode, shrink

__all__ = ["MapRow", "Panel", "legend", "maps", "picture"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One map: what it shows, and its picture (h, w, 3)."""

    label: str
    image: NDArray[np.uint8]
    photo: bool = False
    """A photograph is compressed as one; labels keep their exact colours."""


@dataclass(frozen=True, slots=True)
class MapRow:
    """Maps of the same place side by side: its name, a note on it, and the panels."""

    name: str
    note: str
    panels: tuple[Panel, ...]


def picture(image: NDArray[np.uint8], alt: str, caption: str = "", *, photo: bool = False, side: int = 1400) -> Markup:
    """An image (h, w, 3) on the page, its longer side reduced to ``side`` [px]."""
    text = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
    return Markup("<figure>{}{}</figure>").format(_image(image, alt, photo, side), text)


def _image(image: NDArray[np.uint8], alt: str, photo: bool, side: int) -> Markup:
    small = shrink(image, side, smooth=photo)
    kind = "JPEG" if photo and min(small.shape[:2]) >= 256 else "PNG"
    data = base64.b64encode(encode(small, kind)).decode("ascii")
    height, width = small.shape[:2]
    return Markup('<img src="data:image/{};base64,{}" width="{}" height="{}" alt="{}">').format(
        kind.lower(), data, width, height, alt
    )


def maps(rows: Sequence[MapRow], classes: Sequence[ClassInfo] = (), *, side: int = 400) -> Markup:
    """Rows of maps, such as image, label, prediction and errors, under one legend of ``classes``."""
    made = Markup("\n").join(_maprow(row, side) for row in rows)
    return Markup('{}<div class="maps">{}</div>').format(legend(classes), made)


def _maprow(row: MapRow, side: int) -> Markup:
    panels = Markup("").join(
        Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(
            _image(panel.image, f"{row.name}: {panel.label}", panel.photo, side), panel.label
        )
        for panel in row.panels
    )
    return Markup(
        '<div class="maprow"><h3>{}</h3><span class="note">{}</span><div class="panels">{}</div></div>'
    ).format(row.name, row.note, panels)


def legend(classes: Sequence[ClassInfo]) -> Markup:
    """Names beside their colours."""
    if not classes:
        return Markup("")
    items = Markup("").join(
        Markup('<li><span class="swatch" style="background: rgb({}, {}, {})"></span>{}</li>').format(
            *info.colour, info.name.replace("_", " ")
        )
        for info in classes
    )
    return Markup('<ul class="legend" aria-label="Legend">{}</ul>').format(items)
