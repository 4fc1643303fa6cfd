"""From reflectance to what an encoder of pictures reads, and kernels for channels that pictures do not have.

In: a field (b, t, c, h, w) [reflectance]. Out: standardised pictures (b · t, c, h, w); kernels (o, c, k, k).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.picture_models import IMAGENET
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

__all__ = ["CHOICES", "RGB", "BandConv", "Bands", "adapted_kernel"]

RGB = ("red", "green", "blue")
CHOICES = (
    "backbone.bands=repeat gives the channels of backbone.channels the kernels of red, green and blue in turns, "
    "mean their mean, new their own that are trained"
)


class Bands:
    """Which channels are read, in this order, and how each is standardised.

    A reflectance is divided by ``white``, so that a picture's 0 to 1 is meant, then the pictures' mean is taken off it
    and it is divided by their standard deviation. Red, green and blue are cut off at 1, as in a picture of 8 bits;
    other channels are not.
    """

    def __init__(self, bands: str, channels: tuple[str, ...], white: float) -> None:
        """Raise GeoadaptError where the choice of ``bands`` does not go with the channels."""
        if bands == "rgb" and channels and not set(RGB) <= set(channels):
            raise GeoadaptError("backbone.bands", f"rgb of {list(channels)}", CHOICES)
        if bands != "rgb" and not channels:
            raise GeoadaptError(
                "backbone.channels", f"are not named for bands={bands}", "name the channels of the data"
            )
        known = RGB if bands == "rgb" else tuple(c for c in RGB if c in channels) if bands == "new" else ()
        self.names = known + tuple(c for c in channels if c not in known and bands != "rgb")
        self.known = known
        """Those that keep their own kernels."""
        self.white = white
        self.mean, self.std = ([self._statistic(s, bands, i) for i in range(len(self.names))] for s in IMAGENET)

    def _statistic(self, values: tuple[float, ...], bands: str, place: int) -> float:
        """Of the colour whose kernel a channel has; of all three for the mean of kernels, and where none is its own."""
        if bands == "repeat":
            return values[place % 3]
        name = self.names[place]
        return values[RGB.index(name)] if name in self.known else sum(values) / 3

    def read(self, batch: Batch, multiple: int) -> tuple[Field, Tensor]:
        """The batch's field, and its dates as pictures (b · t, c, h, w), invalid values at the pictures' mean.

        Raises:
            GeoadaptError: where ``optical`` lacks a channel, or its size is no multiple of ``multiple``.
        """
        given = batch.inputs.get("optical")
        held = list(batch.inputs) if given is None else list(given.channels)
        if given is None or not set(self.names) <= set(held):
            problem = f"the batch holds {held}, and {list(self.names)} are read"
            raise GeoadaptError("backbone", problem, CHOICES if self.names == RGB else "give them, or name others")
        height, width = given.values.shape[-2:]
        if height % multiple or width % multiple:
            raise GeoadaptError(
                "backbone", f"{height} × {width} px is no multiple of {multiple} px", "pad or crop the input"
            )
        chosen = given.select(self.names)
        values = chosen.values.float() / self.white
        limit = values.new_tensor([1.0 if c in RGB else torch.inf for c in self.names])[:, None, None]
        mean, std = (values.new_tensor(v)[:, None, None] for v in (self.mean, self.std))
        values = (torch.minimum(values, limit) - mean) / std
        if chosen.valid is not None:
            values = torch.where(chosen.valid, values, 0.0)
        return given, values.flatten(0, 1)


def adapted_kernel(kernel: Tensor, bands: str, count: int) -> Tensor:
    """Kernels (o, count, k, k) from those of red, green and blue (o, 3, k, k).

    ``repeat`` takes them in turns and ``mean`` their mean, both times 3 / count, so that sums keep their size.
    """
    if bands == "repeat":
        return kernel[:, [i % 3 for i in range(count)]] * (3 / count)
    if bands == "mean":
        return kernel.mean(1, keepdim=True).expand(-1, count, -1, -1) * (3 / count)
    return kernel


class BandConv(nn.Module):
    """A convolution with its published kernels, and behind them new ones, ``extra``, that start as their mean."""

    def __init__(self, conv: nn.Conv2d, known: tuple[int, ...], count: int) -> None:
        """``known`` are the places of the published kernels that are kept, ``count`` is the number of new ones."""
        super().__init__()
        self.stride, self.padding = conv.stride, conv.padding
        mean = conv.weight.detach().mean(1, keepdim=True)
        self.known = nn.Parameter(conv.weight.detach()[:, list(known)].clone())
        self.extra = nn.Parameter(mean.repeat(1, count, 1, 1))
        self.bias = conv.bias

    @property
    def weight(self) -> Tensor:
        """All kernels (o, c, k, k), the published ones first."""
        return torch.cat([self.known, self.extra], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (n, c, h, w) to maps (n, o, h / k, w / k)."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
