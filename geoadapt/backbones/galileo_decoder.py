"""Galileo's two pre-training decoders: what hidden tokens of the target encoder would be, from the visible ones.

In: encoded tokens, and per group which positions to predict. Out: predictions per group. Only for pre-training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.galileo import SIZES
from geoadapt.backbones.galileo_inputs import Groups
from geoadapt.backbones.galileo_tokens import METRES, Encoded, GroupTable, Packing, Sequence
from geoadapt.backbones.vit_layers import Block
from geoadapt.backbones.weights import load_into

__all__ = ["GalileoDecoder", "load_decoder"]


class GalileoDecoder(GroupTable):
    """Cross-attention from the positions to predict to the visible tokens; keys as in the public ``decoder.pt``."""

    mask_token: Tensor

    def __init__(self, name: str = "galileo_nano") -> None:
        size = SIZES[name]
        super().__init__(size.width)
        self.mask_token = nn.Parameter(torch.zeros(size.width))
        self.input_norm = nn.LayerNorm(size.width)
        self.encoder_to_decoder_embed = nn.Linear(size.width, size.width)
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.decoder_depth))
        self.norm = nn.LayerNorm(size.width)
        self.to_output_embed = nn.Linear(size.width, size.width)

    def forward(
        self,
        encoded: Encoded,
        predict: Mapping[str, Tensor],
        months: Tensor,
        grid: tuple[int, int],
        patch: int,
        resolution: float = METRES,
    ) -> dict[str, Tensor]:
        """Predictions for every group of ``predict`` that has something to predict.

        Args:
            encoded: the encoder's output.
            predict: group → bool, True where its token is to be predicted, (b, t, h, w), (b, h, w), (b, t) or (b,).
            months: (b, t), 0–11.
            grid: patches per column and row (h, w).
            patch: patch size [px].
            resolution: ground resolution [m].

        Returns:
            Group → tokens (…, d). Where nothing was to be predicted they carry what a visible or hidden token becomes.
        """
        wanted = {name: mask for name, mask in predict.items() if bool(mask.any())}
        if not wanted:
            return {}
        tokens, visible = self._inputs(encoded, wanted)
        groups = Groups(tokens, months, visible)
        sequence = Sequence(groups, tokens)
        asked = Sequence(Groups(tokens, months, _complete(wanted, tokens)), tokens).visible
        step = resolution * patch / METRES
        x = sequence.flat(
            {
                kind: sequence.stacked[kind] + self.encodings(kind, names, grid, months, step)
                for kind, names in sequence.names.items()
            }
        )
        queries, keys = Packing(asked), Packing(sequence.visible)
        q, y = queries.pack(x), keys.pack(x)
        for block in self.blocks:
            q = block(q, y, keys.keys)
        out = queries.unpack(q)
        if asked is not None:
            rest = x if sequence.visible is None else torch.where(sequence.visible[..., None], x, 0.0)
            out = torch.where(asked[..., None], out, rest)
        parts = sequence.split(self.to_output_embed(self.norm(out)))
        return {name: parts[name] for name in wanted}

    def _inputs(
        self, encoded: Encoded, wanted: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
        """Tokens per group, the mask token where one is to be predicted, and which of them may be looked at."""
        tokens = {name: self.encoder_to_decoder_embed(self.input_norm(x)) for name, x in encoded.tokens.items()}
        visible = dict(encoded.visible)
        for name, mask in wanted.items():
            if name not in tokens:
                tokens[name] = self.mask_token.new_zeros(*mask.shape, len(self.mask_token))
                visible[name] = torch.zeros_like(mask)
            tokens[name] = torch.where(mask[..., None], self.mask_token, tokens[name])
            seen = visible[name]
            visible[name] = ~mask if seen is None else seen & ~mask
        return tokens, visible


def _complete(wanted: Mapping[str, Tensor], tokens: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """The positions to predict, and none of them in the groups that are not mentioned."""
    return {n: wanted.get(n, torch.zeros(t.shape[:-1], dtype=torch.bool, device=t.device)) for n, t in tokens.items()}


def load_decoder(path: str | Path, name: str = "galileo_nano") -> GalileoDecoder:
    """A decoder with the weights of ``decoder.pt`` or ``second_decoder.pt``, frozen."""
    decoder = GalileoDecoder(name)
    load_into(decoder, path)
    return decoder.requires_grad_(False).eval()
