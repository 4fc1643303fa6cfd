"""What is assumed or doubtful of a scene: kept in ``info.tags['notes']``, and warned of.

In: a Source. Out: the Source with its notes, or an error where it cannot be what is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from geoadapt.cubes.bands import REFLECTIVE, common_name
from geoadapt.cubes.checks import check_reflectance, offset_doubt, sample, zero_corners
from geoadapt.cubes.dates import time_in_name
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.sensors import sensor_in_tags
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo
from geoadapt.io.stack import SelectSource

__all__ = ["checked", "date_note", "with_notes"]


def checked(source: Source, reading: Reading) -> Source:
    """The source with its doubts said, or an error where it cannot be what is asked for."""
    info, said = source.info, []
    if reading.zero_is_nodata == "yes" and info.nodata is None:
        source = _retold(source, replace(info, nodata=0.0))
    elif reading.zero_is_nodata == "auto" and info.nodata is None and zero_corners(source):
        said.append(
            "a border is all zero but no nodata is declared: "
            "say zero_is_nodata=yes (infer.zero_is_nodata=yes) if it is missing"
        )
    optical = [b for b in info.bands if common_name(b) in REFLECTIVE]
    if reading.units == "reflectance" and not optical:
        raise GeoadaptError(
            info.origin,
            f"bands {list(info.bands)} are no optical bands",
            "name them with names=…, sensor=… or --sensor …",
        )
    if reading.units == "raw" or not optical:
        if not optical:
            said.append(
                f"bands {list(info.bands)} are not known as reflectance: values are kept as the file declares them"
            )
        return with_notes(source, said, units="raw")
    taken = sample(source)
    said += check_reflectance(source.info, taken)
    if reading.sensor is None and info.sensor == "sentinel2" and info.scale and not sensor_in_tags(info.tags):
        said.append("scale 0.0001 and offset 0 are Sentinel-2's by its names alone: no metadata were found")
    # A file that names its sensor itself declares its scale and offset too.
    told = info.sensor != sensor_in_tags(info.tags) or not info.scale
    if told and (info.sensor or "").startswith("sentinel2") and "processing_baseline" not in info.tags:
        doubt = offset_doubt(info, taken)
        said += [doubt] if doubt else []
    return with_notes(source, said, units="reflectance")


def _retold(source: Source, info: SourceInfo) -> Source:
    return SelectSource(source, range(len(info.bands)), info)


def with_notes(source: Source, sentences: Sequence[str], units: str | None = None) -> Source:
    """The source with sentences added to ``info.tags['notes']``; with units, each is also a Python warning."""
    tags = dict(source.info.tags)
    notes = [n for n in (tags.get("notes", ""), *sentences) if n]
    if notes:
        tags["notes"] = "; ".join(notes)
    if units is not None:
        tags["units"] = units
        for sentence in sentences:
            warnings.warn(f"{source.info.origin}: {sentence}", stacklevel=4)
    return _retold(source, replace(source.info, tags=tags)) if tags != source.info.tags else source


def date_note(info: SourceInfo, path: str) -> list[str]:
    """A sentence on the date where only the file's own tags tell it, which may be when it was written."""
    if info.time is None or time_in_name(Path(path).name) is not None:
        return []
    return [f"the date {info.time:%Y-%m-%d} is the file's own tag"]
