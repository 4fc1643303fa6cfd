"""Between reflectance and the −1 to 1 in which an image is made by a hyperbolic tangent.

In: images of either kind. Out: the other. And a last layer that begins near what images usually are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geoadapt.fields.types import Field

__all__ = ["REFLECTANCE", "Span", "begin_at", "span_of"]

DEVIATIONS = 3.0
"""A sample's span ends so many standard deviations from its mean."""
LEAST = 0.01
"""No sample counts as more even than this [reflectance]."""
EDGE = 0.01
"""No nearer to 0 and 1 does a layer begin: there the tangent is flat [reflectance]."""
SHRUNK = 0.1
"""What remains of the weights that a layer was drawn with."""


@dataclass(frozen=True, slots=True)
class Span:
    """What −1 and 1 mean, as a middle and a half width (b, 1, c, 1, 1) or numbers [reflectance]."""

    middle: Tensor | float = 0.5
    half: Tensor | float = 0.5

    def signed(self, values: Tensor) -> Tensor:
        """From reflectance (b, t, c, h, w)."""
        return (values - self.middle) / self.half

    def reflectance(self, image: Tensor) -> Tensor:
        """Back to reflectance (b, t, c, h, w)."""
        return self.middle + self.half * image


REFLECTANCE = Span()
"""0 to 1, as published."""


def span_of(field: Field, scaling: str) -> Span:
    """The span of ``reflectance``, or per sample and channel that of what is valid on all dates of ``field``.

    Normalisation by instance takes an image's brightness and contrast away, and no later layer can give them back: a
    network that is normalised so tells brightness only within the span that a ``sample`` is known to have.
    """
    if scaling == "reflectance":
        return REFLECTANCE
    values = field.values.float()
    valid = torch.ones_like(values, dtype=torch.bool) if field.valid is None else field.valid
    over = (1, 3, 4)
    count = valid.sum(over, keepdim=True)
    middle = torch.where(valid, values, 0.0).sum(over, keepdim=True) / count.clamp(min=1)
    off = torch.where(valid, values - middle, 0.0).square().sum(over, keepdim=True) / count.clamp(min=1)
    half = DEVIATIONS * off.sqrt().clamp(min=LEAST)
    return Span(torch.where(count > 0, middle, 0.5), torch.where(count > 0, half, 0.5))


def begin_at(layer: nn.Conv2d, mean: Tensor, scaling: str = "reflectance") -> None:
    """Let the tangent of ``layer`` begin near ``mean`` (c,) [reflectance], or in the middle of each sample's span.

    Drawn at random it begins about 0.5. Land is far darker, and a step moves a bias by no more than the learning rate.
    """
    assert layer.bias is not None
    aim = REFLECTANCE.signed(mean.clamp(EDGE, 1 - EDGE)) if scaling == "reflectance" else torch.zeros_like(mean)
    with torch.no_grad():
        layer.weight.mul_(SHRUNK)
        layer.bias.copy_(torch.atanh(aim))
