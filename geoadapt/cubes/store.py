"""Cubes from Zarr, NetCDF and GRIB: an image becomes (time, band, y, x), weather the canonical Dataset.

Fields that are no weather stay the Dataset that they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rioxarray  # noqa: F401  gives every DataArray its .rio
import xarray as xr

from geoadapt.cubes.area import Area, outline, window_of
from geoadapt.cubes.assemble import refuse_if_too_big
from geoadapt.cubes.bands import REFLECTIVE, common_name, match
from geoadapt.cubes.checks import Sample, check_reflectance
from geoadapt.cubes.weather import cube_of
from geoadapt.cubes.weather_files import Candidate, weather_in
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo
from geoadapt.io.vectors import within
from geoadapt.io.zarr_read import crs_of, image_of, open_store, transform_of
from geoadapt.words import counted

if TYPE_CHECKING:
    from geoadapt.cubes.reading import Reading

__all__ = ["open_store_cube", "weather_cube"]


def open_store_cube(
    path: Path,
    reading: Reading,
    bbox: Sequence[float] | None,
    aoi: Area | None,
    chunks: int | dict[str, int] | None,
) -> xr.DataArray | xr.Dataset:
    """The cube of a store that holds one image or weather, else its Dataset decoded and otherwise unchanged."""
    sides = {"y": chunks, "x": chunks} if isinstance(chunks, int) else chunks
    partial = bbox is not None or aoi is not None or reading.channels is not None
    if not partial and (found := weather_in(path)) is not None:
        return weather_cube(found, chunks)
    dataset = open_store(path)
    image = image_of(dataset)
    if image is None:
        if partial:
            raise GeoadaptError(path, "holds fields, not an image", "choose variables and places in the Dataset itself")
        return (
            dataset if chunks is None else dataset.chunk({d: c for d, c in (sides or {}).items() if d in dataset.dims})
        )
    image = _named(image, reading, path)
    info = _info(path, image, dataset)
    window = window_of(info, bbox, aoi)
    if window is not None:
        rows, cols = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
        image = image.isel(y=rows, x=cols)
        info = _info(path, image, dataset)
    cube = _finished(image, info, reading)
    if aoi is not None and info.crs is not None and info.transform is not None:
        inside = within(outline(aoi, info.crs), info.transform, info.height, info.width)
        cube = cube.where(xr.DataArray(inside, dims=("y", "x")))
    if chunks is not None:
        return cube.chunk(sides)
    refuse_if_too_big(replace(info, height=info.height * cube.sizes["time"]))
    return cube.load()


def weather_cube(found: Sequence[Candidate], chunks: int | dict[str, int] | None) -> xr.Dataset:
    """The canonical cube of weather files, gaps between dates allowed and said; ``chunks`` of one number are sides."""
    sides = {"latitude": chunks, "longitude": chunks} if isinstance(chunks, int) else chunks
    return cube_of(found, gaps="allow", chunks=sides)


def _named(image: xr.DataArray, reading: Reading, path: Path) -> xr.DataArray:
    """The image with a time and a band axis, its bands under common names, the wanted ones in order."""
    if "band" not in image.dims:
        image = image.expand_dims(band=[str(image.name)])
    if "time" not in image.dims:
        moment = image.coords["time"].values if "time" in image.coords else np.datetime64("NaT", "ns")
        image = image.drop_vars("time", errors="ignore").expand_dims(time=[moment])
    held = [str(b) for b in image["band"].values] if "band" in image.coords else []
    if reading.names is not None:
        held = list(reading.names)
    if not held or all(b.isdigit() for b in held):
        held = [f"band_{i + 1}" for i in range(image.sizes["band"])]
    if len(held) != image.sizes["band"]:
        raise GeoadaptError(path, f"has {counted(image.sizes['band'], 'band')}, names were given for {len(held)}")
    image = image.assign_coords(band=[common_name(b) or b for b in held]).transpose("time", "band", "y", "x")
    if reading.channels is None:
        return image
    positions, said = match(reading.channels, [str(b) for b in image["band"].values], str(path))
    image = image.isel(band=positions).assign_coords(band=list(reading.channels))
    return image.assign_attrs(notes="; ".join(said)) if said else image


def _info(path: Path, image: xr.DataArray, dataset: xr.Dataset) -> SourceInfo:
    return SourceInfo(
        origin=str(path),
        height=image.sizes["y"],
        width=image.sizes["x"],
        bands=tuple(str(b) for b in image["band"].values),
        dtype=image.dtype,
        crs=crs_of(image, dataset),
        transform=transform_of(image),
    )


def _finished(image: xr.DataArray, info: SourceInfo, reading: Reading) -> xr.DataArray:
    """float32, scaled as the caller says, checked where it is reflectance, with its CRS."""
    cube = image.astype(np.float32)
    if reading.scale is not None or reading.offset is not None:
        cube = cube * np.float32(reading.scale or 1.0) + np.float32(reading.offset or 0.0)
    optical = any(common_name(b) in REFLECTIVE for b in info.bands)
    units = "reflectance" if optical and reading.units != "raw" else "raw"
    notes = [image.attrs["notes"]] if "notes" in image.attrs else []
    if units == "reflectance":
        notes += check_reflectance(info, _sampled(cube))
    cube.attrs = {"units": units, "source": info.origin, **({"notes": "; ".join(notes)} if notes else {})}
    cube.name = "reflectance" if units == "reflectance" else "values"
    cube = cube.drop_vars([str(c) for c in cube.coords if c not in ("time", "band", "y", "x")])
    cube = cube.rio.write_crs(info.crs) if info.crs is not None else cube.assign_coords(spatial_ref=0)
    return cube if info.transform is None else cube.rio.write_transform(info.transform)


def _sampled(cube: xr.DataArray) -> Sample:
    """Up to 128 × 128 pixels of the first date, from the middle."""
    part = cube.isel(time=0)
    middle = {d: slice(max(0, part.sizes[d] // 2 - 64), part.sizes[d] // 2 + 64) for d in ("y", "x")}
    values = part.isel(middle).values.reshape(part.sizes["band"], -1)
    return Sample(values, values, np.isfinite(values))
