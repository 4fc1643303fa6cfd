"""Spherical harmonics on a Gaussian grid: transforms, gradients, and wind from vorticity and divergence.

In: a triangular truncation. Out: fields (…, lat, lon) from spectra (…, 2, m, n) and back, any number at once.

Real basis functions P_n^m(sin φ) · {1, √2 cos mλ, √2 sin mλ}, each of mean square one over the sphere, so the mean
square of a field is the sum of its squared coefficients. Axis 2 holds the cosine and the sine part; n < m is zero. Both
halves of a transform are matrix products, which at a hundred waves is faster than a Fourier transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import roots_legendre

from geoadapt.errors import GeoadaptError

__all__ = ["EARTH_RADIUS", "Reals", "Sphere", "legendre"]

Reals = NDArray[np.floating]
EARTH_RADIUS = 6.37122e6
"""[m], as Williamson et al. 1992 have it."""


@dataclass(frozen=True)
class Sphere:
    """Triangular truncation ``truncation`` on the Gaussian grid that is free of quadratic aliasing (3N + 1 longitudes).

    Memory of a field runs along latitude first; (…, lat, lon) is a view of it.
    """

    truncation: int
    radius: float = EARTH_RADIUS
    dtype: DTypeLike = np.float64

    def __post_init__(self) -> None:
        if self.truncation < 1:
            raise GeoadaptError("truncation", f"{self.truncation} is no triangular truncation", "choose one from 1 on")

    @property
    def shape(self) -> tuple[int, int]:
        """Latitudes and longitudes of the grid: 48 × 96 for T31, 64 × 128 for T42, 128 × 256 for T85."""
        lon = -(-(3 * self.truncation + 1) // 8) * 8
        return lon // 2, lon

    @property
    def latitude(self) -> NDArray[np.float64]:
        """(lat,) [degrees], from north to south."""
        return np.asarray(np.degrees(np.arcsin(self._nodes[0])), np.float64)

    @property
    def longitude(self) -> NDArray[np.float64]:
        """(lon,) [degrees], from 0 eastwards."""
        return np.asarray(np.arange(self.shape[1]) * (360 / self.shape[1]), np.float64)

    @cached_property
    def sines(self) -> Reals:
        """μ = sin φ (lat, 1), from north to south."""
        return self._own(self._nodes[0][:, None])

    @cached_property
    def cos2(self) -> Reals:
        """Squared cosine of latitude (lat, 1)."""
        return self._own(1 - self._nodes[0][:, None] ** 2)

    @cached_property
    def weights(self) -> Reals:
        """Gaussian weights (lat, 1) with sum one."""
        return self._own(self._nodes[1][:, None])

    @cached_property
    def degrees(self) -> Reals:
        """Degrees n (n,)."""
        return self._own(np.arange(self.truncation + 1))

    @cached_property
    def eigenvalues(self) -> Reals:
        """−n(n + 1)/a² (n,) [m⁻²]."""
        return self._own(-self.degrees * (self.degrees + 1) / self.radius**2)

    @cached_property
    def triangle(self) -> Reals:
        """1 where a coefficient (m, n) is kept, 0 elsewhere."""
        return self._own(np.triu(np.ones((self.truncation + 1, self.truncation + 1))))

    @cached_property
    def _nodes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        roots, weights = roots_legendre(self.shape[0])
        return roots[::-1], weights[::-1] / 2

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        return legendre(self.truncation, self._nodes[0])

    @cached_property
    def _synthesis(self) -> tuple[Reals, ...]:
        """Per m, from degrees to latitudes (n, lat)."""
        return tuple(self._own(self._table[m, m:]) for m in range(self.truncation + 1))

    @cached_property
    def _analysis(self) -> tuple[Reals, ...]:
        """Per m, from latitudes to degrees (lat, n), with the weights of the quadrature."""
        heavy = self._table * (self._nodes[1] / self.shape[1])
        return tuple(self._own(heavy[m, m:].T) for m in range(self.truncation + 1))

    @cached_property
    def _waves(self) -> Reals:
        """From the cosine and sine parts to longitudes (lon, 2 m)."""
        m = np.arange(self.truncation + 1)
        angles = m * np.radians(self.longitude)[:, None]
        scale = np.where(m > 0, np.sqrt(2), 1.0)
        return self._own(np.concatenate([scale * np.cos(angles), scale * np.sin(angles)], axis=1))

    @cached_property
    def _epsilon(self) -> Reals:
        return self._own(_epsilon(self.truncation + 1, self.truncation + 3))

    def _own(self, values: NDArray[np.number]) -> Reals:
        return np.ascontiguousarray(values, self.dtype)

    def zeros(self, *lead: int) -> Reals:
        """Empty spectra (*lead, 2, m, n)."""
        return np.zeros((*lead, 2, self.truncation + 1, self.truncation + 1), self.dtype)

    def to_grid(self, spectrum: Reals) -> Reals:
        """Fields (…, lat, lon) of spectra (…, 2, m, n); n may have one degree more than the truncation, as winds do."""
        lead, size = spectrum.shape[:-3], self.truncation + 1
        lat, lon = self.shape
        flat = spectrum.reshape(-1, *spectrum.shape[-2:])
        rings = np.empty((flat.shape[0], size, lat), self.dtype)
        for m, table in enumerate(self._synthesis):
            np.matmul(flat[:, m, m:], table[: flat.shape[2] - m], out=rings[:, m])
        grid = np.matmul(self._waves, rings.reshape(-1, 2 * size, lat))
        fields: Reals = grid.reshape(*lead, lon, lat).swapaxes(-1, -2)
        return fields

    def to_spectrum(self, grid: Reals, *, extra: bool = False) -> Reals:
        """Spectra (…, 2, m, n) of fields (…, lat, lon), cut at the truncation; ``extra`` keeps one degree more."""
        lead, size = grid.shape[:-2], self.truncation + 1
        lat, lon = self.shape
        flat = grid.reshape(-1, lat, lon)
        rings = np.matmul(self._waves.T, flat.swapaxes(-1, -2)).reshape(-1, size, lat)
        found = np.zeros((rings.shape[0], size, size + extra), self.dtype)
        for m, table in enumerate(self._analysis):
            np.matmul(rings[:, m], table[:, : size + extra - m], out=found[:, m, m:])
        return found.reshape(*lead, 2, size, size + extra)

    def laplacian(self, spectrum: Reals) -> Reals:
        """∇² [m⁻²] of spectra (…, 2, m, n)."""
        return spectrum * self.eigenvalues

    def inverse_laplacian(self, spectrum: Reals) -> Reals:
        """The field of zero mean whose ∇² is given."""
        inverse = np.zeros_like(self.eigenvalues)
        inverse[1:] = 1 / self.eigenvalues[1:]
        return spectrum * inverse

    def gradient(self, spectrum: Reals) -> tuple[Reals, Reals]:
        """Spectra (…, 2, m, n + 1) of cos φ times the eastward and the northward gradient."""
        return self._east(spectrum), self._north(spectrum)

    def wind(self, vorticity: Reals, divergence: Reals) -> tuple[Reals, Reals]:
        """Spectra (…, 2, m, n + 1) of u cos φ and v cos φ [m s⁻¹]."""
        stream, potential = self.inverse_laplacian(vorticity), self.inverse_laplacian(divergence)
        east, north = self._east(potential), self._east(stream)
        east -= self._north(stream)
        north += self._north(potential)
        return east, north

    def curl_and_divergence(self, east: Reals, north: Reals) -> tuple[Reals, Reals]:
        """Spectra (…, 2, m, n) of k·∇×F and ∇·F of a vector field given on the grid as F cos φ (…, lat, lon)."""
        x, y = self.to_spectrum(np.stack([east, north]) / self.cos2, extra=True)
        return self.curl_and_divergence_of(x, y)

    def curl_and_divergence_of(self, x: Reals, y: Reals) -> tuple[Reals, Reals]:
        """The same from spectra (…, 2, m, n + 1) of F / cos φ."""
        curl = self._turn(y[..., :-1]) + self._along(x)
        divergence = self._turn(x[..., :-1]) - self._along(y)
        return curl, divergence

    def _turn(self, spectrum: Reals) -> Reals:
        """∂/∂λ divided by the radius."""
        m = self.degrees[:, None] / np.asarray(self.radius, self.dtype)
        return np.stack([m * spectrum[..., 1, :, :], -m * spectrum[..., 0, :, :]], axis=-3)

    def _east(self, spectrum: Reals) -> Reals:
        out = np.zeros((*spectrum.shape[:-1], spectrum.shape[-1] + 1), self.dtype)
        out[..., :-1] = self._turn(spectrum)
        return out

    def _north(self, spectrum: Reals) -> Reals:
        """(1 − μ²) ∂/∂μ divided by the radius, by (1 − μ²) P_n' = (n + 1) ε_n P_{n−1} − n ε_{n+1} P_{n+1}."""
        size = self.truncation + 1
        n = np.arange(size + 1, dtype=self.dtype)
        out = np.zeros((*spectrum.shape[:-1], size + 1), self.dtype)
        down = ((n + 2) * self._epsilon[:, 1:] / self.radius).astype(self.dtype)
        up = ((n - 1) * self._epsilon[:, :-1] / self.radius).astype(self.dtype)
        out[..., : size - 1] = down[:, : size - 1] * spectrum[..., 1:]
        out[..., 1:] -= up[:, 1:] * spectrum
        return out

    def _along(self, spectrum: Reals) -> Reals:
        """The adjoint of ``_north``: projection on (1 − μ²) P_n' of a field's spectrum with one degree more."""
        size = self.truncation + 1
        n = np.arange(size, dtype=self.dtype)
        out = -(n * self._epsilon[:, 1 : size + 1] / self.radius).astype(self.dtype) * spectrum[..., 1:]
        below = ((n + 1) * self._epsilon[:, :size] / self.radius).astype(self.dtype)
        out[..., 1:] += below[:, 1:] * spectrum[..., : size - 1]
        return out


def legendre(truncation: int, sines: Reals) -> NDArray[np.float64]:
    """Associated Legendre functions (m, n, lat) for n up to ``truncation`` + 1, of mean square one over μ in [−1, 1].

    Recursion in n at fixed m, which is stable for growing n (Belousov 1962); n < m is zero.
    """
    size = truncation + 1
    epsilon = _epsilon(size, size + 1)
    table = np.zeros((size, size + 1, len(sines)))
    cosines = np.sqrt(1 - sines**2)
    sectoral = np.ones_like(sines)
    for m in range(size):
        if m:
            sectoral = sectoral * cosines * np.sqrt((2 * m + 1) / (2 * m))
        table[m, m] = sectoral
        for n in range(m + 1, size + 1):
            below = epsilon[m, n - 1] * table[m, n - 2] if n > m + 1 else 0.0
            table[m, n] = (sines * table[m, n - 1] - below) / epsilon[m, n]
    return table


def _epsilon(orders: int, degrees: int) -> NDArray[np.float64]:
    """ε_n^m = √((n² − m²) / (4n² − 1)) (m, n), zero for n ≤ m."""
    m, n = np.arange(orders)[:, None], np.arange(degrees)[None, :]
    found: NDArray[np.float64] = np.sqrt(np.maximum(n**2 - m**2, 0) / np.abs(4 * n**2 - 1))
    return found
