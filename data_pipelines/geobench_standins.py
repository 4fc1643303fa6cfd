"""SIMULATED stand-ins for GEO-Bench-2's data sets: their inputs, units, dates and targets, in tortilla files.

In: keys of the benchmark, how many samples, how large. Out: a folder per key, written whole; one that is there stays.

Every class has a colour of its own in every band, with a season where there are dates; images are mixed from it, a
neutral ground and noise, so that a model can learn them. Nothing in them is like the real data but their shape.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from scipy.ndimage import gaussian_filter

from data_pipelines.tortilla import Sample, tortilla, write_parts
from geoadapt.cubes.geobench2 import Layout2, Modality, layout_of
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import staged_folder, write_text
from geoadapt.io.gdal import quiet

__all__ = ["MANIFEST", "StandinSpec", "write_standins"]

MANIFEST = "standin.json"
"""Says what a folder was made from."""
VERSION = 2
"""Rises when the same spec would give other pixels."""
SPLITS = {"train": "train", "val": "validation", "test": "test"}
RANGES = {
    "reflectance": (0.05, 0.45),
    "brightness": (0.1, 0.8),
    "dB": (-22.0, -6.0),
    "m, degrees": (0.0, 300.0),
    "m": (0.0, 20.0),
}
"""Units → what bands lie between."""
BIOMASS = 300.0
"""The most that a map of values holds [t/ha]."""
START, MONTH = 1_514_764_800, 2_629_746
"""The first date, in seconds since 1970 (2018-01-01), and the step to the next [s]."""
SHARE, SEASON, LIGHT, NOISE = 0.5, 0.15, 0.06, 0.25
"""Of a class in its pixels; of a season, of a date's light, and of noise, in a band's range."""
STACKED = ("pastis",)
"""Keys whose dates lie in one raster, one after the other."""
TOGETHER = 4
"""Samples of one place."""
README = """SIMULATED stand-in for GEO-Bench-2's {title} ({key}), made by geoadapt: no real data.

It has the inputs, units, dates and targets of the data set, in its file format. Scores on it say that a program works.
Made again by: geoadapt prepare data=geobench2_standin data.dataset={key} data.root=FOLDER
"""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StandinSpec:
    """How many samples of each split, how large, in how many files."""

    train: int = 24
    val: int = 8
    test: int = 8
    size: int = 32
    """0 = as published [px]."""
    files: int = 1
    seed: int = 0


def write_standins(root: Path, keys: Sequence[str], spec: StandinSpec) -> list[str]:
    """Make the stand-ins under ``root`` unless they are there already; returns their keys.

    Raises GeoadaptError where a folder holds something else, or cannot be written.
    """
    for key in keys:
        layout, folder = layout_of(key), root / key
        text = json.dumps({"SIMULATED": True, "version": VERSION, "key": key, **asdict(spec)}, indent=1) + "\n"
        if _there(folder, text):
            continue
        with staged_folder(folder) as part:
            write_parts(part, f"{key}_SIMULATED", list(_samples(layout, spec)), spec.files)
            write_text(part / "README.txt", README.format(title=layout.title, key=key))
            write_text(part / MANIFEST, text)
    return list(keys)


def _there(folder: Path, text: str) -> bool:
    manifest = folder / MANIFEST
    if manifest.is_file():
        return manifest.read_text(encoding="utf-8") == text
    if folder.is_dir() and any(folder.iterdir()):
        raise GeoadaptError(folder, "holds files that are no stand-in", "choose another data.root")
    return False


def _samples(layout: Layout2, spec: StandinSpec) -> Iterator[Sample]:
    size = min(spec.size or layout.size, layout.size)
    own = zlib.crc32(layout.key.encode())
    colours = _Colours(layout, np.random.default_rng([spec.seed, own]))
    for number, (split, word) in enumerate(SPLITS.items()):
        for n in range(getattr(spec, split)):
            rng = np.random.default_rng([spec.seed, own, number, n])
            about, rasters = _sample(layout, colours, rng, n, size)
            place = f"{split}_{n // TOGETHER}"
            row = {"tortilla:data_split": word, "group": place, "simulated": 1, **_where(place), **about}
            yield Sample(f"simulated_{split}_{n:05d}", tortilla(rasters), "TORTILLA", row)


def _where(place: str) -> dict[str, float]:
    rng = np.random.default_rng(zlib.crc32(place.encode()))
    return {"lat": float(rng.uniform(-60, 70)), "lon": float(rng.uniform(-180, 180))}


class _Colours:
    """Of every class in every band, between 0 and 1, and the phase of its season."""

    def __init__(self, layout: Layout2, rng: np.random.Generator) -> None:
        count = len(layout.classes)
        bands = dict.fromkeys(band for modality in layout.inputs for band in modality.stored)
        self.values = {band: rng.uniform(0, 1, count) for band in bands}
        self.phases = rng.uniform(0, 2 * np.pi, count)


def _sample(
    layout: Layout2, colours: _Colours, rng: np.random.Generator, n: int, size: int
) -> tuple[dict[str, Any], list[Sample]]:
    """What its row says, and its rasters."""
    weights, about, mask = _scene(layout, rng, n, size)
    rasters = []
    for files in dict.fromkeys(modality.files for modality in layout.inputs):
        sharing = [modality for modality in layout.inputs if modality.files == files]
        rasters += _rasters(layout, sharing, colours, weights, rng)
    if mask is not None:
        rasters.append(Sample("label", _geotiff(mask[None]), "GTiff", {"modality": "label", "stac:time_start": None}))
    return about, rasters


def _scene(
    layout: Layout2, rng: np.random.Generator, n: int, size: int
) -> tuple[Floats, dict[str, Any], NDArray[Any] | None]:
    """How much of each class is in each pixel (k, h, w), the target in the metadata, and its map."""
    count = len(layout.classes)
    if layout.kind == "value_map":
        share = _smooth(rng, 1, size)
        share = (share - share.min()) / (np.ptp(share) + 1e-9)
        return share, {}, (BIOMASS * share[0]).astype(np.float32)
    own = {target: value for value, target in reversed(layout.numbers.items())}
    kinds = np.array(sorted(own))
    if layout.kind == "class":
        chosen = np.array([n % count])
    else:
        # every class that can be stored comes in turn, so that small sets know them all
        others = rng.permutation(len(kinds))[: min(len(kinds), int(rng.integers(1, 4)))]
        chosen = kinds[np.unique([n % len(kinds), *others])]
    region = chosen[_smooth(rng, len(chosen), size).argmax(0)]
    weights = (region == np.arange(count)[:, None, None]).astype(float)
    if layout.kind == "class":
        return weights, {"label": int(chosen[0])}, None
    if layout.kind == "labels":
        return weights, {"labels": [layout.classes[c] for c in np.unique(region)]}, None
    stored = np.zeros(count, np.uint8)
    stored[kinds] = [own[kind] for kind in kinds.tolist()]
    return weights, {}, stored[region]


def _rasters(
    layout: Layout2, sharing: Sequence[Modality], colours: _Colours, weights: Floats, rng: np.random.Generator
) -> list[Sample]:
    """The rasters of one kind: one per date, or one of all."""
    first = sharing[0]
    word = first.files[0].split("|")[0]
    ground = _smooth(rng, 1, weights.shape[-1])[0]
    dates = []
    for date in range(first.dates):
        season = np.sin(2 * np.pi * date / max(first.dates, 2) + colours.phases)
        bands = [_band(band, sharing, colours, weights, ground, season, rng) for band in first.stored]
        if first.amplitude:
            bands = [np.sqrt(power / 2) * rng.choice((-1, 1), power.shape) for power in bands]
        dates.append(np.stack(bands).astype(_dtype(first)))
    times = [START + date * MONTH if first.dates > 1 else None for date in range(first.dates)]
    if layout.key in STACKED:
        return [Sample(word, _geotiff(np.concatenate(dates)), "GTiff", _about(word, None))]
    return [Sample(f"{word}_{n}", _geotiff(v), "GTiff", _about(word, times[n])) for n, v in enumerate(dates)]


def _about(word: str, time: int | None) -> Mapping[str, Any]:
    return {"modality": word, "stac:time_start": time}


def _band(
    band: str,
    sharing: Sequence[Modality],
    colours: _Colours,
    weights: Floats,
    ground: Floats,
    season: Floats,
    rng: np.random.Generator,
) -> Floats:
    """One band (h, w) as stored."""
    modality = next((m for m in sharing if band in m.used), sharing[0])
    level = colours.values[band] + SEASON * season
    mixed = SHARE * np.tensordot(level, weights, 1) + (1 - SHARE) * (0.5 + 0.1 * ground)
    mixed = np.clip(mixed + LIGHT * rng.standard_normal() + NOISE * rng.standard_normal(ground.shape), 0, 1)
    low, high = RANGES[modality.units]
    values = low + (high - low) * mixed
    stored: Floats = 10 ** (values / 10) if modality.decibel else values / modality.scale
    return stored if _dtype(modality) is np.float32 else np.rint(stored)


def _dtype(modality: Modality) -> type[np.generic]:
    if modality.scale == 1:
        return np.float32
    return np.uint16 if modality.scale < 1 / 255 else np.uint8


def _smooth(rng: np.random.Generator, count: int, size: int) -> Floats:
    """Smooth fields (count, h, w) of mean 0 and deviation 1."""
    white = rng.standard_normal((count, size, size))
    fields: Floats = gaussian_filter(white, (0, size / 8, size / 8), mode="wrap")
    fields /= fields.std(axis=(1, 2), keepdims=True) + 1e-12
    return fields


def _geotiff(values: NDArray[Any]) -> bytes:
    count, height, width = values.shape
    with quiet(), MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=count, height=height, width=width, dtype=values.dtype.name, compress="deflate"
        ) as file:
            file.write(values)
        return bytes(memory.read())
