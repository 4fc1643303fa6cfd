"""Pieces that several decoders share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.fields.types import Batch, Field

__all__ = ["ConvBlock", "PixelNorm", "Standardise", "fold_time", "half", "optical", "resize", "unfold_time"]


class PixelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel (Liu 2022, ConvNeXt).

    With statistics over a tile, the class of a pixel would depend on what else lies in its tile.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, values: Tensor) -> Tensor:
        """Normalised values (n, c, h, w)."""
        var, mean = torch.var_mean(values, dim=1, keepdim=True, correction=0)
        return (values - mean) * (torch.rsqrt(var + 1e-5) * self.weight[:, None, None]) + self.bias[:, None, None]


class ConvBlock(nn.Sequential):
    """Two 3×3 convolutions, each normalised per pixel, with GELU."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            PixelNorm(width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            PixelNorm(width),
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
