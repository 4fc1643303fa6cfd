"""A small U-Net trained from scratch: the simple learned model that an adapted backbone must beat."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoadapt.backbones.conv_layers import ConvBlock, half, resize
from geoadapt.fields.types import Batch
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import Standardise, fold_time, optical, unfold_time

__all__ = ["SmallUnet"]


class SmallUnet(nn.Module):
    """Four resolutions, about 0.3 M parameters at ``width`` 20 (Ronneberger 2015, with group normalisation)."""

    def __init__(self, inputs: HeadInputs, width: int = 20) -> None:
        super().__init__()
        widths = (width, 2 * width, 3 * width, 4 * width)
        self.standardise = Standardise(inputs.mean, inputs.std)
        before = (len(inputs.mean), *widths[:-1])
        self.down = nn.ModuleList(ConvBlock(a, b) for a, b in zip(before, widths, strict=True))
        self.up = nn.ModuleList(ConvBlock(widths[i + 1] + widths[i], widths[i]) for i in (2, 1, 0))
        self.classify = nn.Conv2d(width, inputs.classes, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Scores (b, t, k, h, w) on the grid of the batch's image."""
        field = optical(batch)
        x = self.standardise(fold_time(field.values), None if field.valid is None else fold_time(field.valid))
        levels: list[Tensor] = []
        for block in self.down:
            x = block(half(x) if levels else x)
            levels.append(x)
        for block, level in zip(self.up, reversed(levels[:-1]), strict=True):
            x = block(torch.cat([resize(x, (level.shape[-2], level.shape[-1])), level], dim=1))
        return unfold_time(self.classify(x), field.values.shape[1])
