"""The primitive equations: at rest, at their waves, and in storms, what theory says must hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from data_pipelines.simulate.climate import Planet, build_core, draw_planet, initial_state
from data_pipelines.simulate.layers import DRY_AIR, KAPPA, Layers, PrimitiveCore
from data_pipelines.simulate.leapfrog import march
from data_pipelines.simulate.sphere import Reals, Sphere

SPHERE = Sphere(15)
PLANETS = [draw_planet(0, 0), draw_planet(0, 1)]


@pytest.fixture(scope="module")
def free() -> PrimitiveCore:
    """Without heating, friction or damping, over mountains."""
    return build_core(SPHERE, PLANETS, forced=False)


@pytest.fixture(scope="module")
def stormy() -> Reals:
    """A state with storms: thirty days of a sharper contrast than any planet's, from rest."""
    planets = [replace(planet, contrast=75.0) for planet in PLANETS]
    core = build_core(SPHERE, planets)
    return _after(core, initial_state(core, planets), 3600, 24 * 30)


def _after(core: PrimitiveCore, state: Reals, step: float, steps: int) -> Reals:
    return next(islice(march(core, state, step), steps - 1, None)).copy()


@pytest.mark.parametrize("temperature", [280.0, 250.0])
def test_isothermal_air_stays_at_rest_over_mountains(free: PrimitiveCore, temperature: float) -> None:
    state = SPHERE.zeros(3 * free.count + 1, 2)
    free.split(state)[2][..., 0, 0, 0] = temperature - free.layers.reference
    state[-1] = -free.forcing.surface / (DRY_AIR * temperature)
    assert np.ptp(SPHERE.to_grid(free.forcing.surface)) > 9.8 * 1000
    _, _, _, u, v, _ = free.to_grid(_after(free, state, 1800, 48))
    assert max(np.abs(u).max(), np.abs(v).max()) < 1e-9


def test_thickness_of_isothermal_air_is_the_hydrostatic_one() -> None:
    layers = Layers(np.linspace(0, 1, 41))
    heights = layers.hydrostatic @ np.full(40, 250.0)
    assert np.allclose(heights[4:], -DRY_AIR * 250 * np.log(layers.middles[4:]), rtol=6e-3)


def test_the_fastest_wave_is_lambs() -> None:
    layers = Layers(np.linspace(0, 1, 41))
    speeds = np.sort(np.sqrt(np.linalg.eigvals(layers.waves).real))
    assert speeds[-1] == pytest.approx(np.sqrt(DRY_AIR * layers.reference / (1 - KAPPA)), rel=0.02)
    assert (np.diff(speeds) > 0).all() and speeds[0] > 0


@pytest.mark.parametrize("mode", [0, 1])
def test_each_vertical_mode_oscillates_at_its_speed(mode: int) -> None:
    """A divergence of one mode's shape, small enough to be linear, without rotation."""
    core = replace(build_core(SPHERE, [replace(PLANETS[0], mountains=0.0)], forced=False), rotation=0.0)
    values, shapes = np.linalg.eig(core.layers.waves)
    order = np.argsort(values.real)[::-1][mode]
    state = SPHERE.zeros(3 * core.count + 1, 1)
    degree = 12
    core.split(state)[1][:, 0, 0, 0, degree] = 1e-12 * shapes[:, order].real
    frequency = np.sqrt(values[order].real * degree * (degree + 1)) / SPHERE.radius
    step, first = 2 * np.pi / frequency / 200, state[core.count, 0, 0, 0, degree]
    found = [s[core.count, 0, 0, 0, degree] / first for s in islice(march(core, state, step, strength=0.0), 50)]
    assert np.allclose(found, np.cos(2 * np.pi / 200 * np.arange(1, 51)), atol=2e-3)


def test_storms_conserve_mass_and_energy_without_forcing(free: PrimitiveCore, stormy: Reals) -> None:
    last = _after(free, stormy, 1200, 72)
    wind = free.to_grid(stormy)[3:5]
    kinetic = sum((w**2 / SPHERE.cos2 / 2 * SPHERE.weights).sum(-2).mean() for w in wind)
    assert kinetic > 30
    drift = (free.energy(last) - free.energy(stormy)) / kinetic
    masses = [(np.exp(SPHERE.to_grid(s[-1])) * SPHERE.weights).sum(-2).mean(-1) for s in (stormy, last)]
    assert np.abs(drift).max() < 5e-3
    assert np.allclose(masses[1], masses[0], rtol=2e-6)
    assert np.abs(last - stormy).max() > 0.1


def test_storms_grow_where_the_poles_are_cold_and_do_not_where_they_are_warm() -> None:
    """Baroclinic instability: with no contrast of temperature, a disturbance has nothing to live from."""
    planets = [replace(PLANETS[0], contrast=c, season=0.0, land=0.0, mountains=0.0) for c in (70.0, 0.0)]
    core = build_core(SPHERE, planets)
    state = _after(core, initial_state(core, planets), 3600, 24 * 28)
    eddies = state[: core.count, :, :, 1:]
    power = np.sqrt((eddies**2).sum(axis=(0, 2, 3, 4)))
    assert power[0] > 1e-5 and power[1] < 1e-6


def test_winter_has_the_stronger_jet() -> None:
    planet: Planet = replace(PLANETS[0], season=18.0)
    core = build_core(SPHERE, [planet])
    march_of_time = march(core, initial_state(core, [planet]), 3600, start=-30 * 86400.0)
    january = next(islice(march_of_time, 24 * 45, None))
    jet = core.to_grid(january)[3][1, 0].mean(axis=-1) / np.sqrt(SPHERE.cos2[:, 0])
    north = SPHERE.latitude > 0
    assert 60 > jet[north].max() > 1.2 * jet[~north].max() > 12
    assert 20 < SPHERE.latitude[north][jet[north].argmax()] < 65
