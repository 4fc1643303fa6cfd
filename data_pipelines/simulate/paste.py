"""Simulated clouds over real ground: a clear image keeps its ground, and gets this house's clouds and shadows.

In: a clear image (c, h, w), its bands, resolution and sensor. Out: a ``SimulatedScene``, or a folder of them.
What comes out is simulated wherever a cloud or a shadow falls, and says so; the truth is known because it was made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from data_pipelines.simulate.air import Air, draw_air
from data_pipelines.simulate.clouds import SKIES, layers
from data_pipelines.simulate.dataset import fill_folder, rounds
from data_pipelines.simulate.noise import Canvas, Floats
from data_pipelines.simulate.scene import SceneSpec, SimulatedScene, standing
from data_pipelines.simulate.sensors import SENSORS, counted, lags, stored
from data_pipelines.simulate.terrain import Sun
from data_pipelines.simulate.view import Surface, seen
from geoadapt.cubes.classes import NODATA
from geoadapt.errors import GeoadaptError

__all__ = ["ClearImage", "simulate_over", "write_over"]


@dataclass(frozen=True, slots=True)
class ClearImage:
    """A real image without clouds: reflectance (c, h, w) as its product has it, NaN where missing."""

    values: Floats
    bands: tuple[str, ...]
    resolution: float
    """[m]"""
    sensor: str
    crs: CRS
    transform: Affine
    sun: Sun | None = None
    """None = drawn; the shadows of hills and trees are then not where the clouds' are."""


def simulate_over(image: ClearImage, spec: SceneSpec) -> SimulatedScene:
    """``image`` under the sky that ``spec`` describes; its size, sensor and bands are the image's, not the spec's.

    Raises:
        GeoadaptError: the image is missing everywhere.
    """
    missing = ~np.isfinite(image.values).all(axis=0)
    if missing.all():
        raise GeoadaptError("simulated clouds over an image", "it has no valid pixel", "choose another image")
    rng = np.random.default_rng([spec.seed, 0x0FE2])
    place = standing(spec, rng)
    light = image.sun or place.light
    canvas = Canvas(*missing.shape, image.resolution)
    values = np.where(missing, np.nanmedian(image.values, axis=(1, 2), keepdims=True), image.values)
    air = draw_air(rng, light, image.bands)
    if not SENSORS[image.sensor].surface:
        air = _no_more_than(air, values)
        values = np.maximum((values - air.molecules[:, None, None] - air.aerosol[:, None, None]), 1e-4)
        values /= air.clear[:, None, None]
    ground = Surface(values.astype(np.float32), np.ones(canvas.shape, np.float32))
    up, cover = math.sin(math.radians(light.elevation)), place.cover
    sky = layers(canvas, rng, cover, place.sky, up)
    lag = lags(image.sensor, image.bands) * (1 if rng.random() < 0.5 else -1)
    even, glow = np.ones(canvas.shape, np.float32), rng.uniform(0, 0.1) * cover
    seen_, labels = seen(canvas, ground, sky, light, air, even, glow, image.bands, lag)
    out = _recorded(seen_, image, air, up, bool(rng.random() < 0.3))
    out[:, missing], labels[missing] = np.nan, NODATA
    return SimulatedScene(
        out, labels, image.bands, image.crs, image.transform, place.time, image.sensor, "real ground", light
    )


def _no_more_than(air: Air, values: Floats) -> Air:
    """The same air, thinned so that no band of the image is darker than it."""
    darkest = np.percentile(values, 0.5, axis=(1, 2))
    share = np.float32(min(1.0, float((0.95 * darkest / (air.molecules + air.aerosol)).min())))
    return replace(air, molecules=air.molecules * max(share, 0), aerosol=air.aerosol * max(share, 0))


def _recorded(values: Floats, image: ClearImage, air: Air, up: float, low_gain: bool) -> Floats:
    """The product's steps and saturation; the image brings its own noise and blur."""
    out = np.empty_like(values, order="C")
    for i, band in enumerate(image.bands):
        found, _ = counted(values[i], image.sensor, band, up, low_gain)
        if SENSORS[image.sensor].surface:
            found = np.maximum((found - air.molecules[i] - air.aerosol[i]) / air.clear[i], 0)
        out[i] = stored(found)
    return out


def write_over(root: Path, images: Mapping[str, ClearImage], each: int, seed: int) -> list[str]:
    """``each`` skies over every image, as a folder that ``data=folder`` reads; returns the names, in order.

    Raises:
        GeoadaptError: ``root`` holds images that this function did not make, or cannot be written.
    """
    if not images or each < 1:
        raise GeoadaptError("data", f"{each} skies over {len(images)} images", "choose at least one of each")
    skies = rounds(np.random.default_rng([seed, 2]), list(SKIES), each * len(images))
    specs, below = {}, {}
    for i, sky in enumerate(skies):
        name = list(images)[i % len(images)]
        cover = 0.06 + 0.6 * ((0.2 + 0.618034 * i) % 1)
        spec = SceneSpec(max(images[name].values.shape[1:]), 1000 * seed + i, images[name].sensor, None, cover, sky=sky)
        key = f"simulated_over_{name}_{seed}_{i:02d}_{images[name].sensor}"
        specs[key], below[key] = spec, images[name]
    return fill_folder(root, specs, lambda key: simulate_over(below[key], specs[key]), "simulated_over_")
