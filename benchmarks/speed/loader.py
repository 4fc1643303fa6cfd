"""Training chips per second over a bare window read of the same pixels through one rasterio handle that stays open.

Run ``python -m benchmarks.speed.loader``. Input: 3 bands uint16 in a tiled, deflated GeoTIFF, labels in another; chips
of 256 px, no augmentation, one thread. The limit is ``rasterio``'s read of the image's windows: the chips also hold
their labels, as reflectance and with validity. Rounds are interleaved, the median of their ratios is printed: where
GDAL's block cache is smaller than the scene, as in training on an archive, and, beside it, where the cache holds it all
and a window costs only its copy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window as RasterWindow

from benchmarks.speed.scene import write_scene
from geoadapt.cubes.classes import NODATA
from geoadapt.fields.chips import RandomChips
from geoadapt.fields.scenes import Dataset, LabelledScene, split_blocks
from geoadapt.io.arrays import ArraySource
from geoadapt.io.raster import RasterSource

CHANNELS, CHIP, BLOCK = ("blue", "green", "red"), 256, 64
LIMIT = 0.8
CACHES = {"cold": 16 * 2**20, "cached": 2**30}
"""GDAL's block cache [bytes]: small as against an archive larger than any cache, so that pixels are unpacked anew."""


def dataset(scene: Path, size: int) -> Dataset:
    """The scene with four classes of labels in memory, every fifth block of it for validation."""
    image = RasterSource(scene, names=CHANNELS, scale=[1e-4] * len(CHANNELS))
    drawn = np.random.default_rng(0).integers(0, 4, (1, size // BLOCK + 1, size // BLOCK + 1), dtype=np.uint8)
    label = drawn.repeat(BLOCK, axis=1).repeat(BLOCK, axis=2)[:, :size, :size].copy()
    one = LabelledScene("scene", image, ArraySource(label, ("label",), nodata=NODATA), (0, 1, 2, 3), 10.0)
    sides = split_blocks(size, size, BLOCK, {"val": 0.2, "train": 0.8}, 0)
    return Dataset("loader", CHANNELS, (one,), (), {"scene": sides["train"]}, {"scene": sides["val"]})


def time_rounds(scene: Path, size: int, chips: int, rounds: int) -> dict[str, list[float]]:
    """Seconds per chip of both, in interleaved rounds over fresh windows, after one that is not counted."""
    data = dataset(scene, size)
    runs: dict[str, list[float]] = {"window": [], "chips": []}
    with rasterio.open(scene) as handle:
        for index in range(rounds + 1):
            drawn = RandomChips(data, CHIP, chips, seed=index)
            places = [drawn[i].where for i in range(chips)]
            windows = [RasterWindow(where.col, where.row, CHIP, CHIP) for where in places]
            taken = _alternate(lambda i: handle.read(window=windows[i]), drawn.__getitem__, chips)  # noqa: B023
            if index:
                for name, seconds in zip(runs, taken, strict=True):
                    runs[name].append(seconds / chips)
    data.train[0].image.close()
    return runs


def _alternate(first: Callable[[int], object], second: Callable[[int], object], count: int) -> tuple[float, float]:
    """Seconds of each over ``count`` calls, in turn and by turns the first: neither only finds the other's pixels."""
    taken = [0.0, 0.0]
    for index in range(count):
        for which in (0, 1) if index % 2 else (1, 0):
            begin = time.perf_counter()
            (first, second)[which](index)
            taken[which] += time.perf_counter() - begin
    return taken[0], taken[1]


def _print_table(runs: dict[str, dict[str, list[float]]], say: Callable[[str], None]) -> None:
    say(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    say(f"GDAL {rasterio.__gdal_version__}; chips {CHIP}² × {len(CHANNELS)}; {len(runs['cold']['chips'])} rounds")
    say(f"{'chips per second':<52}{'median':>10}{'best':>10}")
    names = {"window": "bare window read", "chips": "our chips, with labels and validity"}
    regimes = {"cold": "pixels unpacked", "cached": "pixels in GDAL's cache"}
    for regime, what in regimes.items():
        for key, name in names.items():
            seconds = runs[regime][key]
            say(f"{name + ', ' + what:<52}{1 / statistics.median(seconds):>10.0f}{1 / min(seconds):>10.0f}")


def _ratio(runs: dict[str, list[float]]) -> float:
    """Chips per second over window reads per second."""
    return statistics.median(w / c for w, c in zip(runs["window"], runs["chips"], strict=True))


def main() -> None:
    """Measure, print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="side of the scene [px]")
    parser.add_argument("--chips", type=int, default=64, help="chips per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where to put the scene; a temporary folder if not given")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        scene = Path(name) / "scene.tif"
        write_scene(scene, arguments.size)
        for regime, cache in CACHES.items():
            with rasterio.Env(GDAL_CACHEMAX=cache):
                runs[regime] = time_rounds(scene, arguments.size, arguments.chips, arguments.rounds)
    _print_table(runs, print)
    ratio = _ratio(runs["cold"])
    print(f"{'loader_over_window':<52}{ratio:>10.3f}  (limit {LIMIT:g}) {'ok' if ratio >= LIMIT else 'MISSED'}")
    print(f"{'the same, pixels in the cache':<52}{_ratio(runs['cached']):>10.3f}")
    ratios = {"loader_over_window": round(ratio, 4), "cached_loader_over_window": round(_ratio(runs["cached"]), 4)}
    print(json.dumps({"name": "loader", "ratios": ratios}))


if __name__ == "__main__":
    main()
