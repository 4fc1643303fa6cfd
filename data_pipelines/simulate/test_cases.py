"""Standard tests of shallow-water cores: Williamson et al. 1992, cases 2 and 6, and the jet of Galewsky et al. 2004.

In: a truncation. Out: initial states, and by hand: python -m data_pipelines.simulate.test_cases galewsky --output P.png
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipelines.simulate.climate import GRAVITY
from data_pipelines.simulate.layers import ROTATION
from data_pipelines.simulate.leapfrog import march
from data_pipelines.simulate.shallow_water import ShallowWater
from data_pipelines.simulate.sphere import EARTH_RADIUS, Reals, Sphere

__all__ = [
    "Verdict",
    "galewsky",
    "jet",
    "main",
    "rossby_haurwitz",
    "rossby_haurwitz_speed",
    "run_galewsky",
    "steady_zonal",
]

DAY = 86400.0
HAURWITZ_RATE, HAURWITZ_WAVES = 7.848e-6, 4
JET_SOUTH, JET_SPEED = np.pi / 7, 80.0
"""Southern edge [rad] and strength [m s⁻¹] of Galewsky's jet, which is symmetric about 45° N."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run of Galewsky's case conserved, and what it made of the jet."""

    mass_drift: float
    """Relative."""
    energy_drift: float
    """Relative to the initial total energy."""
    vorticity: tuple[float, float]
    """Least and greatest relative vorticity at the end [s⁻¹]."""
    asymmetry: float
    """Standard deviation of vorticity about its zonal mean within the jet, over that of the whole [1]."""


def steady_zonal(truncation: int, angle: float = 0.0) -> tuple[ShallowWater, Reals]:
    """Case 2: solid rotation in geostrophic balance, its axis tilted by ``angle`` [rad]; it never changes."""
    sphere = Sphere(truncation)
    speed = 2 * np.pi * EARTH_RADIUS / (12 * DAY)
    latitude, longitude = np.radians(sphere.latitude)[:, None], np.radians(sphere.longitude)
    tilted = np.sin(latitude) * np.cos(angle) - np.cos(longitude) * np.cos(latitude) * np.sin(angle)
    height = -(EARTH_RADIUS * ROTATION * speed + speed**2 / 2) * tilted**2
    thick = sphere.to_spectrum(height)
    core = ShallowWater(sphere, 2.94e4 + float(thick[0, 0, 0]), 2 * ROTATION * tilted)
    thick[0, 0, 0] = 0
    spin = sphere.to_spectrum(2 * speed / EARTH_RADIUS * tilted)
    return core, np.stack([spin, np.zeros_like(spin), thick])


def rossby_haurwitz(truncation: int) -> tuple[ShallowWater, Reals]:
    """Case 6: a wave of number four that moves eastwards nearly unchanged (eqs. 145–149)."""
    sphere = Sphere(truncation)
    k, r, a = HAURWITZ_RATE, HAURWITZ_WAVES, EARTH_RADIUS
    sine, cosine2 = sphere.sines, sphere.cos2
    cosine = np.sqrt(cosine2)
    wave = np.cos(r * np.radians(sphere.longitude))
    spin = 2 * k * sine - k * sine * cosine**r * (r**2 + 3 * r + 2) * wave
    still = k / 2 * (2 * ROTATION + k) * cosine2 + k**2 / 4 * cosine ** (2 * r) * (
        (r + 1) * cosine2 + (2 * r**2 - r - 2) - 2 * r**2 / cosine2
    )
    once = 2 * (ROTATION + k) * k / ((r + 1) * (r + 2)) * cosine**r * ((r**2 + 2 * r + 2) - (r + 1) ** 2 * cosine2)
    twice = k**2 / 4 * cosine ** (2 * r) * ((r + 1) * cosine2 - (r + 2))
    thick = sphere.to_spectrum(a**2 * (still + once * wave + twice * (2 * wave**2 - 1)))
    core = ShallowWater.turning(sphere, GRAVITY * 8000 + float(thick[0, 0, 0]))
    thick[0, 0, 0] = 0
    vorticity = sphere.to_spectrum(spin)
    return core, np.stack([vorticity, np.zeros_like(vorticity), thick])


def rossby_haurwitz_speed() -> float:
    """Eastward angular speed of the wave in a fluid without divergence (eq. 150) [rad s⁻¹]."""
    k, r = HAURWITZ_RATE, HAURWITZ_WAVES
    return (r * (3 + r) * k - 2 * ROTATION) / ((1 + r) * (2 + r))


def jet(latitude: Reals) -> NDArray[np.float64]:
    """Galewsky et al. 2004, eq. 2: westerly wind [m s⁻¹] at latitudes [rad], zero outside its band."""
    south, north = JET_SOUTH, np.pi / 2 - JET_SOUTH
    inside = (latitude > south) & (latitude < north)
    place = np.where(inside, (latitude - south) * (latitude - north), -1.0)
    found: NDArray[np.float64] = np.where(inside, JET_SPEED * np.exp(1 / place + 4 / (north - south) ** 2), 0.0)
    return found


def galewsky(truncation: int, viscosity: float = 1e5, bump: float = 120.0) -> tuple[ShallowWater, Reals]:
    """A balanced barotropically unstable jet, disturbed by a hill of water of ``bump`` [m] (eqs. 2–4)."""
    sphere = Sphere(truncation)
    core = ShallowWater.turning(sphere, GRAVITY * 10_000, viscosity)
    latitude = np.radians(sphere.latitude)[:, None]
    longitude = (np.radians(sphere.longitude) + np.pi) % (2 * np.pi) - np.pi
    wind = jet(latitude) * np.cos(latitude) + np.zeros(sphere.shape)
    vorticity, _ = sphere.curl_and_divergence(wind, np.zeros_like(wind))
    state = core.balanced(vorticity)
    hill = np.cos(latitude) * np.exp(-((longitude * 3) ** 2) - ((np.pi / 4 - latitude) * 15) ** 2)
    state[2] += sphere.to_spectrum(GRAVITY * bump * hill)
    return core, state


def run_galewsky(
    truncation: int, days: float = 6.0, step: float = 300.0, viscosity: float = 1e5
) -> tuple[ShallowWater, Reals, Verdict]:
    """The core, the state after ``days``, and what the run conserved."""
    core, first = galewsky(truncation, viscosity)
    steps = round(days * DAY / step)
    last = next(islice(march(core, first, step), steps - 1, None))
    spin = core.sphere.to_grid(last[0])
    band = (core.sphere.latitude > 25) & (core.sphere.latitude < 75)
    eddies = (spin - spin.mean(axis=-1, keepdims=True))[band]
    verdict = Verdict(
        float(core.mass(last) / core.mass(first) - 1),
        float(core.energy(last) / core.energy(first) - 1),
        (float(spin.min()), float(spin.max())),
        float(eddies.std() / spin[band].std()),
    )
    return core, last, verdict


def draw(core: ShallowWater, state: Reals, path: Path) -> Path:
    """Relative vorticity over the northern hemisphere, as the paper's figure 4 shows it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots()
    sphere = core.sphere
    values = np.roll(sphere.to_grid(state[0]), sphere.shape[1] // 2, axis=-1) * 1e5
    drawn = axes.contourf(
        sphere.longitude - 180, sphere.latitude, values, np.arange(-12, 19, 2), cmap="RdBu_r", vmin=-18, vmax=18
    )
    axes.set(
        ylim=(10, 80), xlabel="longitude [°]", ylabel="latitude [°]", title=f"relative vorticity, T{sphere.truncation}"
    )
    figure.colorbar(drawn, label="10⁻⁵ s⁻¹")
    figure.savefig(path, dpi=120)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a case from the command line."""
    parser = argparse.ArgumentParser(description="Standard tests of the shallow-water core.")
    parser.add_argument("case", choices=["galewsky"])
    parser.add_argument("--truncation", type=int, default=85)
    parser.add_argument("--days", type=float, default=6.0)
    parser.add_argument("--step", type=float, default=300.0, help="time step [s]")
    parser.add_argument("--viscosity", type=float, default=1e5, help="[m2 s-1]")
    parser.add_argument("--output", type=Path, help="picture of the vorticity")
    chosen = parser.parse_args(arguments)
    core, state, verdict = run_galewsky(chosen.truncation, chosen.days, chosen.step, chosen.viscosity)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.info("%s", verdict)
    if chosen.output is not None:
        logging.info("%s", draw(core, state, chosen.output))


if __name__ == "__main__":
    main()
