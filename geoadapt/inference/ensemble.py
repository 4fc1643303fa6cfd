"""Ensembles: the same forecast many times, each a little different, and each the same whenever it is made again.

In: a forecaster (or several), a batch of past states and a member's number. Out: that member's states. Noise is drawn
from the seed, the member and the init time alone, so that neither batches nor a restart change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.cubes.variables import find_variable, split_channel
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.types import Batch, LatLonGrid

__all__ = ["SINGLE", "Ensemble", "correlated_noise", "make_ensemble", "member_states"]

WAVES = 256
"""Plane waves that make up a noise field; its covariance is off by about 1/√WAVES."""
POINTS = 2**16
"""Grid points whose waves are computed at once."""
EARTH = 6371.0
"""Radius [km]."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Which members there are and what sets them apart."""

    numbers: tuple[int, ...] | None = None
    """None = a single forecast."""
    perturb: str = ""
    """``initial``, ``dropout``, ``adapters``; empty for a single forecast."""
    amplitude: float = 0.2
    """Standard deviation of the initial noise over that of the usual change in one step."""
    length: float = 500.0
    """At this distance the noise's correlation is exp(−1/2) [km]."""
    seed: int = 0
    models: tuple[Forecaster, ...] = ()
    """One per member, for ``adapters``."""

    @property
    def alone(self) -> bool:
        """Whether every init time must run by itself: dropout draws from one generator for all that run together."""
        return self.perturb == "dropout"


SINGLE = Ensemble()


def make_ensemble(
    models: Sequence[Forecaster],
    members: int,
    perturb: str,
    *,
    amplitude: float = 0.2,
    length: float = 500.0,
    seed: int = 0,
) -> Ensemble:
    """The ensemble of ``members`` members; raises GeoadaptError where the models cannot make it."""
    first = models[0]
    if len(models) > 1 and perturb != "adapters":
        raise GeoadaptError("--bundle", f"{len(models)} bundles", "they are members only with --perturb adapters")
    if members == 1:
        return SINGLE
    if perturb == "adapters" and len(models) != members:
        raise GeoadaptError("--members", f"{members} members of {len(models)} bundles", "name one bundle per member")
    for other in models[1:]:
        if (other.channels, round(other.step)) != (first.channels, round(first.step)):
            raise GeoadaptError("--bundle", "they differ in their channels or their step", "use bundles of one task")
    if perturb == "dropout" and not _dropouts(first):
        raise GeoadaptError("--perturb", "dropout: the model has none", "choose initial, or train with dropout")
    if perturb == "initial" and getattr(first, "increment", None) is None:
        raise GeoadaptError("--perturb", "initial: the model knows no usual change in a step", "choose dropout")
    kept = tuple(models) if perturb == "adapters" else ()
    return Ensemble(tuple(range(members)), perturb, amplitude, length, seed, kept)


def member_states(
    ensemble: Ensemble,
    model: Forecaster,
    batch: Batch,
    init_times: NDArray[np.datetime64],
    number: int,
    steps: int,
    device: torch.device | str = "cpu",
) -> Iterator[Tensor]:
    """Predictions (b, c, h, w) of one member at 1, 2, … ``steps`` steps; of ``initial``, member 0 is without noise."""
    if ensemble.perturb == "adapters":
        yield from ensemble.models[number].states(batch.to(device), steps)
    elif ensemble.perturb == "dropout":
        yield from _dropped(ensemble, model, batch.to(device), init_times, number, steps)
    elif ensemble.perturb == "initial" and number:
        yield from model.states(_perturbed(ensemble, model, batch, init_times, number).to(device), steps)
    else:
        yield from model.states(batch.to(device), steps)


def correlated_noise(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], count: int, length: float, draw: np.random.Generator
) -> NDArray[np.float32]:
    """Independent Gaussian fields (count, h, w) of variance 1 on the sphere, alike at the poles and the equator.

    Sums of plane waves through the Earth with Gaussian wave vectors: their correlation is exp(−d² / 2 length²) of the
    straight distance d (random Fourier features, Rahimi & Recht 2007).
    """
    phi, lam = np.radians(latitude)[:, None], np.radians(longitude)[None]
    where = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi) + 0 * lam], -1).reshape(-1, 3)
    waves = draw.standard_normal((WAVES, 3)) * (EARTH / length)
    weights = (draw.standard_normal((count, 2 * WAVES)) / np.sqrt(WAVES)).astype(np.float32)
    made = np.empty((count, len(where)), np.float32)
    for first in range(0, len(where), POINTS):
        phase = waves @ where[first : first + POINTS].T
        made[:, first : first + POINTS] = weights @ np.concatenate([np.cos(phase), np.sin(phase)]).astype(np.float32)
    return made.reshape(count, latitude.size, longitude.size)


def _perturbed(
    ensemble: Ensemble, model: Forecaster, batch: Batch, init_times: NDArray[np.datetime64], number: int
) -> Batch:
    """The batch with the same noise on all past states of a sample: it displaces the state, not its tendency."""
    field = batch.inputs["atmosphere"].select(model.channels)
    if not isinstance(field.grid, LatLonGrid):
        raise GeoadaptError("batch", "has no latitude–longitude grid", "noise is correlated by distance")
    latitude, longitude = (axis.double().numpy() for axis in (field.grid.latitude, field.grid.longitude))
    spread = ensemble.amplitude * np.asarray(torch.as_tensor(getattr(model, "increment")).cpu(), np.float32)  # noqa: B009
    noise = [
        correlated_noise(latitude, longitude, len(spread), ensemble.length, _generator(ensemble.seed, number, time))
        for time in init_times
    ]
    added = torch.from_numpy(np.stack(noise) * spread[:, None, None])[:, None]
    values = field.values + added
    for index in (i for i, channel in enumerate(model.channels) if _never_negative(channel)):
        values[:, :, index].clamp_(min=0)
    if field.valid is not None:
        values = torch.where(field.valid, values, field.values)
    return replace(batch, inputs={**batch.inputs, "atmosphere": replace(field, values=values)})


def _dropped(
    ensemble: Ensemble, model: Forecaster, batch: Batch, init_times: NDArray[np.datetime64], number: int, steps: int
) -> Iterator[Tensor]:
    """States with dropout on; each step draws from a seed of its own, and the caller's generator is left alone."""
    states = model.states(batch, steps)
    layers = _dropouts(model)
    for step in range(steps):
        with torch.random.fork_rng(), _on(layers):
            torch.manual_seed(_seed(ensemble.seed, number, init_times[0], step))
            state = next(states)
        yield state


@contextmanager
def _on(layers: Sequence[nn.Module]) -> Iterator[None]:
    before = [layer.training for layer in layers]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.training = was


def _dropouts(model: Forecaster) -> list[nn.Module]:
    """Dropout layers that drop anything, of the model or of the networks it holds."""
    roots = [model] if isinstance(model, nn.Module) else [v for v in vars(model).values() if isinstance(v, nn.Module)]
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
    return [layer for root in roots for layer in root.modules() if isinstance(layer, kinds) and layer.p > 0]


def _never_negative(channel: str) -> bool:
    """Amounts, shares and absolute temperatures: their plausible range ends at 0, or hardly below."""
    variable = find_variable(split_channel(channel)[0])
    return variable is not None and variable.low > -0.1 * variable.high


def _seed(seed: int, number: int, time: np.datetime64, step: int) -> int:
    told = f"{seed} {number} {time.astype('datetime64[s]').astype(np.int64)} {step}"
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "little") >> 1


def _generator(seed: int, number: int, time: np.datetime64) -> np.random.Generator:
    return np.random.default_rng(_seed(seed, number, time, 0))
