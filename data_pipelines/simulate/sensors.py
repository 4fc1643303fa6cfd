"""The sensors: what each makes of the light that reaches it.

In: reflectance in Sentinel-2's bands (c, h, w). Out: reflectance as the product of that sensor has it (c, h, w).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from data_pipelines.simulate.air import Air
from data_pipelines.simulate.noise import Floats
from data_pipelines.simulate.spectra import spectrum
from data_pipelines.simulate.terrain import Sun

__all__ = ["FLAGGED", "SENSORS", "Sensor", "counted", "lags", "needed", "sensed", "stored"]

FLAGGED = 2.0
"""Reflectance that some Landsat-5 and -7 products write for a saturated pixel."""

OLI: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "blue": {"blue": 0.80, "coastal": 0.20},
        "red": {"red": 0.94, "green": 0.06},
        "nir": {"nir": 1.05, "rededge078": -0.05},
    }
)
"""Landsat-8's bands out of Sentinel-2's, by where their pass-bands lie: blue at 482 nm, red at 655, NIR at 865."""
ETM: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "blue": {"blue": 0.84, "coastal": 0.16},
        "green": {"green": 0.90, "red": 0.10},
        "red": {"red": 0.93, "rededge071": 0.05, "green": 0.02},
        "nir": {"nir": 0.90, "rededge078": 0.06},
        "swir16": {"swir16": 1.0},
        "swir22": {"swir22": 0.97, "swir16": 0.03},
    }
)
"""Landsat-7's: wider than Landsat-8's, green to 605 nm, red to 690, NIR over the water vapour near 820."""
S30: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "coastal": {"coastal": 0.9959},
        "blue": {"blue": 0.9778},
        "green": {"green": 1.0053},
        "red": {"red": 0.9765},
        "nir": {"nir": 1.0483, "rededge078": -0.05},
        "swir16": {"swir16": 0.9987},
        "swir22": {"swir22": 1.0030},
    }
)
"""HLS S30: Sentinel-2A fitted to Landsat-8 with the slopes of Claverie et al. 2018 (table 5); its NIR is band 8A."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """How an instrument differs from an ideal Sentinel-2."""

    resolution: float
    """[m]"""
    noise: float
    """Standard deviation at a reflectance of 0.1."""
    step: float = 1e-4
    """Radiometric step [reflectance] with the sun overhead."""
    saturation: float = 1.6
    """Largest reflectance it tells apart, in bands that ``limits`` does not name."""
    bands: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Band → shares of Sentinel-2's bands that it sees; bands not named are Sentinel-2's."""
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Band → largest reflectance with the sun overhead in high and in low gain."""
    coarse: tuple[str, ...] = ()
    """Bands with pixels of twice the size."""
    lag: float = 0.0
    """How far apart in time it sees its bands, relative to Sentinel-2: clouds shift by it."""
    surface: bool = False
    """Whether the product is corrected for the air."""


SENSORS: dict[str, Sensor] = {
    "sentinel2": Sensor(10.0, 0.0012, coarse=("rededge071", "rededge075", "rededge078", "swir16", "swir22"), lag=1.0),
    "landsat8": Sensor(30.0, 0.0008, saturation=1.2, bands=OLI, lag=0.35),
    "landsat7": Sensor(
        30.0,
        0.0022,
        1.6e-3,
        bands=ETM,
        limits=MappingProxyType(
            {
                "blue": (0.306, 0.468),
                "green": (0.335, 0.513),
                "red": (0.311, 0.476),
                "nir": (0.474, 0.725),
                "swir16": (0.432, 0.662),
                "swir22": (0.413, 0.633),
            }
        ),
    ),
    "landsat5": Sensor(
        30.0,
        0.0028,
        2.0e-3,
        bands=ETM,
        limits=MappingProxyType(
            {
                "blue": (0.268, 0.306),
                "green": (0.583, 0.638),
                "red": (0.540, 0.540),
                "nir": (0.673, 0.673),
                "swir16": (0.431, 0.431),
                "swir22": (0.621, 0.621),
            }
        ),
    ),
    "hls_s30": Sensor(30.0, 0.0008, bands=S30, lag=1.0, surface=True),
    "hls_l30": Sensor(30.0, 0.0008, saturation=1.2, bands=OLI, lag=0.35, surface=True),
}
"""Limits from the calibration of Chander et al. 2009: pi x Lmax / ESUN; step and limit grow as the sun sinks."""


SECONDS = (2.31, 0.0, 0.53, 1.01, 1.27, 1.53, 1.79, 0.26, 1.47, 2.08)
"""When Sentinel-2 sees each of ``BANDS`` after blue [s]."""
DRIFT = 6.7 / 786
"""How far a cloud seems to move for each second and metre of height: the satellite's speed over its height."""


def lags(sensor: str, have: tuple[str, ...]) -> Floats:
    """Apparent shift (c,) along the track for each metre of height, about the mean band."""
    seconds = spectrum(SECONDS, have) * np.float32(SENSORS[sensor].lag * DRIFT)
    found: Floats = seconds - seconds.mean()
    return found


def needed(sensor: str, bands: tuple[str, ...]) -> tuple[str, ...]:
    """Sentinel-2's bands that a sensor's ``bands`` are made of, in no band twice."""
    names = [name for band in bands for name in SENSORS[sensor].bands.get(band, {band: 1.0})]
    return tuple(dict.fromkeys(names))


def sensed(
    values: Floats,
    rng: np.random.Generator,
    sensor: str,
    have: tuple[str, ...],
    bands: tuple[str, ...],
    light: Sun,
    air: Air,
) -> Floats:
    """What the product holds of ``values`` (c, h, w) in bands ``have``: blur, response, noise, saturation, steps."""
    made = SENSORS[sensor]
    up = math.sin(math.radians(light.elevation))
    low_gain, flags = rng.random() < 0.3, bool(made.limits) and rng.random() < 0.3
    guess = np.float32(rng.normal(1.0, 0.12))
    out = np.empty((len(bands), *values.shape[1:]), np.float32)
    for i, band in enumerate(bands):
        image = _mixed(values, have, made.bands.get(band, {band: 1.0}))
        image = gaussian_filter(image, 1.05 if band in made.coarse else 0.55, truncate=3)
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        image += noise * made.noise * np.sqrt(0.3 + 7 * np.maximum(image, 0))
        image, full = counted(image, sensor, band, up, low_gain)
        if made.surface:
            image = np.minimum(_corrected(image, air, have.index(_main(made, band)), guess), made.saturation)
        elif flags:
            image[full] = FLAGGED
        out[i] = stored(image)
    return out


def counted(image: Floats, sensor: str, band: str, up: float, low_gain: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Reflectance (h, w) in the sensor's steps up to where it saturates, and where it does; ``up``: sine of the sun."""
    made = SENSORS[sensor]
    limits = made.limits.get(band)
    limit = limits[low_gain] / up if limits else made.saturation
    step = np.float32(made.step / up if made.step > 1e-4 else 1e-4)
    found: Floats = np.round(np.clip(image, 0, limit) / step) * step
    return found, found >= limit - step


def stored(image: Floats) -> Floats:
    """Reflectance as files hold it: steps of 1e-4, never 0, which means missing."""
    found: Floats = np.maximum(np.round(image * 1e4), 1) / np.float32(1e4)
    return found


def _mixed(values: Floats, have: tuple[str, ...], shares: Mapping[str, float]) -> Floats:
    found = np.zeros(values.shape[1:], np.float32)
    for name, share in shares.items():
        found += np.float32(share) * values[have.index(name)]
    return found


def _main(sensor: Sensor, band: str) -> str:
    return band if band in sensor.bands.get(band, {band: 1.0}) else next(iter(sensor.bands[band]))


def _corrected(image: Floats, air: Air, band: int, guess: np.float32) -> Floats:
    """Surface reflectance with the air taken off, its aerosol known to within a factor ``guess``."""
    path = air.molecules[band] + air.aerosol[band] * guess
    found: Floats = np.maximum((image - path) / air.clear[band], 0)
    return found
