"""A stack in memory and restorers without networks, for tests of cloud removal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from torch.nn.functional import conv2d

from geoadapt.config import InferConfig
from geoadapt.cubes.series import SeriesInfo
from geoadapt.fields.restorer import Restored
from geoadapt.fields.types import Batch
from geoadapt.inference.restore import StackJob
from geoadapt.inference.restore_method import Method
from geoadapt.io.base import Window

BANDS = ("blue", "green", "red", "nir")
SMALL = InferConfig(tile=24, overlap=8, batch=3, animation=False)
BARE = replace(SMALL, composites=[])


class ArrayStack:
    """Values (t, c, h, w) and clear (t, h, w) in memory, read by window; ``fail_at``: the read that raises."""

    def __init__(
        self,
        values: NDArray[np.float32],
        clear: NDArray[np.bool_],
        times: NDArray[np.datetime64],
        name: str = "place",
        fail_at: int | None = None,
    ) -> None:
        self.values, self.clear, self.windows, self._fail_at = values, clear, list[Window](), fail_at
        self.kept_open: int | None = None
        t, c, h, w = values.shape
        self.info = SeriesInfo(
            name,
            h,
            w,
            BANDS[:c],
            times.astype("datetime64[s]"),
            CRS.from_epsg(32631),
            Affine(10, 0, 600_000, 0, -10, 5_700_000),
            tuple(f"scene{i}" for i in range(t)),
            (None,) * t,
            10.0,
        )

    def read(self, window: Window | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        window = window or Window(0, 0, self.info.height, self.info.width)
        if len(self.windows) == self._fail_at:
            raise OSError("the disk is gone")
        self.windows.append(window)
        rows, cols = (
            slice(window.row, window.row + window.height),
            slice(window.col, window.col + window.width),
        )
        return self.values[..., rows, cols].copy(), self.clear[..., rows, cols].copy()

    def keep_open(self, handles: int) -> None:
        self.kept_open = handles

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def stack(dates: int = 4, height: int = 40, width: int = 50, seed: int = 0, cloudy: float = 0.4) -> ArrayStack:
    """A smooth ground that brightens over the dates, under clouds in blocks, with missing corners."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    ground = 0.1 + 0.05 * np.sin(x / 5) * np.cos(y / 7)
    bands = np.arange(1, len(BANDS) + 1)[:, None, None] / 2
    values = np.stack([ground * bands + 0.01 * t for t in range(dates)]).astype(np.float32)
    coarse = rng.random((dates, -(-height // 5), -(-width // 5))) < cloudy
    clouds = coarse.repeat(5, 1).repeat(5, 2)[:, :height, :width]
    values = np.where(clouds[:, None], np.float32(0.8), values)
    values = values.round(4).astype(np.float32)
    values[0, :, :6, :6] = np.nan
    clear = ~clouds & np.isfinite(values).all(1)
    times = np.datetime64("2020-01-05") + np.arange(dates) * np.timedelta64(11, "D")
    return ArrayStack(values, clear, times)


class Blur:
    """A model with a receptive field of 7 × 7 px: the mean over time and surroundings; knows its error."""

    def __init__(self, channels: tuple[str, ...] = BANDS, before: Callable[[Batch], None] | None = None) -> None:
        self.channels, self.name, self.sha256, self.multiple = channels, "blur", "f" * 64, 4
        self.before, self.calls = before, list[tuple[int, ...]]()

    def restore(self, batch: Batch) -> Restored:
        field = batch.inputs["optical"]
        assert field.valid is not None and batch.target is None
        assert bool((field.values[~field.valid] == 0).all())
        self.calls.append(tuple(field.values.shape))
        if self.before:
            self.before(batch)
        total = field.values.double().sum(1)
        count = field.valid.double().sum(1)
        kernel = torch.ones(len(self.channels), 1, 7, 7, dtype=torch.float64)
        sums, counts = (conv2d(v, kernel, padding=3, groups=len(self.channels)) for v in (total, count))
        image = (sums + 0.05) / (counts + 1)
        return Restored(image.float(), (0.01 / (1 + counts)).float())


def method(model: Blur | None = None) -> Method:
    found = model or Blur()
    return Method(found.name, lambda channels: found, found.sha256, found.channels, found.multiple)


class Median:
    """The median of the other dates, by torch, as a composite would be."""

    def __init__(self, channels: tuple[str, ...]) -> None:
        self.channels = channels

    def restore(self, batch: Batch) -> Restored:
        field = batch.inputs["optical"]
        assert field.valid is not None
        held = field.values.masked_fill(~field.valid, torch.nan)
        return Restored(torch.from_numpy(np.nanmedian(held.numpy(), axis=1)))


MEDIAN = Method("temporal_median", Median, learned=False)
COMPOSITE = Method("median_by_date", Median, learned=False)


def job(
    source: ArrayStack, output: Path, how: Method = MEDIAN, config: InferConfig = SMALL, dates: str = ""
) -> StackJob:
    return StackJob((f"memory/{source.info.name}",), lambda: source, how, output, config, dates)
