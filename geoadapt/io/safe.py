"""Sentinel-2 products in the SAFE layout, Level-1C and Level-2A, from their own metadata.

In: a ``.SAFE`` folder or its ``MTD_MSIL??.xml``. Out: the file of every band at its finest resolution, with
quantification value, radiometric offset (processing baseline 04.00 and newer) and sensing time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from geoadapt.errors import GeoadaptError
from geoadapt.io.listing import BandFile, SceneFiles, inside
from geoadapt.words import counted

__all__ = ["is_safe", "read_safe"]

_BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_MTD = re.compile(r"^MTD_MSIL(1C|2A)\.xml$")
_IMAGE = re.compile(r"_(B(?:0[1-9]|1[0-2]|8A))(?:_(10|20|60)m)?$")


def is_safe(path: Path) -> bool:
    """Whether ``path`` is a Sentinel-2 SAFE folder, or the metadata file of one."""
    return _metadata_file(path) is not None or (path.is_dir() and path.suffix == ".SAFE")


def read_safe(path: Path) -> SceneFiles:
    """The bands of a SAFE product; raises GeoadaptError where metadata or images are missing or contradict."""
    file = _metadata_file(path)
    if file is None:
        found = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
        raise GeoadaptError(path, "holds no MTD_MSIL1C.xml or MTD_MSIL2A.xml", f"found {found}")
    root = _parse(file)
    level = "1C" if "1C" in file.name else "2A"
    scale, offsets = _quantification(root, file, level)
    bands = tuple(
        BandFile(name, str(image), 0, 1.0 / scale, offsets[name] / scale, 0.0)
        for name, image in _images(root, file).items()
    )
    baseline = _text(root, "PROCESSING_BASELINE", file)
    return SceneFiles(
        origin=str(file.parent),
        bands=bands,
        sensor=f"sentinel2_l{level.lower()}",
        time=_time(root, file),
        tags={"processing_baseline": baseline, "product": root.findtext(".//PRODUCT_URI") or file.parent.name},
    )


def _metadata_file(path: Path) -> Path | None:
    if path.is_file():
        return path if _MTD.match(path.name) else None
    return next((p for p in sorted(path.glob("MTD_MSIL*.xml")) if _MTD.match(p.name)), None)


def _parse(file: Path) -> ElementTree.Element:
    text = file.read_text(encoding="utf-8", errors="replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise GeoadaptError(file, "defines XML entities", "Sentinel-2 metadata have none: use the published file")
    try:
        return ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise GeoadaptError(file, f"is no whole XML file: {error}", "copy or download the product again") from error


def _text(root: ElementTree.Element, tag: str, file: Path) -> str:
    found = root.findtext(f".//{tag}")
    if not found:
        raise GeoadaptError(file, f"has no {tag}", "use the product's own metadata file")
    return found.strip()


def _quantification(root: ElementTree.Element, file: Path, level: str) -> tuple[float, dict[str, float]]:
    """The quantification value, and the offset of every band in stored units (0 before baseline 04.00)."""
    tag, offset_tag = ("QUANTIFICATION_VALUE", "RADIO_ADD_OFFSET")
    if level == "2A":
        tag, offset_tag = ("BOA_QUANTIFICATION_VALUE", "BOA_ADD_OFFSET")
    scale = float(_text(root, tag, file))
    if not scale > 0:
        raise GeoadaptError(file, f"{tag} is {scale}", "expected a positive number such as 10000")
    offsets = dict.fromkeys(_BAND_IDS, 0.0)
    declared = root.findall(f".//{offset_tag}")
    for element in declared:
        offsets[_BAND_IDS[int(element.get("band_id", "-1"))]] = float(element.text or 0)
    baseline = _text(root, "PROCESSING_BASELINE", file)
    if not declared and float(baseline) >= 4.0 and float(baseline) < 90.0:
        raise GeoadaptError(
            file, f"is of processing baseline {baseline} but declares no {offset_tag}", "use the product's own metadata"
        )
    return scale, offsets


def _images(root: ElementTree.Element, file: Path) -> dict[str, Path]:
    """Band → its image of the finest resolution; every image that the metadata name must exist for one resolution."""
    best: dict[str, tuple[int, Path]] = {}
    named = [e.text.strip() for e in root.iter() if e.tag in ("IMAGE_FILE", "IMAGE_ID") and e.text]
    for name in named:
        found = _IMAGE.search(name)
        if found is None:
            continue
        image = inside(file.parent, f"{name}.jp2", file)
        band, resolution = found.group(1), int(found.group(2) or 0)
        if image.is_file() and (band not in best or resolution < best[band][0]):
            best[band] = (resolution, image)
    if not best:
        raise GeoadaptError(
            file, f"names {counted(len(named), 'image')}, and none is there", "copy the whole .SAFE folder"
        )
    return {band: best[band][1] for band in _BAND_IDS if band in best}


def _time(root: ElementTree.Element, file: Path) -> datetime:
    text = root.findtext(".//DATATAKE_SENSING_START") or root.findtext(".//PRODUCT_START_TIME")
    try:
        return datetime.fromisoformat((text or "").strip().replace("Z", "+00:00")).astimezone(UTC)
    except ValueError as error:
        raise GeoadaptError(file, f"has no sensing time that can be read: {text!r}") from error
