"""What a prediction would read, hold and write, scene by scene, before anything is computed.

In: scenes, and what a bundle says of itself. Out: per scene its size, memory and disk, or why it cannot run.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rasterio.crs import CRS

from geoadapt.config import InferConfig
from geoadapt.cubes.classes import ClassInfo
from geoadapt.cubes.reading import Reading
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import StreamOptions
from geoadapt.inference.outputs import planes
from geoadapt.inference.predict import check_classes, open_part
from geoadapt.inference.scenes import Scene
from geoadapt.inference.settings import disk_needed, memory_needed
from geoadapt.io.vectors import read_area

__all__ = ["Outlined", "outline"]

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Outlined:
    """One scene: what is read of it [px], memory without the model's and disk [bytes], or the error it would end in."""

    scene: Scene
    height: int = 0
    width: int = 0
    memory: int = 0
    disk: int = 0
    error: str = ""

    def __str__(self) -> str:
        """One phrase for people."""
        if self.error:
            return self.error
        return (
            f"{self.height} × {self.width} px, {self.memory / _MIB:.0f} MiB of memory beside the model, "
            f"about {self.disk / _MIB:.0f} MiB on disk"
        )


def outline(
    scenes: Sequence[Scene],
    channels: tuple[str, ...],
    classes: Sequence[ClassInfo],
    config: InferConfig,
    *,
    bbox: Sequence[float] | None = None,
    aoi: Path | None = None,
    sensor: str | None = None,
    disagreement: bool = False,
) -> list[Outlined]:
    """Open every scene for its size alone; raises GeoadaptError for what none of them could run with."""
    check_classes(classes, config)
    if aoi is not None:
        read_area(aoi, CRS.from_epsg(4326))
    reading = Reading(sensor=sensor, channels=channels, zero_is_nodata=config.zero_is_nodata)
    options = StreamOptions(len(classes), config.tile, config.overlap, config.batch)

    def one(scene: Scene) -> Outlined:
        if scene.error:
            return Outlined(scene, error=str(scene.error))
        try:
            source = open_part(scene, reading, bbox, aoi)
        except GeoadaptError as error:
            return Outlined(scene, error=str(error))
        info = source.info
        source.close()
        memory = memory_needed(info, options, disagreement=disagreement or config.instability)
        disk = disk_needed(info, planes(config, len(classes)))
        return Outlined(scene, info.height, info.width, memory, disk)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a scene lacks, the run itself tells
        return [one(scene) for scene in scenes]
