"""Blocks of small_wx: a convolution over the neighbourhood, and in some of them attention along rows and columns.

Maps are (b, d, h, w); tokens (b, h, w, d).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

__all__ = ["Block", "draw", "padded"]


class AxialAttention(nn.Module):
    """Attention of each cell to its row by one half of the heads, to its column by the other (Dong 2021, CSWin)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (b, h, w, d) to tokens (b, h, w, d)."""
        split = self.qkv(x).unflatten(-1, (3, 2, self.heads // 2, -1))
        q, k, v = split[:, :, :, :, 0].permute(3, 0, 1, 4, 2, 5)
        rows = F.scaled_dot_product_attention(q, k, v).permute(0, 1, 3, 2, 4).flatten(3)
        q, k, v = split[:, :, :, :, 1].permute(3, 0, 2, 4, 1, 5)
        columns = F.scaled_dot_product_attention(q, k, v).permute(0, 3, 1, 2, 4).flatten(3)
        return self.proj(torch.cat([rows, columns], -1))  # type: ignore[no-any-return]


class Block(nn.Module):
    """What it is told of date and lead time, a convolution, and where ``heads`` is not 0 axial attention; each added.

    The norm is over the whole map, so that a cell keeps how strong its anomaly is beside its neighbours'.
    """

    def __init__(self, dim: int, heads: int, kernel: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(1, dim)
        self.tell = nn.Linear(dim, dim)
        self.conv = nn.Conv2d(dim, dim, kernel)
        self.margin = kernel // 2
        self.norm2 = nn.GroupNorm(1, dim) if heads else None
        self.attn = AxialAttention(dim, heads) if heads else None
        self.drop_path = drop_path

    def forward(self, x: Tensor, told: Tensor, around: bool) -> Tensor:
        """A map (b, d, h, w) to a map, told (b, d); ``around`` = its columns close a circle of latitude."""
        seen = F.gelu(self.norm1(x) + self.tell(told)[:, :, None, None])
        x = x + self._dropped(self.conv(padded(seen, around, self.margin)))
        if self.attn is None or self.norm2 is None:
            return x
        tokens = self.norm2(x).permute(0, 2, 3, 1).contiguous()
        return x + self._dropped(self.attn(tokens)).permute(0, 3, 1, 2)

    def _dropped(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= self.drop_path
        return branch * kept.to(branch.dtype) / (1 - self.drop_path)


def padded(x: Tensor, around: bool, margin: int) -> Tensor:
    """``margin`` more cells on every side (b, d, h + 2 m, w + 2 m): the circle goes on, else the edge again."""
    mode = "circular" if around and x.shape[-1] >= margin else "replicate"
    x = F.pad(x, (margin, margin, 0, 0), mode=mode)
    return F.pad(x, (0, 0, margin, margin), mode="replicate")


def draw(module: nn.Module) -> None:
    """Initial values: Xavier for linear layers, He for convolutions, biases zero."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear):
            nn.init.xavier_uniform_(inner.weight)
            nn.init.zeros_(inner.bias)
        elif isinstance(inner, nn.Conv2d):
            nn.init.kaiming_normal_(inner.weight, nonlinearity="relu")
            nn.init.zeros_(inner.bias)  # type: ignore[arg-type]
