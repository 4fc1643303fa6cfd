"""A folder of simulated time series: series/NAME.zarr as ``open_series`` reads it, and the truth about it beside.

In: how many places, how large, how many dates, a seed. Out: the folder; a broken run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.errors
from numpy.typing import NDArray

from data_pipelines.simulate.cover import BIOMES
from data_pipelines.simulate.dataset import rounds
from data_pipelines.simulate.passes import SENSOR
from data_pipelines.simulate.series import RADAR_DELAY, SeriesSpec, SimulatedSeries, simulate_series
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import remove, staged_folder, sweep, write_text
from geoadapt.io.zarr_write import place_attributes, spatial_ref

__all__ = ["MANIFEST", "series_specs", "write_series"]

MANIFEST = "simulated_series.json"
"""Written last: names the places, which part each plays, and what they were made from."""
VERSION = 1
"""Rises when the same spec would give other pixels."""
SCALE, DECIBEL = 1e-4, 0.01
CHUNK = 256
"""Side of a chunk [px]; one holds all dates of a band, as whoever follows a pixel through the year wants it."""
SCL = np.array([5, 9, 10, 3], np.uint8)
"""Sentinel-2's scene classes for clear, cloud, thin cloud and shadow; clear is told apart below."""
README = """SIMULATED time series, made by geoadapt (data_pipelines/simulate): nothing here was seen by a satellite.

series/NAME.zarr  image (time, band, y, x): surface reflectance x 10000 as delivered, clouds and noise included;
                  scl (time, y, x): 3 shadow, 4 plants, 5 bare, 6 water, 9 cloud, 10 thin cloud; the truth, it was made
truth/NAME.zarr   image (time, band, y, x): what the same passes would have shown without clouds, without noise
radar/NAME.zarr   image (time, band, y, x): VV and VH [0.01 dB], two days after each date; only where it was asked for

Land, clouds and sensors follow simple rules, so scores on these series say that a program works, not how well a model
does on real ones. Made again by: geoadapt prepare data=simulated_series data.root=THIS_FOLDER
"""


def series_specs(
    places: Mapping[str, int], size: int, dates: int, seed: int, resolution: float, radar: bool
) -> dict[str, dict[str, SeriesSpec]]:
    """Part (train, val, test) → name → what to simulate; within a part every landscape comes once in each round."""
    found: dict[str, dict[str, SeriesSpec]] = {}
    for number, (part, count) in enumerate(places.items()):
        landscapes = rounds(np.random.default_rng([seed, 7, number]), list(BIOMES), count)
        found[part] = {
            f"simulated_{part}_{seed}_{i:02d}_{biome}": SeriesSpec(
                size, dates, 100_000 * seed + 10_000 * number + i, resolution, biome, radar=radar
            )
            for i, biome in enumerate(landscapes)
        }
    return found


def write_series(root: Path, specs: Mapping[str, Mapping[str, SeriesSpec]]) -> list[str]:
    """Make the series under ``root`` unless they are there already; returns their names, in order.

    Raises:
        GeoadaptError: ``root`` holds series that this function did not make, or cannot be written.
    """
    every = {name: spec for part in specs.values() for name, spec in part.items()}
    stale = _stale(root, set(every))
    absent = [name for name, spec in every.items() if not _there(root, name, spec)]
    manifest = root / MANIFEST
    if stale or absent:
        manifest.unlink(missing_ok=True)
    for path in stale:
        remove(path)
    for name in absent:
        _write(root, name, every[name], simulate_series(every[name]))
    plain: dict[str, Any] = {"simulated": True, "version": VERSION, "radar": any(s.radar for s in every.values())}
    plain["places"] = {part: {name: asdict(spec) for name, spec in own.items()} for part, own in specs.items()}
    text = json.dumps(plain, indent=1) + "\n"
    if not manifest.is_file() or manifest.read_text(encoding="utf-8") != text:
        write_text(root / "README.txt", README)
        write_text(manifest, text)
    return list(every)


def _parts(spec: SeriesSpec) -> tuple[str, ...]:
    return ("truth", "radar", "series") if spec.radar else ("truth", "series")


def _stale(root: Path, names: set[str]) -> list[Path]:
    """Simulated places that are not wanted any more; raises where anything else lies in the way."""
    found = []
    for folder in ("series", "truth", "radar"):
        if (root / folder).is_dir():
            sweep(root / folder)
        for path in sorted((root / folder).glob("*")):
            if path.name.startswith("."):
                continue
            if not path.name.startswith("simulated_"):
                raise GeoadaptError(
                    path, "was not made by the simulator, which would mix with it", "choose an empty folder"
                )
            if path.name.removesuffix(".zarr") not in names:
                found.append(path)
    return found


def _fingerprint(spec: SeriesSpec) -> str:
    text = json.dumps(asdict(spec), sort_keys=True)
    return hashlib.sha256(f"{VERSION} {text}".encode()).hexdigest()


def _there(root: Path, name: str, spec: SeriesSpec) -> bool:
    """Whether every store of the place is there, made from this spec; a store is whole or absent."""
    for part in _parts(spec):
        try:
            held = json.loads((root / part / f"{name}.zarr" / "zarr.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if held.get("attributes", {}).get("simulated_spec") != _fingerprint(spec):
            return False
    return True


def _write(root: Path, name: str, spec: SeriesSpec, made: SimulatedSeries) -> None:
    attributes = {
        "SIMULATED": "yes",
        "description": "simulated by geoadapt; nothing here was seen by a satellite",
        "sensor": SENSOR,
        "landscape": made.biome,
        "simulated_spec": _fingerprint(spec),
    }
    truth = {"image": _image(made.truth, made.bands, SCALE, "uint16")}
    _store(root / "truth" / f"{name}.zarr", truth, made, attributes)
    if made.radar is not None:
        late = {"image": _image(made.radar, ("vv", "vh"), DECIBEL, "int16", -32768)}
        _store(root / "radar" / f"{name}.zarr", late, made, attributes, np.timedelta64(RADAR_DELAY, "D"))
    series: dict[str, xr.DataArray | xr.Variable] = {
        "image": _image(made.values, made.bands, SCALE, "uint16"),
        "scl": xr.Variable(("time", "y", "x"), _scl(made), {"_FillValue": np.uint8(0)}),
    }
    _store(root / "series" / f"{name}.zarr", series, made, attributes)


def _image(
    values: NDArray[np.float32], bands: tuple[str, ...], scale: float, dtype: str, fill: int = 0
) -> xr.DataArray:
    numbers = np.round(values / np.float32(scale)).astype(dtype)
    attributes = {"scale_factor": scale, "add_offset": 0.0, "_FillValue": np.dtype(dtype).type(fill)}
    return xr.DataArray(numbers, {"band": np.array(bands, object)}, ("time", "band", "y", "x"), attrs=attributes)


def _scl(made: SimulatedSeries) -> NDArray[np.uint8]:
    """Scene classes (t, h, w) of Sentinel-2's Level 2A."""
    found: NDArray[np.uint8] = SCL[made.labels]
    if {"green", "red", "nir"} <= set(made.bands):
        green, red, nir = (made.truth[:, made.bands.index(band)] for band in ("green", "red", "nir"))
        clear = made.labels == 0
        found[clear & (nir > 2 * red)] = 4
        found[clear & (green > 1.3 * nir) & (nir < 0.12)] = 6
    return found


def _store(
    path: Path,
    variables: Mapping[str, xr.DataArray] | Mapping[str, xr.DataArray | xr.Variable],
    made: SimulatedSeries,
    attributes: Mapping[str, str],
    delay: np.timedelta64 | None = None,
) -> None:
    """A Zarr store on the place's grid, whole or absent."""
    height, width = made.labels.shape[1:]
    step = made.transform.a
    times = made.times if delay is None else made.times + delay
    coordinates = {
        "time": ("time", times.astype("datetime64[ns]")),
        "season": ("time", made.season, {"long_name": "day of year as the place feels it"}),
        "y": ("y", made.transform.f - (np.arange(height) + 0.5) * step, {"units": "m"}),
        "x": ("x", made.transform.c + (np.arange(width) + 0.5) * step, {"units": "m"}),
        "spatial_ref": ((), 0, spatial_ref(made.crs, made.transform)),
    }
    placed = place_attributes(made.crs, made.transform, ("y", "x"), (height, width))
    cube = xr.Dataset(dict(variables), coordinates, {**placed, **attributes})
    for variable in cube.data_vars.values():
        variable.attrs["grid_mapping"] = "spatial_ref"
    encoding = {
        str(name): {"chunks": tuple({"time": n, "band": 1}.get(str(d), min(n, CHUNK)) for d, n in array.sizes.items())}
        for name, array in cube.data_vars.items()
    }
    with staged_folder(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", zarr.errors.ZarrUserWarning)
        cube.to_zarr(part, mode="w", zarr_format=3, encoding=encoding, consolidated=True)
