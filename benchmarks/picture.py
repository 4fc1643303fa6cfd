"""The README's pictures, from what `geoadapt demo` left: ``python -m benchmarks.picture outputs/demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.report.comparison import same_stretch
from geoadapt.report.quicklook import colour_errors, colour_labels, rgb, write_png

RESULTS = Path(__file__).parent / "results"
TARGET = RESULTS / "demo.png"
BANDS = ("blue", "green", "red")
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
    print(restored(demo))


def restored(demo: Path) -> Path:
    """One date of the demo's place before, after and as it truly was."""
    import xarray as xr

    name = sys.argv[2] if len(sys.argv) > 2 else "20211225"
    day = np.datetime64(f"{name[:4]}-{name[4:6]}-{name[6:]}", "D")
    panels = []
    for kind in ("series", "truth"):
        cube = xr.open_zarr(demo / "series" / kind / "simulated_place.zarr", mask_and_scale=True, consolidated=False)
        place = int(np.flatnonzero(cube["time"].values.astype("datetime64[D]") == day)[0])
        panels.append(cube["image"].isel(time=place).sel(band=list(BANDS)).values.astype(np.float32))
    with rasterio.open(demo / "restored" / f"simulated_place_{name}_clear.tif") as file:
        bands = [file.descriptions.index(band) + 1 for band in BANDS]
        after = file.read(bands, masked=True).astype(np.float32).filled(np.nan) * np.float32(file.scales[0])
    strip = same_stretch((panels[0], after, panels[1]), BANDS, panels[1])
    gap = np.full((strip[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for panel in strip for part in (panel, gap)][:-1]
    return write_png(RESULTS / "restored.png", np.concatenate(parts, axis=1))


if __name__ == "__main__":
    main()
