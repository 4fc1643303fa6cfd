"""The demo's chapter on time series: a year over one simulated place, its clouds removed, beside the truth.

In: a folder and a seed. Out: the restored dates under it, and one of them before, after and as it truly was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from markupsafe import Markup
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.report.comparison import comparison, key, top_of
from geoadapt.report.pictures import maps

__all__ = ["RestoredPlace", "chapter", "restore_place"]

NAME = "simulated_place"
METHOD = "linear"
SIZE, DATES = 256, 12
"""Of the place [px], and how often it is seen in the year."""
BANDS = ("blue", "green", "red")
Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RestoredPlace:
    """One date (c, h, w) [reflectance] before, after and as it truly was, and how far off what was hidden is."""

    date: str
    before: Image
    after: Image
    truth: Image
    error: Image
    """Absolute error of what was restored, NaN elsewhere."""
    hidden: float
    """Share of the date's pixels that were not clear."""
    error_before: float
    error_after: float
    item: Path


def restore_place(output: Path, seed: int, command: str) -> RestoredPlace:
    """Simulate a place, remove its clouds by interpolation in time as ``geoadapt predict --method linear`` does.

    Raises GeoadaptError where the stack cannot be restored.
    """
    from data_pipelines.simulate.series import SeriesSpec
    from data_pipelines.simulate.series_dataset import write_series
    from geoadapt.config import InferConfig
    from geoadapt.cubes.open import open_cube
    from geoadapt.cubes.series import open_series
    from geoadapt.inference.restore import StackJob, restore_stack
    from geoadapt.inference.restore_method import composite_method

    root = output / "series"
    write_series(root, {"test": {NAME: SeriesSpec(SIZE, DATES, 10 * seed + 7, 20.0, "hills")}})
    path = root / "series" / f"{NAME}.zarr"
    config = InferConfig(composites=["median"], overwrite=True)
    job = StackJob(
        (str(path),), lambda: open_series([str(path)]), composite_method(METHOD), output / "restored", config
    )
    done = restore_stack(job, command=command)
    if done.status != "done":
        raise GeoadaptError(path, f"could not be restored: {done.error}", "report this as a bug")
    with open_series([str(path)]) as source:
        values, clear = source.read()
        bands = [source.info.bands.index(band) for band in BANDS]
        days = [np.datetime_as_string(time, "D") for time in source.info.times]
    cube = open_cube(root / "truth" / f"{NAME}.zarr", bands=BANDS)
    assert isinstance(cube, xr.DataArray)  # it was written as an image
    share = 1 - clear.mean((1, 2))
    # about half hidden: enough to restore, enough left to see that it fits
    chosen = int(np.argmin(np.abs(share - 0.5)))
    truth = np.asarray(cube.isel(time=chosen).to_numpy(), np.float32)
    file = done.files[f"{days[chosen].replace('-', '')}_clear"]
    before, after = values[chosen, bands], _read(file)
    hidden = ~clear[chosen] & np.isfinite(after).all(0)
    off = [float(np.abs(image - truth)[:, hidden].mean()) for image in (before, after)]
    error = np.where(hidden, np.abs(after - truth), np.nan)
    return RestoredPlace(days[chosen], before, after, truth, error, float(share[chosen]), off[0], off[1], file)


def chapter(place: RestoredPlace) -> list[str]:
    """What the page says and shows of the place."""
    told = (
        f"A simulated place, seen on {DATES} days of a year. On {place.date} clouds and their shadows hid "
        f"{100 * place.hidden:.0f} % of it; there the visible bands were {place.error_before:.3f} off on average, and "
        f"are {place.error_after:.3f} off after linear interpolation between clear dates [reflectance]. No model was "
        "trained for this; pixels that no date shows clearly would have stayed empty."
    )
    top = top_of([place.error])
    row = comparison(
        f"{NAME}, {place.date}",
        "Three images with one stretch, from 2 to 98 % of the true image: equal colours are equal reflectance. The "
        "error is a mean over the bands, of what was restored; interpolation predicts none of its own.",
        {"before": place.before, "restored": place.after, "truth, simulated": place.truth},
        BANDS,
        reference=place.truth,
        errors={"error": place.error},
        top=top,
    )
    shown = maps([row], key("missing, or not restored", top))
    return [told, shown, Markup("<p>Written as <code>{}</code>.</p>").format(place.item.name)]


def _read(path: Path) -> Image:
    """Reflectance (c, h, w) of the visible bands, NaN where unknown."""
    with rasterio.open(path) as raster:
        bands = [raster.descriptions.index(band) + 1 for band in BANDS]
        stored = raster.read(bands, masked=True).astype(np.float32)
        values: Image = stored.filled(np.nan) * np.float32(raster.scales[0])
    return values
