"""Landsat products with one file per band: names, and the scaling in ``*_MTL.txt`` or ``*_MTL.json``.

In: a folder. Out: the file of every band with its scale and offset to reflectance (top of atmosphere corrected for the
sun's elevation; Collection 2 Level-2 surface reflectance by its product definition) and the acquisition time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError

__all__ = ["Mtl", "band_scales", "find_mtl", "landsat_sensor", "read_mtl"]

Mtl = dict[str, dict[str, str]]
"""Group name → key → value, as text."""

_SCENE = re.compile(r"L([COTEM])0?([4-9])(?=_|\d{13})", re.IGNORECASE)


def landsat_sensor(name: str) -> str | None:
    """``landsat8``, or ``landsat8_l2`` for Level 2, from a product or scene identifier; None if it is none."""
    found = _SCENE.match(name)
    if found is None:
        return None
    mission = found.group(2)
    if mission == "4":
        mission = "5"
    level2 = re.search(r"_L2S[PR]_|_SR_B\d|_ST_B\d", name, re.IGNORECASE)
    return f"landsat{mission}" + ("_l2" if level2 else "")


def find_mtl(folder: Path, prefix: str = "") -> Path | None:
    """The metadata file of the scene whose names start with ``prefix``."""
    candidates = sorted(p for p in folder.iterdir() if re.search(r"_?MTL\.(txt|json)$", p.name, re.IGNORECASE))
    close = [p for p in candidates if p.name.upper().startswith(prefix.upper())] if prefix else candidates
    return next(iter(close), None)


def read_mtl(file: Path) -> Mtl:
    """Groups of keys, from either form; raises GeoadaptError where it is neither."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise GeoadaptError(file, f"cannot be read: {error.strerror}") from error
    groups: Mtl = {}
    if file.suffix.lower() == ".json":
        try:
            _flatten(json.loads(text), "", groups)
        except (json.JSONDecodeError, RecursionError) as error:
            raise GeoadaptError(file, f"is no whole JSON file: {error}", "download it again") from error
    else:
        _parse_odl(text, groups)
    if not any(groups.values()):
        raise GeoadaptError(file, "holds no groups of keys", "expected Landsat's MTL metadata, text or JSON")
    return groups


def band_scales(mtl: Mtl, file: Path, level2: bool) -> tuple[dict[str, tuple[float, float]], datetime | None]:
    """Per reflective band ``B1``… its scale and offset, and the acquisition time [UTC].

    Level-1 reflectance is divided by the sine of the sun's elevation. Raises GeoadaptError where keys are missing.
    """
    if level2:
        values = mtl.get("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", {})
        sun = 1.0
    else:
        values = mtl.get("LEVEL1_RADIOMETRIC_RESCALING") or mtl.get("RADIOMETRIC_RESCALING", {})
        sun = math.sin(math.radians(_number(_find(mtl, "SUN_ELEVATION"), "SUN_ELEVATION", file)))
    scales: dict[str, tuple[float, float]] = {}
    for key, value in values.items():
        found = re.match(r"REFLECTANCE_MULT_BAND_(\w+)$", key)
        if found is None:
            continue
        band = found.group(1)
        offset = values.get(f"REFLECTANCE_ADD_BAND_{band}")
        scales[f"B{band}"] = (
            _number(value, key, file) / sun,
            _number(offset, f"REFLECTANCE_ADD_BAND_{band}", file) / sun,
        )
    if not scales:
        raise GeoadaptError(file, "has no REFLECTANCE_MULT_BAND_… keys", f"groups found: {', '.join(mtl)}")
    if not sun > 0:
        raise GeoadaptError(file, "the sun is below the horizon", "reflectance is not defined at night")
    return scales, _time(mtl)


def _flatten(node: Mapping[str, Any], name: str, groups: Mtl) -> None:
    for key, value in node.items():
        if isinstance(value, Mapping):
            _flatten(value, key, groups)
        else:
            groups.setdefault(name, {})[key] = str(value)


def _parse_odl(text: str, groups: Mtl) -> None:
    stack: list[str] = []
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            stack.append(value)
        elif key == "END_GROUP" and stack:
            stack.pop()
        elif value and stack:
            groups.setdefault(stack[-1], {})[key] = value.strip('"')


def _find(mtl: Mtl, key: str) -> str | None:
    return next((group[key] for group in mtl.values() if key in group), None)


def _number(text: str | None, key: str, file: Path) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise GeoadaptError(file, f"{key} is {text!r}", "expected a number: use the scene's own metadata file")
    return number


def _time(mtl: Mtl) -> datetime | None:
    date, clock = _find(mtl, "DATE_ACQUIRED"), _find(mtl, "SCENE_CENTER_TIME")
    if date is None:
        return None
    text = f"{date}T{(clock or '00:00:00').rstrip('Z')[:15]}"
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
