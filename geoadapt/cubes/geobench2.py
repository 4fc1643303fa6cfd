"""GEO-Bench-2's data sets as a table: task, inputs, units, classes, sizes, metric and licence of each.

In: a key of the benchmark (``so2sat``). Out: its ``Layout2``. What the benchmark's documents do not say about the files
is marked: ``Modality.assumed`` and ``Layout2.assumed`` list it in words, and a loader says it in its note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["HUB", "LATER", "Layout2", "Modality", "layout_of"]

HUB = "https://huggingface.co/datasets/aialliance"
"""Where the benchmark publishes its files, a repository per key."""
LATER: dict[str, str] = {
    "substation": "instance segmentation",
    "everwatch": "object detection",
    "nzcattle": "object detection",
    "pastis_r": "instance segmentation",
}
"""Data sets of the benchmark whose tasks geoadapt does not have yet."""


@dataclass(frozen=True, slots=True)
class Modality:
    """One kind of raster of a sample, and the input that it becomes: stored bands, units, dates."""

    input: str
    """``optical``, ``sar``, ``terrain`` … as backbones name what they take."""
    files: tuple[str, ...]
    """What the rasters are called, in the column ``modality`` or within their id: the first that is found; ``a|b`` is
    both."""
    stored: tuple[str, ...]
    """Bands of a raster in its own order; a raster with several dates has them one after the other."""
    units: str
    """Of the values once they are converted: stored · ``scale``, in decibels where ``decibel``."""
    scale: float = 1.0
    decibel: bool = False
    """Whether what is stored is linear power."""
    amplitude: bool = False
    """Whether it is the real part of an amplitude instead, whose square is half of the power on average."""
    nodata: float | None = None
    """Beside what the raster itself declares."""
    channels: tuple[str, ...] = ()
    """Bands that are used; empty = all."""
    dates: int = 1
    """The last so many are used."""
    places: tuple[int, ...] = ()
    """Of a series that is long enough these dates instead, counted from 0."""
    assumed: str = ""
    """What no document says, in words."""

    @property
    def used(self) -> tuple[str, ...]:
        """Channels of the input."""
        return self.channels or self.stored


@dataclass(frozen=True, slots=True)
class Layout2:
    """One data set of the benchmark."""

    key: str
    title: str
    kind: str
    """Of the target: ``class``, ``labels``, ``class_map`` or ``value_map``."""
    classes: tuple[str, ...]
    """In the order of their numbers; of a value its own name."""
    inputs: tuple[Modality, ...]
    size: int
    """Side of an image [px]."""
    resolution: float
    """Ground size of a pixel [m]."""
    splits: tuple[int, int, int]
    """Training, validation and test samples as published."""
    metric: str
    licence: str
    sensor: str | None = None
    unit: str = ""
    """Of a value."""
    unknown: tuple[int, ...] = (255,)
    """Label values that mean that nobody knows."""
    stored: Mapping[int, int] = field(default_factory=dict)
    """Label value → class; empty = the values are classes."""
    label_bands: int = 1
    """Bands of a map, of which the first is read."""
    labels: tuple[str, ...] = ("label", "labels", "class", "target")
    """The column of the metadata, or the name of the raster, that holds the target."""
    repository: str = ""
    """Of its files on the hub; empty = the key."""
    assumed: str = ""
    """What no document says, in words."""

    @property
    def numbers(self) -> dict[int, int]:
        """Label value → class."""
        return dict(self.stored) or {n: n for n in range(len(self.classes))}

    @property
    def mapped(self) -> bool:
        """Whether every pixel has a target of its own."""
        return self.kind.endswith("map")

    @property
    def address(self) -> str:
        """Where it is published."""
        return f"{HUB}/{self.repository or self.key}"


def layout_of(key: str, where: str = "data.dataset") -> Layout2:
    """The layout of ``key``; raises GeoadaptError with the nearest key, or with what is not there yet."""
    from geoadapt.cubes.geobench2_table import GEOBENCH2

    if key in LATER:
        raise GeoadaptError(
            where, f"{key} asks for {LATER[key]}, which is not here yet", f"choose from {', '.join(GEOBENCH2)}"
        )
    if key not in GEOBENCH2:
        raise GeoadaptError(where, f"'{key}' is unknown", nearest(key, GEOBENCH2))
    return GEOBENCH2[key]
