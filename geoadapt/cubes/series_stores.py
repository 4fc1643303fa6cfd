"""A series in one Zarr or NetCDF store: an image with dates, or one variable (time, y, x) per band.

In: a store. Out: one ``Part``; pixels are read by window for all its dates at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geoadapt.cubes.bands import REFLECTIVE, common_name, match
from geoadapt.cubes.checks import Sample, check_reflectance
from geoadapt.cubes.quality import decode as decode_quality
from geoadapt.cubes.quality import is_quality, scheme_of
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.sensors import SENSORS, sensor_band, sensor_in_tags
from geoadapt.cubes.series_grid import Sampler
from geoadapt.cubes.series_parts import Choice, Part, scaled
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.decode import decode
from geoadapt.io.stack import geobox
from geoadapt.io.zarr_read import crs_of, open_store, transform_of

__all__ = ["store_part"]

_AXES: dict[str, tuple[str, ...]] = {
    "time": ("time", "t", "date"),
    "band": ("band", "bands", "channel", "variable"),
    "y": ("y", "northing", "lat", "latitude"),
    "x": ("x", "easting", "lon", "longitude"),
}
_PRODUCT_BAND = re.compile(r"(?:^|[-_. ])(B\d{1,2}|B8A)$", re.I)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One band of a store: its variable, its position along that one's band axis, and how its numbers are meant."""

    variable: str
    position: int | None
    info: SourceInfo


def store_part(path: Path, reading: Reading, choice: Choice, renamed: Mapping[str, str]) -> list[Part]:
    """The series in a store; raises GeoadaptError where it holds no images with dates."""
    dataset = _renamed(open_store(path, decode=False))
    try:
        layers = _layers(path, dataset, reading, choice, renamed)
        quality = [name for name in layers if is_quality(name)]
        wanted, said = _wanted({n: v for n, v in layers.items() if n not in quality}, choice, str(path))
        times = dataset["time"].values.reshape(-1).astype("datetime64[s]")
        if np.isnat(times).any():
            raise GeoadaptError(path, "holds a date that is none", "mend its time coordinate")
        dates = np.flatnonzero(choice.holds(times))
        if not dates.size:
            return []
        doubts = [] if reading.units == "raw" else _checked(dataset, wanted, dates)
    finally:
        dataset.close()
    mask = layers[quality[0]] if quality and choice.mask == "auto" else None
    scheme = "" if mask is None else choice.scheme or scheme_of(quality[0], "/".join(path.parts[-3:]))
    if mask is not None:
        said.append(f"clear as {scheme} says, from '{quality[0]}'")
    first = next(iter(wanted.values())).info
    sensor = reading.sensor or sensor_in_tags(first.tags)

    return [
        Part(
            origin=str(path),
            names=tuple(f"{path.stem}_{str(t)[:10]}" for t in times[dates]),
            times=times[dates],
            sensors=(sensor,) * dates.size,
            bands=tuple(wanted),
            grid=None if first.transform is None else geobox(first),
            size=(first.height, first.width),
            handles=1,
            opener=partial(_StoreReader, path, tuple(wanted.values()), mask, scheme, dates, choice),
            notes=tuple(said),
            doubts=tuple(doubts),
        )
    ]


def _renamed(dataset: xr.Dataset) -> xr.Dataset:
    """The same under the dimension names time, band, y, x."""
    found = {
        d: axis
        for axis, known in _AXES.items()
        for d in map(str, dataset.dims)
        if d.lower() in known and d != axis and axis not in dataset.dims
    }
    return dataset.rename(found)


def _layers(
    path: Path, dataset: xr.Dataset, reading: Reading, choice: Choice, renamed: Mapping[str, str]
) -> dict[str, _Layer]:
    """Every image with dates, by its common name."""
    found: dict[str, _Layer] = {}
    for key, array in dataset.data_vars.items():
        name, axes = str(key), set(map(str, array.dims))
        if not {"time", "y", "x"} <= axes or axes - {"time", "band", "y", "x"} or array.dtype.kind not in "bfiu":
            continue
        info = _info(path, dataset, array, reading, choice)
        if "band" not in axes:
            band = _common(name, renamed)
            found[band] = _Layer(name, None, scaled(info, band, reading))
            continue
        held = list(reading.names or [str(b) for b in array["band"].values])
        if len(held) != array.sizes["band"]:
            raise GeoadaptError(path, f"has {array.sizes['band']} bands, {len(held)} names were given")
        common = [_common(b, renamed) for b in held]
        found |= {band: _Layer(name, i, scaled(info, band, reading)) for i, band in enumerate(common)}
    if not found:
        listing = ", ".join(f"{n} {tuple(a.dims)}" for n, a in dataset.data_vars.items()) or "nothing"
        raise GeoadaptError(path, f"holds no image with dates (time, y, x); found {listing}", "is it a series?")
    return found


def _common(name: str, renamed: Mapping[str, str]) -> str:
    if name in renamed:
        return renamed[name]
    product = _PRODUCT_BAND.search(name)
    if product is not None and re.search(r"S2|sentinel-?2", name, re.I):
        own = sensor_band(SENSORS["sentinel2"], product.group(1))
        if own is not None:
            return SENSORS["sentinel2"].bands[own]
    return common_name(name) or name


def _info(path: Path, dataset: xr.Dataset, array: xr.DataArray, reading: Reading, choice: Choice) -> SourceInfo:
    attributes = {**array.encoding, **array.attrs}
    fill = attributes.get("_FillValue", attributes.get("missing_value", choice.nodata))
    unsigned = str(attributes.get("_Unsigned", "")).lower() == "true" and array.dtype.kind == "i"
    dtype = np.dtype(f"u{array.dtype.itemsize}") if unsigned else array.dtype
    number = None if fill is None else float(np.asarray(fill).reshape(-1)[0])
    if unsigned and number is not None and number < 0:
        number += 2.0 ** (8 * dtype.itemsize)
    scale = float(attributes.get("scale_factor", 1.0)) if reading.scale is None else reading.scale
    offset = float(attributes.get("add_offset", 0.0)) if reading.offset is None else reading.offset
    return SourceInfo(
        origin=str(path),
        height=array.sizes["y"],
        width=array.sizes["x"],
        bands=(str(array.name),),
        dtype=dtype,
        crs=crs_of(array, dataset),
        transform=transform_of(array),
        nodata=number,
        scale=() if scale == 1.0 else (scale,),
        offset=() if offset == 0.0 else (offset,),
        tags={str(k): str(v) for k, v in {**dataset.attrs, **array.attrs}.items()},
    )


def _wanted(layers: dict[str, _Layer], choice: Choice, where: str) -> tuple[dict[str, _Layer], list[str]]:
    """The chosen bands in order; without a wish the reflective ones, or all where none is."""
    if choice.bands is None:
        order = {name: i for i, name in enumerate(REFLECTIVE)}
        optical = sorted((n for n in layers if n in order), key=lambda n: order[n])
        return ({n: layers[n] for n in optical} if optical else layers), []
    names = list(layers)
    positions, said = match(choice.bands, names, where)
    return {name: layers[names[i]] for name, i in zip(choice.bands, positions, strict=True)}, said


def _checked(dataset: xr.Dataset, wanted: Mapping[str, _Layer], dates: NDArray[np.intp]) -> list[str]:
    """Warnings on the numbers of a window in the middle, of up to five dates."""
    said: list[str] = []
    some = dates[np.unique(np.linspace(0, dates.size - 1, 5).astype(int))]
    for name, layer in wanted.items():
        info = layer.info
        window = Window(
            max(0, info.height // 2 - 64), max(0, info.width // 2 - 64), min(128, info.height), min(128, info.width)
        )
        raw = _raw(dataset, layer, some, window).reshape(1, 1, -1)
        values, valid = decode(raw, info)
        known = np.ones(raw.shape, bool) if valid is None else valid
        said += check_reflectance(replace(info, bands=(name,)), Sample(raw[:, 0], values[:, 0], known[:, 0]))
    return said


def _raw(dataset: xr.Dataset, layer: _Layer, dates: NDArray[np.intp], window: Window) -> NDArray[Any]:
    """Raw numbers (t, h, w)."""
    array = dataset[layer.variable]
    if layer.position is not None:
        array = array.isel(band=layer.position)
    rows, cols = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
    whole = dates.size == dates[-1] - dates[0] + 1
    part = array.isel(y=rows, x=cols, time=slice(int(dates[0]), int(dates[-1]) + 1) if whole else dates)
    try:
        values: NDArray[Any] = part.transpose("time", "y", "x").values
    except (OSError, ValueError, RuntimeError) as error:
        raise GeoadaptError(
            layer.info.origin, f"a chunk of '{layer.variable}' under {window} cannot be read: {error}", "copy it again"
        ) from error
    return values if values.dtype == layer.info.dtype else values.view(layer.info.dtype)


class _StoreReader:
    """An open store on the series' grid."""

    def __init__(
        self,
        path: Path,
        layers: tuple[_Layer, ...],
        mask: _Layer | None,
        scheme: str,
        dates: NDArray[np.intp],
        choice: Choice,
        grid: GeoBox | None,
        method: str,
    ) -> None:
        self._dataset = _renamed(open_store(path, decode=False))
        self._layers = layers
        self._mask = mask
        self._scheme = scheme
        self._dates = dates
        self._choice = choice
        own = layers[0].info
        self._sampler = Sampler(geobox(own), grid, method) if grid is not None and own.transform is not None else None

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (t, c, h, w) and what is clear (t, h, w)."""
        count, t = len(self._layers), self._dates.size
        flat = self._values(window) if self._sampler is None else self._sampler.read(self._values, window)
        values = flat.reshape(count, t, window.height, window.width).transpose(1, 0, 2, 3)
        if self._mask is None:
            return values, np.ones((t, window.height, window.width), bool)
        seen = self._seen(window) if self._sampler is None else self._sampler.read(self._seen, window, "nearest")
        return values, seen == 1

    def close(self) -> None:
        """Release the store."""
        self._dataset.close()

    def _values(self, window: Window) -> NDArray[np.float32]:
        """All bands and dates (c·t, h, w)."""
        out = np.empty((len(self._layers), self._dates.size, window.height, window.width), np.float32)
        for k, layer in enumerate(self._layers):
            raw = _raw(self._dataset, layer, self._dates, window)
            valid = decode(raw[None], layer.info, out=out[k][None])[1]
            if valid is not None:
                out[k][~valid[0]] = np.nan
        return out.reshape(-1, window.height, window.width)

    def _seen(self, window: Window) -> NDArray[np.float32]:
        if self._mask is None:
            return np.ones((self._dates.size, window.height, window.width), np.float32)
        raw = _raw(self._dataset, self._mask, self._dates, window)
        nodata = self._mask.info.nodata
        return decode_quality(raw, self._scheme, nodata=nodata, **self._choice.treatment).astype(np.float32)
