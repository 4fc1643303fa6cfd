"""What ``inspect`` says of a weather file: its variables under their names, levels, dates, and what was converted.

In: a NetCDF or GRIB file, or a Zarr store. Out: a ``Report``; None where it holds no weather on a lat–lon grid.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from geoadapt.cubes.calendar import shown
from geoadapt.cubes.described import BandReport, Report
from geoadapt.cubes.weather import cube_of
from geoadapt.cubes.weather_files import Candidate, weather_in
from geoadapt.errors import GeoadaptError
from geoadapt.io.grib import is_grib
from geoadapt.io.reason import reason
from geoadapt.io.zarr_read import is_zarr

__all__ = ["weather_report"]


def weather_report(file: Path) -> Report | None:
    """The report; where the cube cannot be made, its variables as they are stored, and why among the warnings.

    Raises GeoadaptError where the file is damaged.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = weather_in(file)
        if found is None:
            return None
        try:
            cube = cube_of(found, gaps="allow", chunks={})
        except GeoadaptError as error:
            report = _stored(file, found, error)
        else:
            report = _canonical(file, found, cube)
    said = dict.fromkeys(reason(w.message) for w in caught)
    return replace(report, warnings=(*report.warnings, *said))


def _canonical(file: Path, found: list[Candidate], cube: xr.Dataset) -> Report:
    stored = {c.name: c.array for c in found if isinstance(c.array, xr.DataArray)}
    bands = tuple(_band(str(n), a, stored.get(str(a.attrs["source_name"]))) for n, a in cube.data_vars.items())
    sizes = ", ".join(f"{d} {n}" for d, n in cube.sizes.items())
    levels = [f"{d} {', '.join(f'{v:g}' for v in cube[d].values)}" for d in ("level", "model_level") if d in cube.dims]
    kind = f"weather cube with {sizes}" + "".join(f"; {text}" for text in levels)
    times = list(cube["time"].values) if "time" in cube.dims else []
    reach = " … ".join(dict.fromkeys(shown(t) for t in (*times[:1], *times[-1:]))) or None
    latitude, longitude = cube["latitude"].values, cube["longitude"].values
    bounds = (float(longitude[0]), float(latitude[-1]), float(longitude[-1]), float(latitude[0]))
    notes = tuple(str(cube.attrs["notes"]).split("; ")) if "notes" in cube.attrs else ()
    return Report(
        str(file), kind, _driver(file), latitude.size, longitude.size, None, None, bounds, reach, None, bands, (), notes
    )


def _stored(file: Path, found: list[Candidate], error: GeoadaptError) -> Report:
    """The fields under the names of the file, and what keeps them from being a cube."""
    arrays = {c.name: c.array for c in found if isinstance(c.array, xr.DataArray)}
    bands = tuple(_band(n, a, a) for n, a in arrays.items())
    first = next(iter(arrays.values()), None)
    height, width = (0, 0) if first is None else (first.sizes["latitude"], first.sizes["longitude"])
    sizes = "" if first is None else ", ".join(f"{d} {n}" for d, n in first.sizes.items())
    said = (f"is no cube yet: {error.problem}; {error.hint}",)
    kind = f"weather fields with {sizes}"
    return Report(str(file), kind, _driver(file), height, width, None, None, None, None, None, bands, (), said)


def _band(name: str, array: xr.DataArray, stored: xr.DataArray | None) -> BandReport:
    """A variable: the range of its last field, in its own units [those of the cube, where it is one]."""
    encoding = {} if stored is None else stored.encoding
    fill = encoding.get("_FillValue", encoding.get("missing_value"))
    number = None if fill is None or not np.isfinite(np.asarray(fill, np.float64)).all() else float(np.ravel(fill)[0])
    values = array.isel({d: -1 for d in array.dims if d not in ("latitude", "longitude")}).values
    seen = values[np.isfinite(values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (None, None)
    own = array.attrs.get("source_name", name)
    units = array.attrs.get("units", "")
    told = f"{name} [{units or 'no units'}]" + (f" from '{own}'" if own != name else "")
    dtype = str(encoding.get("dtype", array.dtype))
    scale, offset = float(encoding.get("scale_factor", 1.0)), float(encoding.get("add_offset", 0.0))
    return BandReport(told, dtype, scale, offset, number, low, high, float(1 - seen.size / values.size))


def _driver(file: Path) -> str:
    return "Zarr" if is_zarr(file) else "GRIB" if is_grib(file) else "netCDF"
