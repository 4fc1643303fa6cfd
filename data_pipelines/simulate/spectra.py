"""What things look like: surface reflectance per material and band, the air above them, and three sensors.

Round figures in the range that spectral libraries give; good for telling a story about sensors, not for retrievals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from data_pipelines.simulate.noise import Floats

__all__ = ["AIR", "BANDS", "DEFAULT_BANDS", "DIFFUSE", "MATERIALS", "SENSORS", "Sensor", "spectrum"]

BANDS = ("coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "swir16", "swir22")
DEFAULT_BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")

MATERIALS: dict[str, tuple[float, ...]] = {
    "soil": (0.05, 0.065, 0.095, 0.13, 0.16, 0.18, 0.20, 0.23, 0.32, 0.27),
    "dark_soil": (0.035, 0.045, 0.06, 0.08, 0.10, 0.11, 0.12, 0.14, 0.20, 0.17),
    "light_soil": (0.12, 0.15, 0.21, 0.27, 0.30, 0.32, 0.34, 0.36, 0.44, 0.40),
    "sand": (0.26, 0.32, 0.41, 0.48, 0.51, 0.53, 0.54, 0.56, 0.60, 0.55),
    "straw": (0.06, 0.08, 0.13, 0.18, 0.23, 0.27, 0.30, 0.33, 0.38, 0.27),
    "crop": (0.025, 0.03, 0.07, 0.035, 0.11, 0.33, 0.42, 0.46, 0.20, 0.09),
    "rapeseed": (0.03, 0.035, 0.14, 0.12, 0.20, 0.36, 0.44, 0.47, 0.22, 0.11),
    "grass": (0.03, 0.036, 0.075, 0.052, 0.12, 0.28, 0.35, 0.38, 0.23, 0.12),
    "broadleaf": (0.02, 0.022, 0.048, 0.026, 0.085, 0.28, 0.37, 0.40, 0.17, 0.07),
    "twigs": (0.035, 0.042, 0.058, 0.07, 0.10, 0.13, 0.15, 0.18, 0.21, 0.14),
    "conifer": (0.014, 0.017, 0.029, 0.019, 0.05, 0.15, 0.19, 0.21, 0.09, 0.04),
    "water": (0.035, 0.030, 0.024, 0.012, 0.010, 0.008, 0.007, 0.006, 0.003, 0.002),
    "shallow": (0.06, 0.075, 0.10, 0.075, 0.06, 0.04, 0.032, 0.024, 0.007, 0.004),
    "asphalt": (0.07, 0.08, 0.09, 0.10, 0.105, 0.11, 0.115, 0.12, 0.14, 0.13),
    "tiles": (0.06, 0.07, 0.09, 0.16, 0.19, 0.21, 0.23, 0.25, 0.30, 0.28),
    "concrete": (0.17, 0.19, 0.22, 0.24, 0.25, 0.26, 0.27, 0.28, 0.30, 0.27),
    "rock": (0.10, 0.12, 0.15, 0.17, 0.18, 0.19, 0.20, 0.21, 0.24, 0.21),
    "snow": (0.88, 0.90, 0.90, 0.88, 0.86, 0.85, 0.84, 0.80, 0.12, 0.09),
    "water_cloud": (1.0, 1.0, 0.99, 0.98, 0.98, 0.98, 0.98, 0.97, 0.80, 0.62),
    "ice_cloud": (1.0, 1.0, 0.99, 0.98, 0.98, 0.97, 0.97, 0.96, 0.52, 0.40),
}
"""Reflectance by ``BANDS``; clouds as the share of their visible reflectance."""

AIR = (0.095, 0.070, 0.038, 0.022, 0.018, 0.015, 0.013, 0.010, 0.003, 0.002)
"""Reflectance of clear air seen from above, by ``BANDS``."""
DIFFUSE = (0.42, 0.36, 0.27, 0.20, 0.17, 0.15, 0.14, 0.12, 0.06, 0.04)
"""Share of the light on the ground that comes from the sky, by ``BANDS``: what is left in a shadow."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """How an instrument differs from an ideal one."""

    resolution: float
    """[m]"""
    noise: float
    """Standard deviation at a reflectance of 0.1."""
    step: float
    """Radiometric step [reflectance]."""
    saturation: float
    """Largest reflectance it tells apart."""
    gains: Mapping[str, float]
    """Band → response relative to Sentinel-2."""


SENSORS: dict[str, Sensor] = {
    "sentinel2": Sensor(10.0, 0.0012, 1e-4, 1.6, MappingProxyType({})),
    "landsat8": Sensor(
        30.0,
        0.0008,
        1e-4,
        1.2,
        MappingProxyType({"blue": 0.98, "green": 1.01, "red": 0.985, "nir": 1.02, "swir16": 1.01, "swir22": 1.03}),
    ),
    "landsat7": Sensor(
        30.0,
        0.0030,
        3e-3,
        0.72,
        MappingProxyType({"blue": 1.03, "green": 0.975, "red": 0.97, "nir": 0.94, "swir16": 0.99, "swir22": 1.05}),
    ),
}


def spectrum(values: tuple[float, ...], bands: tuple[str, ...]) -> Floats:
    """The values of ``bands`` (c,) out of a row by ``BANDS``."""
    return np.array([values[BANDS.index(band)] for band in bands], np.float32)
