"""A stack of 40 dates through cloud removal: memory, time for twice the area, and time over a hand-written median.

Run ``python -m benchmarks.speed.stack``. Input: 40 simulated scenes of 6 bands uint16 with a quality band, each a tiled
and deflated GeoTIFF; output: what ``geoadapt predict --method temporal_median`` writes, and a tiny model; that of a
trained restorer too where ``--bundle`` names one. One thread. The hand-written pass reads the same files block by block
with rasterio and takes ``np.nanmedian``, once; it stands beside the blocks of the median's run (reading, restoring all
dates, storing), without the files made of them after.
The smaller stack is the upper half of the larger one. Every run is a process of its own; memory is Linux's high-water
mark of all of it, imports and libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow
from torch import nn

from geoadapt.bundle.restorer import load_restorer
from geoadapt.config import InferConfig
from geoadapt.cubes.series import open_series
from geoadapt.fields.restorer import Restored
from geoadapt.fields.types import Batch
from geoadapt.inference.restore import StackJob, restore_stack
from geoadapt.inference.restore_method import Method, composite_method, model_method
from geoadapt.io.windows import blocks

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
DATES, TILE, TEXTURE = 40, 256, 512
LIMITS = {"memory_mb": 2048.0, "time_for_twice_the_area": 2.2, "median_over_numpy_pass": 3.0}
CLEAR, CLOUD = 4, 8
"""Sentinel-2's scene classification: vegetation, cloud."""


def write_stack(folder: Path, height: int, width: int, dates: int, seed: int = 0) -> None:
    """Simulated scenes: one texture of ground under a season, and clouds that move over it, tiled over the area."""
    random = np.random.default_rng(seed)
    ground = _texture(random)
    sky = _texture(random)
    folder.mkdir()
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": len(BANDS) + 1, "dtype": "uint16",
        "compress": "DEFLATE", "zlevel": 1, "predictor": 2, "tiled": True, "blockxsize": TEXTURE,
        "blockysize": TEXTURE, "crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 10, 10),
    }  # fmt: skip
    for date in range(dates):
        day = np.datetime64("2020-01-03") + 9 * date
        texture = _scene(ground, np.roll(sky, 37 * date, axis=(0, 1)), date, random)
        with rasterio.open(folder / f"{str(day).replace('-', '')}.tif", "w", **profile) as file:
            for window in blocks(height, width, TEXTURE):
                part = RasterWindow(window.col, window.row, window.width, window.height)
                file.write(texture[:, : window.height, : window.width], window=part)
            for band, name in enumerate((*BANDS, "SCL"), 1):
                file.set_band_description(band, name)
            file.scales, file.offsets = (*(1e-4,) * len(BANDS), 1.0), (0.0,) * (len(BANDS) + 1)


def _texture(random: np.random.Generator) -> NDArray[np.float32]:
    """A field of the texture's size between 0 and 1, smooth over some 40 px."""
    y, x = np.mgrid[:TEXTURE, :TEXTURE] * (2 * np.pi / TEXTURE)
    waves = sum(
        np.sin(random.integers(1, 12) * x + random.integers(1, 12) * y + random.uniform(0, 6)) for _ in range(8)
    )
    field: NDArray[np.float32] = ((waves - np.min(waves)) / np.ptp(waves)).astype(np.float32)
    return field


def _scene(
    ground: NDArray[np.float32], sky: NDArray[np.float32], date: int, random: np.random.Generator
) -> NDArray[np.uint16]:
    cloud = sky > 0.55
    season = 0.02 * np.sin(2 * np.pi * date / 40)
    bands = [np.where(cloud, 0.6, 0.05 * (i + 1) + 0.1 * ground + season) for i in range(len(BANDS))]
    noisy = np.stack(bands) + random.normal(0, 0.004, (len(BANDS), TEXTURE, TEXTURE))
    stored = np.clip(noisy * 10000, 1, 65535).astype(np.uint16)
    return np.concatenate([stored, np.where(cloud, CLOUD, CLEAR)[None].astype(np.uint16)])


class Tiny(nn.Module):
    """A small convolutional network over the mean of the clear dates and the last one, with random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        count = len(BANDS)
        self.channels = BANDS
        self.layers = nn.Sequential(
            nn.Conv2d(2 * count, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 2 * count, 3, padding=1)
        )

    def restore(self, batch: Batch) -> Restored:
        """The mean and what the network adds to it (b, c, h, w), with a scale."""
        field = batch.inputs["optical"]
        assert field.valid is not None
        # Torch takes thirty times as long to sum the same bytes as bools.
        count = field.valid.view(torch.uint8).sum(1, dtype=torch.uint8)
        mean = field.values.sum(1) / count.clamp(min=1)
        change, scale = self.layers(torch.cat([mean, field.values[:, -1]], 1)).chunk(2, 1)
        return Restored(mean + 0.01 * change.tanh(), scale.exp())


def method_of(which: str, bundle: Path | None) -> Method:
    """The median, the tiny model, or the restorer of a bundle."""
    if which == "median":
        return composite_method("temporal_median")
    if which == "bundle" and bundle is not None:
        return model_method(load_restorer(bundle))
    tiny = Tiny().eval()
    return Method("tiny", lambda channels: tiny, channels=BANDS)


def run_stack(folder: Path, output: Path, method: Method) -> tuple[float, float]:
    """Seconds of one run from opening the files to the last block stored, and to the last file written."""
    config = InferConfig(tile=TILE, zarr=False, animation=False)
    job = StackJob((str(folder),), lambda: open_series(str(folder), bands=BANDS), method, output, config)
    begin = time.perf_counter()
    stored = begin

    def told(what: str, done: int, total: int) -> None:
        nonlocal stored
        stored = time.perf_counter() if "blocks" in what else stored

    result = restore_stack(job, threads=1, progress=told)
    if result.status != "done":
        raise SystemExit(result.error)
    return stored - begin, time.perf_counter() - begin


def numpy_pass(folder: Path) -> float:
    """Seconds of the median alone, written by hand: rasterio, ``np.nanmedian``, block by block, one file of medians."""
    begin = time.perf_counter()
    files = [rasterio.open(path) for path in sorted(folder.glob("*.tif"))]
    first = files[0]
    profile = first.profile | {"count": len(BANDS), "dtype": "float32", "predictor": 3}
    with rasterio.open(folder / "median.tiff", "w", **profile) as out, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        for window in blocks(first.height, first.width, TILE):
            part = RasterWindow(window.col, window.row, window.width, window.height)
            raw = np.stack([file.read(window=part) for file in files])
            values = np.where(raw[:, -1:] == CLEAR, raw[:, :-1] * np.float32(1e-4), np.float32(np.nan))
            out.write(np.nanmedian(values, axis=0).astype(np.float32), window=part)
    for file in files:
        file.close()
    (folder / "median.tiff").unlink()
    return time.perf_counter() - begin


def measured(folder: Path, which: str, bundle: Path | None) -> dict[str, float]:
    """Seconds, those of the processor, and peak memory [MB] of one run in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.speed.stack", "--run", which, "--folder", str(folder)]
    command += ["--bundle", str(bundle)] if bundle else []
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _inside(folder: Path, which: str, bundle: Path | None) -> dict[str, float]:
    torch.set_num_threads(1)
    begin = time.process_time()
    with tempfile.TemporaryDirectory(dir=folder.parent) as output:
        if which == "numpy":
            blocks_ = seconds = numpy_pass(folder)
        else:
            blocks_, seconds = run_stack(folder, Path(output), method_of(which, bundle))
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    memory = int(peak.split()[1]) * 1024 / 1e6
    return {"blocks": blocks_, "seconds": seconds, "cpu": time.process_time() - begin, "memory_mb": memory}


def main() -> None:
    """Measure, print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="side of the larger stack [px]; 4096 for the real one")
    parser.add_argument("--dates", type=int, default=DATES)
    parser.add_argument("--folder", type=Path, help="where to put the scenes; a temporary folder if not given")
    parser.add_argument("--bundle", type=Path, help="of a restorer, which is run too; of a run of cloud removal")
    parser.add_argument("--run", choices=("median", "model", "bundle", "numpy"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    bundle = arguments.bundle and arguments.bundle.resolve()
    if arguments.run:
        print(json.dumps(_inside(arguments.folder, arguments.run, bundle)))
        return
    entries = ("median", "model", "bundle") if bundle else ("median", "model")
    size, half = arguments.size, arguments.size // 2
    print(
        f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"torch {torch.__version__}, 1 thread; GDAL {rasterio.__gdal_version__}; {arguments.dates} dates, simulated")
    print(f"{'run':<16}{'pixels':>14}{'blocks [s]':>12}{'all [s]':>10}{'CPU [s]':>10}{'µs/px/date':>12}{'peak MB':>10}")
    found: dict[tuple[str, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for times in (1, 2):
            folder = Path(name) / f"stack{times}"
            write_stack(folder, times * half, size, arguments.dates)
            for which in ("numpy", *entries):
                one = found[which, times] = measured(folder, which, bundle)
                pixels = times * half * size
                each = one["seconds"] / pixels / arguments.dates * 1e6
                told = f"{one['blocks']:>12.1f}{one['seconds']:>10.1f}{one['cpu']:>10.1f}{each:>12.3f}"
                told += f"{one['memory_mb']:>10.0f}"
                print(f"{which:<16}{f'{times * half} × {size}':>14}{told}", flush=True)
    ratios = {
        "memory_mb": max(one["memory_mb"] for (which, _), one in found.items() if which != "numpy"),
        "time_for_twice_the_area": max(found[which, 2]["seconds"] / found[which, 1]["seconds"] for which in entries),
        "median_over_numpy_pass": found["median", 2]["blocks"] / found["numpy", 2]["blocks"],
    }
    spent = max(found[which, 2]["cpu"] / found[which, 1]["cpu"] for which in entries)
    print(f"processor's time for twice the area {spent:.2f}: other load does not change it much")
    for key, value in ratios.items():
        print(f"{key:<34}{value:>12.2f}  (limit {LIMITS[key]:g}) {'ok' if value <= LIMITS[key] else 'MISSED'}")
    print(json.dumps({"name": "stack", "ratios": {key: round(value, 3) for key, value in ratios.items()}}))


if __name__ == "__main__":
    main()
