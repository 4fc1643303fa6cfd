"""Simulated time series with a known truth, as samples: other places and other months in the test than in training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.cubes.quality import decode
from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Radar, Series, SeriesData
from geoadapt.fields.series_config import SimulatedSeriesConfig
from geoadapt.io.paths import as_path
from geoadapt.io.zarr_read import open_store
from geoadapt.words import counted

__all__ = ["build", "felt_month"]

PARTS = ("train", "val", "test")


def build(config: SimulatedSeriesConfig, seed: int = 0) -> SeriesData:
    """The series under ``config.root``; raises GeoadaptError where they have not been made as asked for.

    Training and validation lose their dates in ``config.test_months``. The test keeps all dates to look at, and
    knows the truth of those in ``test_months`` alone, so that no other date is asked for. ``seed`` changes nothing.
    """
    root = as_path(config.root)
    places = _places(root, config)
    known = {part: [_series(root, name, config) for name in places[part]] for part in PARTS}
    parts: dict[str, tuple[Series, ...]] = {}
    for part, found in known.items():
        chosen = [_asked(one, tested) if part == "test" else one.part(~tested) for one, tested in found]
        parts[part] = tuple(one for one in chosen if len(one.times) > 1)
    months = ", ".join(str(month) for month in sorted(set(config.test_months)))
    dates, trained, others = (
        counted(count, noun)
        for count, noun in ((config.dates, "date"), (len(parts["train"]), "place"), (len(parts["test"]), "other"))
    )
    note = (
        f"SIMULATED series of geoadapt, {config.size} px of {config.resolution:g} m, {dates} a year: {trained} to "
        f"train on, {len(parts['val'])} to validate, {others} to test; months {months} of the year as each place feels "
        "it are restored in the test only, never seen before"
    )
    return SeriesData(parts["train"], parts["val"], parts["test"], parts["train"][0].channels, note, simulated=True)


def felt_month(season: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """Month 1–12 of a day of year 0–365."""
    return np.minimum(np.asarray(season) / 30.4375, 11).astype(np.intp) + 1


def _asked(series: Series, tested: NDArray[np.bool_]) -> Series:
    assert series.truth is not None
    return replace(series, truth=np.where(tested[:, None, None, None], series.truth, np.float32(np.nan)))


def _places(root: Path, config: SimulatedSeriesConfig) -> dict[str, list[str]]:
    """Names by part, from the manifest that is written last."""
    hint = f"make them: geoadapt prepare data=simulated_series data.root={config.root}"
    path = root / "simulated_series.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        places = {part: list(found["places"][part]) for part in PARTS}
        sizes = {
            (s["size"], s["dates"], float(s["resolution"])) for part in PARTS for s in found["places"][part].values()
        }
        radar = bool(found["radar"])
    except OSError as error:
        raise GeoadaptError(root, "holds no simulated series", hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GeoadaptError(path, "is damaged", hint) from error
    asked = {part: getattr(config, part) for part in PARTS}
    if {part: len(names) for part, names in places.items()} != asked or sizes != {
        (config.size, config.dates, config.resolution)
    }:
        held = {part: len(names) for part, names in places.items()}
        raise GeoadaptError(
            root, f"holds {held} places of (size, dates, resolution) {sorted(sizes)}, not {asked}", hint
        )
    if config.radar and not radar:
        raise GeoadaptError(root, "was made without radar", f"{hint} data.radar=true")
    return places


def _series(root: Path, name: str, config: SimulatedSeriesConfig) -> tuple[Series, NDArray[np.bool_]]:
    """A place with its truth, and which of its dates are tested."""
    path = root / "series" / f"{name}.zarr"
    with _opened(path) as store:
        values, channels, times = _numbers(store)
        clear = decode(store["scl"].values, "sentinel2_scl", nodata=0)
        tested = np.isin(felt_month(store["season"].values), config.test_months)
        sensor, landscape = str(store.attrs["sensor"]), store.attrs.get("landscape")
    with _opened(root / "truth" / f"{name}.zarr") as store:
        truth = _numbers(store)[0]
    radar = None
    if config.radar:
        with _opened(root / "radar" / f"{name}.zarr") as store:
            heard, bands, late = _numbers(store)
        radar = Radar(heard, late, bands)
    clear &= np.isfinite(values).all(1)
    made = Series(name, values, clear, times, channels, truth, config.resolution, sensor, radar, landscape)
    return made, tested


def _opened(path: Path) -> xr.Dataset:
    if not path.is_dir():
        raise GeoadaptError(path, "is missing", "make the series again: geoadapt prepare data=simulated_series")
    return open_store(path)


def _numbers(store: xr.Dataset) -> tuple[NDArray[np.float32], tuple[str, ...], NDArray[np.datetime64]]:
    """Values (t, c, h, w), bands and dates of a store."""
    image = store["image"].transpose("time", "band", "y", "x")
    values: NDArray[np.float32] = image.values.astype(np.float32)
    return values, tuple(str(b) for b in image["band"].values), image["time"].values.astype("datetime64[s]")
