"""Scenes of one place as parts of a series: one date each, with the quality layer that belongs to it.

In: scenes as ``scenes_at`` lists them. Out: one ``Part`` per scene, opened once for its grid and bands, then closed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geoadapt.cubes.bands import REFLECTIVE, common_name
from geoadapt.cubes.checks import check_reflectance, sample
from geoadapt.cubes.dates import time_in_name
from geoadapt.cubes.quality import decode as decode_quality
from geoadapt.cubes.quality import is_quality, scheme_of
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.scene import open_files
from geoadapt.cubes.series_damage import LeftOut, damage
from geoadapt.cubes.series_grid import Sampler
from geoadapt.cubes.series_masks import MaskFile, given_masks, mask_beside, quality_band
from geoadapt.cubes.series_parts import Choice, Part
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo, Window
from geoadapt.io.decode import decode
from geoadapt.io.landsat import landsat_sensor
from geoadapt.io.listing import SceneFiles
from geoadapt.io.raster import RasterSource
from geoadapt.io.stack import SelectSource, geobox

__all__ = ["scene_parts"]

Scene = SceneFiles | str


@dataclass(frozen=True, slots=True)
class _Opened:
    """A scene as it was found: what it holds and is called, and its quality layer."""

    scene: Scene
    reading: Reading
    info: SourceInfo
    name: str
    time: np.datetime64
    mask: MaskFile | None
    doubts: tuple[str, ...]


def scene_parts(scenes: Sequence[Scene], reading: Reading, choice: Choice) -> tuple[list[Part], list[LeftOut]]:
    """One part per scene between start and end, and the scenes that are left out for they cannot be read.

    Raises GeoadaptError for a scene without a date or quality layer, and for a damaged one unless it may be left out.
    """
    choice.check_dates([_name(scene) for scene in scenes])
    looked = [_look(scene, reading, choice) for scene in scenes if _may_be_wanted(scene, choice)]
    left = [one for one in looked if isinstance(one, LeftOut)]
    found = [one for one in looked if isinstance(one, _Opened) and choice.holds(np.array([one.time]))[0]]
    if not found:
        return [], left
    found, more = _whole_masks(_with_masks(found, choice), choice)
    return [_part(one, reading, choice) for one in found], left + more


def _may_be_wanted(scene: Scene, choice: Choice) -> bool:
    """Whether a scene's name leaves it between start and end; one that must be opened to tell is wanted."""
    named = time_in_name(Path(scene).name) if isinstance(scene, str) else scene.time
    if named is None:
        return True
    day = np.datetime64(named.replace(tzinfo=None), "s").astype("datetime64[D]")
    first = choice.start is None or day >= choice.start.astype("datetime64[D]")
    return bool(first and (choice.end is None or day <= choice.end))


def _look(scene: Scene, reading: Reading, choice: Choice) -> _Opened | LeftOut:
    """A scene as it was found, or why it is left out."""
    files = _files(scene)
    problem = damage(files)
    if problem is None:
        try:
            return _open(scene, reading, choice)
        except GeoadaptError:
            problem = damage(files, deep=True)
            if problem is None or choice.damaged == "error":
                raise
    if choice.damaged == "error":
        raise problem
    return LeftOut(_name(scene), problem.path, problem.problem)


def _files(scene: Scene) -> list[str]:
    return [scene] if isinstance(scene, str) else list(dict.fromkeys(band.path for band in scene.bands))


def _name(scene: Scene) -> str:
    return Path(scene).stem if isinstance(scene, str) else scene.tags.get("scene") or Path(scene.origin).name


def _open(scene: Scene, reading: Reading, choice: Choice) -> _Opened:
    """Open a scene once, checked as any other; what it warns of is told once for the whole series."""
    mask = None
    if isinstance(scene, str):
        bands = _listed(scene, reading)
        if choice.mask == "auto":
            mask = quality_band(bands, scene, choice) or mask_beside(scene, choice)
        wanted = choice.bands or _default(bands)
        reading = replace(reading, channels=wanted if mask is None or mask.path else (*wanted, bands[mask.band]))
    elif choice.mask == "auto":
        mask = mask_beside(scene, choice)
    info, doubts = _checked_info(scene, reading, choice)
    name = _name(scene)
    return _Opened(scene, reading, info, name, _time(info, name, choice), mask, doubts)


def _default(bands: Sequence[str]) -> tuple[str, ...]:
    """The reflective bands in order of wavelength; all but quality layers where none is."""
    held = [b for b in bands if not is_quality(b)]
    return tuple(sorted((b for b in held if b in REFLECTIVE), key=REFLECTIVE.index)) or tuple(held)


def _time(info: SourceInfo, name: str, choice: Choice) -> np.datetime64:
    if name in choice.dates:
        return choice.dates[name]
    if info.time is None:
        raise GeoadaptError(name, "has no date", "put it in the file's name, as 20200630, or say times={name: date}")
    return np.datetime64(info.time.replace(tzinfo=None), "s")


def _checked_info(scene: Scene, reading: Reading, choice: Choice) -> tuple[SourceInfo, tuple[str, ...]]:
    """What a scene holds, and the doubts about it; with the caller's nodata its numbers are checked without those."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        first = reading if choice.nodata is None else replace(reading, units="raw", zero_is_nodata="no")
        source = _told_nodata(open_files(scene, first), choice)
        info = source.info
        try:
            checked = choice.nodata is not None and reading.units != "raw"
            said = check_reflectance(info, sample(source)) if checked else []
        finally:
            source.close()
    return info, (*(str(w.message).removeprefix(f"{info.origin}: ") for w in caught), *said)


def _told_nodata(source: Source, choice: Choice) -> Source:
    """The source with the caller's nodata value, where it declares none itself."""
    if choice.nodata is None or source.info.nodata is not None:
        return source
    return SelectSource(source, range(len(source.info.bands)), replace(source.info, nodata=choice.nodata))


def _listed(path: str, reading: Reading) -> tuple[str, ...]:
    """The names of all bands of a stacked file."""
    source = open_files(path, replace(reading, channels=None, units="raw", zero_is_nodata="no"))
    try:
        return source.info.bands
    finally:
        source.close()


def _whole_masks(found: list[_Opened], choice: Choice) -> tuple[list[_Opened], list[LeftOut]]:
    """The scenes whose quality layer can be read, and the others where they may be left out."""
    kept, left = list[_Opened](), list[LeftOut]()
    for one in found:
        problem = None if one.mask is None or one.mask.path is None else damage([one.mask.path])
        if problem is None:
            kept.append(one)
        elif choice.damaged == "error":
            raise problem
        else:
            left.append(LeftOut(one.name, problem.path, problem.problem))
    return kept, left


def _with_masks(found: list[_Opened], choice: Choice) -> list[_Opened]:
    """Every scene with its mask, where the caller gives files; all or none of them where they were looked for."""
    if choice.mask == "auto":
        without = [one.name for one in found if one.mask is None]
        if without and len(without) < len(found):
            raise GeoadaptError(
                without[0],
                f"has no quality layer, nor have {len(without) - 1} others of {len(found)} scenes",
                "leave them out, give mask=… files, or say mask='none'",
            )
        return found
    if choice.mask == "none" or callable(choice.mask):
        return found
    files = given_masks(choice.mask, [one.name for one in found], [one.time for one in found])
    return [replace(one, mask=MaskFile(file, 0, _scheme(file, choice))) for one, file in zip(found, files, strict=True)]


def _scheme(file: str, choice: Choice) -> str:
    """The scheme of a mask that the caller gives: as said, by its name, else our own labels."""
    if choice.scheme is not None:
        return choice.scheme
    stem = Path(file).stem
    return scheme_of(stem, "/".join(Path(file).parts[-3:])) if is_quality(stem) else "labels"


def _part(one: _Opened, reading: Reading, choice: Choice) -> Part:
    info = one.info
    own = one.mask is not None and one.mask.path is None
    bands = info.bands[:-1] if own else info.bands
    # Looked at once: the checks of a scene's numbers are not repeated whenever it is opened again.
    again = replace(one.reading, units="raw", zero_is_nodata="yes" if reading.zero_is_nodata == "yes" else "no")
    return Part(
        origin=info.origin,
        names=(one.name,),
        times=np.array([one.time]),
        sensors=(info.sensor or landsat_sensor(one.name),),
        bands=tuple(common_name(b) or b for b in bands),
        grid=None if info.transform is None else geobox(info),
        size=(info.height, info.width),
        handles=(1 if isinstance(one.scene, str) else len(bands)) + (one.mask is not None and not own),
        opener=partial(_SceneReader, replace(one, reading=again), choice),
        notes=(*_told(one.mask), *([info.tags["notes"]] if "notes" in info.tags else [])),
        doubts=one.doubts,
        files=(*_files(one.scene), *([one.mask.path] if one.mask is not None and one.mask.path else [])),
    )


def _told(mask: MaskFile | None) -> tuple[str, ...]:
    if mask is None:
        return ()
    return (f"clear as {mask.scheme} says, from " + ("a band of the file" if mask.path is None else "a file"),)


class _SceneReader:
    """An open scene on the series' grid."""

    def __init__(self, one: _Opened, choice: Choice, grid: GeoBox | None, method: str) -> None:
        self._source = _told_nodata(open_files(one.scene, one.reading), choice)
        self._sampler = _sampler(self._source, grid, method)
        self._bands = list(range(len(self._source.info.bands)))
        self._mask: _Mask | None = None
        if one.mask is None:
            return
        if one.mask.path is None:
            self._mask = _Mask(self._source, self._bands.pop(), one.mask.scheme, choice, self._sampler)
            return
        try:
            file = RasterSource(one.mask.path, [one.mask.band], allow_external=one.reading.allow_external)
        except GeoadaptError:
            self._source.close()
            raise
        self._mask = _Mask(file, 0, one.mask.scheme, choice, _sampler(file, grid or _grid(self._source), "nearest"))

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (1, c, h, w) and what is clear (1, h, w)."""
        values = self._values(window) if self._sampler is None else self._sampler.read(self._values, window)
        if self._mask is None:
            return values[None], np.ones((1, *values.shape[1:]), bool)
        return values[None], self._mask.read(window)

    def close(self) -> None:
        """Release the scene and its quality layer."""
        self._source.close()
        if self._mask is not None:
            self._mask.close()

    def _values(self, window: Window) -> NDArray[np.float32]:
        values, valid = decode(self._source.read(window, self._bands), self._source.info, self._bands)
        if valid is not None:
            values[~valid] = np.nan
        return values


class _Mask:
    """A quality layer on the series' grid; always the nearest pixel, never a mixture."""

    def __init__(self, source: Source, band: int, scheme: str, choice: Choice, sampler: Sampler | None) -> None:
        self._source = source
        self._band = band
        self._scheme = scheme
        self._treatment = choice.treatment
        self._sampler = sampler

    def read(self, window: Window) -> NDArray[np.bool_]:
        """Where it is clear (1, h, w)."""
        seen = self._seen(window) if self._sampler is None else self._sampler.read(self._seen, window, "nearest")
        return np.equal(seen, 1)

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def _seen(self, window: Window) -> NDArray[np.float32]:
        raw, info = self._source.read(window, [self._band]), self._source.info
        try:
            return decode_quality(raw, self._scheme, nodata=info.nodata, **self._treatment).astype(np.float32)
        except GeoadaptError as error:
            raise GeoadaptError(info.origin, error.problem, error.hint) from error


def _grid(source: Source) -> GeoBox | None:
    return None if source.info.transform is None else geobox(source.info)


def _sampler(source: Source, grid: GeoBox | None, method: str) -> Sampler | None:
    own = _grid(source)
    return None if own is None or grid is None else Sampler(own, grid, method)
