"""One linear map from the deepest features to the pixels of each patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoadapt.backbones.conv_layers import resize
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads.config import LinearConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import fold_time, optical, unfold_time

__all__ = ["LinearHead", "build"]


class LinearHead(nn.Module):
    """A 1×1 convolution to classes × p × p, rearranged to pixels (the published probe of plain transformers)."""

    def __init__(self, width: int, stride: int, classes: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(width, classes * stride * stride, 1)
        self.shuffle = nn.PixelShuffle(stride)

    def start(self, kernels: Tensor) -> None:
        """Begin with a readout (k, d) that was pre-trained, the same for all pixels of a patch."""
        with torch.no_grad():
            pixels = self.project.weight.shape[0] // len(kernels)
            self.project.weight.copy_(kernels.repeat_interleave(pixels, 0)[..., None, None])
            if self.project.bias is not None:
                self.project.bias.zero_()

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Scores (b, t, k, h, w) on the grid of the batch's image."""
        field = optical(batch)
        height, width = field.values.shape[-2:]
        deep = features.maps[-1]
        pixels = self.shuffle(self.project(fold_time(deep)))
        if pixels.shape[-2] < height or pixels.shape[-1] < width:
            pixels = resize(pixels, (height, width))
        return unfold_time(pixels[..., :height, :width], deep.shape[1])


def build(config: LinearConfig, spec: BackboneSpec, inputs: HeadInputs) -> LinearHead:
    """The head for a backbone's deepest map."""
    return LinearHead(spec.widths[-1], spec.strides[-1], inputs.classes)
