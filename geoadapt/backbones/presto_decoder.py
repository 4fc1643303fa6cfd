"""Presto's decoder: every band of every date, and the land cover, from the tokens that could be seen.

In: encoded tokens. Out: normalised values (n, t, 17) and scores of the land cover (n, t, 9). Only for pre-training.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.presto import EPS, HEADS, MLP_RATIO, WIDTH, part_of
from geoadapt.backbones.presto_inputs import GROUPS, MISSING
from geoadapt.backbones.presto_tokens import CHANNEL, ORDER, EncodingTable, Tokens
from geoadapt.backbones.prithvi_eo_layers import Block
from geoadapt.backbones.weights import check_state, load_state

__all__ = ["PrestoDecoder", "load_decoder"]

DEPTH = 2


class PrestoDecoder(EncodingTable):
    """Self-attention over all tokens, hidden ones replaced; keys as in the public file, without ``decoder.``."""

    def __init__(self, channels: nn.Embedding | None = None) -> None:
        """``channels`` is the encoder's own table of channel embeddings, where both are trained together."""
        super().__init__((WIDTH - CHANNEL) // 2, (WIDTH - CHANNEL) // 2)
        self.mask_token = nn.Parameter(torch.zeros(WIDTH))
        self.decoder_embed = nn.Linear(WIDTH, WIDTH)
        self.channel_embeddings = channels or nn.Embedding(len(ORDER), CHANNEL)
        self.decoder_blocks = nn.ModuleList(Block(WIDTH, HEADS, MLP_RATIO, EPS) for _ in range(DEPTH))
        self.decoder_norm = nn.LayerNorm(WIDTH, EPS)
        self.eo_decoder_pred = nn.ModuleDict({name: nn.Linear(WIDTH, len(g.channels)) for name, g in GROUPS.items()})
        self.dw_decoder_pred = nn.Linear(WIDTH, MISSING)

    def forward(self, encoded: Tokens, months: Tensor) -> tuple[Tensor, Tensor]:
        """Values (n, t, 17) in the order of ``GROUPS``, normalised as the encoder's, and land-cover scores (n, t, 9).

        ``months`` (n, t), 0–11. Visible positions are predicted too; terrain is one prediction for all dates.
        """
        tokens = Tokens.of({name: self._start(encoded, name, months) for name in ("location", *ORDER)}, {})
        x = tokens.x
        for block in self.decoder_blocks:
            x = block(x)
        done = tokens.holding(self.decoder_norm(x))
        dates = months.shape[1]
        values = [layer(done.group(name)[0]).expand(-1, dates, -1) for name, layer in self.eo_decoder_pred.items()]
        return torch.cat(values, -1), self.dw_decoder_pred(done.group("DW")[0])

    def _start(self, encoded: Tokens, name: str, months: Tensor) -> Tensor:
        """A group's tokens (n, t, d) as they enter the first block: the mask token where nothing could be seen."""
        n, t = months.shape
        hidden = self.mask_token.expand(n, 1 if name in ("location", "SRTM") else t, -1)
        x = hidden
        if name in encoded.places:
            given, seen = encoded.group(name)
            x = self.decoder_embed(given)
            x = x if seen is None else torch.where(seen[..., None], x, hidden)
        return x if name == "location" else x + self.encoding(name, self.channel_embeddings.weight, months)


def load_decoder(path: str | Path) -> PrestoDecoder:
    """The decoder with the weights of ``default_model.pt``, frozen; raises GeoadaptError where they do not fit."""
    decoder = PrestoDecoder()
    state = part_of(load_state(path), "decoder.")
    check_state(state, decoder.state_dict(), path)
    decoder.load_state_dict(state, strict=True)
    return decoder.requires_grad_(False).eval()
