"""What a list of paths means: every scene in it, under a name that no other has.

In: files, folders, products, glob patterns. Out: scenes in order, each with the name its outputs will carry.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from geoadapt.cubes.find import RASTER_SUFFIXES, rasters_beside, rasters_without_band
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.scene_paths import scenes_at
from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import local_file
from geoadapt.io.listing import SceneFiles
from geoadapt.io.paths import as_path
from geoadapt.io.safe import is_safe
from geoadapt.io.stac import is_stac
from geoadapt.io.zarr_read import is_store

__all__ = ["Scene", "find_all"]

_LONGEST = 180
"""Bytes of a name's last part, so that suffixes still fit into a file name."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene to run: ``name`` is a relative path with forward slashes, without suffix, and unique."""

    name: str
    files: SceneFiles | str
    origin: str
    error: GeoadaptError | None = None
    """Why it cannot even be listed; it counts as a failed scene."""

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The local files and folders it is read from: a change of any makes its outputs stale."""
        origin = Path(self.origin)
        if isinstance(self.files, str) or is_safe(origin):
            return (origin,)
        told = [origin] if origin.is_file() else [origin / self.files.tags.get("metadata", "")]
        return tuple(p for p in (*told, *(Path(b.path) for b in self.files.bands)) if p.is_file())


def find_all(paths: Sequence[str | Path], sensor: str | None = None, exclude: Path | None = None) -> list[Scene]:
    """All scenes at ``paths``, folders searched to the bottom except ``exclude``; a path may be a glob pattern.

    Raises GeoadaptError where a path does not exist or a folder holds no scene: it lists what was found.
    """
    reading = Reading(sensor=sensor)
    found = [scene for path in paths for scene in _at(os.fspath(path), reading, exclude)]
    if not found:
        raise GeoadaptError("scenes", "none were given", "name files, folders or patterns")
    distinct = list({(os.path.abspath(scene.origin), _key(scene)): scene for scene in found}.values())
    return _unique(distinct)


def _at(path: str, reading: Reading, exclude: Path | None) -> Iterator[Scene]:
    file = local_file(path)
    if file is None:
        yield Scene(_short(path.split("?")[0].rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]), path, path)
        return
    file = as_path(file)
    if not file.exists():
        matches = sorted(glob.glob(str(file), recursive=True)) if glob.has_magic(path) else []
        if not matches:
            raise GeoadaptError(
                path, "does not exist" if not glob.has_magic(path) else "matches nothing", "check the path"
            )
        for match in matches:
            yield from _at(match, reading, exclude)
    elif not file.is_dir() or _is_product(file):
        yield from _listed(file, Path(_stem(file)), reading)
    else:
        held = list(_walk(file, Path(), reading, exclude))
        if not held:
            names = ", ".join(sorted(p.name for p in file.iterdir())[:8]) or "nothing"
            suffixes = ", ".join(f"*{s}" for s in RASTER_SUFFIXES)
            raise GeoadaptError(
                file, f"holds no scene ({suffixes}, products); found {names}", "give a folder of images"
            )
        yield from held


def _walk(
    folder: Path, below: Path, reading: Reading, exclude: Path | None, above: frozenset[Path] = frozenset()
) -> Iterator[Scene]:
    """The scenes in ``folder`` and below it; ``above`` are the folders on the way, to which a link may lead back."""
    here = folder.resolve()
    if here in above:
        return
    try:
        inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        problem = GeoadaptError(folder, f"cannot be searched: {error.strerror}", "check its rights")
        yield Scene(_short((below / "unreadable").as_posix()), str(folder), str(folder), problem)
        return
    if any(p.is_file() and p.suffix.lower() in RASTER_SUFFIXES for p in inside):
        yield from _listed(folder, below, reading)
    for path in inside:
        if not path.is_dir() or (exclude is not None and path.resolve() == exclude.resolve()):
            continue
        if _is_product(path):
            yield from _listed(path, below / _stem(path), reading)
        else:
            yield from _walk(path, below / path.name, reading, exclude, above | {here})


def _listed(path: Path, name: Path, reading: Reading) -> Iterator[Scene]:
    """The scenes of one file, product or folder of files; one that cannot be listed is a scene with an error."""
    try:
        held = scenes_at(path, reading)
        if path.is_dir() and not _is_product(path):
            products = [files for files in held if isinstance(files, SceneFiles) and len(files.bands) > 1]
            held = [*products, *(str(p) for p in rasters_beside(path, products))]
    except GeoadaptError as error:
        yield Scene(_short((name if name.name else Path(path.name)).as_posix()), str(path), str(path), error)
        held = [str(p) for p in rasters_without_band(path)] if path.is_dir() and not _is_product(path) else []
    for files in held:
        yield _named(files, path, name, alone=len(held) == 1)


def _named(files: SceneFiles | str, path: Path, name: Path, *, alone: bool) -> Scene:
    if isinstance(files, SceneFiles):
        # What a catalogue calls an item must not lead out of the output folder.
        own = re.sub(r"[/\\]", "_", files.tags.get("scene", ""))
        single = alone and (not path.is_dir() or _is_product(path))
        full = name if single and name.name else name / (own or path.name)
        return Scene(_short(full.as_posix()), files, str(path))
    if path.is_dir() and not _is_product(path):
        name = name / _stem(Path(files))
    return Scene(_short(name.as_posix()), files, files)


def _is_product(path: Path) -> bool:
    return is_safe(path) or is_store(path) or is_stac(path)


def _stem(path: Path) -> str:
    return path.stem if path.suffix and len(path.suffix) <= 6 else path.name


def _key(scene: Scene) -> str:
    return scene.files.tags.get("scene", "") if isinstance(scene.files, SceneFiles) else ""


def _short(name: str) -> str:
    head, _, last = name.rpartition("/")
    if len(os.fsencode(last)) > _LONGEST:
        digest = hashlib.sha256(os.fsencode(last)).hexdigest()[:8]
        last = os.fsencode(last)[: _LONGEST - 9].decode("utf-8", "ignore") + "-" + digest
    return f"{head}/{last}" if head else last


def _unique(scenes: list[Scene]) -> list[Scene]:
    """Give scenes of equal names their folders' names too, and what still collides a number."""
    counts = Counter(scene.name.casefold() for scene in scenes)
    named = [replace(s, name=_with_parent(s)) if counts[s.name.casefold()] > 1 else s for s in scenes]
    # The STAC item of a scene called "run" would be the job's own run.json, that of "propose" its propose.json.
    seen = Counter({"run": 1, "propose": 1})
    made = []
    for scene in named:
        seen[scene.name.casefold()] += 1
        number = seen[scene.name.casefold()]
        made.append(scene if number == 1 else replace(scene, name=f"{scene.name}_{number}"))
    return made


def _with_parent(scene: Scene) -> str:
    parent = Path(scene.origin).absolute().parent.name
    return f"{parent}/{scene.name}" if parent else scene.name
