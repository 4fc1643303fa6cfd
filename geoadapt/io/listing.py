"""What a product's metadata say before any pixel is read: which file holds which band, and how it is scaled."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from geoadapt.errors import GeoadaptError

__all__ = ["BandFile", "SceneFiles", "inside"]

from pathlib import Path


@dataclass(frozen=True, slots=True)
class BandFile:
    """One band: its name in the product, its file and position there (from 0), and what the metadata declare.

    Physical value = raw · scale + offset; None means that the metadata do not say.
    """

    name: str
    path: str
    index: int = 0
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    common: str | None = None


@dataclass(frozen=True, slots=True)
class SceneFiles:
    """The bands of one scene: one place, one date."""

    origin: str
    bands: tuple[BandFile, ...]
    sensor: str | None = None
    time: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)


def inside(folder: Path, name: str, where: object) -> Path:
    """The file called ``name`` in ``folder``; raises GeoadaptError where that leads out of the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise GeoadaptError(where, f"points outside its folder, to '{name}'", "use the product as it was published")
    return path
