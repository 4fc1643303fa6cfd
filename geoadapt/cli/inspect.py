"""``geoadapt inspect``: what a file is, and what looks wrong with it; or what this machine has."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.errors import GeoadaptError

__all__ = ["VERB", "system"]

PACKAGES = (
    "torch",
    "peft",
    "lightning",
    "hydra-core",
    "numpy",
    "xarray",
    "rasterio",
    "zarr",
    "dask",
    "odc-geo",
    "pystac",
)
DRIVERS = ("GTiff", "COG", "JP2OpenJPEG", "netCDF", "HDF5", "Zarr", "GPKG", "GeoJSON", "PNG")


def system() -> dict[str, Any]:
    """Versions of what geoadapt stands on, GDAL's drivers, processors and accelerators."""
    import rasterio
    import torch
    from rasterio.drivers import raster_driver_extensions

    from geoadapt import __version__

    with rasterio.Env() as env:
        drivers = env.drivers()
    return {
        "geoadapt": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "gdal": rasterio.__gdal_version__,
        "drivers": {name: name in drivers for name in DRIVERS},
        "raster extensions": sorted(raster_driver_extensions()),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "data folders": {name: os.environ.get(name) for name in ("GEOADAPT_DATA", "GEOADAPT_WEIGHTS")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _plan(request: Request) -> Callable[[], int]:
    as_json = "--json" in request.flags
    if "--system" in request.flags:
        return lambda: _show_system(as_json)
    if not request.paths:
        raise GeoadaptError("inspect", "no file is named", "geoadapt inspect FILE…, or geoadapt inspect --system")
    return lambda: _inspect_all(request.paths, as_json)


def _inspect_all(paths: tuple[str, ...], as_json: bool) -> int:
    """One report after the other; a file that cannot be read is said so, and the rest goes on."""
    from geoadapt.cubes.inspect import inspect

    reports: list[Any] = []
    failed = 0
    for path in paths:
        try:
            report = inspect(path)
        except GeoadaptError as error:
            failed += 1
            reports.append({"path": error.path, "error": error.problem, "hint": error.hint})
            print(f"error: {error}", file=sys.stderr)
            continue
        reports.append(report.as_dict())
        if not as_json:
            print(report.as_text(), end="\n\n" if path != paths[-1] else "\n")
    if as_json:
        print(json.dumps(reports[0] if len(paths) == 1 else reports, indent=2, ensure_ascii=False, default=str))
    return 1 if failed else 0


def _show_system(as_json: bool) -> int:
    found = system()
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    for key, value in found.items():
        if isinstance(value, dict):
            value = ", ".join(
                f"{name} {'yes' if v is True else 'no' if v in (False, None) else v}" for name, v in value.items()
            )
        print(f"{key:<18}{', '.join(value) or 'none' if isinstance(value, list) else value}")
    return 0


VERB = Verb(
    summary="what a raster, scene or cube is: bands, CRS, dtype, scale, ranges, warnings; --system: versions",
    plan=_plan,
    paths="FILE…",
    flags=(Flag("--json", "as JSON"), Flag("--system", "versions, GDAL drivers, processors, folders")),
    examples=("geoadapt inspect scene.tif", "geoadapt inspect --system"),
)
