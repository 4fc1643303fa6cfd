"""The decoder of Prithvi-EO's masked autoencoder as a head: it paints the date to be restored (Godwin 2024).

In: what the encoder makes of the tokens that hide nothing (``encode``), and the Batch. Out: (b, 1, 2c, h, w): the last
frame's image [reflectance] and the logarithm of its Laplace scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoadapt.backbones.prithvi_eo import PrithviEo, PrithviEoSpec
from geoadapt.backbones.prithvi_eo_bands import NEAR
from geoadapt.backbones.prithvi_eo_gaps import (
    ClearTokens,
    decode,
    encode_clear,
    last_frame,
    reflectance,
    restored_channels,
)
from geoadapt.backbones.prithvi_eo_mae import Decoder, build_decoder
from geoadapt.errors import GeoadaptError
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch
from geoadapt.heads.config import MaeDecoderConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.layers import optical
from geoadapt.heads.removal import MOST, USUAL

__all__ = ["MaeDecoderHead", "build"]


class MaeDecoderHead(nn.Module):
    """Begins as the checkpoint's decoder; a second last layer, 0 at the start, tells the scale of the error."""

    error: Tensor

    def __init__(self, decoder: Decoder, painted: tuple[str, ...], inputs: HeadInputs) -> None:
        super().__init__()
        self.decoder = decoder
        self.painted = painted
        last = decoder.decoder_pred
        self.scale = nn.Linear(last.in_features, last.out_features)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)
        self.register_buffer("error", (USUAL * inputs.std.float())[:, None, None])

    def expect(self, error: Tensor) -> None:
        """Begin with a scale of ``error`` (c,) [reflectance]."""
        self.error.copy_(error.to(self.error)[:, None, None].clamp_min(1e-4))

    def places(self, channels: tuple[str, ...]) -> list[int]:
        """Where each of the channels is among those that are painted; raises GeoadaptError unless they are the same."""
        found = [c if c in self.painted else NEAR.get(c, c) for c in channels]
        if sorted(found) != sorted(self.painted):
            raise GeoadaptError(
                "head",
                f"'mae_decoder' paints {list(self.painted)}, the data have {list(channels)}",
                "choose the same of Prithvi-EO's bands: backbone.channels=[…], data.channels=[…]",
            )
        return [self.painted.index(c) for c in found]

    def encode(self, backbone: nn.Module, batch: Batch) -> ClearTokens:
        """What the backbone makes of the clear tokens of ``batch``, in place of its features."""
        if not isinstance(backbone, PrithviEo):
            raise GeoadaptError("head", f"'mae_decoder' reads no {type(backbone).__name__}", "choose head=removal")
        return encode_clear(backbone, batch)

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Image [reflectance] and logarithm of its scale (b, 1, 2c, h, w)."""
        if not isinstance(features, ClearTokens):
            raise GeoadaptError("head", "'mae_decoder' takes no maps", "give it what its encode makes")
        places = self.places(optical(batch).channels)
        tokens = decode(self.decoder, features)
        image = reflectance(last_frame(self.decoder.decoder_pred(tokens).float(), features), self.painted)
        log = last_frame(self.scale(tokens).float(), features).clamp(-MOST, MOST)
        return torch.cat([image[:, places], self.error.log() + log[:, places]], 1)[:, None]


def build(config: MaeDecoderConfig, spec: BackboneSpec, inputs: HeadInputs) -> MaeDecoderHead:
    """The decoder of the backbone's checkpoint, or a random one where the backbone's weights are random.

    Raises:
        GeoadaptError: for another backbone, a checkpoint without decoder, and channels that it cannot paint.
    """
    if not isinstance(spec, PrithviEoSpec):
        raise GeoadaptError(
            "head",
            f"'mae_decoder' belongs to Prithvi-EO's autoencoder, the backbone is {spec.name}",
            "choose backbone=small_eo or one of prithvi_eo_…, or head=removal",
        )
    if spec.settings.response != "none":
        raise GeoadaptError(
            "backbone.response", "'mae_decoder' would paint the bands of another sensor", "set it to none"
        )
    return MaeDecoderHead(build_decoder(spec.settings), restored_channels(spec.settings), inputs)
