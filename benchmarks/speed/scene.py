"""A whole scene through the streaming engine: time over the bare forward pass, overhead per pixel, and peak memory.

Run ``python -m benchmarks.speed.scene``. Input: 3 bands uint16 in a tiled, deflated GeoTIFF; output: uint8 labels of 4
classes; tile 256, stride 192, batch 8, one torch thread. The limit is the forward pass on ready batches of the same
tiles. Rounds are interleaved, medians are printed; memory is measured in processes of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow
from torch import Tensor, nn

from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA
from geoadapt.inference.base import Scores, StreamOptions
from geoadapt.inference.products import LabelProduct
from geoadapt.inference.settings import gdal_settings
from geoadapt.inference.stream import stream
from geoadapt.io.geotiff import CogSink, RasterSpec
from geoadapt.io.raster import RasterSource
from geoadapt.io.windows import TileGrid

BANDS, CLASSES, TILE, OVERLAP, BATCH = 3, 4, 256, 64, 8
LIMITS = {"wall_over_forward": 1.25, "overhead_ns_per_px": 40.0, "memory_growth": 1.5, "memory_mb": 400.0}
MIB = 1024 * 1024


def write_scene(path: Path, size: int, seed: int = 0) -> None:
    """A simulated scene (3, size, size) uint16: smooth ground with noise, which deflate packs about as real data."""
    random = np.random.default_rng(seed)
    profile = {
        "driver": "GTiff", "height": size, "width": size, "count": BANDS, "dtype": "uint16", "compress": "DEFLATE",
        "predictor": 2, "tiled": True, "blockxsize": 512, "blockysize": 512, "num_threads": "ALL_CPUS",
        "crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 10, 10),
    }  # fmt: skip
    x = np.arange(size, dtype=np.float32)
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, size, 512):
            y = np.arange(row, min(row + 512, size), dtype=np.float32)[:, None]
            ground = 3000 + 2000 * np.sin(x / 97) * np.cos(y / 61) + random.normal(0, 60, (BANDS, len(y), size))
            window = RasterWindow(0, row, size, len(y))
            file.write(np.clip(ground, 0, 65535).astype(np.uint16), window=window)


def light_cnn() -> Scores:
    """A small convolutional network: about 240 ns per scene pixel on one core of 2026."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(BANDS, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, CLASSES, 1), nn.Upsample(scale_factor=2, mode="bilinear"),
    ).eval()  # fmt: skip
    return _scores(layers)


def null_model() -> Scores:
    """A 1×1 convolution: what is left is the pipeline itself."""
    torch.manual_seed(0)
    return _scores(nn.Conv2d(BANDS, CLASSES, 1).eval())


def _scores(layers: nn.Module) -> Scores:
    def scores(values: Tensor, valid: Tensor | None) -> Tensor:
        result: Tensor = layers(values)
        return result

    return scores


def forward_only(scores: Scores, size: int, batch: int) -> float:
    """Seconds of the forward passes alone, on one ready batch again and again, as many tiles as the scene has."""
    per_row = len(TileGrid(size, size, TILE, OVERLAP).cols())
    rows = len(TileGrid(size, size, TILE, OVERLAP).rows())
    tiles = torch.rand(batch, BANDS, TILE, TILE) * 5000
    parts = -(-per_row // batch)
    counts = [len(part) for part in np.array_split(np.arange(per_row), parts)] * rows
    with torch.inference_mode():
        begin = time.perf_counter()
        for count in counts:
            scores(tiles[:count], None)
        return time.perf_counter() - begin


def whole_scene(scores: Scores, scene: Path, output: Path) -> tuple[float, float, int]:
    """Seconds from opening the scene to the tiled file on disk, seconds to make a COG of it, and the batch used."""
    begin = time.perf_counter()
    source = RasterSource(scene)
    info = source.info
    spec = RasterSpec(
        info.height, info.width, crs=info.crs, transform=info.transform, nodata=NODATA, categories=CLOUD_CLASSES
    )
    with rasterio.Env(**gdal_settings(info)), CogSink(output, spec) as sink:
        options = StreamOptions(CLASSES, TILE, OVERLAP, BATCH)
        counts = stream(source, scores, [LabelProduct(sink, CLOUD_CLASSES)], options)
        sink.finish_tiles()
        tiled = time.perf_counter()
        sink.commit()
    source.close()
    return tiled - begin, time.perf_counter() - tiled, counts.batch


def time_scene(scene: Path, size: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Interleaved rounds of the four measurements [s], after one that is not counted."""
    light, null = light_cnn(), null_model()
    runs: dict[str, list[float]] = {name: [] for name in ("forward", "wall", "null_forward", "null_wall", "cog")}
    for index in range(rounds + 1):
        wall, _, batch = whole_scene(light, scene, folder / "light.tif")
        forward = forward_only(light, size, batch)
        null_wall, cog, batch = whole_scene(null, scene, folder / "null.tif")
        null_forward = forward_only(null, size, batch)
        if index:
            for name, value in zip(runs, (forward, wall, null_forward, null_wall, cog), strict=True):
                runs[name].append(value)
    return runs


def peak_memory(scene: Path, folder: Path) -> float:
    """Peak memory of a scene over that of the process with the model loaded [MiB], in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.speed.scene", "--memory-of", str(scene), "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def measure_memory(scene: Path, folder: Path) -> float:
    """The work of ``peak_memory`` inside its process, by Linux's high-water mark."""
    scores = light_cnn()
    base = psutil.Process().memory_info().rss
    whole_scene(scores, scene, folder / "memory.tif")
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return (int(peak.split()[1]) * 1024 - base) / MIB


def _ratios(runs: dict[str, list[float]], size: int) -> dict[str, float]:
    pairs = zip(runs["wall"], runs["forward"], strict=True)
    nulls = zip(runs["null_wall"], runs["null_forward"], strict=True)
    return {
        "wall_over_forward": statistics.median(wall / forward for wall, forward in pairs),
        "overhead_ns_per_px": statistics.median((wall - forward) / size**2 * 1e9 for wall, forward in nulls),
    }


def _print_table(runs: dict[str, list[float]], ratios: dict[str, float], size: int, say: Callable[[str], None]) -> None:
    say(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    rounds = len(runs["wall"])
    say(f"torch {torch.__version__}, 1 thread; GDAL {rasterio.__gdal_version__}; scene {size}²; {rounds} rounds")
    say(f"{'measured':<34}{'min':>9}{'median':>9}")
    names = {
        "forward": "forward only, light CNN", "wall": "scene to tiled file, light CNN",
        "null_forward": "forward only, 1×1", "null_wall": "scene to tiled file, 1×1", "cog": "tiled file to COG",
    }  # fmt: skip
    for key, name in names.items():
        per_px = [value / size**2 * 1e9 for value in runs[key]]
        say(f"{name + ' [ns/px]':<34}{min(per_px):>9.1f}{statistics.median(per_px):>9.1f}")
    for key, value in ratios.items():
        say(f"{key:<34}{value:>18.2f}  (limit {LIMITS[key]:g}) {'ok' if value <= LIMITS[key] else 'MISSED'}")


def main() -> None:
    """Measure, print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="side of the scene that is timed [px]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to put the scenes; a temporary folder if not given")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        print(measure_memory(arguments.memory_of, arguments.folder))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        size = arguments.size
        small, large = folder / "small.tif", folder / "large.tif"
        write_scene(small, size)
        runs = time_scene(small, size, arguments.rounds, folder)
        ratios = _ratios(runs, size)
        write_scene(large, 2 * size)
        peaks = [peak_memory(small, folder), peak_memory(large, folder)]
    ratios["memory_growth"] = peaks[1] / peaks[0]
    ratios["memory_mb"] = peaks[1]
    _print_table(runs, ratios, size, print)
    print(json.dumps({"name": "scene", "ratios": {key: round(value, 3) for key, value in ratios.items()}}))


if __name__ == "__main__":
    main()
