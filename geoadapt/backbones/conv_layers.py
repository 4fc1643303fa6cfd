"""Pieces of convolutional networks that backbones, heads and baselines share."""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

__all__ = ["ConvBlock", "half", "resize"]


class ConvBlock(nn.Sequential):
    """Two 3×3 convolutions with group normalisation and GELU.

    Statistics over each tile, rather than none or the training set's, carry over best to a sensor not seen in training:
    measured on the real scenes against batch and per-pixel layer normalisation.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.GroupNorm(gcd(8, width), width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(gcd(8, width), width),
            nn.GELU(),
        )


def half(values: Tensor) -> Tensor:
    """Mean over 2×2 px; an odd edge keeps its last row and column."""
    return torch.nn.functional.avg_pool2d(values, 2, ceil_mode=True)


def resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resampling of (n, c, h, w) to ``size``."""
    if tuple(values.shape[-2:]) == size:
        return values
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)
