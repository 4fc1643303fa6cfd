"""What vision transformers share: attention, blocks, sine tables, flexible patch kernels, windows.

Tokens are (b, n, d) everywhere; grids of patches are (b, h, w, …), rows first.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

__all__ = ["Block", "Windows", "patches", "resize_kernel", "sine_table", "square_positions"]


class Attention(nn.Module):
    """Multi-head attention of tokens ``x`` to tokens ``y`` (to themselves where y is None)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, y: Tensor | None = None, keys: Tensor | None = None) -> Tensor:
        """``x`` (b, n, d), ``y`` (b, m, d); ``keys`` (b, m) bool names the tokens that may be looked at."""
        y = x if y is None else y
        q, k, v = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, tokens in ((self.q, x), (self.k, y), (self.v, y))
        )
        mask = None if keys is None else keys[:, None, None, :]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (b, n, d) to tokens (b, n, d)."""
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A pre-norm transformer block; ``drop_path`` drops a whole branch of a sample, in training only."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = drop_path

    def forward(self, x: Tensor, y: Tensor | None = None, keys: Tensor | None = None) -> Tensor:
        """Tokens (b, n, d); with ``y`` (b, m, d) the queries are x, normed, and the keys and values y, as it comes."""
        x = x + self._dropped(self.attn(self.norm1(x), y, keys))
        return x + self._dropped(self.mlp(self.norm2(x)))

    def _dropped(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        keep = 1 - self.drop_path
        chosen = torch.rand(len(branch), 1, 1, device=branch.device) < keep
        return branch * chosen.to(branch.dtype) / keep


def sine_table(values: Tensor, width: int, exponent: float) -> Tensor:
    """Sines then cosines (…, width) of ``values`` (…) at frequencies 10000^(−k / exponent), k = 0 … width/2 − 1."""
    k = torch.arange(width // 2, device=values.device, dtype=torch.float32)
    angles = values.float()[..., None] * torch.pow(torch.tensor(10000.0, device=values.device), -k / exponent)
    return torch.cat([angles.sin(), angles.cos()], -1)


def square_positions(height: int, width: int, dim: int, step: float, device: torch.device | None = None) -> Tensor:
    """Position encodings (height, width, dim) of a grid of patches ``step`` apart: the column first, then the row."""
    half = dim // 2
    rows, cols = (sine_table(torch.arange(n, device=device) * step, half, exponent=dim) for n in (height, width))
    return torch.cat([cols[None].expand(height, -1, -1), rows[:, None].expand(-1, width, -1)], -1)


@lru_cache(maxsize=64)
def _resizing(stored: int, patch: int) -> Tensor:
    """The matrix (patch², stored²) that carries a kernel to another size and keeps its products (FlexiViT, eq. 4)."""
    # a cached tensor must not carry the inference flag of whoever asked first
    with torch.inference_mode(False), torch.no_grad():
        images = torch.eye(stored * stored).reshape(-1, 1, stored, stored)
        sized = F.interpolate(images, size=(patch, patch), mode="bicubic", antialias=True, align_corners=False)
        inverse: Tensor = torch.linalg.pinv(sized.flatten(1))
        return inverse


def resize_kernel(weight: Tensor, patch: int) -> Tensor:
    """A patch kernel (o, i, s, s) at another patch size, (o, i, patch, patch); differentiable."""
    stored = weight.shape[-1]
    if stored == patch:
        return weight
    matrix = _resizing(stored, patch).to(weight)
    return (weight.flatten(2) @ matrix.T).reshape(*weight.shape[:2], patch, patch)


def patches(image: Tensor, patch: int) -> Tensor:
    """Pixels (…, c, H, W) as one vector per patch (…, h, w, c·patch²), in the order of a flattened kernel."""
    *lead, c, height, width = image.shape
    cut = image.reshape(*lead, c, height // patch, patch, width // patch, patch)
    n = len(lead)
    order = (*range(n), n + 1, n + 3, n, n + 2, n + 4)
    return cut.permute(order).flatten(-3)


class Windows:
    """Squares of at most ``window`` patches that cover a grid (h, w); 0 = one window over everything.

    The grid is split evenly, so that no window is a sliver; what the last row and column lack is padding.
    """

    def __init__(self, height: int, width: int, window: int) -> None:
        self.height, self.width = height, width
        self.rows = math.ceil(height / window) if window else 1
        self.cols = math.ceil(width / window) if window else 1
        self.side_h = math.ceil(height / self.rows)
        self.side_w = math.ceil(width / self.cols)

    @property
    def count(self) -> int:
        """Windows per sample."""
        return self.rows * self.cols

    @property
    def padded(self) -> bool:
        """Whether some windows reach beyond the grid."""
        return self.rows * self.side_h != self.height or self.cols * self.side_w != self.width

    def cut(self, grid: Tensor, scale: int = 1) -> Tensor:
        """A grid (b, …, h·scale, w·scale) as windows (b·count, …, side_h·scale, side_w·scale), padded with zeros."""
        if self.padded:
            right = (self.cols * self.side_w - self.width) * scale
            below = (self.rows * self.side_h - self.height) * scale
            grid = F.pad(grid, (0, right, 0, below))
        if self.count == 1:
            return grid
        b, *middle = grid.shape[:-2]
        cut = grid.reshape(b, *middle, self.rows, self.side_h * scale, self.cols, self.side_w * scale)
        m = len(middle)
        order = (0, m + 1, m + 3, *range(1, m + 1), m + 2, m + 4)
        return cut.permute(order).flatten(0, 2)

    def join(self, windows: Tensor) -> Tensor:
        """The inverse of ``cut`` at scale 1: (b·count, …, side_h, side_w) to (b, …, h, w), without the padding."""
        if self.count > 1:
            n, *middle = windows.shape[:-2]
            cut = windows.reshape(n // self.count, self.rows, self.cols, *middle, self.side_h, self.side_w)
            m = len(middle)
            order = (0, *range(3, 3 + m), 1, 3 + m, 2, 4 + m)
            windows = cut.permute(order).flatten(-2).flatten(-3, -2)
        return windows[..., : self.height, : self.width]
