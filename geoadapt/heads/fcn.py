"""Convolutions on the deepest features, upsampled to the image."""

from __future__ import annotations

from torch import Tensor, nn

from geoadapt.backbones.conv_layers import ConvBlock, resize
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads.config import FcnConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import fold_time, optical, unfold_time

__all__ = ["FcnHead", "build"]


class FcnHead(nn.Module):
    """``layers`` blocks of convolutions, a 1×1 convolution to classes, bilinear upsampling (Long 2015)."""

    def __init__(self, inputs: int, width: int, layers: int, classes: int) -> None:
        super().__init__()
        blocks = [ConvBlock(inputs if i == 0 else width, width) for i in range(layers)]
        self.body = nn.Sequential(*blocks, nn.Conv2d(width if layers else inputs, classes, 1))

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Scores (b, t, k, h, w) on the grid of the batch's image."""
        height, width = optical(batch).values.shape[-2:]
        deep, stride = features.maps[-1], features.strides[-1]
        pixels = self.body(fold_time(deep))
        full = resize(pixels, (pixels.shape[-2] * stride, pixels.shape[-1] * stride))
        return unfold_time(full[..., :height, :width], deep.shape[1])


def build(config: FcnConfig, spec: BackboneSpec, inputs: HeadInputs) -> FcnHead:
    """The head for a backbone's deepest map."""
    return FcnHead(spec.widths[-1], config.width, config.layers, inputs.classes)
