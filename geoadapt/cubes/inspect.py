"""What a file is: driver, bands, CRS, size, numbers and their ranges, and what a person should be warned of.

In: anything that GDAL reads as a raster, a folder of bands, a product or a store. Out: a ``Report``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from geoadapt.cubes.area import bounds_degrees
from geoadapt.cubes.bands import REFLECTIVE, common_name
from geoadapt.cubes.checks import sample, zero_corners
from geoadapt.cubes.dates import time_in_name
from geoadapt.cubes.described import BandReport, Report
from geoadapt.cubes.reading import Reading
from geoadapt.cubes.scene import open_files
from geoadapt.cubes.scene_paths import scenes_at
from geoadapt.cubes.sensors import sensor_in_tags
from geoadapt.cubes.weather_report import weather_report
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Source, SourceInfo
from geoadapt.io.gdal import local_file, open_dataset, quiet
from geoadapt.io.grib import is_grib, reads_grib
from geoadapt.io.listing import SceneFiles
from geoadapt.io.paths import as_path
from geoadapt.io.raster import RasterSource
from geoadapt.io.reason import reason
from geoadapt.io.zarr_read import is_store, open_store

__all__ = ["BandReport", "Report", "inspect"]

_SIDE = 1024
_FULL_READ_VALUES = 200_000_000


def inspect(path: str | os.PathLike[str]) -> Report:
    """What ``path`` is; raises GeoadaptError where it is missing or damaged."""
    name = os.fspath(path)
    if local_file(name) is not None:
        name = str(as_path(name))
    file = local_file(name)
    if file is not None and not file.exists():
        raise GeoadaptError(name, "does not exist", "check the path")
    if file is not None and (is_store(file) or (is_grib(file) and reads_grib())):
        return weather_report(file) or (_store_report(file) if is_store(file) else _raster_report(name))
    if file is not None and (file.is_dir() or file.suffix.lower() in (".json", ".geojson", ".xml")):
        return _folder_report(name)
    with quiet():
        return _raster_report(name)


def _raster_report(name: str) -> Report:
    dataset = open_dataset(name)
    if dataset.count == 0:
        subdatasets = tuple(dataset.subdatasets)
        dataset.close()
        said = ("holds no band of its own: open one of its subdatasets",)
        return Report(name, "container", dataset.driver, 0, 0, None, None, None, None, None, (), subdatasets, said)
    dataset.close()
    source = RasterSource(name, time=time_in_name(Path(name).name))
    try:
        raw = _decimated(source)
        return _report(source, raw, "raster", source.dataset.driver, tuple(source.dataset.subdatasets))
    finally:
        source.close()


def _folder_report(name: str) -> Report:
    """A product or folder of bands, read as it would be opened, its values unchecked so that odd ones are reported."""
    try:
        found = scenes_at(name, Reading(units="raw"))
    except GeoadaptError as error:
        return _folder_by_gdal(name, error)
    report = _first_report(found[0])
    if len(found) == 1:
        return report
    others = tuple(s if isinstance(s, str) else s.tags.get("scene", s.origin) for s in found)
    said = (f"holds {len(found)} scenes; the first one is shown", *report.warnings)
    return replace(report, subdatasets=others, warnings=said)


def _folder_by_gdal(name: str, error: GeoadaptError) -> Report:
    """A folder that is one raster to GDAL, as some old formats are; raises ``error`` where it is none."""
    try:
        with quiet():
            return _raster_report(name)
    except GeoadaptError:
        raise error from None


def _first_report(scene: SceneFiles | str) -> Report:
    if isinstance(scene, str):
        if is_store(Path(scene)):
            return weather_report(Path(scene)) or _store_report(Path(scene))
        with quiet():
            return _raster_report(scene)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = open_files(scene, Reading(units="raw"))
    try:
        return _report(source, sample(source).raw, "scene of a folder", "one file per band", ())
    finally:
        source.close()


def _store_report(file: Path) -> Report:
    """A store by its variables; a file that GDAL reads though xarray does not, as a raster."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            report = _variables_report(file)
        except GeoadaptError:
            if file.is_dir():
                raise
            with quiet():
                return _raster_report(str(file))
    said = tuple(dict.fromkeys(reason(w.message) for w in caught))
    return replace(report, warnings=(*report.warnings, *said))


def _variables_report(file: Path) -> Report:
    dataset = open_store(file, decode_times=False)
    sizes = {str(k): int(v) for k, v in dataset.sizes.items()}
    bands = tuple(_variable(str(n), a) for n, a in dataset.data_vars.items())
    height = sizes.get("y", sizes.get("latitude", sizes.get("lat", 0)))
    width = sizes.get("x", sizes.get("longitude", sizes.get("lon", 0)))
    told = ", ".join(f"{k} {v}" for k, v in sizes.items())
    grids = [v.attrs.get("crs_wkt") for v in dataset.variables.values() if v.attrs.get("crs_wkt")]
    crs = None if not grids else _crs_text(rasterio.crs.CRS.from_wkt(grids[0]))
    driver = "Zarr" if file.is_dir() or file.suffix == ".zip" else "netCDF"
    dataset.close()
    return Report(str(file), f"store with {told}", driver, height, width, crs, None, None, None, None, bands, (), ())


def _report(source: Source, raw: NDArray[np.generic], kind: str, driver: str, subdatasets: tuple[str, ...]) -> Report:
    info = source.info
    bands = tuple(_band(info, i, raw[i]) for i in range(len(info.bands)))
    bounds = None
    if info.crs is not None and info.transform is not None:
        try:
            bounds = bounds_degrees(info.crs, info.transform, info.height, info.width)
        except GeoadaptError:
            bounds = None
    said = [*_doubts(info, bands), *_placed(info)]
    if raw.dtype.kind != "c" and info.nodata is None and zero_corners(source):
        said.append("a border is all zero but no nodata is declared")
    return Report(
        info.origin,
        kind,
        driver,
        info.height,
        info.width,
        None if info.crs is None else _crs_text(info.crs),
        None if info.transform is None else tuple(info.transform[:6]),
        bounds,
        None if info.time is None else info.time.isoformat(),
        info.sensor or sensor_in_tags(info.tags),
        bands,
        subdatasets,
        tuple(said),
    )


def _decimated(source: RasterSource) -> NDArray[np.generic]:
    """Raw pixels (c, h, w), at most 1024 a side: from overviews or every n-th pixel; of a huge file some windows."""
    dataset: DatasetReader = source.dataset
    values = dataset.width * dataset.height * dataset.count
    if values > _FULL_READ_VALUES and not dataset.overviews(1):
        return sample(source).raw[:, None, :]
    shape = (len(source.indexes), min(_SIDE, dataset.height), min(_SIDE, dataset.width))
    try:
        raw: NDArray[np.generic] = dataset.read(list(source.indexes), out_shape=shape)
        mask = dataset.dataset_mask(out_shape=shape[1:]) if source.masked else None
    except (RasterioError, OSError) as error:
        raise GeoadaptError(
            source.info.origin, "its pixels cannot be read", "it is cut short or damaged: copy or download it again"
        ) from error
    if mask is not None:
        raw = raw.astype(source.info.dtype)
        raw[:, mask == 0] = np.nan
    return raw


def _band(info: SourceInfo, index: int, raw: NDArray[np.generic]) -> BandReport:
    amplitude = np.abs(raw) if raw.dtype.kind == "c" else raw
    missing = np.zeros(amplitude.shape, bool) if amplitude.dtype.kind in "iub" else ~np.isfinite(amplitude)
    if info.nodata is not None and not np.isnan(info.nodata):
        missing |= raw == np.asarray(info.nodata).astype(raw.dtype if raw.dtype.kind in "fc" else np.float64)
    seen = amplitude[~missing]
    return BandReport(
        info.bands[index],
        info.dtype.name,
        info.scale[index] if info.scale else 1.0,
        info.offset[index] if info.offset else 0.0,
        None if info.nodata is None or np.isnan(info.nodata) else info.nodata,
        float(seen.min()) if seen.size else None,
        float(seen.max()) if seen.size else None,
        float(missing.mean()),
    )


def _doubts(info: SourceInfo, bands: Sequence[BandReport]) -> list[str]:
    """What looks odd about names and numbers."""
    said = []
    if all(b.name.startswith("band_") for b in bands):
        said.append("bands are unnamed: describe them in the file, or name the sensor when opening")
    if info.dtype.kind == "c":
        said.append("holds complex numbers: ranges are those of the amplitude")
    if all(b.maximum is None for b in bands):
        said.append("every pixel that was looked at is missing")
    large = [b.name for b in bands if common_name(b.name) in REFLECTIVE and (b.maximum or 0) * b.scale + b.offset > 2]
    if large:
        said.append(f"looks unscaled: {', '.join(large)} exceed 2, reflectance is 0–1")
    if info.dtype.kind in "iu":
        top = float(np.iinfo(info.dtype).max)  # type: ignore[type-var]
        full = [b.name for b in bands if b.maximum == top]
        if full:
            said.append(f"looks saturated: {', '.join(full)} reach {top:g}")
    return said


def _placed(info: SourceInfo) -> list[str]:
    said = []
    if info.crs is None:
        said.append("has no CRS")
    if info.transform is None:
        by = info.tags.get("georeference")
        said.append(f"is placed by {by.upper()}, not by a transform" if by else "has no georeference")
    elif info.transform.b or info.transform.d:
        said.append("is rotated against its CRS")
    return said


def _variable(name: str, array: xr.DataArray) -> BandReport:
    scale = float(array.encoding.get("scale_factor", 1.0))
    offset = float(array.encoding.get("add_offset", 0.0))
    fill = array.encoding.get("_FillValue")
    stored = str(array.encoding.get("dtype", array.dtype))
    number = None if fill is None or np.asarray(fill).dtype.kind not in "iuf" or np.isnan(fill) else float(fill)
    if array.dtype.kind not in "fiu" or array.size == 0:
        return BandReport(name, stored, scale, offset, number, None, None, 0.0)
    block = {d: 0 for d in array.dims[:-2]} | {d: _middle(array.sizes[d]) for d in array.dims[-2:]}
    values = (array.isel(block).values.astype(np.float64) - offset) / scale
    seen = values[np.isfinite(values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (None, None)
    return BandReport(name, stored, scale, offset, number, low, high, float(1 - seen.size / values.size))


def _middle(length: int) -> slice:
    """The middle of an axis, at most 1024 long."""
    start = max(0, length // 2 - _SIDE // 2)
    return slice(start, start + _SIDE)


def _crs_text(crs: rasterio.crs.CRS) -> str:
    text = str(crs.to_string())
    return text if len(text) < 40 else text.split('"')[1] if '"' in text else text[:40]
