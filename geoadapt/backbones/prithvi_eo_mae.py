"""Prithvi-EO's masked autoencoder: the decoder that paints hidden patches, and its loss. Only for pre-training.

In: normalised pixels (b, c, t, h, w). Out: ``Painted``. Tokens of pixels (b, n, t·h·w·c) have the channel last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.prithvi_eo import PrithviEo, drawn, loaded
from geoadapt.backbones.prithvi_eo_bands import BANDS, kernel_of
from geoadapt.backbones.prithvi_eo_encoder import Encoder
from geoadapt.backbones.prithvi_eo_keys import decoder_state, fill
from geoadapt.backbones.prithvi_eo_layers import Block, Coordinates, Grid, Layout, add_coordinates, draw, positions
from geoadapt.backbones.prithvi_eo_variants import layout_of, weights_of
from geoadapt.backbones.weights import load_state
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch

__all__ = ["Decoder", "Painted", "PrithviEoMae", "build_decoder", "build_mae", "patchify", "unpatchify"]


@dataclass(frozen=True, slots=True)
class Painted:
    """What the autoencoder made of a batch."""

    error: Tensor
    """Sum over what was hidden of the squared error."""
    count: Tensor
    """How many such errors there are."""
    tokens: Tensor
    """Painted tokens (b, n, t·h·w·c)."""
    mask: Tensor
    """(b, n), 1 where a token was hidden."""
    latent: Tensor
    """The encoder's output (b, 1 + k, d) of the tokens it saw."""
    restore: Tensor
    """(b, n), each token's place among those seen, followed by those hidden."""

    @property
    def loss(self) -> Tensor:
        """The mean of the errors."""
        return self.error / self.count.clamp(min=1)


class Decoder(nn.Module):
    """Every token from the visible ones; keys as in the public checkpoints below ``decoder.``."""

    decoder_pos_embed: Tensor

    def __init__(self, layout: Layout, channels: int | None = None) -> None:
        super().__init__()
        self.layout = layout
        width = layout.decoder_width
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("decoder_pos_embed", positions(layout.grid, layout.grid, width))
        self.decoder_embed = nn.Linear(layout.width, width)
        for what, key in (("time", "temporal_embed_dec"), ("location", "location_embed_dec")):
            self.add_module(key, Coordinates(width, layout.learn_scales) if what in layout.coords else None)
        self.decoder_blocks = nn.ModuleList(
            Block(width, layout.decoder_heads, layout.mlp_ratio, layout.eps) for _ in range(layout.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(width, layout.eps)
        t, h, w = layout.patch
        self.decoder_pred = nn.Linear(width, t * h * w * (layout.channels if channels is None else channels))

    def forward(
        self, latent: Tensor, restore: Tensor, grid: Grid, year_day: Tensor | None, lat_lon: Tensor | None
    ) -> Tensor:
        """Painted tokens (b, n, t·h·w·c) from the encoder's (b, 1 + k, d)."""
        return self.decoder_pred(self.decode(latent, restore, grid, year_day, lat_lon))  # type: ignore[no-any-return]

    def decode(
        self, latent: Tensor, restore: Tensor, grid: Grid, year_day: Tensor | None, lat_lon: Tensor | None
    ) -> Tensor:
        """What the last layer paints tokens from (b, n, decoder's d); arguments as of ``forward``."""
        x = self.decoder_embed(latent)
        hidden = self.mask_token.expand(len(x), restore.shape[1] + 1 - x.shape[1], -1)
        tokens = torch.cat([x[:, 1:], hidden], 1).gather(1, restore[..., None].expand(-1, -1, x.shape[-1]))
        table = self.decoder_pos_embed
        if grid != self.layout.grid:
            table = positions(self.layout.grid, grid, self.layout.decoder_width).to(table)
        tokens = add_coordinates(
            tokens + table[:, 1:],
            self.temporal_embed_dec,  # type: ignore[arg-type]
            self.location_embed_dec,  # type: ignore[arg-type]
            year_day,
            lat_lon,
        )
        x = torch.cat([x[:, :1] + table[:, :1], tokens], 1)
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_norm(x)[:, 1:]  # type: ignore[no-any-return]


class PrithviEoMae(nn.Module):
    """An encoder and its decoder; ``hide`` is the share of tokens that the encoder does not see."""

    def __init__(self, encoder: Encoder, decoder: Decoder, *, hide: float = 0.75, norm_target: bool = False) -> None:
        super().__init__()
        if not 0 <= hide < 1:
            raise GeoadaptError("hide", f"{hide}", "choose a share from 0 up to, but not including, 1")
        self.encoder = encoder
        self.decoder = decoder
        self.hide = hide
        self.norm_target = norm_target

    def forward(
        self,
        pixels: Tensor,
        year_day: Tensor | None = None,
        lat_lon: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        valid: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Painted:
        """Hide tokens, encode the rest, paint all.

        Args:
            pixels: (b, c, t, h, w), normalised, a multiple of the patch.
            year_day: (b, t, 2), as for the encoder.
            lat_lon: (b, 2), as for the encoder.
            noise: (b, n), the smallest stay visible; None draws it from ``generator``.
            valid: (b, c, t, h, w) bool; what is not valid does not count in the loss.
            generator: on the CPU.
        """
        grid = self.encoder.grid(pixels)
        count = grid[0] * grid[1] * grid[2]
        if noise is None:
            noise = torch.rand(len(pixels), count, generator=generator)
        order = noise.to(pixels.device).argsort(1)
        restore = order.argsort(1)
        seen = int(count * (1 - self.hide))
        latent = self.encoder.encode(pixels, year_day, lat_lon, keep=order[:, :seen])[-1]
        tokens = self.decoder(latent, restore, grid, year_day, lat_lon)
        mask = (restore >= seen).to(tokens.dtype)
        return Painted(*self._error(tokens, pixels, mask, valid), tokens, mask, latent, restore)

    def paint(self, batch: Batch, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Painted:
        """The same for a batch, whose missing values do not count; the encoder must be a Backbone."""
        if not isinstance(self.encoder, PrithviEo):
            raise GeoadaptError("pretraining", "the bare encoder reads no batch", "build it with build_mae")
        seen = self.encoder.read(batch)
        painted: Painted = self(
            seen.pixels, seen.year_day, seen.lat_lon, noise=noise, valid=seen.valid, generator=generator
        )
        return painted

    def _error(self, tokens: Tensor, pixels: Tensor, mask: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Sum and number of squared errors: one per hidden token, their mean; with ``valid`` one per hidden value."""
        target = patchify(pixels, self.encoder.layout.patch)
        if self.norm_target:
            target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
        error = (tokens - target) ** 2
        if valid is None:
            return (error.mean(-1) * mask).sum(), mask.sum()
        counted = patchify(valid, self.encoder.layout.patch) & (mask[..., None] > 0)
        return torch.where(counted, error, 0.0).sum(), counted.sum()


def patchify(pixels: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """Pixels (b, c, t, h, w) as tokens (b, n, t·h·w·c), frames before rows before columns, the channel last.

    Raises:
        GeoadaptError: where the pixels are no whole number of patches.
    """
    if any(n % p for n, p in zip(pixels.shape[2:], patch, strict=True)):
        raise GeoadaptError(
            "pretraining",
            f"{tuple(pixels.shape[2:])} frames, rows and columns are no multiple of a patch {patch}",
            "crop the input",
        )
    (b, c), (t, h, w) = pixels.shape[:2], (n // p for n, p in zip(pixels.shape[2:], patch, strict=True))
    cut = pixels.reshape(b, c, t, patch[0], h, patch[1], w, patch[2])
    return cut.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4).flatten(1, 3)


def unpatchify(tokens: Tensor, grid: Grid, patch: tuple[int, int, int]) -> Tensor:
    """The inverse of ``patchify``: tokens (b, n, t·h·w·c) as pixels (b, c, t, h, w)."""
    cut = tokens.reshape(len(tokens), *grid, *patch, -1)
    return cut.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6).flatten(4, 5).flatten(2, 3)


def build_mae(config: PrithviEoConfig, *, hide: float = 0.75, norm_target: bool = False) -> PrithviEoMae:
    """Encoder and decoder, trainable, with the weights of a whole public checkpoint or drawn from ``config.seed``."""
    if config.random_weights:
        encoder, decoder = drawn(config), build_decoder(config)
    else:
        path = weights_of(config)
        state = load_state(path)
        encoder, decoder = loaded(config, state, path), _loaded_decoder(config, state, path)
    return PrithviEoMae(encoder, decoder, hide=hide, norm_target=norm_target).requires_grad_(True)


def build_decoder(config: PrithviEoConfig) -> Decoder:
    """The decoder alone, trainable, as in ``build_mae``; raises GeoadaptError where the checkpoint holds none."""
    if not config.random_weights:
        path = weights_of(config)
        return _loaded_decoder(config, load_state(path), path).requires_grad_(True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(config.seed + 1)
        decoder = Decoder(layout_of(config), len(config.channels))
        draw(decoder)
    return decoder


def _loaded_decoder(config: PrithviEoConfig, state: Mapping[str, Tensor], path: Path) -> Decoder:
    with torch.device("meta"):
        decoder = Decoder(layout_of(config), len(config.channels))
    own = decoder_state(state, decoder)
    if not own:
        raise GeoadaptError(path, "holds the encoder without its decoder", "give the whole checkpoint, as published")
    kernels = [kernel_of(c, config.channels) for c in config.channels]
    for key in ("decoder_pred.weight", "decoder_pred.bias"):
        rows = own.get(key)
        # of the bands that were painted in the pre-training, those that are wanted; the channel is the fastest axis
        if rows is not None and len(rows) == len(BANDS) * math.prod(decoder.layout.patch) and max(kernels) < len(BANDS):
            own[key] = rows.unflatten(0, (-1, len(BANDS)))[:, kernels].flatten(0, 1)  # type: ignore[no-untyped-call]
    fill(decoder, own, path)
    return decoder
