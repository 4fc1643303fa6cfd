"""The shallow-water equations on the sphere: the test bed of the transforms and of the time stepping.

In: rotation, a mean depth, a surface. Out: tendencies of vorticity, divergence and geopotential.

Vorticity–divergence form, as in Hack & Jakob 1992: gravity waves implicit, all else explicit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data_pipelines.simulate.layers import ROTATION
from data_pipelines.simulate.sphere import Reals, Sphere

__all__ = ["ShallowWater"]


@dataclass(frozen=True, slots=True)
class ShallowWater:
    """A ``Core``: state (3, …, 2, m, n) of vorticity, divergence, and geopotential g h minus its mean ``depth``."""

    sphere: Sphere
    depth: float
    """g times the mean thickness of the fluid [m² s⁻²]."""
    coriolis: Reals
    """f (lat, lon) or (lat, 1) [s⁻¹]."""
    diffusion: Reals = field(default_factory=lambda: np.zeros(1))
    """Inverse time of damping of vorticity, divergence and height (n,) [s⁻¹]."""

    @classmethod
    def turning(cls, sphere: Sphere, depth: float, viscosity: float = 0.0, rotation: float = ROTATION) -> ShallowWater:
        """On a planet that turns at ``rotation`` [rad s⁻¹], with ∇² damping by ``viscosity`` [m² s⁻¹]."""
        return cls(sphere, depth, 2 * rotation * sphere.sines, -viscosity * sphere.eigenvalues)

    def winds(self, state: Reals) -> tuple[Reals, Reals]:
        """Eastward and northward wind times cos φ (…, lat, lon) [m s⁻¹]."""
        east, north = self.sphere.to_grid(np.stack(self.sphere.wind(state[0], state[1])))
        return east, north

    def tendency(self, state: Reals, time: float) -> Reals:
        """All but the linear gravity waves and the damping."""
        sphere = self.sphere
        spin, thick = sphere.to_grid(state[::2])
        east, north = self.winds(state)
        spin = spin + self.coriolis
        energy = (east**2 + north**2) / (2 * sphere.cos2)
        out = np.empty_like(state)
        out[0], out[1] = sphere.curl_and_divergence(spin * north, -spin * east)
        out[1] -= sphere.laplacian(sphere.to_spectrum(energy))
        out[2] = -sphere.curl_and_divergence(thick * east, thick * north)[1]
        return out

    def implicit(self, previous: Reals, tendency: Reals, half: float, time: float) -> Reals:
        """Gravity waves averaged over both ends of the step, damping at its end."""
        middle = previous + half * tendency
        divergence = middle[1] - half * self.sphere.laplacian(middle[2])
        divergence /= 1 - half**2 * self.depth * self.sphere.eigenvalues
        middle[1] = divergence
        middle[2] -= half * self.depth * divergence
        after: Reals = (2 * middle - previous) / (1 + 2 * half * self.diffusion)
        return after

    def balanced(self, vorticity: Reals) -> Reals:
        """The state without divergence, and without a tendency of it, that has a given vorticity (…, 2, m, n).

        Its height solves ∇²(Φ + |v|²/2) = k·∇×((ζ + f) v), the nonlinear balance, with mean ``depth``.
        """
        state = np.stack([vorticity, np.zeros_like(vorticity), np.zeros_like(vorticity)])
        state[2] = self.sphere.inverse_laplacian(self.tendency(state, 0.0)[1])
        return state

    def mass(self, state: Reals) -> Reals:
        """Mean g h (…) [m² s⁻²]."""
        found: Reals = self.depth + state[2][..., 0, 0, 0]
        return found

    def energy(self, state: Reals) -> Reals:
        """Mean kinetic and potential energy g h (|v|² + g h) / 2 (…) [m⁴ s⁻⁴]; the available part moves it little."""
        east, north = self.winds(state)
        thick = self.depth + self.sphere.to_grid(state[2])
        dense = thick * ((east**2 + north**2) / self.sphere.cos2 + thick) / 2
        found: Reals = (dense * self.sphere.weights).sum(axis=-2).mean(axis=-1)
        return found
