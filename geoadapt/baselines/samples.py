"""Simple models of labelled samples: one answer for all, a linear one on the raw inputs, a small network from scratch.

In: a Batch. Out: predictions, or from the network scores, (b, 1, k, h, w).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoadapt.backbones.conv_layers import ConvBlock
from geoadapt.baselines.linear import LinearModel
from geoadapt.baselines.unet import SmallUnet
from geoadapt.fields.samples_stacked import features, stacked
from geoadapt.fields.types import Batch
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import Standardise

__all__ = ["ConstantModel", "RawLinear", "SampleNet"]


class ConstantModel(nn.Module):
    """The same for every sample: the commonest class, the mean value, how often each label is there."""

    answer: Tensor

    def __init__(self, outputs: int, lead: str, *, mapped: bool) -> None:
        super().__init__()
        self.lead, self.mapped = lead, mapped
        self.register_buffer("answer", torch.zeros(outputs))

    def forward(self, batch: Batch) -> Tensor:
        """Predictions (b, 1, k, h, w)."""
        values = batch.inputs[self.lead].values
        size = values.shape[-2:] if self.mapped else (1, 1)
        return self.answer[:, None, None].expand(len(values), 1, -1, *size)


class RawLinear(nn.Module):
    """A linear model of all dates and channels, of every sample's mean or of every pixel."""

    def __init__(self, linear: LinearModel, names: Sequence[str], *, mapped: bool) -> None:
        super().__init__()
        self.linear, self.names, self.mapped = linear, tuple(names), mapped

    def forward(self, batch: Batch) -> Tensor:
        """Predictions (b, 1, k, h, w)."""
        field = stacked(batch, self.names)
        out: Tensor = self.linear(features(field, mapped=self.mapped).float())
        if not self.mapped:
            return out[:, None, :, None, None]
        b, _, _, height, width = field.values.shape
        return out.reshape(b, 1, height, width, -1).movedim(-1, 2)


class SampleNet(nn.Module):
    """Of single pixels a perceptron, of images convolutions and their mean, of maps a U-Net; all dates at once."""

    def __init__(self, mean: Tensor, std: Tensor, outputs: int, names: Sequence[str], *, kind: str, width: int) -> None:
        """``kind`` is ``pixel``, ``image`` or ``map``; ``mean`` and ``std`` (c,) are of the stacked channels."""
        super().__init__()
        self.names, self.kind = tuple(names), kind
        channels = len(mean)
        if kind == "map":
            self.body: nn.Module = SmallUnet(HeadInputs(outputs, mean, std), width)
            return
        self.standardise = Standardise(mean, std)
        if kind == "pixel":
            layers = [_layer(2 * channels, 4 * width), _layer(4 * width, 4 * width), nn.Linear(4 * width, outputs)]
            self.body = nn.Sequential(*layers)
        else:
            blocks = [ConvBlock(2 * channels, width), nn.MaxPool2d(2, ceil_mode=True), ConvBlock(width, 2 * width)]
            blocks += [nn.MaxPool2d(2, ceil_mode=True), ConvBlock(2 * width, 4 * width), nn.AdaptiveAvgPool2d(1)]
            self.body = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(4 * width, outputs))

    def forward(self, batch: Batch) -> Tensor:
        """Scores (b, 1, k, h, w)."""
        field = stacked(batch, self.names)
        if self.kind == "map":
            scores: Tensor = self.body(Batch({"optical": field}))
            return scores
        assert field.valid is not None
        x = torch.cat([self.standardise(field.values[:, 0], field.valid[:, 0]), field.valid[:, 0].float()], 1)
        out: Tensor = self.body(x.flatten(1) if self.kind == "pixel" else x)
        return out[:, None, :, None, None]


def _layer(inputs: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width), nn.GELU())
