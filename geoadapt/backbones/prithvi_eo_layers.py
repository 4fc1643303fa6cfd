"""What Prithvi-EO's encoder and decoder share: their layout, blocks, positions, and coordinates of time and place.

Tokens are (b, n, d), the class token first, then frames, rows, columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.vit_layers import Mlp
from geoadapt.errors import GeoadaptError

__all__ = ["Block", "Coordinates", "Grid", "Layout", "add_coordinates", "draw", "positions"]

Grid = tuple[int, int, int]
"""Tokens in time, rows and columns."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes that decide the shapes of all tensors; ``patch`` and ``image`` in frames and pixels (t, h, w), (h, w)."""

    width: int
    depth: int
    heads: int
    patch: tuple[int, int, int]
    frames: int
    image: tuple[int, int]
    channels: int = 6
    coords: tuple[str, ...] = ()
    """``time``, ``location``: what the encoder can be told."""
    learn_scales: bool = True
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    mlp_ratio: float = 4.0
    eps: float = 1e-5
    """Of the layer norms: 1e-5 in the released code, 1e-6 in that of the first pre-training."""

    def __post_init__(self) -> None:
        for what, width, heads in (
            ("width", self.width, self.heads),
            ("decoder_width", self.decoder_width, self.decoder_heads),
        ):
            if width % 16 or width % heads:
                raise GeoadaptError(
                    f"backbone.{what}", f"{width} with {heads} heads", "choose a multiple of 16 and of the heads"
                )

    @property
    def grid(self) -> Grid:
        """Tokens that the layout was built for."""
        return self.frames // self.patch[0], self.image[0] // self.patch[1], self.image[1] // self.patch[2]


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values, as in the public keys."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Tokens (b, n, d) to tokens (b, n, d); only ``keys`` (b, n) may be looked at, None = all."""
        seen = None if keys is None else keys[:, None, None]
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Tokens (b, n, d) to tokens (b, n, d); only ``keys`` (b, n) may be looked at, None = all."""
        x = x + self.attn(self.norm1(x), keys)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Coordinates(nn.Module):
    """Sines and cosines of a pair, year and day of the year or latitude and longitude, times one scale."""

    scale: Tensor

    def __init__(self, dim: int, learn: bool) -> None:
        super().__init__()
        self.dim = dim
        if learn:
            self.scale = nn.Parameter(torch.full((1,), 0.1))
        else:
            self.register_buffer("scale", torch.ones(1))

    def forward(self, pairs: Tensor) -> Tensor:
        """Pairs (…, 2) to vectors (…, d); zeros where a pair is not finite, that is unknown."""
        known = pairs.isfinite().all(-1, keepdim=True)
        first, second = torch.where(known, pairs, 0.0).unbind(-1)
        half = self.dim // 2
        both = torch.cat([_sines(first, half), _sines(second, self.dim - half)], -1)
        return torch.where(known, self.scale * both.to(self.scale.dtype), 0.0)


def add_coordinates(
    x: Tensor, time: Coordinates | None, place: Coordinates | None, year_day: Tensor | None, lat_lon: Tensor | None
) -> Tensor:
    """Tokens (b, n, d) without class token, plus what is known and can be told; ``year_day`` (b, t, 2), t frames."""
    if time is not None and year_day is not None:
        told = time(year_day)
        x = x + told.repeat_interleave(x.shape[1] // told.shape[1], 1)
    if place is not None and lat_lon is not None:
        x = x + place(lat_lon)[:, None]
    return x


def positions(built: Grid, grid: Grid, dim: int) -> Tensor:
    """The fixed position table (1, 1 + t·h·w, dim) of ``grid`` for a model built for ``built``.

    The class token has zeros. Another number of frames is computed anew; other heights and widths are interpolated.
    """
    # a cached tensor must not carry the inference flag of whoever asked first
    with torch.inference_mode(False), torch.no_grad():
        return _positions(built, grid, dim)


@lru_cache(maxsize=32)
def _positions(built: Grid, grid: Grid, dim: int) -> Tensor:
    t, h, w = grid[0], *built[1:]
    sixteenth = dim // 16
    parts = (
        _axis(w, 6 * sixteenth)[None, None].expand(t, h, w, -1),
        _axis(h, 6 * sixteenth)[None, :, None].expand(t, h, w, -1),
        _axis(t, 4 * sixteenth)[:, None, None].expand(t, h, w, -1),
    )
    table = torch.cat(parts, -1).float()
    if grid[1:] != built[1:]:
        table = F.interpolate(table.movedim(-1, 1), size=grid[1:], mode="bicubic", align_corners=True).movedim(1, -1)
    return torch.cat([torch.zeros(1, 1, dim, device="cpu"), table.reshape(1, -1, dim)], 1)


def _axis(count: int, width: int) -> Tensor:
    """Sines and cosines (count, width) of 0 … count − 1, in double precision, on the CPU in every context."""
    return _sines(torch.arange(count, dtype=torch.float64, device="cpu"), width)


def _sines(values: Tensor, width: int) -> Tensor:
    """Sines then cosines (…, width) of ``values`` (…) at frequencies 1 / 10000^(k / (width/2)), in their precision."""
    k = torch.arange(width // 2, dtype=values.dtype, device=values.device)
    # years are large: this order of operations, not 10000^(−k/…), gives the published float32 numbers
    angles = values[..., None] * (1.0 / 10000 ** (k / (width / 2)))
    return torch.cat([angles.sin(), angles.cos()], -1)


def draw(module: nn.Module) -> None:
    """Initial values as published: Xavier for linear layers and patches, class and mask tokens small."""
    for name, parameter in module.named_parameters():
        last = name.rpartition(".")[2]
        if last in ("cls_token", "mask_token"):
            nn.init.normal_(parameter, std=0.02)
        elif last == "weight" and parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter.data.flatten(1))
        elif last == "bias":
            nn.init.zeros_(parameter)
