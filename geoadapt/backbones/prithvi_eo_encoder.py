"""Prithvi-EO's encoder as a bare network, with the modules and keys of the public checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.prithvi_eo_layers import Block, Coordinates, Grid, Layout, add_coordinates, positions
from geoadapt.errors import GeoadaptError

__all__ = ["Encoder"]


class PatchEmbed(nn.Module):
    """One vector per patch; ``extra`` (d, n, t, h, w) are the kernels of channels that the pre-training never saw."""

    extra: Tensor | None

    def __init__(self, layout: Layout, columns: Sequence[int]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        """Per input channel its place among the pre-trained kernels, followed by the extra ones."""
        self.proj = nn.Conv3d(layout.channels, layout.width, layout.patch, layout.patch)
        new = len([c for c in columns if c >= layout.channels])
        self.extra = nn.Parameter(torch.zeros(layout.width, new, *layout.patch)) if new else None

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (b, c, t, h, w) to a grid (b, d, t', h', w'); what does not fill a patch is left out."""
        weight = self.proj.weight
        if self.extra is not None:
            weight = torch.cat([weight, self.extra], 1)
        if self.columns != tuple(range(weight.shape[1])):
            weight = weight[:, list(self.columns)]
        return F.conv3d(pixels, weight, self.proj.bias, self.proj.stride)


class Encoder(nn.Module):
    """Patches, fixed positions, coordinates, blocks, and a norm after the last one."""

    pos_embed: Tensor

    def __init__(self, layout: Layout, columns: Sequence[int] | None = None) -> None:
        super().__init__()
        self.layout = layout
        self.cls_token = nn.Parameter(torch.zeros(1, 1, layout.width))
        self.register_buffer("pos_embed", positions(layout.grid, layout.grid, layout.width))
        self.patch_embed = PatchEmbed(layout, range(layout.channels) if columns is None else columns)
        for what, key in (("time", "temporal_embed_enc"), ("location", "location_embed_enc")):
            told = what in layout.coords
            self.add_module(key, Coordinates(layout.width, layout.learn_scales) if told else None)
        self.blocks = nn.ModuleList(
            Block(layout.width, layout.heads, layout.mlp_ratio, layout.eps) for _ in range(layout.depth)
        )
        self.norm = nn.LayerNorm(layout.width, layout.eps)

    def grid(self, pixels: Tensor) -> Grid:
        """Tokens of pixels (b, c, t, h, w); raises GeoadaptError where they fill no patch."""
        t, h, w = (size // patch for size, patch in zip(pixels.shape[-3:], self.layout.patch, strict=True))
        if not t * h * w:
            raise GeoadaptError(
                "backbone",
                f"{tuple(pixels.shape[-3:])} frames, rows and columns are less than a patch",
                f"expected {self.layout.patch} or more",
            )
        return t, h, w

    def encode(
        self,
        pixels: Tensor,
        year_day: Tensor | None = None,
        lat_lon: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> list[Tensor]:
        """Tokens (b, 1 + n, d) after every block, the last one normed.

        Args:
            pixels: (b, c, t, h, w), normalised; t, h and w need not be those of the layout.
            year_day: (b, t, 2), year and day of the year 1–366, not finite where unknown.
            lat_lon: (b, 2) [degrees], not finite where unknown.
            keep: (b, k), the only tokens to be seen, counted without the class token.
        """
        x = self.start(pixels, year_day, lat_lon, keep)
        out: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            out.append(x)
        out[-1] = self.norm(x)
        return out

    def start(
        self,
        pixels: Tensor,
        year_day: Tensor | None = None,
        lat_lon: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """The tokens (b, 1 + n, d) that enter the first block; arguments as of ``encode``."""
        grid = self.grid(pixels)
        table = self.pos_embed
        if grid != self.layout.grid:
            table = positions(self.layout.grid, grid, self.layout.width).to(table)
        x = self.patch_embed(pixels).flatten(2).transpose(1, 2) + table[:, 1:]
        x = add_coordinates(x, self.temporal_embed_enc, self.location_embed_enc, year_day, lat_lon)  # type: ignore[arg-type]
        if keep is not None:
            x = x.gather(1, keep[..., None].expand(-1, -1, x.shape[-1]))
        return torch.cat([(self.cls_token + table[:, :1]).expand(len(x), -1, -1), x], 1)
