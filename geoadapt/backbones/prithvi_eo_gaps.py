"""Prithvi-EO's masked autoencoder fills the gaps that clouds leave (Godwin 2024, arXiv 2404.19609).

In: a Batch whose last frame is the date to be restored. Out: that frame as the decoder paints it [reflectance].
A token with a single cloudy or missing value is hidden, and every sample keeps all of its other tokens: the published
code keeps as many in every sample as the first of the batch has, so that clouds leak in or clear tokens are lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.prithvi_eo import PrithviEo, Seen
from geoadapt.backbones.prithvi_eo_bands import BANDS, NEAR, REFLECTANCE
from geoadapt.backbones.prithvi_eo_mae import PrithviEoMae, build_mae, patchify, unpatchify
from geoadapt.backbones.squares import Squares
from geoadapt.errors import GeoadaptError
from geoadapt.fields.frames import nearest_frames
from geoadapt.fields.restorer import Restored
from geoadapt.fields.types import Batch, Field

__all__ = ["HLS_MEAN", "HLS_STD", "PrithviGapFiller", "build_gap_filler"]

HLS_MEAN = (495.7316, 814.1386, 924.5740, 2962.5623, 2640.8833, 1740.3031)
HLS_STD = (286.9569, 359.3304, 576.3471, 892.2656, 945.9432, 916.1625)
"""Of the gap-filling data, per band of ``BANDS`` [reflectance × 10000]."""


class PrithviGapFiller(nn.Module):
    """A Restorer made of the autoencoder; ``per_sample`` False keeps sample 0's count of tokens, as published."""

    mean: Tensor
    std: Tensor

    def __init__(self, mae: PrithviEoMae, *, frames: int = 3, per_sample: bool = True) -> None:
        super().__init__()
        encoder = mae.encoder
        if not isinstance(encoder, PrithviEo):
            raise GeoadaptError("backbone", "the bare encoder reads no batch", "build it with build_mae")
        if frames < 1:
            raise GeoadaptError("frames", f"{frames}", "choose 1 or more; 3 as published")
        self.channels = encoder.settings.channels
        if encoder.new:
            raise GeoadaptError("backbone.channels", f"it was never shown {list(encoder.new)}", f"choose of {BANDS}")
        self.mae = mae
        self.frames = frames
        self.per_sample = per_sample
        places = [BANDS.index(c if c in BANDS else NEAR[c]) for c in self.channels]
        encoder.mean, encoder.std = (tuple(numbers[i] for i in places) for numbers in (HLS_MEAN, HLS_STD))
        self.register_buffer("mean", torch.tensor(encoder.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(encoder.std)[:, None, None], persistent=False)

    @property
    def encoder(self) -> PrithviEo:
        """What an adapter is attached to."""
        return cast(PrithviEo, self.mae.encoder)

    def forward(self, batch: Batch) -> Tensor:
        """The last frame (b, 1, c, h, w) [reflectance], painted everywhere; c are ``channels``.

        The frames that show most of what it hides stand beside it, ``frames`` in all, in order of date; images
        larger than those of the pre-training are painted in squares. Raises GeoadaptError where a channel is missing.
        """
        return self._painted(batch)[0]

    @torch.no_grad()
    def restore(self, batch: Batch) -> Restored:
        """The last frame (b, c, h, w), NaN in squares where no token of any frame is clear; it knows no scale."""
        image, told = self._painted(batch)
        return Restored(torch.where(told, image, float("nan"))[:, 0])

    def _painted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The last frame, and where there was something to paint it from (b, 1, 1, h, w)."""
        field, place = _by_date(nearest_frames(self._optical(batch), self.frames))
        height, width = field.values.shape[-2:]
        patch = self.encoder.layout.patch
        read = self.encoder.read(Batch({"optical": _padded(field, patch[-1])}))
        cut = Squares.of(read.pixels.shape[-2:], self.encoder.layout.image[0])
        repeated = cut.repeat(read.year_day), cut.repeat(read.lat_lon)
        seen = Seen(cut.take(read.pixels), cut.take(read.valid), *repeated)
        tokens, counts = self._tokens(seen)
        pixels = unpatchify(tokens, self.encoder.grid(seen.pixels), patch)
        chosen = place.repeat_interleave(len(pixels) // len(place))
        frame = pixels[torch.arange(len(pixels), device=pixels.device), :, chosen]
        image = cut.join(frame, 1)[..., :height, :width] * self.std + self.mean
        told = cut.join((counts > 0)[:, None, None, None].expand(-1, 1, *frame.shape[-2:]), 1)[..., :height, :width]
        return (image / REFLECTANCE)[:, None], told[:, None]

    def _optical(self, batch: Batch) -> Field:
        given = batch.inputs.get("optical")
        held = () if given is None else given.channels
        missing = [c for c in self.channels if c not in held and NEAR.get(c) not in held]
        if given is None or missing:
            raise GeoadaptError("batch", f"optical {missing} are missing", f"it has {list(held)}")
        return given

    def _tokens(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Painted tokens (b, n, p), and how many each sample was painted from (b,)."""
        clear = patchify(seen.valid, self.encoder.layout.patch).all(-1)
        counts = clear.sum(1)
        if not self.per_sample:
            counts = counts[:1].expand_as(counts)
        order = (~clear).byte().argsort(dim=1, stable=True)
        latent = self._encoded(seen, order, counts)
        rank = order.argsort(1)
        out = latent.new_zeros(*rank.shape, self.mae.decoder.decoder_pred.out_features)
        # where a sample hides nothing there is no place left for the hidden tokens of the others
        whole = counts == rank.shape[1]
        for group in (whole, ~whole):
            if group.any():
                most = int(counts[group].max())
                restore = torch.where(rank[group] < counts[group, None], rank[group], most)
                told = [None if x is None else x[group] for x in (seen.year_day, seen.lat_lon)]
                out[group] = self.mae.decoder(latent[group, : 1 + most], restore, self.encoder.grid(seen.pixels), *told)
        return out, counts

    def _encoded(self, seen: Seen, order: Tensor, counts: Tensor) -> Tensor:
        """The kept tokens after the last block (b, 1 + k, d); what fills up a sample with fewer is never looked at."""
        most = int(counts.max())
        x = self.encoder.start(seen.pixels, seen.year_day, seen.lat_lon, order[:, :most])
        keys = torch.arange(1 + most, device=x.device) <= counts[:, None]
        for block in self.encoder.blocks:
            x = block(x, keys)
        return self.encoder.norm(x)  # type: ignore[no-any-return]


def build_gap_filler(
    config: PrithviEoConfig, *, frames: int = 3, per_sample: bool = True, eps: float = 1e-6
) -> PrithviGapFiller:
    """The gap filler with a whole public checkpoint's weights, or with ones drawn from ``config.seed``; trainable.

    ``eps`` is that of the layer norms in the gap-filling code, which is not that of the released models.
    """
    return PrithviGapFiller(build_mae(replace(config, eps=eps)), frames=frames, per_sample=per_sample)


def _by_date(field: Field) -> tuple[Field, Tensor]:
    """The frames in order of date, and where the last one went (b,)."""
    count, frames = field.values.shape[:2]
    if field.times is None:
        return field, torch.full((count,), frames - 1, device=field.values.device)
    order = field.times.argsort(dim=1, stable=True)
    index = order[..., None, None, None].expand(-1, -1, *field.values.shape[2:])
    sorted_ = replace(
        field,
        values=field.values.gather(1, index),
        valid=None if field.valid is None else field.valid.gather(1, index),
        times=field.times.gather(1, order),
    )
    return sorted_, (order == frames - 1).byte().argmax(1)


def _padded(field: Field, size: int) -> Field:
    """The field with its last row and column repeated up to a multiple of ``size``: clear edges stay clear tokens."""
    height, width = field.values.shape[-2:]
    below, right = -height % size, -width % size
    if not below and not right:
        return field

    def padded(values: Tensor) -> Tensor:
        return F.pad(values.flatten(0, 1), (0, right, 0, below), mode="replicate").reshape(
            *values.shape[:3], height + below, width + right
        )

    valid = None if field.valid is None else padded(field.valid.to(field.values)) > 0
    return replace(field, values=padded(field.values), valid=valid)
