"""UPerNet: context pooled from the deepest map, then a pyramid fused from coarse to fine (Xiao 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.backbones.conv_layers import ConvBlock, half, resize
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads.config import UpernetConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import fold_time, optical, unfold_time

__all__ = ["BINS", "PooledContext", "UpernetHead", "build"]

BINS = (1, 2, 3, 6)
"""Cells per side into which the deepest map is pooled."""
UPSAMPLING = (4, 2, 1)
"""How much finer than the backbone's stride the levels made from a plain transformer are; the last is half as fine."""


class PooledContext(nn.Module):
    """A map (n, d, h, w) beside its means over 1, 2, 3 and 6 cells per side, joined to ``width`` (Zhao 2017)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        # One cell per map leaves nothing to normalise over: the block that joins them does it.
        self.pooled = nn.ModuleList(nn.Sequential(nn.Conv2d(inputs, width, 1), nn.GELU()) for _ in BINS)
        self.join = ConvBlock(inputs + len(BINS) * width, width)

    def forward(self, deepest: Tensor) -> Tensor:
        """The map with context (n, width, h, w)."""
        size = (deepest.shape[-2], deepest.shape[-1])
        means = [layer(F.adaptive_avg_pool2d(deepest, cells)) for layer, cells in zip(self.pooled, BINS, strict=True)]
        return self.join(torch.cat([deepest, *(resize(m, size) for m in means)], dim=1))  # type: ignore[no-any-return]


class UpernetHead(nn.Module):
    """Fuses the levels of a pyramid from coarse to fine, and classifies all of them at the finest level's stride.

    A backbone whose maps share one stride s gives levels at s/4, s/2, s and 2s, no finer than a pixel, from maps spread
    over its depths; one whose maps have strides of their own gives those.
    """

    def __init__(self, spec: BackboneSpec, config: UpernetConfig, inputs: HeadInputs) -> None:
        super().__init__()
        width = config.width
        self.plain = len(set(spec.strides)) == 1
        self.picks = _spread(len(spec.widths)) if self.plain else tuple(range(len(spec.widths)))
        widths = [spec.widths[pick] for pick in self.picks]
        self.context = PooledContext(widths[-1], width)
        self.lateral = nn.ModuleList(nn.Conv2d(w, width, 1) for w in widths[:-1])
        self.smooth = nn.ModuleList(ConvBlock(width, width) for _ in widths[:-1])
        self.fuse = ConvBlock(width * len(widths), width)
        self.classify = nn.Conv2d(width, inputs.classes, 1)

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Scores (b, t, k, h, w) on the grid of the batch's image."""
        height, width = optical(batch).values.shape[-2:]
        levels, strides = self._pyramid(features)
        found = self.context(levels[-1])
        merged = [found]
        for place in range(len(levels) - 2, -1, -1):
            lateral = self.lateral[place](levels[place])
            found = lateral + _onto(found, strides[place + 1], strides[place], lateral.shape)
            merged.insert(0, self.smooth[place](found))
        finest = merged[0].shape
        together = [_onto(m, stride, strides[0], finest) for m, stride in zip(merged, strides, strict=True)]
        scores = self.classify(self.fuse(torch.cat(together, dim=1)))
        full = _onto(scores, strides[0], 1.0, (height, width))
        return unfold_time(full, features.maps[-1].shape[1])

    def _pyramid(self, features: Features) -> tuple[list[Tensor], list[float]]:
        """Levels (n, d, h, w) from fine to coarse, and their strides [px]."""
        maps = [fold_time(features.maps[pick]) for pick in self.picks]
        if not self.plain:
            return maps, [float(features.strides[pick]) for pick in self.picks]
        stride = features.strides[-1]
        factors = [min(factor, stride) for factor in UPSAMPLING]
        finer = [resize(m, (m.shape[-2] * f, m.shape[-1] * f)) for m, f in zip(maps[:-1], factors, strict=True)]
        return [*finer, half(maps[-1])], [*(stride / f for f in factors), 2.0 * stride]


def _onto(values: Tensor, stride: float, wanted: float, shape: torch.Size | tuple[int, int]) -> Tensor:
    """``values`` of one stride on a grid (…, h, w) of another with the same upper left corner, cut at its edge.

    A map may reach past the image by part of a patch: fitting it to the image instead would shift its contents.
    """
    height, width = shape[-2], shape[-1]
    rows = max(height, round(values.shape[-2] * stride / wanted))
    cols = max(width, round(values.shape[-1] * stride / wanted))
    return resize(values, (rows, cols))[..., :height, :width]


def _spread(maps: int) -> tuple[int, ...]:
    """Positions of as many maps as a pyramid has levels, evenly from the shallowest to the deepest."""
    last = len(UPSAMPLING)
    return tuple(round(level * (maps - 1) / last) for level in range(last + 1))


def build(config: UpernetConfig, spec: BackboneSpec, inputs: HeadInputs) -> UpernetHead:
    """The head for a backbone's maps."""
    return UpernetHead(spec, config, inputs)
