"""What lies at a path: scenes with one file per band, stacked rasters, stores; none is passed over silently.

In: a path and a ``Reading``. Out: ``SceneFiles`` and paths, which ``scene.open_files`` opens.
"""

from __future__ import annotations

import os
from pathlib import Path

from geoadapt.cubes.find import RASTER_SUFFIXES, find_scenes, rasters_beside, rasters_in
from geoadapt.cubes.reading import Reading
from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import local_file
from geoadapt.io.listing import SceneFiles
from geoadapt.io.safe import is_safe
from geoadapt.io.stac import is_stac, read_stac
from geoadapt.io.zarr_read import is_store

__all__ = ["scenes_at"]


def scenes_at(path: str | os.PathLike[str], reading: Reading) -> list[SceneFiles | str]:
    """What lies at ``path``: scenes with one file per band, or paths of stacked rasters and stores."""
    name = os.fspath(path)
    file = local_file(name)
    if file is None:
        return [name]
    if not file.exists():
        raise GeoadaptError(name, "does not exist", "check the path")
    if is_stac(file):
        return list(read_stac(file, allow_external=reading.allow_external))
    if is_store(file):
        return [name]
    if not file.is_dir() or is_safe(file):
        return list(find_scenes(file, reading.sensor)) or [name]
    return _inside(file, reading) or _below(file, reading) or [str(p) for p in _stacked(file)]


def _inside(folder: Path, reading: Reading) -> list[SceneFiles | str]:
    """The scenes of a folder with one file per band, and the rasters beside them: none is passed over silently."""
    scenes = find_scenes(folder, reading.sensor)
    return [*scenes, *(str(p) for p in rasters_beside(folder, scenes))] if scenes else []


def _below(folder: Path, reading: Reading) -> list[SceneFiles | str]:
    """The scenes of a folder that holds no raster itself but products in folders of their own."""
    if rasters_in(folder):
        return []
    found: list[SceneFiles | str] = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        if is_store(path):
            found.append(str(path))
        elif is_safe(path):
            found += find_scenes(path, reading.sensor)
        else:
            found += _inside(path, reading) or [str(p) for p in rasters_in(path)]
    return found


def _stacked(folder: Path) -> list[Path]:
    files = rasters_in(folder)
    if not files:
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise GeoadaptError(
            folder, f"holds no raster (*{', *'.join(RASTER_SUFFIXES)}); found {held}", "give a folder of images"
        )
    return files
