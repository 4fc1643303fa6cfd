"""Prithvi-EO's masked autoencoder fills the gaps that clouds leave (Godwin 2024, arXiv 2404.19609).

In: a Batch whose last frame is the date to be restored. Out: that frame as the decoder paints it [reflectance].
A token with a single cloudy or missing value is hidden, and every sample keeps all of its other tokens: the published
code keeps as many in every sample as the first of the batch has, so that clouds leak in or clear tokens are lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.prithvi_eo import PrithviEo, Seen
from geoadapt.backbones.prithvi_eo_bands import BANDS, NEAR, REFLECTANCE, kernel_of
from geoadapt.backbones.prithvi_eo_layers import Grid
from geoadapt.backbones.prithvi_eo_mae import Decoder, PrithviEoMae, build_mae, patchify, unpatchify
from geoadapt.backbones.squares import Squares
from geoadapt.errors import GeoadaptError
from geoadapt.fields.features import Features
from geoadapt.fields.frames import nearest_frames
from geoadapt.fields.restorer import Restored
from geoadapt.fields.types import Batch, Field

__all__ = [
    "HLS_MEAN",
    "HLS_STD",
    "ClearTokens",
    "PrithviGapFiller",
    "build_gap_filler",
    "decode",
    "encode_clear",
    "last_frame",
    "reflectance",
    "restored_channels",
    "statistics",
]

HLS_MEAN = (495.7316, 814.1386, 924.5740, 2962.5623, 2640.8833, 1740.3031)
HLS_STD = (286.9569, 359.3304, 576.3471, 892.2656, 945.9432, 916.1625)
"""Of the gap-filling data, per band of ``BANDS`` [reflectance × 10000]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearTokens(Features):
    """What the encoder made of the tokens that hide nothing, in place of maps; images are in squares n."""

    latent: Tensor
    """(n, 1 + k, d), the class token first; what fills up a square with fewer than k means nothing."""
    order: Tensor
    """(n, tokens): numbers of a square's tokens, those that were seen first."""
    counts: Tensor
    """(n,) how many were seen."""
    known: tuple[Tensor | None, Tensor | None]
    """Year and day (n, t, 2), latitude and longitude (n, 2) [degrees]."""
    grid: Grid
    patch: tuple[int, int, int]
    cut: Squares
    place: Tensor
    """(b,) which frame, by date, is the one to be restored."""
    size: tuple[int, int]
    """Height and width of the image [px]."""

    @property
    def told(self) -> Tensor:
        """Where there was any clear token to paint from (b, 1, h, w) bool."""
        each = (self.counts > 0)[:, None, None, None].expand(-1, 1, self.cut.height, self.cut.width)
        return self.cut.join(each, 1)[..., : self.size[0], : self.size[1]]


class PrithviGapFiller(nn.Module):
    """A Restorer made of the autoencoder; ``per_sample`` False keeps sample 0's count of tokens, as published."""

    def __init__(self, mae: PrithviEoMae, *, frames: int = 3, per_sample: bool = True) -> None:
        super().__init__()
        encoder = mae.encoder
        if not isinstance(encoder, PrithviEo):
            raise GeoadaptError("backbone", "the bare encoder reads no batch", "build it with build_mae")
        if frames < 1:
            raise GeoadaptError("frames", f"{frames}", "choose 1 or more; 3 as published")
        self.channels = restored_channels(encoder.settings)
        self.mae = mae
        self.frames = frames
        self.per_sample = per_sample

    @property
    def encoder(self) -> PrithviEo:
        """What an adapter is attached to."""
        return cast(PrithviEo, self.mae.encoder)

    def forward(self, batch: Batch) -> Tensor:
        """The last frame (b, 1, c, h, w) [reflectance], painted everywhere; c are ``channels``.

        The frames that show most of what it hides stand beside it, ``frames`` in all, in order of date; images
        larger than those of the pre-training are painted in squares. Raises GeoadaptError where a channel is missing.
        """
        return self._painted(batch)[0][:, None]

    @torch.no_grad()
    def restore(self, batch: Batch) -> Restored:
        """The last frame (b, c, h, w), NaN in squares where no token of any frame is clear; it knows no scale."""
        image, told = self._painted(batch)
        return Restored(torch.where(told, image, torch.nan))

    def _painted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The last frame (b, c, h, w), and where there was something to paint it from (b, 1, h, w)."""
        field = nearest_frames(_optical(batch, self.channels), self.frames)
        clear = encode_clear(self.encoder, Batch({"optical": field}), per_sample=self.per_sample)
        decoder = self.mae.decoder
        frame = last_frame(decoder.decoder_pred(decode(decoder, clear)), clear)
        return reflectance(frame, self.channels), clear.told


def restored_channels(config: PrithviEoConfig) -> tuple[str, ...]:
    """The channels that the autoencoder paints; raises GeoadaptError for one that its pre-training never saw."""
    new = [c for c in config.channels if kernel_of(c, config.channels) >= len(BANDS)]
    if new:
        raise GeoadaptError("backbone.channels", f"it was never shown {new}", f"choose of {BANDS}")
    return config.channels


def encode_clear(encoder: PrithviEo, batch: Batch, *, per_sample: bool = True) -> ClearTokens:
    """The clear tokens of all frames, each sample's own; raises GeoadaptError where a channel is missing."""
    field, place = _by_date(_optical(batch, encoder.settings.channels))
    patch = encoder.layout.patch
    read = encoder.read(Batch({"optical": _padded(field, patch[-1])}), statistics(encoder.settings.channels))
    cut = Squares.of(read.pixels.shape[-2:], encoder.layout.image[0])
    known = cut.repeat(read.year_day), cut.repeat(read.lat_lon)
    seen = Seen(cut.take(read.pixels), cut.take(read.valid), *known)
    clear = patchify(seen.valid, patch).all(-1)
    counts = clear.sum(1)
    if not per_sample:
        counts = counts[:1].expand_as(counts)
    order = (~clear).byte().argsort(dim=1, stable=True)
    height, width = field.values.shape[-2:]
    return ClearTokens(
        maps=(),
        strides=(),
        latent=_encoded(encoder, seen, order, counts),
        order=order,
        counts=counts,
        known=known,
        grid=encoder.grid(seen.pixels),
        patch=patch,
        cut=cut,
        place=place,
        size=(height, width),
    )


def decode(decoder: Decoder, clear: ClearTokens) -> Tensor:
    """What the decoder's last layer paints every token from (n, tokens, d)."""
    rank, counts = clear.order.argsort(1), clear.counts
    out = clear.latent.new_zeros(*rank.shape, decoder.layout.decoder_width)
    # where a square hides nothing there is no place left for the hidden tokens of the others
    whole = counts == rank.shape[1]
    for group in (whole, ~whole):
        if group.any():
            most = int(counts[group].max())
            restore = torch.where(rank[group] < counts[group, None], rank[group], most)
            known = [None if x is None else x[group] for x in clear.known]
            out[group] = decoder.decode(clear.latent[group, : 1 + most], restore, clear.grid, *known).to(out)
    return out


def last_frame(tokens: Tensor, clear: ClearTokens) -> Tensor:
    """The date to be restored (b, c, h, w) of tokens (n, tokens, h·w·c)."""
    pixels = unpatchify(tokens, clear.grid, clear.patch)
    chosen = clear.place.repeat_interleave(len(pixels) // len(clear.place))
    frame = pixels[torch.arange(len(pixels), device=pixels.device), :, chosen]
    return clear.cut.join(frame, 1)[..., : clear.size[0], : clear.size[1]]


def reflectance(frame: Tensor, channels: tuple[str, ...]) -> Tensor:
    """What is painted (b, c, h, w), normalised as the gap-filling data are, in reflectance."""
    mean, std = (frame.new_tensor(numbers)[:, None, None] for numbers in statistics(channels))
    return (frame * std + mean) / REFLECTANCE


def statistics(channels: tuple[str, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel in the gap-filling data [reflectance × 10000]."""
    places = [kernel_of(c, channels) for c in channels]
    return tuple(HLS_MEAN[i] for i in places), tuple(HLS_STD[i] for i in places)


def _optical(batch: Batch, channels: tuple[str, ...]) -> Field:
    given = batch.inputs.get("optical")
    held = () if given is None else given.channels
    missing = [c for c in channels if c not in held and NEAR.get(c) not in held]
    if given is None or missing:
        raise GeoadaptError("batch", f"optical {missing} are missing", f"it has {list(held)}")
    return given


def _encoded(encoder: PrithviEo, seen: Seen, order: Tensor, counts: Tensor) -> Tensor:
    """The kept tokens after the last block (n, 1 + k, d); what fills up a square with fewer is never looked at."""
    most = int(counts.max())
    x = encoder.start(seen.pixels, seen.year_day, seen.lat_lon, order[:, :most])
    keys = torch.arange(1 + most, device=x.device) <= counts[:, None]
    for block in encoder.blocks:
        x = block(x, keys)
    return encoder.norm(x)  # type: ignore[no-any-return]


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
