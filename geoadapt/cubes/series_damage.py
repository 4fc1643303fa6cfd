"""Scenes that cannot be read: found when a series is opened, before hours of work end at one of their blocks.

In: the files of a scene. Out: what is wrong with the first of them that is damaged or cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rasterio.enums import Interleaving
from rasterio.io import DatasetReader

from geoadapt.cubes.checks import sample, zero_corners
from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import local_file, open_dataset
from geoadapt.io.raster import RasterSource

__all__ = ["LeftOut", "damage", "told_left_out"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A scene that is not in the series, for its file cannot be read."""

    name: str
    file: str
    problem: str

    def __str__(self) -> str:
        """One phrase for people, with the file's name."""
        return f"{Path(self.file).name} cannot be read and is left out: {self.problem}"


def told_left_out(left: Sequence[LeftOut], kept: int) -> list[str]:
    """How many scenes are left out of how many, and which; nothing where all are there."""
    if not left:
        return []
    files = ", ".join(Path(one.file).name for one in left)
    return [f"{len(left)} of {kept + len(left)} scenes cannot be read and were left out: {files}"]


def damage(files: Iterable[str], *, deep: bool = False) -> GeoadaptError | None:
    """What is wrong with the first damaged one of local ``files``: no raster, or shorter than its own table of blocks.

    ``deep`` also reads the pixels that a scene is checked by, which finds what only decoding tells. None where nothing
    is wrong; what lies elsewhere is not judged, nor are VRTs, whose refusal is no damage.
    """
    for path in files:
        local = local_file(path)
        if local is None or local.suffix.lower() == ".vrt" or local.is_dir():
            continue
        try:
            with open_dataset(path) as held:
                _check_whole(held, path, local)
                empty = held.count == 0
            if deep and not empty:
                _check_pixels(path)
        except GeoadaptError as error:
            return error
    return None


def _check_whole(held: DatasetReader, path: str, local: Path) -> None:
    if held.driver != "GTiff":
        return
    size = local.stat().st_size
    end = max((start + length for start, length in _blocks(held)), default=0)
    if end > size:
        raise GeoadaptError(
            path, f"is cut short: its pixels reach to byte {end:,}, it has {size:,}", "copy or download it again"
        )


def _blocks(held: DatasetReader) -> Iterator[tuple[int, int]]:
    """First byte and length of every block that a GeoTIFF says it holds; blocks of nothing but nodata it need not."""
    bands = held.indexes[:1] if held.interleaving == Interleaving.pixel else held.indexes
    for band in bands:
        height, width = held.block_shapes[band - 1]
        for row in range(-(-held.height // height)):
            for col in range(-(-held.width // width)):
                start = held.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", band)
                length = held.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", band)
                if start and length:
                    yield int(start), int(length)


def _check_pixels(path: str) -> None:
    source = RasterSource(path)
    try:
        sample(source)
        zero_corners(source)
    finally:
        source.close()
