"""Spherical harmonics: exact on what the truncation holds, against scipy's own functions and against calculus."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import lpmv

from data_pipelines.simulate.sphere import Reals, Sphere, legendre
from geoadapt.errors import GeoadaptError

SPHERE = Sphere(21)


def _spectra(*lead: int, sphere: Sphere = SPHERE) -> Reals:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((*lead, 2, sphere.truncation + 1, sphere.truncation + 1)) * sphere.triangle
    values[..., 1, 0, :] = 0
    return values


def _mean(grid: Reals, sphere: Sphere = SPHERE) -> NDArray[np.float64]:
    return (grid * sphere.weights).sum(axis=-2).mean(axis=-1)


@pytest.mark.parametrize("truncation", [1, 10, 31, 42])
def test_a_field_of_the_truncation_returns_from_the_grid_unchanged(truncation: int) -> None:
    sphere = Sphere(truncation)
    first = _spectra(3, 2, sphere=sphere)
    assert np.abs(sphere.to_spectrum(sphere.to_grid(first)) - first).max() < 1e-12


def test_what_the_truncation_does_not_hold_is_cut_and_no_more() -> None:
    finer = Sphere(31)
    fields = finer.to_grid(_spectra(2, sphere=finer))
    coarse, kept = Sphere(31).to_spectrum(fields), SPHERE.truncation + 1
    x, y = np.radians(SPHERE.longitude), SPHERE.sines
    assert SPHERE.to_grid(SPHERE.zeros()).shape == (32, 64)
    assert np.abs(coarse[..., :kept, :kept]).max() > 1
    high = np.cos(25 * x) * (1 - y**2) ** 12.5
    assert np.abs(SPHERE.to_spectrum(high)).max() < 1e-13


def test_mean_squares_are_sums_of_squared_coefficients() -> None:
    first = _spectra(4)
    assert np.allclose(_mean(SPHERE.to_grid(first) ** 2), (first**2).sum(axis=(1, 2, 3)), rtol=1e-13)


def test_the_functions_are_scipys_associated_legendre_functions() -> None:
    sines = np.linspace(-0.999, 0.999, 17)
    table = legendre(12, sines)
    for m, n in ((0, 0), (0, 7), (3, 3), (5, 12), (12, 13)):
        norm = np.sqrt((2 * n + 1) * factorial(n - m) / factorial(n + m)) * (-1) ** m
        assert np.allclose(table[m, n], norm * lpmv(m, n, sines), atol=1e-12)


def test_functions_of_high_degree_stay_orthonormal() -> None:
    sphere = Sphere(170)
    table, weights = legendre(170, sphere.sines[:, 0]), sphere.weights[:, 0]
    for m in (0, 1, 60, 169):
        products = (table[m, m:-1] * weights) @ table[m, m:-1].T
        assert np.abs(products - np.eye(len(products))).max() < 1e-11


def test_wind_has_the_vorticity_and_divergence_that_it_was_made_of() -> None:
    vorticity, divergence = _spectra(2)
    vorticity[0, 0, 0] = divergence[0, 0, 0] = 0
    east, north = SPHERE.to_grid(np.stack(SPHERE.wind(vorticity, divergence)))
    curl, spread = SPHERE.curl_and_divergence(east, north)
    assert np.abs(curl - vorticity).max() < 1e-11 and np.abs(spread - divergence).max() < 1e-11


def test_solid_rotation_is_what_geometry_says() -> None:
    rate = 1e-5
    spin = SPHERE.to_spectrum(2 * rate * SPHERE.sines + np.zeros(SPHERE.shape))
    east, north = SPHERE.to_grid(np.stack(SPHERE.wind(spin, np.zeros_like(spin))))
    assert np.allclose(east, rate * SPHERE.radius * SPHERE.cos2, rtol=1e-11)
    assert np.abs(north).max() < 1e-10


def test_gradient_is_the_derivative_and_its_divergence_the_laplacian() -> None:
    x, latitude = np.radians(SPHERE.longitude), np.radians(SPHERE.latitude)[:, None]
    field = np.cos(latitude) ** 3 * np.sin(latitude) * np.sin(3 * x)
    spectrum = SPHERE.to_spectrum(field)
    east, north = SPHERE.to_grid(np.stack(SPHERE.gradient(spectrum)))
    slope = np.cos(latitude) ** 2 * (np.cos(latitude) ** 2 - 3 * np.sin(latitude) ** 2) * np.sin(3 * x)
    assert np.allclose(east * SPHERE.radius, 3 * np.cos(latitude) ** 3 * np.sin(latitude) * np.cos(3 * x), atol=1e-12)
    assert np.allclose(north * SPHERE.radius, slope * np.cos(latitude), atol=1e-12)
    curl, divergence = SPHERE.curl_and_divergence(east, north)
    assert np.abs(curl).max() * SPHERE.radius**2 < 1e-10
    assert np.allclose(divergence, SPHERE.laplacian(spectrum), atol=1e-11 / SPHERE.radius**2)
    assert np.allclose(SPHERE.laplacian(spectrum), -20 / SPHERE.radius**2 * spectrum, atol=1e-12 / SPHERE.radius**2)
    assert np.allclose(SPHERE.inverse_laplacian(SPHERE.laplacian(spectrum)), spectrum, atol=1e-12)


def test_any_order_in_memory_and_single_precision_give_the_same() -> None:
    fields = SPHERE.to_grid(_spectra(3))
    packed = np.ascontiguousarray(fields)
    assert np.allclose(SPHERE.to_spectrum(packed), SPHERE.to_spectrum(fields), atol=1e-13)
    single = Sphere(21, dtype=np.float32)
    found = single.to_spectrum(packed.astype(np.float32))
    assert found.dtype == np.float32
    assert np.allclose(found, SPHERE.to_spectrum(fields), atol=2e-5)


def test_a_truncation_that_is_none_is_refused() -> None:
    with pytest.raises(GeoadaptError, match="triangular truncation"):
        Sphere(0)
