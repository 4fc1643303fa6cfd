"""Pieces that several decoders share."""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.fields.types import Batch, Field

__all__ = ["ConvBlock", "Standardise", "fold_time", "half", "optical", "resize", "unfold_time"]


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


class Standardise(nn.Module):
    """Reflectance (n, c, h, w) minus mean over standard deviation, per channel; missing pixels become 0.

    The statistics come from the training blocks and travel with the head's weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone().float()[:, None, None])
        self.register_buffer("std", std.clone().float().clamp_min(1e-6)[:, None, None])

    def forward(self, values: Tensor, valid: Tensor | None) -> Tensor:
        """Standardised values (n, c, h, w)."""
        out = (values - self.mean) / self.std
        return out if valid is None else out * valid


def optical(batch: Batch) -> Field:
    """The batch's image: the input called ``optical``, or the only one there is."""
    return batch.inputs["optical"] if "optical" in batch.inputs else next(iter(batch.inputs.values()))


def fold_time(values: Tensor) -> Tensor:
    """(b, t, c, h, w) → (b·t, c, h, w)."""
    return values.flatten(0, 1)


def resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resampling of (n, c, h, w) to ``size``."""
    if tuple(values.shape[-2:]) == size:
        return values
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)


def unfold_time(values: Tensor, dates: int) -> Tensor:
    """(b·t, c, h, w) → (b, t, c, h, w)."""
    return values.reshape(-1, dates, *values.shape[1:])


def half(values: Tensor) -> Tensor:
    """Mean over 2×2 px; an odd edge keeps its last row and column."""
    return torch.nn.functional.avg_pool2d(values, 2, ceil_mode=True)
