"""A QGIS style beside a label raster, so that it opens with its classes' names and colours.

In: the classes. Out: a ``.qml`` file with a paletted renderer; nodata stays transparent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from geoadapt.io.atomic import write_text
from geoadapt.io.category import Category

__all__ = ["style_path", "write_style"]


def style_path(raster: Path) -> Path:
    """Where QGIS looks for the style of ``raster``."""
    return raster.with_suffix(".qml")


def write_style(raster: Path, classes: Sequence[Category]) -> Path:
    """Write the style of a label raster beside it."""
    root = ElementTree.Element("qgis", version="3.28.0", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    renderer = ElementTree.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    ElementTree.SubElement(renderer, "rasterTransparency")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for entry in classes:
        red, green, blue = entry.colour
        ElementTree.SubElement(
            palette,
            "paletteEntry",
            value=str(entry.value),
            color=f"#{red:02x}{green:02x}{blue:02x}",
            label=entry.name.replace("_", " "),
            alpha="255",
        )
    ElementTree.SubElement(root, "blendMode").text = "0"
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return write_text(style_path(raster), f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n")
