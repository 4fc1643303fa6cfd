"""A decoder from the features of several dates to the image of one: a composite of the other dates, corrected.

In: Features of the frames that the backbone saw, and the Batch with all dates as ``optical`` and those frames as
``frames``. Out: (b, 1, 2c, h, w): the last frame's image [reflectance] and the logarithm of its Laplace scale.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from geoadapt.backbones.conv_layers import ConvBlock, half, resize
from geoadapt.fields.composite import Around, around, told
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.frames import days_from_target, masked
from geoadapt.fields.types import Batch, Field
from geoadapt.heads.config import RemovalConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import optical

__all__ = ["FRAMES", "USUAL", "RemovalHead", "build", "corrected"]

FRAMES = "frames"
"""The input that holds what the backbone saw, where that is not all."""
MOST = 8.0
"""No correction of the scale's logarithm is larger."""
USUAL = 0.1
"""A composite's error in standard deviations of its channel, before anybody has measured it."""


class DatePool(nn.Module):
    """The other dates' features at each place, weighed by what they have in common with the target's, by the share
    of their pixels that is valid, and by how near they are in time.
    """  # noqa: D205, D212 - one sentence

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(width, width, 1)
        self.key = nn.Conv2d(width, width, 1)
        self.decay = nn.Parameter(torch.tensor(0.5))

    def forward(self, maps: Tensor, share: Tensor, days: Tensor) -> Tensor:
        """The pool (b, d, h, w), 0 where no other date is valid, of maps (b, t, d, h, w).

        ``share`` (b, t, h, w) of the pixels is valid, ``days`` (b, t) lie between each date and the last.
        """
        others, share = maps[:, :-1], share[:, :-1]
        if not others.shape[1]:
            return torch.zeros_like(maps[:, -1])
        query, keys = self.query(maps[:, -1]), self.key(others.flatten(0, 1)).reshape(others.shape)
        alike = (query[:, None] * keys).sum(2) / math.sqrt(maps.shape[2])
        near = F.softplus(self.decay) * torch.log1p(days[:, :-1].abs())[..., None, None]
        seen = share > 0
        logits = (alike + share.clamp(min=1e-4).log() - near).masked_fill(~seen, -1e4)
        weights = logits.softmax(1) * seen
        pooled: Tensor = (weights[:, :, None] * others).sum(1)
        return pooled


class RemovalHead(nn.Module):
    """Linear interpolation in time, and what convolutions on features, composite and clear surroundings add to it.

    What is added is 0 at the start, and the scale the composite's usual error.
    """

    mean: Tensor
    std: Tensor
    error: Tensor

    def __init__(self, spec: BackboneSpec, config: RemovalConfig, inputs: HeadInputs) -> None:
        super().__init__()
        width, channels = config.width, len(inputs.mean)
        self.register_buffer("mean", inputs.mean.clone().float()[:, None, None])
        self.register_buffer("std", inputs.std.clone().float().clamp_min(1e-6)[:, None, None])
        self.register_buffer("error", USUAL * self.std.clone())
        self.reduce = nn.ModuleList(nn.Conv2d(w, width, 1) for w in spec.widths)
        self.pool = DatePool(width)
        self.deep = ConvBlock(2 * width, width)
        self.stem = ConvBlock(8 * channels + 4, width)
        self.stem_half = ConvBlock(width, width)
        self.up_half = ConvBlock(2 * width, width)
        self.up_full = ConvBlock(2 * width, width)
        self.last = nn.Conv2d(width, 6 * channels, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def expect(self, error: Tensor) -> None:
        """Begin with a scale of ``error`` (c,): the composite's mean absolute error [reflectance]."""
        self.error.copy_(error.to(self.error)[:, None, None].clamp_min(1e-4))

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Image [reflectance] and logarithm of its scale (b, 1, 2c, h, w)."""
        field = masked(optical(batch))
        height, width = field.values.shape[-2:]
        place = around(field, self.mean)
        stem = self.stem(told(place, self.mean, self.std, self.error))
        deep = self._deep(features, batch.inputs.get(FRAMES, field))
        covered = features.strides[0] * deep.shape[-2], features.strides[0] * deep.shape[-1]
        fine, finer = -(-height // 2), -(-width // 2)
        deep = resize(deep, (covered[0] // 2 + covered[0] % 2, covered[1] // 2 + covered[1] % 2))[..., :fine, :finer]
        up = self.up_half(torch.cat([deep, self.stem_half(half(stem))], 1))
        up = self.up_full(torch.cat([resize(up, (height, width)), stem], 1))
        return corrected(self.last(up), place, self.error)

    def _deep(self, features: Features, frames: Field) -> Tensor:
        """The target's features beside the other dates' (b, width, h, w), at the first map's stride."""
        size = (features.maps[0].shape[-2], features.maps[0].shape[-1])
        dates = features.maps[0].shape[1]
        maps = sum(resize(layer(m.flatten(0, 1)), size) for layer, m in zip(self.reduce, features.maps, strict=True))
        assert isinstance(maps, Tensor)
        maps = maps.unflatten(0, (-1, dates))  # type: ignore[no-untyped-call]
        days = days_from_target(frames)
        if dates == frames.values.shape[1]:
            shown = torch.ones_like(frames.values[:, :, 0]) if frames.valid is None else frames.valid.all(2).float()
            others = self.pool(maps, F.adaptive_avg_pool2d(shown, size), days)
        else:  # a backbone that makes one map of all its dates
            others = torch.zeros_like(maps[:, -1])
        return self.deep(torch.cat([maps[:, -1], others], 1))  # type: ignore[no-any-return]


def corrected(added: Tensor, place: Around, error: Tensor) -> Tensor:
    """Image and logarithm of its scale (b, 1, 2c, h, w): the composite, and what a last layer (b, 6c, h, w) adds to it.

    That is in units of the composite's ``error`` (c, 1, 1), and shares of what is known around it.
    """
    free, *shares, scale = added.float().chunk(6, 1)
    known = (place.carried, place.found.change, place.still, place.usual)
    image = place.base + error * free + sum(share * part for share, part in zip(shares, known, strict=True))
    return torch.cat([image, error.log() + scale.clamp(-MOST, MOST)], 1)[:, None]


def build(config: RemovalConfig, spec: BackboneSpec, inputs: HeadInputs) -> RemovalHead:
    """The head for all of a backbone's maps."""
    return RemovalHead(spec, config, inputs)
