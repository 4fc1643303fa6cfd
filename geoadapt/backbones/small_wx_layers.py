"""Blocks of small_wx: a convolution over the neighbourhood, attention along rows and columns, and an MLP.

Maps are (b, d, h, w); tokens (b, h, w, d).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.backbones.vit_layers import Mlp

__all__ = ["Block", "draw"]


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
    """Convolution, axial attention and MLP, each added to what it saw."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = AxialAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = drop_path

    def forward(self, x: Tensor, around: bool) -> Tensor:
        """A map (b, d, h, w) to a map; ``around`` = its columns close a circle of latitude."""
        x = x + self._dropped(F.gelu(self.conv(padded(x, around))))
        tokens = x.permute(0, 2, 3, 1).contiguous()
        tokens = tokens + self._dropped(self.attn(self.norm1(tokens)))
        tokens = tokens + self._dropped(self.mlp(self.norm2(tokens)))
        return tokens.permute(0, 3, 1, 2).contiguous()

    def _dropped(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= self.drop_path
        return branch * kept.to(branch.dtype) / (1 - self.drop_path)


def padded(x: Tensor, around: bool) -> Tensor:
    """One more cell on every side (b, d, h + 2, w + 2): the other end of a circle, else the edge again."""
    x = F.pad(x, (1, 1, 0, 0), mode="circular" if around else "replicate")
    return F.pad(x, (0, 0, 1, 1), mode="replicate")


def draw(module: nn.Module) -> None:
    """Initial values: Xavier for linear layers, He for convolutions, biases zero."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear):
            nn.init.xavier_uniform_(inner.weight)
            nn.init.zeros_(inner.bias)
        elif isinstance(inner, nn.Conv2d):
            nn.init.kaiming_normal_(inner.weight, nonlinearity="relu")
            nn.init.zeros_(inner.bias)  # type: ignore[arg-type]
