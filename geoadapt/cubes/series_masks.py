"""The quality layer of every scene of a series: found beside its bands, in the file itself, or as the caller says.

In: a scene, and ``mask`` of ``open_series``. Out: ``MaskFile``, the file and scheme to read, or None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from geoadapt.cubes.dates import time_in_name
from geoadapt.cubes.find import RASTER_SUFFIXES
from geoadapt.cubes.quality import is_quality, scheme_of
from geoadapt.cubes.series_parts import Choice
from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import local_file
from geoadapt.io.listing import SceneFiles
from geoadapt.words import counted

__all__ = ["MaskFile", "given_masks", "item_ids", "mask_beside", "quality_band"]


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A quality layer: its file, or None for a band of the scene's own; its position there (from 0); its scheme."""

    path: str | None
    band: int
    scheme: str


def quality_band(bands: Sequence[str], origin: str, choice: Choice) -> MaskFile | None:
    """The band of a file that is called like a quality layer; raises GeoadaptError where there are two."""
    found = [i for i, name in enumerate(bands) if is_quality(name)]
    if not found:
        return None
    if len(found) > 1 and choice.scheme is None:
        told = [bands[i] for i in found]
        raise GeoadaptError(origin, f"holds {len(found)} quality layers: {told}", "choose one with names=… or mask=…")
    position = found[0]
    return MaskFile(None, position, choice.scheme or scheme_of(bands[position], _product(origin)))


def mask_beside(scene: SceneFiles | str, choice: Choice) -> MaskFile | None:
    """The quality layer that lies beside a scene under its name, or among its assets; None where there is none."""
    path = None if isinstance(scene, str) else _asset(scene)
    if path is None:
        prefix = Path(scene).stem if isinstance(scene, str) else scene.tags.get("scene", "")
        found = [p for p in _neighbours(scene) if is_quality(p.stem) and _begins(p.stem, prefix)]
        if not found:
            return None
        path = str(min(found, key=_rank))
    name = _address(path)
    return MaskFile(path, 0, choice.scheme or scheme_of(Path(name).stem, _product(name)))


def given_masks(mask: str | Mapping[str, Any], names: Sequence[str], times: Sequence[np.datetime64]) -> list[str]:
    """The mask file of every scene, from a glob (matched by scene name, else by day) or a mapping of either.

    Raises GeoadaptError where a scene has none, or more than one.
    """
    days = [str(time.astype("datetime64[D]")) for time in times]
    if isinstance(mask, Mapping):
        keys = {str(key): str(path) for key, path in mask.items()}
        missing = [n for n, d in zip(names, days, strict=True) if n not in keys and d not in keys]
        if missing:
            raise GeoadaptError(
                "mask", f"missing for {counted(len(missing), 'scene')}: {missing[:3]}", "give one by scene name or day"
            )
        return [keys.get(n, keys.get(d, "")) for n, d in zip(names, days, strict=True)]
    files = sorted(glob(mask, recursive=True))
    if not files:
        raise GeoadaptError("mask", f"'{mask}' matches no file", "say mask='none' if there are no masks")
    return [_matching(files, name, day) for name, day in zip(names, days, strict=True)]


def _matching(files: Sequence[str], name: str, day: str) -> str:
    found = [f for f in files if _begins(Path(f).stem, name)]
    if not found:
        found = [f for f in files if (t := time_in_name(Path(f).name)) is not None and f"{t:%Y-%m-%d}" == day]
    if len(found) != 1:
        told = "no mask" if not found else f"{len(found)} masks ({', '.join(Path(f).name for f in found[:3])})"
        raise GeoadaptError("mask", f"{told} for scene {name} of {day}", "name masks by scene, or give a mapping")
    return found[0]


def _begins(stem: str, name: str) -> bool:
    """Whether a file is called after a scene: ``scene_1_mask`` and ``scene_1``, but not ``scene_10_mask``."""
    return stem.startswith(name) and (not name or stem[len(name) :][:1] in ("", ".", "_", "-"))


def _product(path: str) -> str:
    """The last folders and the name of a path, which tell the product."""
    return "/".join(Path(path).parts[-4:])


def _rank(path: Path) -> tuple[int, str]:
    """Products' own layers before masks that others put there, finer ones before coarser."""
    return (
        1 if re.search(r"mask$|clear$|clouds$|labels$", path.stem, re.I) and "fmask" not in path.stem.lower() else 0
    ), path.name


def _neighbours(scene: SceneFiles | str) -> list[Path]:
    """Rasters in the folders of a scene's bands; of a SAFE product also in its folders of other resolutions."""
    paths = [scene] if isinstance(scene, str) else [b.path for b in scene.bands]
    folders = {Path(p).parent for p in paths if local_file(p) is not None}
    folders |= {p for f in folders if re.fullmatch(r"R[126]0m", f.name) for p in f.parent.iterdir() if p.is_dir()}
    files = [p for f in sorted(folders) if f.is_dir() for p in f.iterdir()]
    return [p for p in files if p.suffix.lower() in RASTER_SUFFIXES and p.is_file()]


def _asset(scene: SceneFiles) -> str | None:
    """The quality layer among the assets of a scene's STAC item."""
    file = Path(scene.origin)
    if file.suffix.lower() not in (".json", ".geojson") or not file.is_file():
        return None
    item: Mapping[str, Any] = next((i for i in _items(file) if i.get("id") == scene.tags.get("scene")), {})
    found = [a["href"] for key, a in item.get("assets", {}).items() if _is_quality_asset(key, a)]
    if not found:
        return None
    href = str(min(found, key=lambda h: _rank(Path(_address(h)))))
    return href if local_file(href) is None else str(file.parent / href)


def item_ids(file: Path) -> list[str]:
    """The names of the items that a STAC file holds itself."""
    return [str(item.get("id")) for item in _items(file)]


def _items(file: Path) -> list[Mapping[str, Any]]:
    document = json.loads(file.read_text(encoding="utf-8"))
    found: list[Mapping[str, Any]] = document.get("features", [document])
    return found


def _is_quality_asset(key: str, asset: Mapping[str, Any]) -> bool:
    href = _address(str(asset.get("href", "")))
    return Path(href).suffix.lower() in RASTER_SUFFIXES and (is_quality(key) or is_quality(Path(href).stem))


def _address(href: str) -> str:
    """A path, or a URL without the signature behind it, so that it ends as its file does."""
    return href if local_file(href) is not None else href.partition("?")[0]
