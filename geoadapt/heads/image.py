"""A decoder that leaves the whole image to its backbone: one pointwise layer, and one scale per band.

In: Features of stride 1, whose last map belongs to the date to be restored, and the Batch with the dates that the
backbone saw as ``frames``, or as ``optical``. Out: (b, 1, 2c, h, w): that date's image [reflectance] and the logarithm
of its Laplace scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoadapt.errors import GeoadaptError
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.tanh import begin_at, span_of
from geoadapt.fields.types import Batch
from geoadapt.heads.config import ImageConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import optical
from geoadapt.heads.removal import FRAMES

__all__ = ["ImageHead", "build"]

USUAL = 0.1
"""The image's error in standard deviations of its channel, before anybody has measured it."""


class ImageHead(nn.Module):
    """PMAA's last layer (Zou 2023): a hyperbolic tangent, between what −1 and 1 mean in reflectance."""

    error: Tensor

    def __init__(self, spec: BackboneSpec, config: ImageConfig, inputs: HeadInputs) -> None:
        """The image begins near the channels' means: from 0.5 on, a short fit would spend its steps on the way."""
        super().__init__()
        if spec.strides[0] != 1:
            raise GeoadaptError(
                "head",
                f"'image' needs features of every pixel, {spec.name} gives one per {spec.strides[0]} px",
                "choose head=removal",
            )
        self.last = nn.Conv2d(spec.widths[0], len(inputs.mean), 1)
        self.scaling = config.scaling
        begin_at(self.last, inputs.mean, self.scaling)
        self.register_buffer("error", (USUAL * inputs.std.float())[:, None, None])

    def expect(self, error: Tensor) -> None:
        """Say an error of ``error`` (c,) everywhere, before calibration [reflectance]."""
        self.error.copy_(error.to(self.error)[:, None, None].clamp_min(1e-4))

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Image [reflectance] and logarithm of its scale (b, 1, 2c, h, w)."""
        made = torch.tanh(self.last(features.maps[0][:, -1]).float())[:, None]
        image = span_of(batch.inputs.get(FRAMES, optical(batch)), self.scaling).reflectance(made)
        return torch.cat([image, self.error.log().expand_as(image)], 2)


def build(config: ImageConfig, spec: BackboneSpec, inputs: HeadInputs) -> ImageHead:
    """The head for a backbone's finest map."""
    return ImageHead(spec, config, inputs)
