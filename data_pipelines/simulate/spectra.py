"""What things look like: surface reflectance per material and band, and how far it strays from scene to scene.

Round figures in the range that spectral libraries give; good for telling a story about sensors, not for retrievals.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from data_pipelines.simulate.noise import Floats

__all__ = ["BANDS", "DEFAULT_BANDS", "MATERIALS", "WAVELENGTHS", "palette", "spectrum"]

BANDS = ("coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "swir16", "swir22")
WAVELENGTHS = (0.443, 0.493, 0.560, 0.665, 0.704, 0.740, 0.783, 0.842, 1.610, 2.190)
"""Middle of each of ``BANDS`` on Sentinel-2 [µm]."""
DEFAULT_BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")

MATERIALS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "soil": (0.042, 0.055, 0.082, 0.115, 0.14, 0.16, 0.18, 0.21, 0.29, 0.24),
        "dark_soil": (0.030, 0.038, 0.052, 0.068, 0.085, 0.095, 0.105, 0.125, 0.18, 0.15),
        "light_soil": (0.12, 0.15, 0.21, 0.27, 0.30, 0.32, 0.34, 0.36, 0.44, 0.40),
        "red_soil": (0.04, 0.055, 0.09, 0.19, 0.23, 0.25, 0.27, 0.30, 0.40, 0.34),
        "sand": (0.26, 0.32, 0.41, 0.48, 0.51, 0.53, 0.54, 0.56, 0.60, 0.55),
        "straw": (0.05, 0.065, 0.105, 0.145, 0.23, 0.27, 0.30, 0.33, 0.38, 0.27),
        "crop": (0.025, 0.03, 0.07, 0.035, 0.11, 0.33, 0.42, 0.46, 0.20, 0.09),
        "rapeseed": (0.03, 0.035, 0.14, 0.12, 0.20, 0.36, 0.44, 0.47, 0.22, 0.11),
        "grass": (0.03, 0.036, 0.075, 0.052, 0.12, 0.28, 0.35, 0.38, 0.23, 0.12),
        "broadleaf": (0.018, 0.020, 0.042, 0.024, 0.08, 0.24, 0.31, 0.34, 0.155, 0.065),
        "twigs": (0.030, 0.036, 0.050, 0.060, 0.09, 0.12, 0.14, 0.17, 0.19, 0.12),
        "conifer": (0.014, 0.017, 0.029, 0.019, 0.05, 0.15, 0.19, 0.21, 0.09, 0.04),
        "water": (0.035, 0.030, 0.024, 0.012, 0.010, 0.008, 0.007, 0.006, 0.003, 0.002),
        "shallow": (0.06, 0.075, 0.10, 0.075, 0.06, 0.04, 0.032, 0.024, 0.007, 0.004),
        "turbid": (0.06, 0.08, 0.125, 0.13, 0.125, 0.105, 0.105, 0.095, 0.012, 0.006),
        "algae": (0.025, 0.030, 0.060, 0.040, 0.060, 0.050, 0.050, 0.040, 0.008, 0.005),
        "asphalt": (0.07, 0.08, 0.09, 0.10, 0.105, 0.11, 0.115, 0.12, 0.14, 0.13),
        "tiles": (0.06, 0.07, 0.09, 0.16, 0.19, 0.21, 0.23, 0.25, 0.30, 0.28),
        "concrete": (0.17, 0.19, 0.22, 0.24, 0.25, 0.26, 0.27, 0.28, 0.30, 0.27),
        "white_roof": (0.42, 0.47, 0.50, 0.52, 0.53, 0.53, 0.53, 0.53, 0.48, 0.42),
        "plastic": (0.28, 0.32, 0.35, 0.37, 0.39, 0.40, 0.41, 0.42, 0.33, 0.24),
        "rock": (0.10, 0.12, 0.15, 0.17, 0.18, 0.19, 0.20, 0.21, 0.24, 0.21),
        "basalt": (0.045, 0.050, 0.055, 0.060, 0.065, 0.068, 0.070, 0.072, 0.080, 0.075),
        "burnt": (0.030, 0.034, 0.040, 0.048, 0.055, 0.062, 0.068, 0.078, 0.120, 0.125),
        "salt": (0.38, 0.46, 0.54, 0.59, 0.61, 0.62, 0.63, 0.64, 0.46, 0.34),
        "snow": (0.88, 0.90, 0.90, 0.88, 0.86, 0.85, 0.84, 0.80, 0.12, 0.09),
    }
)
"""Reflectance by ``BANDS``."""


def spectrum(values: tuple[float, ...], bands: tuple[str, ...]) -> Floats:
    """The values of ``bands`` (c,) out of a row by ``BANDS``."""
    return np.array([values[BANDS.index(band)] for band in bands], np.float32)


def palette(rng: np.random.Generator, bands: tuple[str, ...]) -> dict[str, Floats]:
    """Spectra (c,) of this scene's materials: each brighter or darker, tilted and bent a little against the table."""
    place = np.log(spectrum(WAVELENGTHS, bands)) - np.log(0.85)
    found = {}
    for name, values in MATERIALS.items():
        brightness, tilt, bend = rng.normal(0, (0.20, 0.10, 0.08))
        if name == "water":
            # From clear to brown: lakes differ more among themselves than soils do.
            brightness = 2 * brightness - 0.25
        elif name == "snow":
            # Snow cannot get much brighter; its grains decide about the short-wave infrared.
            brightness, tilt, bend = -abs(brightness) * 0.6, -4 * abs(tilt) * (place > 0.3), 0.0
        change = brightness + tilt * place + bend * (place**2 - 0.3)
        found[name] = np.minimum(spectrum(values, bands) * np.exp(change), 0.95).astype(np.float32)
    return found
