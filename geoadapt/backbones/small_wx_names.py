"""Kernels from names: what a channel is, its level and its age decide how it enters a token and how it is read out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geoadapt.cubes.variables import split_channel

__all__ = ["WORDS", "ChannelKernels", "channel_codes"]

WORDS = (
    *("mean", "sea", "surface", "pressure", "geopotential", "temperature", "u", "v", "component", "wind", "speed"),
    *("specific", "relative", "humidity", "vertical", "velocity", "2m", "10m", "dewpoint", "total", "precipitation"),
    *("cloud", "cover", "radiation", "solar", "thermal", "downwards", "soil", "ice", "liquid", "water", "vapour"),
    *("land", "mask", "standard", "deviation", "orography", "height", "vorticity", "divergence", "skin", "rate"),
    *("column", "flux", "heat", "level", "at", "snow", "content", "fraction", "usual"),
)
"""What names of variables are made of; a word that is not here falls into one of ``SPARE`` drawers by its letters."""
SPARE = 16
LEVELS = 6
"""Sine and cosine pairs of the logarithm of pressure."""
AGES = 4


def channel_codes(channels: tuple[str, ...], device: torch.device, ages: Tensor | None = None) -> Tensor:
    """What is known of every channel by its name (c, k), or for each age [h] as well (t, c, k)."""
    codes = torch.stack([_code(name) for name in channels]).to(device)
    if ages is None:
        return torch.cat([codes, codes.new_zeros(len(codes), 2 * AGES)], -1)
    old = _waves(torch.log1p(ages.float()), AGES)
    rows = old[:, None].expand(-1, len(codes), -1)
    return torch.cat([codes[None].expand(len(old), -1, -1), rows], -1)


class ChannelKernels(nn.Module):
    """A small network from a channel's code to its kernels."""

    def __init__(self, hidden: int, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.fc1 = nn.Linear(len(WORDS) + SPARE + 1 + 2 * LEVELS + 2 * AGES, hidden)
        self.fc2 = nn.Linear(hidden, count * width)

    def forward(self, codes: Tensor) -> Tensor:
        """Kernels (…, n, d) of codes (…, k)."""
        return self.fc2(torch.nn.functional.gelu(self.fc1(codes))).unflatten(-1, (self.count, -1))  # type: ignore[no-any-return]


def _code(channel: str) -> Tensor:
    variable, level = split_channel(channel)
    words = torch.zeros(len(WORDS) + SPARE)
    for word in variable.split("_"):
        place = WORDS.index(word) if word in WORDS else len(WORDS) + sum(word.encode()) % SPARE
        words[place] += 1
    known = torch.tensor([0.0 if level is None else 1.0])
    waves = torch.zeros(2 * LEVELS)
    if level is not None:
        waves = _waves(torch.tensor([math.log(level) / math.log(1000.0)]), LEVELS)[0]
    return torch.cat([words / words.norm().clamp(min=1), known, waves])


def _waves(values: Tensor, count: int) -> Tensor:
    """Sines and cosines (n, 2 · count) of values (n,) at doubling frequencies."""
    angles = values[:, None] * (math.pi / 4) * 2.0 ** torch.arange(count, device=values.device)
    return torch.cat([angles.sin(), angles.cos()], -1)
