"""Where and when: what small_wx is told of each cell's place, of the date, and of how far ahead it is to look."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geoadapt.fields.types import LatLonGrid

__all__ = ["Place", "Sight", "is_global"]

YEAR, DAY = 365.2425 * 86400.0, 86400.0
LEADS = 6


def is_global(grid: LatLonGrid) -> bool:
    """Whether the columns close a circle of latitude."""
    longitude = grid.longitude.double()
    if len(longitude) < 3:
        return False
    step = float((longitude[-1] - longitude[0]) / (len(longitude) - 1))
    return abs(len(longitude) * step - 360.0) < 0.51 * step


class Place(nn.Module):
    """Waves of latitude and longitude, and the grid's spacing, through a linear layer."""

    def __init__(self, width: int, waves: int) -> None:
        super().__init__()
        self.waves = waves
        self.project = nn.Linear(4 * waves + 3, width)

    def forward(self, grid: LatLonGrid) -> Tensor:
        """(1, d, h, w)."""
        device = self.project.weight.device
        latitude, longitude = (torch.deg2rad(a.to(device).float()) for a in (grid.latitude, grid.longitude))
        rows, columns = _waves(latitude, self.waves), _waves(longitude, self.waves)
        h, w = len(latitude), len(longitude)
        spacing = torch.stack([_spacing(latitude), _spacing(longitude)]).to(device)
        parts = [
            rows[:, None].expand(h, w, -1),
            columns[None].expand(h, w, -1),
            latitude.sin()[:, None, None].expand(h, w, 1),
            spacing.expand(h, w, 2),
        ]
        return self.project(torch.cat(parts, -1)).movedim(-1, 0)[None]  # type: ignore[no-any-return]


class Sight(nn.Module):
    """Season and hour (UTC) of the last state, and the lead time, through a small network."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(8 + 2 * LEADS, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, times: Tensor | None, lead_time: Tensor | None, count: int) -> Tensor:
        """(b, d), of ``times`` (b, t) and ``lead_time`` (b,) [s]; what is unknown is told as zeros."""
        device = self.fc1.weight.device
        date = torch.zeros(count, 8, device=device)
        if times is not None:
            last = times[:, -1].to(device).double()
            angles = [2 * math.pi * n * last / YEAR for n in (1, 2)]
            angles += [2 * math.pi * n * last / DAY for n in (1, 2)]
            date = torch.stack([w for a in angles for w in (a.sin(), a.cos())], -1).float()
        ahead = torch.zeros(count, 2 * LEADS, device=device)
        if lead_time is not None:
            hours = torch.log1p(lead_time.to(device).float() / 3600.0)
            angles = [hours * (math.pi / 4) * 2.0**k for k in range(LEADS)]
            ahead = torch.stack([w for a in angles for w in (a.sin(), a.cos())], -1)
        return self.fc2(torch.nn.functional.gelu(self.fc1(torch.cat([date, ahead], -1))))  # type: ignore[no-any-return]


def _waves(angles: Tensor, count: int) -> Tensor:
    """Sines and cosines (n, 2 · count) of angles (n,) [rad] at 1, 2, … times their frequency."""
    many = angles[:, None] * torch.arange(1, count + 1, device=angles.device)
    return torch.cat([many.sin(), many.cos()], -1)


def _spacing(axis: Tensor) -> Tensor:
    """Logarithm of the mean distance of neighbours, 0 at one degree."""
    if len(axis) < 2:
        return axis.new_zeros(())
    return ((axis[-1] - axis[0]).abs() / (len(axis) - 1) / math.radians(1.0)).clamp(min=1e-6).log()
