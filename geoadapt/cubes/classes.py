"""What label values mean: names and colours, one tuple per task."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLOUD_CLASSES", "NODATA", "ClassInfo"]

NODATA = 255


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """A label value, its name, and its colour as red, green, blue [0–255]."""

    value: int
    name: str
    colour: tuple[int, int, int]


CLOUD_CLASSES: tuple[ClassInfo, ...] = (
    ClassInfo(0, "clear", (120, 170, 110)),
    ClassInfo(1, "cloud", (255, 255, 255)),
    ClassInfo(2, "thin_cloud", (170, 200, 235)),
    ClassInfo(3, "shadow", (70, 60, 110)),
)
