"""Presto's tokens: their order in one sequence, and what is added to them to tell month, channel group and date.

In: tokens per channel group (n, t, d). Out: one sequence (n, m, d) and which of it may be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from geoadapt.backbones.presto_inputs import GROUPS, MAX_DATES

__all__ = ["CHANNEL", "ORDER", "EncodingTable", "Tokens"]

CHANNEL = 32
"""Width of the part of an encoding that tells the channel group."""
ORDER = (*GROUPS, "DW")
"""The groups in the order of the public channel embeddings."""
BASE = 1000.0
"""Of the dates' frequencies; the paper's code uses this, not the usual 10000."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A sequence (n, m, d), what may be seen of it (n, m) (None = all), and each group's place in it."""

    x: Tensor
    seen: Tensor | None
    places: dict[str, slice]

    @classmethod
    def of(cls, parts: Mapping[str, Tensor], seen: Mapping[str, Tensor | None]) -> Tokens:
        """Groups behind each other (n, t, d), and their visibility (n, t), None = all."""
        places: dict[str, slice] = {}
        start = 0
        for name, x in parts.items():
            places[name] = slice(start, start + x.shape[1])
            start += x.shape[1]
        visible = None
        if any(v is not None for v in seen.values()):
            full = {name: torch.ones_like(x[..., 0], dtype=torch.bool) for name, x in parts.items()}
            masks = [full[name] if (m := seen[name]) is None else m for name in parts]
            visible = torch.cat(masks, 1)
        return cls(torch.cat(list(parts.values()), 1), visible, places)

    def holding(self, x: Tensor) -> Tokens:
        """The same sequence with other tokens in it."""
        return replace(self, x=x)

    def group(self, name: str) -> tuple[Tensor, Tensor | None]:
        """The tokens of a group (n, t, d) and which may be seen (n, t)."""
        place = self.places[name]
        return self.x[:, place], None if self.seen is None else self.seen[:, place]


class EncodingTable(nn.Module):
    """What encoder and decoder share: tables of dates and months, which are fixed."""

    pos_embed: Tensor

    def __init__(self, date: int, month: int) -> None:
        """Widths of the two tables."""
        super().__init__()
        # buffers, not parameters: full fine-tuning must not move these tables
        self.register_buffer("pos_embed", _dates(date)[None])
        self.month_embed = nn.Module()
        self.month_embed.register_buffer("weight", _months(month))

    def encoding(self, name: str, channels: Tensor, months: Tensor) -> Tensor:
        """What is added to a group's tokens (n, t, d): month, channel group, date; of terrain (1, 1, d).

        ``channels`` (groups, c) are the learned embeddings, ``months`` (n, t) 0–11.
        """
        channel = channels[ORDER.index(name)]
        table: Tensor = self.month_embed.weight  # type: ignore[assignment]
        if name == "SRTM":
            zeros = channel.new_zeros
            parts = (zeros(table.shape[1]), channel, zeros(self.pos_embed.shape[-1]))
            return torch.cat(parts)[None, None]
        n, t = months.shape
        return torch.cat([table[months], channel.expand(n, t, -1), self.pos_embed[:, :t].expand(n, -1, -1)], -1)


def _dates(width: int) -> Tensor:
    """Sines and cosines in turns (24, width) of the date's number at frequencies 1000^(−2i / width)."""
    steps = torch.arange(width // 2, dtype=torch.float64)
    angles = torch.arange(MAX_DATES, dtype=torch.float64)[:, None] * torch.pow(BASE, -2 * steps / width)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()


def _months(width: int) -> Tensor:
    """The sine (12, width / 2), then the cosine, of the month as an angle."""
    angle = 2 * math.pi * torch.arange(12, dtype=torch.float64) / 12
    return torch.stack([angle.sin(), angle.cos()], 1).repeat_interleave(width // 2, 1).float()
