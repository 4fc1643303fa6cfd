"""Public data sets of cloud removal in their published folders: thousands of places, read when they are asked for.

In: the folders that ``removal_layouts`` describes. Out: SeriesData. A pair is a series whose last date is missing and
whose truth is the cloud-free image; where no dates are published, frames are numbered by days from 1970 on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.removal_config import RemovalDatasetConfig
from geoadapt.fields.removal_layouts import LAYOUTS, Place, mask_files
from geoadapt.fields.series import Radar, Series, SeriesData
from geoadapt.io.base import Window
from geoadapt.io.paths import as_path
from geoadapt.io.raster import RasterSource
from geoadapt.words import counted

__all__ = ["HLS", "MTC", "SEN12", "LazySeries", "MaskFiles", "build"]

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

SEN12 = (
    *("coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078"),
    *("nir", "nir08", "nir09", "cirrus", "swir16", "swir22"),
)
"""Bands of SEN12MS-CR and -TS: Sentinel-2 level 1C, all 13 in order."""
MTC = ("red", "green", "blue", "nir")
HLS = ("blue", "green", "red", "nir08", "swir16", "swir22")
RADAR = ("vv", "vh")
HLS_DATES = 3
HLS_NODATA = -9999
AGREE = 0.02
"""So much may the share of a mask differ from that in the catalogue."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a data set is read: its bands, ground resolution [m], sensor and where its images' splits come from."""

    channels: tuple[str, ...]
    resolution: float
    sensor: str | None
    read: Callable[[Place, Source], Series]
    note: str


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader needs to know beside the place: the name of the data set, its folder, masks, whether radar."""

    name: str
    root: Path
    masks: Path | None
    radar: bool


@dataclass(frozen=True)
class LazySeries(Sequence[Series]):
    """Series that are read each time they are asked for, so that memory holds one; ``masks`` to paste, if any.

    ``by_positions`` says that they are pasted as ``hls_protocol`` does it, on several dates at once.
    """

    places: tuple[Place, ...]
    source: Source
    masks: Sequence[Bools] = field(default=())
    by_positions: bool = False

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Series: ...
    @overload
    def __getitem__(self, index: slice) -> LazySeries: ...
    def __getitem__(self, index: int | slice) -> Series | LazySeries:
        if isinstance(index, slice):
            return LazySeries(self.places[index], self.source, self.masks, self.by_positions)
        return KINDS[self.source.name].read(self.places[index], self.source)


@dataclass(frozen=True)
class MaskFiles(Sequence[Bools]):
    """Cloud masks (h, w), each read when it is asked for: what is not 0 is cloud."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Bools: ...
    @overload
    def __getitem__(self, index: slice) -> MaskFiles: ...
    def __getitem__(self, index: int | slice) -> Bools | MaskFiles:
        return MaskFiles(self.paths[index]) if isinstance(index, slice) else _raw(self.paths[index], 1)[0] != 0


def build(config: RemovalDatasetConfig, seed: int = 0) -> SeriesData:
    """The data set of ``config.name`` under ``config.root``; raises GeoadaptError that says what is missing.

    Nothing but names is read; a file that is damaged or of another shape is an error when its place is asked for.
    """
    if config.name not in LAYOUTS:
        raise GeoadaptError("data.name", f"'{config.name}' is unknown", nearest(config.name, LAYOUTS))
    kind, root = KINDS[config.name], as_path(config.root)
    if config.name == "sen12mscr_ts" and not config.masks:
        hint = f"write masks with 'geoadapt predict {root} --output MASKS', then data.masks=MASKS"
        raise GeoadaptError("data.masks", f"{config.name} does not say where its clouds are", hint)
    split = LAYOUTS[config.name](root)
    if config.name == "hls_gaps":
        split["train"], split["val"] = _held_out(split["train"], config.val_fraction, seed)
    source = Source(config.name, root, as_path(config.masks) if config.masks else None, config.radar)
    masks = (
        {"train": _hls_masks(root, "train"), "val": _hls_masks(root, "validate")} if config.name == "hls_gaps" else {}
    )
    parts = {s: LazySeries(_thinned(split[s], config.images), source, masks.get(s, ()), s in masks) for s in split}
    counts = ", ".join(f"{s} {len(parts[s])} of {len(split[s])}" for s in parts)
    if not any(map(len, parts.values())):
        raise GeoadaptError(root, "holds no place", "see data.root")
    # series that are read on demand are a sequence like any other
    train, val, test = (parts[s] for s in ("train", "val", "test"))
    return SeriesData(train, val, test, kind.channels, f"{config.name}: {counts}; {kind.note}")


def _held_out(places: list[Place], share: float, seed: int) -> tuple[list[Place], list[Place]]:
    """Places that train and that validate, where a data set names none of the latter; one place only trains."""
    if len(places) < 2:
        return places, []
    count = min(max(1, round(share * len(places))), len(places) - 1)
    chosen = set(np.random.default_rng(seed).permutation(len(places))[:count].tolist())
    return [p for i, p in enumerate(places) if i not in chosen], [p for i, p in enumerate(places) if i in chosen]


def _thinned(places: list[Place], most: int) -> tuple[Place, ...]:
    if not 0 < most < len(places):
        return tuple(places)
    return tuple(places[i] for i in np.linspace(0, len(places) - 1, most).astype(int))


def _hls_masks(root: Path, usage: str) -> MaskFiles:
    files = mask_files(root, usage)
    path, told = next(iter(files.items()))
    found = float((_raw(path, 1)[0] != 0).mean())
    if abs(found - told) > AGREE:
        raise GeoadaptError(
            path, f"hides {found:.3f}, by cloud_catalog.csv {told:.3f}", "expected 0 = clear, 1 = cloud"
        )
    return MaskFiles(tuple(files))


def _pair(place: Place, source: Source) -> Series:
    """Cloudy images, and behind them the date of the cloud-free one, of which nothing is seen."""
    kind = KINDS[source.name]
    bands, scale = (3, 1 / 255) if place.infrared else (len(kind.channels), 1e-4)
    seen = [_physical(path, bands, scale) for path in place.images]
    if place.infrared:
        seen = [np.concatenate([s, _physical(p, 1, scale)]) for s, p in zip(seen, place.infrared, strict=True)]
    assert place.truth is not None
    below = _physical(place.truth, bands, scale)
    truth = np.full((len(seen) + 1, *seen[0].shape), np.nan, np.float32)
    _same(place, [*seen, below])
    truth[-1, : len(below)] = below
    values = np.concatenate([np.stack(seen), np.full_like(truth[:1], np.nan)])
    clear = _known(values)
    for k, path in enumerate(place.images):
        clear[k] &= _mask(path, source, clear.shape[1:])
    times = np.arange(len(values)).astype("datetime64[D]")
    radar = _radar(place, source, times[-1:])
    return Series(place.name, values, clear, times, kind.channels, truth, kind.resolution, kind.sensor, radar)


def _dated(place: Place, source: Source) -> Series:
    """A year of one place with its dates; what is clear by the masks."""
    kind = KINDS[source.name]
    seen = [_physical(path, len(kind.channels), 1e-4) for path in place.images]
    _same(place, seen)
    values, times = np.stack(seen), np.array(place.times, "datetime64[D]")
    clear = _known(values)
    for k, path in enumerate(place.images):
        clear[k] &= _mask(path, source, clear.shape[1:])
    radar = _radar(place, source, np.array(place.radar_times, "datetime64[D]"))
    return Series(place.name, values, clear, times, kind.channels, None, kind.resolution, kind.sensor, radar)


def _chip(place: Place, source: Source) -> Series:
    """Three dates of HLS; in the test what its makers set to 0 is hidden, and what lay there is the truth."""
    kind = KINDS[source.name]
    bands = HLS_DATES * len(kind.channels)
    values = _hls(place.images[0], bands)
    times = np.array(place.times, "datetime64[D]")
    if place.truth is None:
        clear = _known(values)
        return Series(place.name, values, clear, times, kind.channels, None, kind.resolution, kind.sensor)
    truth = _hls(place.truth, bands)
    _same(place, [values, truth])
    clear = _known(values) & ~((values == 0).all(1) & (truth != 0).any(1))
    return Series(place.name, values, clear, times, kind.channels, truth, kind.resolution, kind.sensor)


def _hls(path: Path, bands: int) -> Floats:
    """Dates, bands and pixels (3, 6, h, w) of a chip, whose bands go by date."""
    raw = _raw(path, bands).astype(np.float32)
    reflectance = np.where(raw == HLS_NODATA, np.float32("nan"), raw * np.float32(1e-4))
    return reflectance.reshape(HLS_DATES, -1, *raw.shape[1:])


def _radar(place: Place, source: Source, times: NDArray[np.datetime64]) -> Radar | None:
    if not source.radar or not place.radar:
        return None
    seen = [_raw(path, len(RADAR)).astype(np.float32) for path in place.radar]
    _same(place, seen)
    values = np.stack(seen)
    values[np.broadcast_to((values == 0).all(1, keepdims=True), values.shape)] = np.nan
    return Radar(values, times, RADAR)


def _physical(path: Path, bands: int, scale: float) -> Floats:
    """Reflectance (c, h, w); a pixel that is 0 in all of several bands of 16 bits is missing."""
    raw = _raw(path, bands)
    values = raw.astype(np.float32) * np.float32(scale)
    if raw.dtype.itemsize > 1:
        values[:, (raw == 0).all(0)] = np.nan
    return values


def _mask(image: Path, source: Source, shape: tuple[int, ...]) -> Bools:
    """What is clear in an image by the masks that were given (h, w); everything where there are none."""
    if source.masks is None:
        return np.ones(shape, bool)
    named = source.masks / image.relative_to(source.root)
    known = [p for p in (named.with_name(f"{named.stem}_labels.tif"), named) if p.is_file()]
    if not known:
        raise GeoadaptError(named, "is missing", f"expected a mask of {image.name}, or {named.stem}_labels.tif")
    mask = _raw(known[0], 1)[0]
    if mask.shape != shape:
        raise GeoadaptError(known[0], f"has {mask.shape} px, its image {shape}", "write the masks again")
    return np.asarray(mask == 0)


def _known(values: Floats) -> Bools:
    """Where every band (t, c, h, w) has a value (t, h, w)."""
    return np.asarray(np.isfinite(values).all(1))


def _same(place: Place, images: Sequence[NDArray[np.generic]]) -> None:
    sizes = {image.shape[-2:] for image in images}
    if len(sizes) > 1:
        raise GeoadaptError(place.images[0], f"{place.name} has images of {sorted(sizes)} px", "download it again")


def _raw(path: Path, bands: int) -> NDArray[np.generic]:
    """The first ``bands`` bands (c, h, w) as they are stored; raises GeoadaptError where there are fewer."""
    source = RasterSource(path)
    try:
        if source.stored < bands:
            raise GeoadaptError(path, f"has {counted(source.stored, 'band')}, expected {bands}", "download it again")
        return source.read(Window(0, 0, source.info.height, source.info.width), range(bands))
    finally:
        source.close()


_UNDATED = "dates are not published, frames are numbered"
_SCENES = "published split by scene, the rest trains"

KINDS: dict[str, Kind] = {
    "sen2_mtc_new": Kind(MTC, 10.0, "sentinel2", _pair, f"published split by tile; {_UNDATED}"),
    "sen2_mtc_old": Kind(
        MTC, 10.0, None, _pair, f"8 to 1 to 1 by torch seed 2022 over sorted names; brightness over 255; {_UNDATED}"
    ),
    "sen12mscr": Kind(SEN12, 10.0, "sentinel2", _pair, f"{_SCENES}; {_UNDATED}"),
    "sen12mscr_ts": Kind(SEN12, 10.0, "sentinel2", _dated, _SCENES),
    "hls_gaps": Kind(
        HLS,
        30.0,
        "hls_s30",
        _chip,
        "published test; validation is held out of the training chips; both are hidden as published, by seven patterns "
        "of dates and whatever the share, from 1 %",
    ),
}
"""Data set → how it is read."""
