"""A small convolutional network from scratch: the simple learned model that an adapted backbone must beat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.baselines.past import known_dates, latitude_weights, past_states, step_seconds
from geoadapt.baselines.seasonal import YEAR
from geoadapt.baselines.spread import measure
from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History
from geoadapt.fields.types import Batch, Field
from geoadapt.registry import from_plain

__all__ = ["CnnSettings", "SmallCnn", "fit_cnn", "rebuild_cnn"]

PLACE = 3
"""Channels that say where a grid point is: sine of latitude, sine and cosine of longitude."""
SEASON = 2


@dataclass(slots=True)
class CnnSettings:
    """The grid and the network's size; the defaults have about a third of a million parameters for one channel."""

    channels: tuple[str, ...] = ()
    height: int = 1
    width: int = 1
    step: float = 86400.0
    """[s]."""
    static_channels: tuple[str, ...] = ()
    frames: int = 3
    features: int = 56
    blocks: int = 4
    kernel: int = 5
    circular: bool = False
    """The grid goes round the globe: its columns have neighbours across the edge."""


class SmallCnn(nn.Module):
    """Past states in units of their spread to the next increment, by residual convolutions; it feeds itself.

    Its buffers are measured on the training dates by ``fit_cnn``; its parameters are left to the training loop.
    """

    mean: Tensor
    std: Tensor
    increment: Tensor
    known: Tensor
    place: Tensor
    static_mean: Tensor
    static_std: Tensor

    def __init__(self, settings: CnnSettings) -> None:
        super().__init__()
        self.settings = settings
        self.channels, self.step, self.frames = tuple(settings.channels), settings.step, settings.frames
        self.shape = (settings.height, settings.width)
        count, static = len(self.channels), len(settings.static_channels)
        for name, size in (("mean", count), ("static_mean", static)):
            self.register_buffer(name, torch.zeros(size, 1, 1))
        for name, size in (("std", count), ("increment", count), ("static_std", static)):
            self.register_buffer(name, torch.ones(size, 1, 1))
        self.register_buffer("known", torch.ones(count, *self.shape, dtype=torch.bool))
        self.register_buffer("place", torch.zeros(PLACE, *self.shape))
        inputs = count * settings.frames + PLACE + SEASON + static
        self.stem = _Conv(inputs, settings)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.blocks))
        self.head = _Conv(settings.features, settings, count)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)  # so that training starts from persistence

    def forward(self, batch: Batch) -> Tensor:
        """Predictions (b, n, c, h, w), SI units, finite, for the n lead times of ``batch.target``, one without it."""
        steps = 1 if batch.target is None else batch.target.values.shape[1]
        return torch.stack(list(self._roll(batch, steps)), dim=1)

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """Predictions (b, c, h, w), NaN where the training dates never had a value."""
        for state in self._roll(batch, steps):
            yield torch.where(self.known, state, torch.nan)

    def _roll(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        past = past_states(batch, self)
        assert past.times is not None  # past_states refuses a batch without dates
        seen = self._scaled(past)
        fixed = self._fixed(batch, len(seen))
        for lead in range(steps):
            x = torch.cat([seen.flatten(1, 2), fixed, self._season(past.times[:, -1] + round(lead * self.step))], dim=1)
            y = self.stem(x)
            for block in self.blocks:
                y = block(y)
            new = seen[:, -1] + self.head(F.gelu(y)) * (self.increment / self.std)
            yield new * self.std + self.mean
            seen = torch.cat([seen[:, 1:], new[:, None]], dim=1)

    def _scaled(self, past: Field) -> Tensor:
        scaled = (past.values - self.mean) / self.std
        return scaled if past.valid is None else torch.where(past.valid, scaled, 0.0)

    def _fixed(self, batch: Batch, count: int) -> Tensor:
        """Where each grid point is, and what does not change there, (b, s, h, w)."""
        parts = [self.place.expand(count, -1, -1, -1)]
        names = tuple(self.settings.static_channels)
        if names:
            if "static" not in batch.inputs:
                raise GeoadaptError("batch", "has no static fields", f"the network was trained with {list(names)}")
            given = batch.inputs["static"].select(names)
            scaled = (given.values[:, 0] - self.static_mean) / self.static_std
            parts.append(torch.where(scaled.isfinite(), scaled, 0.0))
        return torch.cat(parts, dim=1)

    def _season(self, times: Tensor) -> Tensor:
        angle = (times.double() * (2 * math.pi / YEAR)).to(torch.float64)
        pair = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1).to(self.mean)
        return pair[:, :, None, None].expand(-1, -1, *self.shape)


class _Conv(nn.Module):
    """A convolution that keeps the grid: replicated at its edges, circular in longitude on a global one."""

    def __init__(self, inputs: int, settings: CnnSettings, outputs: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs or settings.features, settings.kernel)
        self.margin = settings.kernel // 2
        self.sides = "circular" if settings.circular else "replicate"

    def forward(self, x: Tensor) -> Tensor:
        m = self.margin
        x = F.pad(F.pad(x, (m, m, 0, 0), mode=self.sides), (0, 0, m, m), mode="replicate")
        out: Tensor = self.conv(x)
        return out


class _Block(nn.Module):
    """Normalise, bend, convolve, and add."""

    def __init__(self, settings: CnnSettings) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, settings.features)
        self.conv = _Conv(settings.features, settings)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv(F.gelu(self.norm(x)))
        return out


def fit_cnn(
    history: History,
    train: NDArray[np.bool_],
    val: NDArray[np.bool_] | None = None,
    steps: int = 1,
    *,
    frames: int = 3,
    features: int = 56,
    blocks: int = 4,
    kernel: int = 5,
    seed: int = 0,
) -> SmallCnn:
    """The network with means and spreads from the dates in ``train`` (t,), parameters drawn from ``seed``, untrained.

    Raises GeoadaptError where a channel has no value at all, or no two dates are a step apart.
    """
    places = known_dates(history, train, "training")
    height, width = history.states.shape[-2:]
    settings = CnnSettings(
        history.channels,
        height,
        width,
        step_seconds(history),
        history.static_channels,
        frames,
        features,
        blocks,
        kernel,
        _round(history.longitude),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = SmallCnn(settings)
    found = measure(history, places, latitude_weights(history.latitude))
    for name in ("mean", "std", "increment"):
        getattr(made, name).copy_(torch.from_numpy(getattr(found, name))[:, None, None])
    made.known.copy_(torch.from_numpy(found.known))
    made.place.copy_(torch.from_numpy(_place(history.latitude, history.longitude)))
    if history.static is not None:
        fixed = np.asarray(history.static, np.float64)
        made.static_mean.copy_(torch.from_numpy(np.nanmean(fixed, axis=(1, 2), keepdims=True)))
        spread = np.nanstd(fixed, axis=(1, 2), keepdims=True)
        made.static_std.copy_(torch.from_numpy(np.where(spread > 0, spread, 1.0)))
    return made


def _round(longitude: NDArray[np.float64]) -> bool:
    """Whether the grid goes round the globe."""
    if len(longitude) < 2:
        return False
    step = float(np.diff(longitude).mean())
    return abs(float(longitude[-1] - longitude[0]) + step - 360) < step / 2


def _place(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sine of latitude, sine and cosine of longitude (3, h, w), each of mean 0 and spread 1 over the grid."""
    phi, lam = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    raw = np.stack([np.sin(phi), np.sin(lam), np.cos(lam)])
    spread = raw.std(axis=(1, 2), keepdims=True)
    return np.asarray((raw - raw.mean(axis=(1, 2), keepdims=True)) / np.where(spread > 1e-6, spread, 1.0))


def rebuild_cnn(plain: Mapping[str, Any]) -> SmallCnn:
    """An untrained module of the shapes that plain settings describe."""
    return SmallCnn(from_plain(CnnSettings, plain, "baselines.cnn"))
