"""A decoder for a backbone of series: one pointwise layer from its finest map to what corrects a composite.

In: Features of stride 1, whose last map belongs to the date to be restored, and the Batch with all dates as
``optical``. Out: (b, 1, 2c, h, w): that date's image [reflectance] and the logarithm of its Laplace scale.
"""

from __future__ import annotations

from torch import Tensor, nn

from geoadapt.errors import GeoadaptError
from geoadapt.fields.composite import around
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.frames import masked
from geoadapt.fields.types import Batch
from geoadapt.heads.config import ResidualConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import optical
from geoadapt.heads.removal import USUAL, corrected

__all__ = ["ResidualHead", "build"]


class ResidualHead(nn.Module):
    """The removal head's last layer by itself: linear interpolation in time, and what the features add to it.

    What is added is 0 at the start, and the scale the composite's usual error.
    """

    mean: Tensor
    error: Tensor

    def __init__(self, spec: BackboneSpec, config: ResidualConfig, inputs: HeadInputs) -> None:
        """Raises GeoadaptError for a backbone whose features are coarser than the image."""
        super().__init__()
        if spec.strides[0] != 1:
            raise GeoadaptError(
                "head",
                f"'residual' needs features of every pixel, {spec.name} gives one per {spec.strides[0]} px",
                "choose head=removal",
            )
        self.register_buffer("mean", inputs.mean.clone().float()[:, None, None])
        self.register_buffer("error", USUAL * inputs.std.clone().float().clamp_min(1e-6)[:, None, None])
        self.last = nn.Conv2d(spec.widths[0], 6 * len(inputs.mean), 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def expect(self, error: Tensor) -> None:
        """Begin with a scale of ``error`` (c,): the composite's mean absolute error [reflectance]."""
        self.error.copy_(error.to(self.error)[:, None, None].clamp_min(1e-4))

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Image [reflectance] and logarithm of its scale (b, 1, 2c, h, w)."""
        place = around(masked(optical(batch)), self.mean)
        return corrected(self.last(features.maps[0][:, -1]), place, self.error)


def build(config: ResidualConfig, spec: BackboneSpec, inputs: HeadInputs) -> ResidualHead:
    """The head for a backbone's finest map."""
    return ResidualHead(spec, config, inputs)
