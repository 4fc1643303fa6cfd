"""What was given to ``open_series``: scenes, stores with dates, or files whose bands are dates.

In: paths. Out: the parts of a series.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.cubes.find import RASTER_SUFFIXES
from geoadapt.cubes.open import expand_paths, list_scenes
from geoadapt.cubes.quality import is_quality
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.series_damage import LeftOut
from geoadapt.cubes.series_dated import dated_part
from geoadapt.cubes.series_masks import item_ids
from geoadapt.cubes.series_parts import Choice, Part, moment
from geoadapt.cubes.series_scenes import scene_parts
from geoadapt.cubes.series_stores import store_part
from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import local_file
from geoadapt.io.listing import SceneFiles
from geoadapt.io.stac import is_stac
from geoadapt.io.zarr_read import is_store

__all__ = ["Paths", "Times", "parts_at"]

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike] | Mapping[str, PathLike]
Times = PathLike | Sequence[object] | NDArray[np.datetime64] | Mapping[str, object]

_TIMELINE = "timeline"


def parts_at(
    paths: Paths, reading: Reading, choice: Choice, renamed: Mapping[str, str], times: Times | None
) -> tuple[list[Part], list[LeftOut]]:
    """The parts at ``paths``, and the scenes that ``choice.damaged`` leaves out.

    Raises GeoadaptError for what is missing, undated or cannot be told.
    """
    if isinstance(times, Mapping):
        choice = replace(choice, dates={name: moment(date, "times") for name, date in times.items()})
        times = None
    if isinstance(paths, Mapping):
        if times is None:
            raise GeoadaptError("paths", "a file per band was given, but no dates", "say times=…, one per layer")
        return dated_part({k: Path(v) for k, v in paths.items()}, _dates(times), reading, choice), []
    found = expand_paths(paths)
    folder = Path(found[0])
    if times is None and len(found) == 1 and folder.is_dir() and (folder / _TIMELINE).is_file():
        times = folder / _TIMELINE
    if times is not None:
        return dated_part(_by_band(found, renamed), _dates(times), reading, choice), []
    stores = [p for p in found if (f := local_file(p)) is not None and f.exists() and is_store(f)]
    parts = [part for p in stores for part in store_part(Path(p), reading, choice, renamed)]
    rest = [p for p in found if p not in stores]
    scenes, left = scene_parts(_images(rest, reading), reading, choice) if rest else ([], [])
    return parts + scenes, left


def _images(paths: list[str], reading: Reading) -> list[SceneFiles | str]:
    """The scenes at ``paths`` without the files that are quality layers by their names, which belong to scenes."""
    named = [p for p in paths if not (is_quality(Path(p).stem) and Path(p).suffix.lower() in RASTER_SUFFIXES)]
    scenes = list_scenes(named, reading) if named else []
    images = [s for s in scenes if not (isinstance(s, str) and is_quality(Path(s).stem))]
    if not images:
        raise GeoadaptError(paths[0], "holds quality layers, but no images", "give the scenes too")
    items = {key: p for p in named if is_stac(Path(p)) for key in item_ids(Path(p))}
    return [_with_item(scene, items) for scene in images]


def _with_item(scene: SceneFiles | str, items: Mapping[str, str]) -> SceneFiles | str:
    """The scene, its origin the file that lists its assets where its item calls itself by a URL, as a search's do."""
    if isinstance(scene, str) or local_file(scene.origin) is not None:
        return scene
    return replace(scene, origin=items.get(scene.tags.get("scene", ""), scene.origin))


def _by_band(paths: Sequence[str], renamed: Mapping[str, str]) -> dict[str, Path]:
    """Band → file, each file called like its band."""
    files: list[Path] = []
    for path in (Path(p) for p in paths):
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in RASTER_SUFFIXES) if path.is_dir() else [path]
        files += inside
    if not files:
        raise GeoadaptError(paths[0], "holds no raster", "give a folder with one file per band")
    return {renamed.get(f.stem, f.stem): f for f in files}


def _dates(times: PathLike | Sequence[object] | NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Dates (t,) from a list, or from a text file with one per line."""
    given: Sequence[object]
    if isinstance(times, (str, os.PathLike)):
        given = [line.strip() for line in Path(times).read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        given = list(times)
    dates = np.array([moment(one, "times") for one in given], "datetime64[s]")
    if not dates.size:
        raise GeoadaptError("times", "holds no date", "give one per layer")
    return dates
