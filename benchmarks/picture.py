"""The README's picture, from what `geoadapt demo` left: ``python -m benchmarks.picture outputs/demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.report.quicklook import colour_errors, colour_labels, rgb, write_png

TARGET = Path(__file__).parent / "results" / "demo.png"
SIDE, GAP = 360, 8


def read(path: Path, window: RasterWindow) -> NDArray[np.float32]:
    with rasterio.open(path) as file:
        return file.read(window=window, masked=True).astype(np.float32).filled(np.nan) * np.float32(file.scales[0])


def main() -> None:
    demo = Path(sys.argv[1])
    image, truth, mask = (
        next((demo / name).rglob(kind))
        for name, kind in (("scene", "*.tif"), ("scene_truth", "*.tif"), ("masks", "*_labels.tif"))
    )
    with rasterio.open(image) as file:
        channels, (height, width) = file.descriptions, file.shape
    window = RasterWindow(width // 2 - SIDE // 2, height // 2 - SIDE // 2, SIDE, SIDE)
    known, said = (read(path, window)[0].astype(np.uint8) for path in (truth, mask))
    panels = [
        rgb(read(image, window), channels),
        colour_labels(known, CLOUD_CLASSES),
        colour_labels(said, CLOUD_CLASSES),
        colour_errors(known, said),
    ]
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    strip = [part for panel in panels for part in (panel, gap)][:-1]
    print(write_png(TARGET, np.concatenate(strip, axis=1)))


if __name__ == "__main__":
    main()
