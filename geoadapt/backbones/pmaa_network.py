"""PMAA's networks: the generator, the discriminator it learns against, and the teacher of its cloud masks.

Images are in [−1, 1]: twice the reflectance, minus 1. Module names are those of the published state dicts.
Zou 2023, arXiv 2303.16565.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoadapt.backbones.pmaa_layers import NORMS, Extractor, UNet

__all__ = ["DATES", "Discriminator", "Generator", "teacher"]

DATES = 3
TEACHER_WIDTH = 32


class Generator(nn.Module):
    """Three cloudy dates of a place to one image without clouds."""

    def __init__(
        self, channels: int = 4, outputs: int = 4, width: int = 32, *, norm: str = "instance", coarse: bool = False
    ) -> None:
        super().__init__()
        layer = NORMS[norm]
        self.feature_extractor = Extractor(channels, width, layer)
        self.concat_unet = UNet(DATES * width, width, layer, coarse=coarse)
        self.other_unet = nn.ModuleList(UNet(width, width, layer, coarse=coarse) for _ in range(2))
        self.output_layer = nn.Sequential(nn.Conv2d(width, outputs, 1), nn.Tanh())

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Dates (b, 3, c, h, w) → image (b, o, h, w), and per date its cloud mask (b, 1, h, w) and image (b, c, h, w).

        Sides of 32 px or more; instance normalisation finds no variance in less.
        """
        features, masks, images = self.parts(x)
        return self.output_layer(features), masks, images

    def parts(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """As ``forward``, but what the image is made of (b, d, h, w) in the place of the image."""
        masks, maps, images = zip(*(self.feature_extractor(x[:, date]) for date in range(DATES)), strict=True)
        return self._fused(maps), list(masks), list(images)

    def features(self, x: Tensor) -> Tensor:
        """What the image is made of (b, d, h, w), from dates (b, 3, c, h, w)."""
        return self._fused([self.feature_extractor.features(x[:, date])[1] for date in range(DATES)])

    def image(self, x: Tensor) -> Tensor:
        """The image (b, o, h, w) alone, from dates (b, 3, c, h, w)."""
        return self.output_layer(self.features(x))  # type: ignore[no-any-return]

    def _fused(self, maps: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
        out: Tensor = self.concat_unet(torch.cat(list(maps), 1))
        for unet in self.other_unet:
            out = unet(out)
        return out


class Discriminator(nn.Module):
    """Whether an image belongs to the cloudy dates beside it, patch by patch (Isola 2017)."""

    def __init__(self, inputs: int = 16, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        widths = (width, width, 2 * width, 4 * width, 8 * width)
        for before, after in zip(widths, widths[1:], strict=False):
            conv = nn.Conv2d(before, after, 4, 2, 1, bias=False)
            layers += [conv, nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.discriminator = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, dates: Tensor, image: Tensor) -> Tensor:
        """Scores (b, 1, h′, w′), 1 = real, of an image (b, o, h, w) with its dates (b, 3, c, h, w); 64 px or more."""
        return self.discriminator(torch.cat([dates.flatten(1, 2), image], 1))  # type: ignore[no-any-return]


def teacher(channels: int = 4) -> Extractor:
    """The extractor whose cloud masks the generator's are to equal, to be filled with published weights and frozen."""
    return Extractor(channels, TEACHER_WIDTH, NORMS["batch"], norm_pool=True)
