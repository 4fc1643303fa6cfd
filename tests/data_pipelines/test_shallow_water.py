"""The shallow-water core on the standard test cases, and on what any core must conserve."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.simulate.climate import GRAVITY
from data_pipelines.simulate.layers import ROTATION
from data_pipelines.simulate.leapfrog import march
from data_pipelines.simulate.shallow_water import ShallowWater
from data_pipelines.simulate.sphere import EARTH_RADIUS, Reals, Sphere
from data_pipelines.simulate.test_cases import (
    galewsky,
    jet,
    main,
    rossby_haurwitz,
    rossby_haurwitz_speed,
    run_galewsky,
    steady_zonal,
)


def _after(core: ShallowWater, state: Reals, step: float, steps: int) -> Reals:
    return next(islice(march(core, state, step), steps - 1, None))


@pytest.mark.parametrize("angle", [0.0, np.pi / 4, np.pi / 2 - 0.05])
def test_case_2_steady_flow_stays_as_it_is(angle: float) -> None:
    core, first = steady_zonal(21, angle)
    last = _after(core, first, 1800, 2 * 48)
    height = core.depth + core.sphere.to_grid(first[2])
    assert np.ptp(height) / GRAVITY > 1500
    assert np.abs(core.sphere.to_grid(last[2] - first[2])).max() / height.max() < 1e-11


def test_case_2_needs_its_balance() -> None:
    core, first = steady_zonal(21)
    first[2] *= 1.01
    last = _after(core, first, 1800, 48)
    assert np.abs(core.sphere.to_grid(last[2] - first[2])).max() > 1e-4 * core.depth


def test_case_6_height_solves_the_balance_equation() -> None:
    core, first = rossby_haurwitz(31)
    found = core.sphere.to_grid(core.balanced(first[0])[2] - first[2])
    assert np.abs(found).max() / GRAVITY < 1e-6


def test_case_6_wave_moves_as_theory_has_it_and_keeps_its_shape() -> None:
    core, first = rossby_haurwitz(31)
    step, steps = 1200.0, 3 * 72
    phases = [np.arctan2(s[0][1, 4, 5], s[0][0, 4, 5]) for s in islice(march(core, first, step), steps)]
    speed = (np.unwrap(phases)[-1] - np.unwrap(phases)[0]) / ((steps - 1) * step) / 4
    assert speed == pytest.approx(rossby_haurwitz_speed(), rel=0.1)
    assert speed < rossby_haurwitz_speed()
    last = _after(core, first, step, steps)
    others = [m for m in range(1, 32) if m % 4]
    assert np.abs(last[:, :, others]).max() < 1e-10 * np.abs(last).max()
    assert (last[0, :, 4] ** 2).sum() == pytest.approx((first[0, :, 4] ** 2).sum(), rel=0.1)


def test_galewsky_jet_is_the_papers() -> None:
    latitude = np.linspace(0, np.pi / 2, 20001)
    wind = jet(latitude)
    assert wind.max() == pytest.approx(80.0) and latitude[wind.argmax()] == pytest.approx(np.pi / 4, abs=1e-4)
    assert not wind[(latitude < np.pi / 7) | (latitude > 5 * np.pi / 14)].any()
    core, state = galewsky(63, bump=0.0)
    slope = EARTH_RADIUS * wind * (2 * ROTATION * np.sin(latitude) + np.tan(latitude) / EARTH_RADIUS * wind)
    integral = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(latitude))])
    height = core.sphere.to_grid(state[2]).mean(axis=-1)
    north = core.sphere.latitude > 0
    expected = -np.interp(np.radians(core.sphere.latitude[north]), latitude, integral)
    assert np.ptp(expected) / GRAVITY > 1000
    assert np.ptp(height[north] - expected) / GRAVITY < 5


def test_galewsky_jet_stays_without_the_hill_and_breaks_with_it() -> None:
    core, first = galewsky(42, viscosity=0.0, bump=0.0)
    calm = _after(core, first, 600, 144)
    winds = core.winds(calm)[0] - core.winds(first)[0]
    assert np.abs(winds).max() < 1e-3
    core, last, verdict = run_galewsky(42, days=6, step=900, viscosity=1e5)
    assert abs(verdict.mass_drift) < 1e-14 and -1e-3 < verdict.energy_drift < 0
    assert verdict.asymmetry > 0.5
    spin = core.sphere.to_grid(last[0])
    assert 8e-5 < spin.max() < 1.6e-4 and -1.3e-4 < spin.min() < -6e-5
    assert np.abs(spin[core.sphere.latitude < 0]).max() < 1e-5


def test_mass_and_energy_are_conserved_without_friction() -> None:
    core, first = galewsky(42, viscosity=0.0)
    last = _after(core, first, 600, 2 * 144)
    assert core.mass(last) == pytest.approx(float(core.mass(first)), rel=1e-14)
    assert core.energy(last) == pytest.approx(float(core.energy(first)), rel=1e-7)


@pytest.mark.parametrize("degree", [2, 9])
def test_gravity_waves_have_their_speed(degree: int) -> None:
    sphere = Sphere(10)
    core = ShallowWater.turning(sphere, GRAVITY * 5000, rotation=0.0)
    first = sphere.zeros(3)
    first[2, 0, 1, degree] = 1e-3
    frequency = np.sqrt(core.depth * degree * (degree + 1)) / EARTH_RADIUS
    period = 2 * np.pi / frequency
    heights = [s[2, 0, 1, degree] for s in islice(march(core, first, period / 400, strength=0.0), 1000)]
    assert np.allclose(heights, 1e-3 * np.cos(2 * np.pi / 400 * np.arange(1, 1001)), atol=2e-6)


def test_many_members_go_through_at_once() -> None:
    core, first = galewsky(21)
    other = first.copy()
    other[2] *= 0.5
    both = _after(core, np.stack([first, other], axis=1), 900, 20)
    assert np.allclose(both[:, 0], _after(core, first, 900, 20), rtol=1e-9, atol=1e-18)
    assert np.allclose(both[:, 1], _after(core, other, 900, 20), rtol=1e-9, atol=1e-18)


def test_the_command_draws_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "vorticity.png"
    main(["galewsky", "--truncation", "21", "--days", "0.1", "--step", "900", "--output", str(path)])
    assert path.read_bytes().startswith(b"\x89PNG")
