"""Dry primitive equations on the sphere in σ layers: storms grow by baroclinic instability, as in the air.

In: layers, a thermal forcing, a surface. Out: tendencies of vorticity, divergence, temperature and log pressure.

Hoskins & Simmons 1975 (spectral, σ = p / p_surface), vertical differences after Simmons & Burridge 1981, gravity waves
implicit. The thermal forcing relaxes temperature towards a given field; drag acts near the ground. Many members, each
with its own forcing and surface, are computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data_pipelines.simulate.sphere import Reals, Sphere

__all__ = ["DRY_AIR", "KAPPA", "ROTATION", "Forcing", "Layers", "PrimitiveCore"]

ROTATION = 7.292e-5
"""Ω [rad s⁻¹]."""
DRY_AIR = 287.04
"""R [J kg⁻¹ K⁻¹]."""
KAPPA = 2 / 7
"""R / c_p."""


@dataclass(frozen=True, slots=True)
class Layers:
    """σ layers of the vertical: their edges from 0 to 1, and the matrices of the vertical differences."""

    edges: NDArray[np.float64]
    """σ at half levels (k + 1,), from the top down."""
    reference: float = 280.0
    """Isothermal reference temperature [K] of the implicit gravity waves."""

    @property
    def thickness(self) -> NDArray[np.float64]:
        """Δσ (k,)."""
        return np.diff(self.edges)

    @property
    def middles(self) -> NDArray[np.float64]:
        """σ at full levels (k,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def depths(self) -> NDArray[np.float64]:
        """ln(σ below / σ above) of each layer (k,); the topmost, which is infinite, is zero and never used."""
        return np.concatenate([[0.0], np.log(self.edges[2:] / self.edges[1:-1])])

    @property
    def alphas(self) -> NDArray[np.float64]:
        """α (k,) of Simmons & Burridge 1981, eq. 3.19: from a layer's lower edge to its middle."""
        above = self.edges[:-1]
        return np.where(above > 0, 1 - above / self.thickness * self.depths, np.log(2.0))

    @property
    def hydrostatic(self) -> NDArray[np.float64]:
        """(k, k) from temperature to geopotential above the surface [m² s⁻² K⁻¹]."""
        return DRY_AIR * (np.triu(np.tile(self.depths, (len(self.depths), 1)), 1) + np.diag(self.alphas))

    @property
    def expansion(self) -> NDArray[np.float64]:
        """(k, k) from mass divergence to −ω/p apart from the advection of pressure; energy-conserving."""
        k = len(self.thickness)
        above = np.tril(np.outer(self.depths / self.thickness, self.thickness), -1)
        return above + np.diag(self.alphas) if k > 1 else np.diag(self.alphas)

    @property
    def descent(self) -> NDArray[np.float64]:
        """(k − 1, k) from mass divergence to σ̇ at the inner edges."""
        inner = self.edges[1:-1, None]
        return inner * self.thickness - np.tril(np.ones((len(inner), len(self.thickness)))) * self.thickness

    @property
    def waves(self) -> NDArray[np.float64]:
        """(k, k) matrix whose eigenvalues are the squared speeds of the gravity waves [m² s⁻²]."""
        heat = KAPPA * self.reference * self.expansion
        return self.hydrostatic @ heat + DRY_AIR * self.reference * np.outer(
            np.ones_like(self.thickness), self.thickness
        )


@dataclass(frozen=True, slots=True)
class Forcing:
    """What drives and damps each member; spectra are relative to the layers' reference temperature."""

    mean: Reals
    """Relaxation temperature (k, e, 2, m, n) [K]."""
    season: Reals
    """What it gains at the northern summer solstice, and loses half a year from it."""
    heating_rate: Reals
    """Inverse relaxation time (k, e) [s⁻¹]."""
    drag_rate: Reals
    """Inverse time of friction (k, e) [s⁻¹]."""
    surface: Reals
    """Surface geopotential (e, 2, m, n) [m² s⁻²]."""
    diffusion: Reals
    """Inverse time of scale-selective damping (n,) [s⁻¹]."""
    year: float = 365.25 * 86400.0

    def phase(self, time: float) -> float:
        """Cosine of the season: one at the northern summer solstice; ``time`` [s] runs from a 1 January."""
        return float(np.cos(2 * np.pi * (time / self.year - 172 / 365.25)))


@dataclass(slots=True)
class PrimitiveCore:
    """A ``Core``: state (3 k + 1, e, 2, m, n) of vorticity, divergence and temperature per layer, and ln(p_s / p_0)."""

    sphere: Sphere
    layers: Layers
    forcing: Forcing
    rotation: float = ROTATION
    """Of the planet [rad s⁻¹]."""
    _modes: tuple[Reals, Reals, Reals] = field(init=False, repr=False)
    _coriolis: Reals = field(init=False, repr=False)
    _secants2: Reals = field(init=False, repr=False)

    def __post_init__(self) -> None:
        speeds, modes = np.linalg.eig(self.layers.waves)
        kind = self.sphere.dtype
        self._modes = (speeds.real.astype(kind), modes.real.astype(kind), np.linalg.inv(modes).real.astype(kind))
        self._coriolis = (2 * self.rotation * self.sphere.sines).astype(kind)
        self._secants2 = (1 / self.sphere.cos2).astype(kind)

    @property
    def count(self) -> int:
        """Layers."""
        return len(self.layers.thickness)

    def split(self, state: Reals) -> tuple[Reals, Reals, Reals, Reals]:
        """Views of vorticity, divergence, temperature (k, …) and log pressure (…)."""
        k = self.count
        return state[:k], state[k : 2 * k], state[2 * k : 3 * k], state[3 * k]

    def to_grid(self, state: Reals) -> tuple[Reals, ...]:
        """Vorticity, divergence, temperature, u cos φ, v cos φ (k, e, lat, lon); cos φ ∇ ln p_s (2, e, lat, lon)."""
        k, sphere = self.count, self.sphere
        vorticity, divergence, _, pressure = self.split(state)
        shape = (5 * k + 2, *state.shape[1:-1], state.shape[-1] + 1)
        stack = np.zeros(shape, sphere.dtype)
        stack[: 3 * k, ..., :-1] = state[: 3 * k]
        stack[3 * k : 4 * k], stack[4 * k : 5 * k] = sphere.wind(vorticity, divergence)
        stack[5 * k], stack[5 * k + 1] = sphere.gradient(pressure)
        grid = sphere.to_grid(stack)
        return *(grid[i * k : (i + 1) * k] for i in range(5)), grid[5 * k :]

    def tendency(self, state: Reals, time: float) -> Reals:
        """All but the linear gravity waves, the relaxation and the drag."""
        k, sphere, layers = self.count, self.sphere, self.layers
        vorticity, divergence, warm, u, v, slope = self.to_grid(state)
        pull = u * slope[0]
        pull += v * slope[1]
        pull *= self._secants2
        flux = divergence + pull
        sink = self._down(layers.descent, flux)
        spin = vorticity
        spin += self._coriolis

        products = np.empty((6 * k + 1, *flux.shape[1:-2], flux.shape[-1], flux.shape[-2]), sphere.dtype).swapaxes(
            -1, -2
        )
        east, north, heat_east, heat_north, energy, heat = (products[i * k : (i + 1) * k] for i in range(6))
        pressing = warm * DRY_AIR
        np.multiply(spin, v, out=east)
        np.multiply(spin, u, out=north)
        np.negative(north, out=north)
        for out, wind, push in ((east, u, slope[0]), (north, v, slope[1])):
            out -= pressing * push
            self._advect(out, wind, sink)
            out *= self._secants2
        np.multiply(u, warm, out=heat_east)
        np.multiply(v, warm, out=heat_north)
        products[2 * k : 4 * k] *= self._secants2
        np.multiply(u, u, out=energy)
        energy += v * v
        energy *= self._secants2 / 2
        pull -= self._down(layers.expansion, flux)
        pull *= KAPPA
        np.multiply(pull, warm + layers.reference, out=heat)
        heat += warm * divergence
        self._advect(heat, warm, sink)
        products[6 * k] = -self._down(layers.thickness[None], flux)[0]
        return self._gather(state, products)

    def _gather(self, state: Reals, products: Reals) -> Reals:
        """Spectral tendency from the products on the grid, with the linear waves' own part taken out."""
        k, sphere, layers = self.count, self.sphere, self.layers
        found = sphere.to_spectrum(products, extra=True)
        out = np.empty_like(state)
        out[:k], out[k : 2 * k] = sphere.curl_and_divergence_of(found[:k], found[k : 2 * k])
        out[k : 2 * k] -= sphere.laplacian(found[4 * k : 5 * k, ..., :-1] + self.forcing.surface)
        _, spread = sphere.curl_and_divergence_of(found[2 * k : 3 * k], found[3 * k : 4 * k])
        divergence = state[k : 2 * k]
        out[2 * k : 3 * k] = found[5 * k : 6 * k, ..., :-1] - spread
        out[2 * k : 3 * k] += self._down(layers.expansion * (KAPPA * layers.reference), divergence)
        out[3 * k] = found[6 * k, ..., :-1] + self._down(layers.thickness[None], divergence)[0]
        return out

    def energy(self, state: Reals) -> Reals:
        """Mean kinetic, internal and potential energy of the columns, times g / p_0 (e,) [m² s⁻²]."""
        _, _, warm, u, v, _ = self.to_grid(state)
        wind = (u**2 + v**2) * self._secants2 / 2
        heat = DRY_AIR / KAPPA * (warm + self.layers.reference)
        column = self._down(self.layers.thickness[None], wind + heat)[0] + self.sphere.to_grid(self.forcing.surface)
        dense = np.exp(self.sphere.to_grid(state[-1])) * column * self.sphere.weights
        found: Reals = dense.sum(axis=-2).mean(axis=-1)
        return found

    def implicit(self, previous: Reals, tendency: Reals, half: float, time: float) -> Reals:
        """Gravity waves averaged over both ends of the step (per vertical mode), damping at its end."""
        layers, sphere = self.layers, self.sphere
        speeds, modes, inverse = self._modes
        middle = tendency * half
        middle += previous
        _, divergence, warm, pressure = self.split(middle)
        push = self._down(layers.hydrostatic, warm) + DRY_AIR * layers.reference * pressure
        divergence -= half * sphere.laplacian(push)
        own = self._down(inverse, divergence)
        own /= 1 - half**2 * speeds.reshape(-1, 1, 1, 1, 1) * sphere.eigenvalues
        divergence[...] = self._down(modes, own)
        warm -= half * self._down(layers.expansion * (KAPPA * layers.reference), divergence)
        pressure -= half * self._down(layers.thickness[None], divergence)[0]
        middle *= 2
        middle -= previous
        return self._damp(middle, 2 * half, time)

    def _damp(self, state: Reals, span: float, time: float) -> Reals:
        k, forcing = self.count, self.forcing
        drag = 1 + span * (forcing.drag_rate[:, :, None, None, None] + forcing.diffusion)
        state[:k] /= drag
        state[k : 2 * k] /= drag
        rate = span * forcing.heating_rate[:, :, None, None, None]
        state[2 * k : 3 * k] += rate * (forcing.mean + forcing.phase(time) * forcing.season)
        state[2 * k : 3 * k] /= 1 + rate + span * forcing.diffusion
        return state

    def _down(self, matrix: Reals, fields: Reals) -> Reals:
        """A vertical matrix (j, k) applied to fields (k, …), whose order in memory is kept."""
        kind = self.sphere.dtype
        if fields.strides[-1] > fields.strides[-2]:
            return self._down(matrix, fields.swapaxes(-1, -2)).swapaxes(-1, -2)
        flat = np.matmul(matrix.astype(kind), fields.reshape(fields.shape[0], -1))
        found: Reals = flat.reshape(len(matrix), *fields.shape[1:])
        return found

    def _advect(self, out: Reals, fields: Reals, sink: Reals) -> None:
        """Subtract σ̇ ∂/∂σ of fields (k, …), σ̇ (k − 1, …) being known at the inner edges."""
        carried = np.diff(fields, axis=0)
        carried *= sink
        weights = (0.5 / self.layers.thickness).astype(self.sphere.dtype)
        for j, flow in enumerate(carried):
            out[j] -= weights[j] * flow
            out[j + 1] -= weights[j + 1] * flow
