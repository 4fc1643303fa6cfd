"""A bundle on a cube in memory or in dask: the five lines of a notebook.

In: a cube (time, band, y, x) [reflectance 0–1, NaN = missing]. Out: class labels (time, y, x), uint8, on the same grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import rioxarray  # noqa: F401  gives every DataArray its .rio
import torch
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from torch import Tensor

from geoadapt.bundle.load import Bundle
from geoadapt.bundle.load import load_bundle as read_bundle
from geoadapt.config import InferConfig
from geoadapt.cubes.classes import NODATA
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import StreamOptions
from geoadapt.inference.products import LabelProduct
from geoadapt.inference.settings import resolution_metres
from geoadapt.inference.stream import stream
from geoadapt.io.base import SourceInfo, Window
from geoadapt.io.memory import MemorySink

__all__ = ["CubeSource", "Predictor", "load_bundle"]


@dataclass(frozen=True, slots=True)
class CubeSource:
    """One date of a cube (band, y, x) as a Source; a lazy cube is computed window by window."""

    cube: xr.DataArray
    info: SourceInfo

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Values (c, h, w) of ``window``."""
        rows = slice(window.row, window.row + window.height)
        part = self.cube[:, rows, window.col : window.col + window.width]
        values = np.asarray(part.values, np.float32)
        return values if bands is None else values[list(bands)]

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True)
class Predictor(Bundle):
    """A bundle that also runs over whole cubes."""

    def predict(self, cube: xr.DataArray, infer: InferConfig | None = None) -> xr.DataArray:
        """Labels (time, y, x), or (y, x) for a cube without time; raises GeoadaptError where a band is missing."""
        missing = [c for c in self.channels if c not in list(cube["band"].values)]
        if missing:
            hint = f"the cube has {cube['band'].values.tolist()}"
            raise GeoadaptError("cube", f"lacks {missing}, which the bundle {self.name} takes", hint)
        wanted = cube.sel(band=list(self.channels))
        dates = [wanted.isel(time=i) for i in range(wanted.sizes["time"])] if "time" in wanted.dims else [wanted]
        how = infer or InferConfig()
        labels = [self._labels(date.transpose("band", "y", "x"), how) for date in dates]
        stacked = np.stack(labels) if "time" in wanted.dims else labels[0]
        like = wanted.isel(band=0, drop=True)
        order = ("time", "y", "x") if "time" in wanted.dims else ("y", "x")
        out = like.transpose(*order).copy(data=stacked).rename("labels")
        out.attrs = {
            "flag_values": np.array([c.value for c in self.classes], np.uint8),
            "flag_meanings": " ".join(c.name for c in self.classes),
            "_FillValue": NODATA,
            "bundle": self.name,
        }
        return out

    def _labels(self, date: xr.DataArray, how: InferConfig) -> NDArray[np.uint8]:
        time = _time(date)
        height, width = date.sizes["y"], date.sizes["x"]
        crs, transform = _place(date)
        info = SourceInfo("cube", height, width, self.channels, np.dtype(np.float32), crs, transform, time=time)
        resolution = resolution_metres(info)

        def scores(values: Tensor, valid: Tensor | None) -> Tensor:
            return self.scores(values, valid, time=time, resolution=resolution, sensor=date.attrs.get("sensor"))

        options = StreamOptions(len(self.classes), how.tile, how.overlap, how.batch, self.multiple, torch.device("cpu"))
        sink = MemorySink(height, width)
        threshold = self.threshold if how.threshold is None else how.threshold
        product = LabelProduct(sink, self.classes, threshold=threshold, buffer=how.cloud_buffer, thin=how.thin_cloud)
        stream(CubeSource(date, info), scores, [product], options)
        return sink.values


def load_bundle(
    path: str | Path, *, device: str = "cpu", weights: str | None = None, allow_mismatch: bool = False
) -> Predictor:
    """The bundle at ``path``, ready to run on cubes, scenes and archives; see ``geoadapt.bundle.load.load_bundle``."""
    read = read_bundle(path, device=device, weights=weights, allow_mismatch=allow_mismatch)
    return Predictor(**{f.name: getattr(read, f.name) for f in fields(read)})


def _time(date: xr.DataArray) -> datetime | None:
    if "time" not in date.coords:
        return None
    stamp = pd.Timestamp(date["time"].values.item() if date["time"].dtype == object else date["time"].values)
    return None if pd.isna(stamp) else stamp.to_pydatetime().replace(tzinfo=UTC)


def _place(date: xr.DataArray) -> tuple[CRS | None, Affine | None]:
    """CRS and transform of a cube: from its coordinates, or from ``spatial_ref`` where it has none."""
    if "spatial_ref" not in date.coords or date.rio.crs is None:
        return None, None
    spaced = {"x", "y"} <= set(date.coords) and min(date.sizes["x"], date.sizes["y"]) > 1
    if not spaced and "GeoTransform" not in date["spatial_ref"].attrs:
        return None, None
    return date.rio.crs, date.rio.transform(recalc=spaced)
