"""A U-Net-style decoder over a pyramid made from a plain transformer's features, with the image as its finest level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoadapt.backbones.conv_layers import ConvBlock, half, resize
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads.config import UnetConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import Standardise, fold_time, optical, unfold_time

__all__ = ["UnetHead", "build"]


class UnetHead(nn.Module):
    """Features of all depths are merged at the patch's stride, seen once more at half that resolution for context,
    and brought up to the pixels in two steps, each with the image's own convolutions beside them (Ronneberger 2015;
    the pyramid from one resolution as in ViTDet, Li 2022).
    """  # noqa: D205, D212 - one sentence

    def __init__(self, spec: BackboneSpec, config: UnetConfig, inputs: HeadInputs) -> None:
        super().__init__()
        width, deep = config.width, 2 * config.width
        self.reduce = nn.ModuleList(nn.Conv2d(w, deep, 1) for w in spec.widths)
        self.merge = ConvBlock(deep * len(spec.widths), deep)
        self.context = ConvBlock(deep, deep)
        self.join = ConvBlock(2 * deep, deep)
        self.standardise = Standardise(inputs.mean, inputs.std) if config.image_skip else None
        channels = len(inputs.mean)
        if config.image_skip:
            self.stem = ConvBlock(channels, width)
            self.stem_half = ConvBlock(width, width)
        beside = width if config.image_skip else 0
        self.up_half = ConvBlock(deep + beside, width)
        self.up_full = ConvBlock(width + beside, width)
        self.classify = nn.Conv2d(width, inputs.classes, 1)

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Scores (b, t, k, h, w) on the grid of the batch's image."""
        field = optical(batch)
        height, width = field.values.shape[-2:]
        dates = features.maps[-1].shape[1]
        maps = [layer(fold_time(m)) for layer, m in zip(self.reduce, features.maps, strict=True)]
        size = tuple(maps[0].shape[-2:])
        merged = self.merge(torch.cat([resize(m, (size[0], size[1])) for m in maps], dim=1))
        context = resize(self.context(half(merged)), (size[0], size[1]))
        deep = self.join(torch.cat([merged, context], dim=1))
        fine, finer = -(-height // 2), -(-width // 2)
        covered = features.strides[0] * size[0], features.strides[0] * size[1]
        deep = resize(deep, (covered[0] // 2 + covered[0] % 2, covered[1] // 2 + covered[1] % 2))[..., :fine, :finer]
        beside: list[Tensor] = []
        if self.standardise is not None:
            valid = None if field.valid is None else fold_time(field.valid)
            stem = self.stem(self.standardise(fold_time(field.values), valid))
            beside = [stem, self.stem_half(half(stem))]
        up = self.up_half(torch.cat([deep, *beside[1:]], dim=1))
        up = self.up_full(torch.cat([resize(up, (height, width)), *beside[:1]], dim=1))
        return unfold_time(self.classify(up), dates)


def build(config: UnetConfig, spec: BackboneSpec, inputs: HeadInputs) -> UnetHead:
    """The head for all of a backbone's maps."""
    return UnetHead(spec, config, inputs)
