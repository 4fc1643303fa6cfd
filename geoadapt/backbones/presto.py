"""Presto (Tseng 2023, arXiv 2304.14065): an encoder of a single pixel's monthly series, from optical, radar, weather.

In: a Batch with ``optical`` (reflectance 0–1), ``sar`` [dB] and others of ``INPUTS``, up to 24 dates. Out: Features,
one map without dates: each pixel's mean over its visible tokens, normed; zeros where nothing is known of it.
Modules and keys are those of the encoder in the public ``default_model.pt``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from geoadapt.backbones.base import BackboneSpec, Features, State
from geoadapt.backbones.config import PrestoConfig
from geoadapt.backbones.galileo_tokens import Packing
from geoadapt.backbones.presto_inputs import GROUPS, INPUTS, MISSING, UNITS, PixelSeries, read_pixels, thinned
from geoadapt.backbones.presto_tokens import CHANNEL, EncodingTable, Tokens
from geoadapt.backbones.prithvi_eo_layers import Block
from geoadapt.backbones.weights import (
    Provenance,
    check_state,
    find_weights,
    load_state,
    provenance,
    random_provenance,
)
from geoadapt.fields.types import Batch

__all__ = ["EPS", "HEADS", "MLP_RATIO", "WIDTH", "Presto", "build", "initialise", "part_of"]

WIDTH = 128
DEPTH = 2
HEADS = 8
MLP_RATIO = 4.0
EPS = 1e-5
WHERE = "https://github.com/nasaharvest/presto (data/default_model.pt)"


class Presto(EncodingTable):
    """The encoder; a Backbone when called with a Batch, the bare network through ``encode``."""

    def __init__(self, config: PrestoConfig) -> None:
        super().__init__(WIDTH - 2 * CHANNEL, CHANNEL)
        self.settings = config
        self.source: Provenance | None = None
        self.eo_patch_embed = nn.ModuleDict({name: nn.Linear(len(g.channels), WIDTH) for name, g in GROUPS.items()})
        self.dw_embed = nn.Embedding(MISSING + 1, WIDTH)
        self.latlon_embed = nn.Linear(3, WIDTH)
        self.channel_embed = nn.Embedding(len(GROUPS) + 1, CHANNEL)
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS, MLP_RATIO, EPS) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, EPS)
        self.spec = BackboneSpec(
            name=config.name,
            inputs=INPUTS,
            required={},
            units=UNITS,
            widths=(WIDTH,),
            strides=(config.stride,),
            blocks=DEPTH,
            targets={
                "attention": r"blocks\.{block}\.attn\.(qkv|proj)",
                "mlp": r"blocks\.{block}\.mlp\.fc[12]",
            },
            multiple=1,
            response="sentinel2",
        )

    def forward(self, batch: Batch) -> Features:
        """Features of a batch, ``pixels`` of the configuration at a time; raises as ``read_pixels`` does."""
        series, size = read_pixels(thinned(batch, self.settings.stride), location=self.settings.location)
        made = [self._bounded(self.embed, part, len(series)) for part in series.parts(self.settings.pixels)]
        return self._features(torch.cat(made), size)

    def embed(self, series: PixelSeries) -> Tensor:
        """One vector per pixel (n, d): the mean over its visible tokens, normed; zeros where it has none."""
        tokens = self.tokens(series)
        return self._pooled(self._run(tokens.x, tokens.seen, 0, DEPTH), tokens.seen)

    def encode(self, series: PixelSeries) -> Tokens:
        """The tokens after all blocks, normed, each where ``tokens`` puts it; zeros where they were hidden."""
        tokens = self.tokens(series)
        x = self.norm(self._run(tokens.x, tokens.seen, 0, DEPTH))
        return tokens.holding(x if tokens.seen is None else torch.where(tokens.seen[..., None], x, 0.0))

    def tokens(self, series: PixelSeries) -> Tokens:
        """What enters the first block: projections and encodings, the place first, then group by group, date by date.

        Terrain has one token, its first date's; the place's own has no encoding.
        """
        parts: dict[str, Tensor] = {}
        seen: dict[str, Tensor | None] = {}
        if series.place is not None:
            known = series.place.isfinite().all(-1, keepdim=True)
            parts["location"] = self.latlon_embed(torch.where(known, series.place, 0.0))[:, None]
            seen["location"] = None if bool(known.all()) else known
        for name, values in series.values.items():
            dates = slice(0, 1) if name == "SRTM" else slice(None)
            visible = series.visible.get(name)
            parts[name] = self.eo_patch_embed[name](values[:, dates])
            seen[name] = None if visible is None else visible[:, dates]
        if series.classes is not None:
            parts["DW"] = self.dw_embed(series.classes)
            seen["DW"] = None if bool((series.classes != MISSING).all()) else series.classes != MISSING
        table = self.channel_embed.weight
        coded = {
            name: x if name == "location" else x + self.encoding(name, table, series.months)
            for name, x in parts.items()
        }
        return Tokens.of(coded, seen)

    def lower(self, batch: Batch, block: int) -> State:
        """Tokens (b, h · w, n, d) after the first ``block`` blocks, 0 where hidden; raises as ``forward`` does."""
        series, size = read_pixels(thinned(batch, self.settings.stride), location=self.settings.location)
        tokens = self.tokens(series)
        state = State((), _by_sample(tokens.x, size), _by_sample(tokens.seen, size), size[1:])
        return self._advance(state, 0, block)

    def upper(self, state: State, block: int) -> Features:
        """Features from the tokens after the first ``block`` blocks."""
        done = self._advance(state, block, DEPTH).maps[0]
        return Features((done,), self.spec.strides)

    def _advance(self, state: State, first: int, stop: int) -> State:
        """The state after blocks ``first`` to before ``stop``, ``pixels`` at a time; after the last one, the map."""
        if state.tokens is None:
            return state
        last = stop == DEPTH

        def work(x: Tensor, seen: Tensor | None) -> Tensor:
            x = self._run(x, seen, first, stop)
            return self._pooled(x, seen) if last else x

        step, tokens = self.settings.pixels, state.tokens.flatten(0, 1)
        known = None if state.seen is None else state.seen.flatten(0, 1)
        done = torch.cat(
            [
                self._bounded(work, tokens[n : n + step], len(tokens), None if known is None else known[n : n + step])
                for n in range(0, len(tokens), step)
            ]
        )
        size = (len(state.tokens), *state.grid)
        if last:
            return State(self._features(done, size).maps, None, None, state.grid)
        return State((), done.reshape(state.tokens.shape), state.seen, state.grid)

    def _bounded(self, work: Callable[..., Tensor], part: object, total: int, *more: object) -> Tensor:
        """The work on a part of the pixels; in training, what lies between is computed anew and not kept for all."""
        if torch.is_grad_enabled() and total > self.settings.pixels:
            kept: Tensor = checkpoint(work, part, *more, use_reentrant=False)
            return kept
        return work(part, *more)

    def _run(self, x: Tensor, seen: Tensor | None, first: int, stop: int) -> Tensor:
        packing = Packing(seen)
        x = packing.pack(x)
        for block in self.blocks[first:stop]:
            x = block(x, packing.keys)
        return packing.unpack(x)

    def _pooled(self, x: Tensor, seen: Tensor | None) -> Tensor:
        if seen is None:
            return self.norm(x.mean(1))  # type: ignore[no-any-return]
        count = seen.sum(1, keepdim=True)
        total = torch.where(seen[..., None], x, 0.0).sum(1)
        return torch.where(count > 0, self.norm(total / count.clamp(min=1)), 0.0)

    def _features(self, pixels: Tensor, size: tuple[int, ...]) -> Features:
        return Features((pixels.unflatten(0, size).movedim(-1, 1)[:, None],), self.spec.strides)  # type: ignore[no-untyped-call]


def build(config: PrestoConfig) -> Presto:
    """The frozen encoder with its public weights, or with random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = Presto(config).apply(initialise)
    if config.random_weights:
        model.source = random_provenance(config.name, config.seed, model)
    else:
        path = find_weights(
            config.name, config.weights, ("default_model.pt", f"{config.name}.safetensors"), where=WHERE
        )
        state = part_of(load_state(path), "encoder.")
        check_state(state, model.state_dict(), path)
        model.load_state_dict(state, strict=True)
        model.source = provenance(config.name, Path(path), WHERE, "MIT")
    return model.requires_grad_(False).eval()


def part_of(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The keys that begin with ``prefix``, without it; all as they are where none does."""
    part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return part or state


def initialise(module: nn.Module) -> None:
    """Xavier, as is usual for vision transformers: the control with random weights must not be a weakened one."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _by_sample(x: Tensor | None, size: tuple[int, int, int]) -> Tensor | None:
    """What is said of each pixel (b · h · w, …) as (b, h · w, …)."""
    return None if x is None else x.unflatten(0, (size[0], size[1] * size[2]))  # type: ignore[no-untyped-call]
