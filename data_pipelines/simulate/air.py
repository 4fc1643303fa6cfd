"""The air of a scene: what it scatters into the sensor, what it takes away, and the light from the sky in a shadow.

In: a random generator, the sun, bands. Out: numbers per band (c,). Single scattering with a correction for more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data_pipelines.simulate.noise import Floats
from data_pipelines.simulate.spectra import WAVELENGTHS, spectrum
from data_pipelines.simulate.terrain import Sun

__all__ = ["Air", "draw_air"]

GASES = (0.995, 0.985, 0.935, 0.955, 0.965, 0.97, 0.985, 0.955, 0.965, 0.945)
"""Two-way transmission of ozone and water vapour by ``BANDS``, high sun."""
AIR_SCALE, HAZE_SCALE = 8000.0, 1600.0
"""Height over which molecules and aerosol thin out e-fold [m]."""


@dataclass(frozen=True, slots=True)
class Air:
    """Reflectance of molecules and of aerosol, two-way transmission, share of sky light on the ground; each (c,)."""

    molecules: Floats
    aerosol: Floats
    clear: Floats
    diffuse: Floats

    def between(self, low: float, high: float) -> tuple[Floats, Floats, Floats]:
        """Reflectance of molecules and of aerosol, and transmission, each (c,), of the air between two heights [m]."""
        molecules = math.exp(-low / AIR_SCALE) - math.exp(-high / AIR_SCALE)
        aerosol = math.exp(-low / HAZE_SCALE) - math.exp(-high / HAZE_SCALE)
        # What absorbs lies lower than the molecules and higher than the aerosol.
        through = self.clear ** np.float32((molecules + aerosol) / 2)
        return self.molecules * np.float32(molecules), self.aerosol * np.float32(aerosol), through


def draw_air(rng: np.random.Generator, light: Sun, bands: tuple[str, ...]) -> Air:
    """Air with a random load of aerosol, mostly small; low sun makes every path longer.

    Molecules after Hansen and Travis (1974), aerosol by Ångström's law.
    """
    wave, up = spectrum(WAVELENGTHS, bands), math.sin(math.radians(light.elevation))
    molecules = 0.008569 * wave**-4 * (1 + 0.0113 * wave**-2 + 0.00013 * wave**-4)
    load = min(float(rng.lognormal(math.log(0.07), 0.5)), 0.7)
    aerosol = load * (wave / 0.55) ** -rng.uniform(0.7, 1.7)
    phase = 0.75 * (1 + up**2)
    seen = 1 - np.exp(-molecules * phase * rng.uniform(0.98, 1.18) / (4 * up))
    haze = aerosol * rng.uniform(0.16, 0.34) / (4 * up) * 1.25
    kept = np.exp(-(0.5 * molecules + 0.17 * aerosol) * (1 / up + 1))
    gases = spectrum(GASES, bands) ** (rng.uniform(0.6, 1.3) * (1 / up + 1) / 2)
    direct = np.exp(-(molecules + aerosol) / up)
    whole = np.exp(-(0.5 * molecules + 0.17 * aerosol) / up)
    return Air(*(np.asarray(x, np.float32) for x in (seen, haze, kept * gases, 1 - direct / whole)))
