"""A series with one file per band, the layers of every file being dates.

In: band → file, and dates. Out: one ``Part``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geoadapt.cubes.bands import REFLECTIVE, common_name, match
from geoadapt.cubes.checks import check_reflectance, sample
from geoadapt.cubes.quality import decode as decode_quality
from geoadapt.cubes.quality import is_quality, scheme_of
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.series_grid import Read, Sampler
from geoadapt.cubes.series_parts import Choice, Part, scaled
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.decode import decode
from geoadapt.io.raster import RasterSource
from geoadapt.io.stack import SelectSource, geobox

__all__ = ["dated_part"]

Dates = NDArray[np.datetime64]


def dated_part(files: Mapping[str, Path], times: Dates, reading: Reading, choice: Choice) -> list[Part]:
    """The series in files whose layers are ``times``; raises GeoadaptError where their numbers differ."""
    held = {common_name(name) or name: path for name, path in files.items()}
    quality = [name for name in held if is_quality(name)]
    wanted, said = _wanted([n for n in held if n not in quality], choice, str(next(iter(files.values())).parent))
    layers = np.flatnonzero(choice.holds(times))
    if not layers.size:
        return []
    mask = held[quality[0]] if quality and choice.mask == "auto" else None
    chosen = {name: held[found] for name, found in wanted.items()}
    infos = [_info(path, name, times, reading, choice) for name, path in chosen.items()]
    grids = {(i.height, i.width, i.transform) for i in infos}
    if len(grids) > 1:
        raise GeoadaptError(infos[0].origin, "and the other bands lie on different grids", "bring them to one first")
    first = infos[0]
    doubts = [] if reading.units == "raw" else [d for info in infos for d in _checked(info, reading)]
    stem = Path(first.origin).parent.name

    return [
        Part(
            origin=str(Path(first.origin).parent),
            names=tuple(f"{stem}_{str(t)[:10]}" for t in times[layers]),
            times=times[layers],
            sensors=(reading.sensor,) * layers.size,
            bands=tuple(chosen),
            grid=None if first.transform is None else geobox(first),
            size=(first.height, first.width),
            handles=len(infos) + (mask is not None),
            opener=partial(_DatedReader, infos, mask, layers, choice),
            notes=tuple([*said, *([f"clear as {_scheme(mask, choice)} says, from a file"] if mask else [])]),
            doubts=tuple(doubts),
        )
    ]


def _wanted(names: Sequence[str], choice: Choice, where: str) -> tuple[dict[str, str], list[str]]:
    """Wanted name → found name; without a wish the reflective ones, or all where none is."""
    if choice.bands is None:
        order = {name: i for i, name in enumerate(REFLECTIVE)}
        optical = sorted((n for n in names if n in order), key=lambda n: order[n])
        return {n: n for n in optical or names}, []
    positions, said = match(choice.bands, names, where)
    return {name: names[i] for name, i in zip(choice.bands, positions, strict=True)}, said


def _info(path: Path, band: str, times: Dates, reading: Reading, choice: Choice) -> SourceInfo:
    """What one band's file holds, its layers named alike so that they are checked as that band."""
    source = RasterSource(path, allow_external=reading.allow_external)
    info = source.info
    source.close()
    count = len(info.bands)
    if count != len(times):
        raise GeoadaptError(path, f"holds {count} layers, but {len(times)} dates were given", "give one date per layer")
    scale = info.scale if reading.scale is None else (reading.scale,) * count
    offset = info.offset if reading.offset is None else (reading.offset,) * count
    nodata = choice.nodata if info.nodata is None else info.nodata
    told = replace(info, bands=(band,) * count, scale=scale, offset=offset, nodata=nodata)
    return scaled(told, band, reading)


def _checked(info: SourceInfo, reading: Reading) -> list[str]:
    """Warnings on a band's numbers, from its layer in the middle."""
    middle = len(info.bands) // 2
    source = RasterSource(info.origin, [middle], [info.bands[0]], allow_external=reading.allow_external)
    try:
        one = replace(source.info, scale=info.scale[:1], offset=info.offset[:1], nodata=info.nodata)
        return check_reflectance(one, sample(SelectSource(source, [0], one)))
    finally:
        source.close()


class _DatedReader:
    """Open files whose layers are dates."""

    def __init__(
        self,
        infos: Sequence[SourceInfo],
        mask: Path | None,
        layers: NDArray[np.intp],
        choice: Choice,
        grid: GeoBox | None,
        method: str,
    ) -> None:
        self._infos = infos
        self._layers = layers.tolist()
        self._choice = choice
        self._sources = [RasterSource(i.origin) for i in infos]
        self._mask = None if mask is None else RasterSource(mask)
        own = infos[0]
        placed = grid is not None and own.transform is not None
        self._sampler = Sampler(geobox(own), grid, method) if placed and grid is not None else None

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (t, c, h, w) and what is clear (t, h, w)."""
        bands = [self._on_grid(partial(self._band, k), window) for k in range(len(self._infos))]
        values = np.stack(bands, axis=1)
        if self._mask is None:
            return values, np.ones((len(self._layers), window.height, window.width), bool)
        return values, self._on_grid(self._seen, window, "nearest") == 1

    def close(self) -> None:
        """Release every file."""
        for source in (*self._sources, *([self._mask] if self._mask is not None else [])):
            source.close()

    def _on_grid(self, read: Read, window: Window, method: str | None = None) -> NDArray[np.float32]:
        return read(window) if self._sampler is None else self._sampler.read(read, window, method)

    def _band(self, k: int, window: Window) -> NDArray[np.float32]:
        values, valid = decode(self._sources[k].read(window, self._layers), self._infos[k], self._layers)
        if valid is not None:
            values[~valid] = np.nan
        return values

    def _seen(self, window: Window) -> NDArray[np.float32]:
        if self._mask is None:
            return np.ones((len(self._layers), window.height, window.width), np.float32)
        scheme = _scheme(Path(self._mask.info.origin), self._choice)
        raw = self._mask.read(window, self._layers)
        return decode_quality(raw, scheme, nodata=self._mask.info.nodata, **self._choice.treatment).astype(np.float32)


def _scheme(mask: Path, choice: Choice) -> str:
    return choice.scheme or scheme_of(mask.stem, "/".join(mask.parts[-3:]))
