"""Prithvi-EO 1.0 and 2.0 (Jakubik 2023, arXiv 2310.18660; Szwarcman 2024, arXiv 2412.02732): one encoder of HLS scenes.

In: a Batch with ``optical`` (reflectance 0–1), any number of dates. Out: Features, a map per fourth of the depth.
All dates attend to each other, and all places, or those of one square where ``window`` says so. The TL variants are
told dates and places, where they are known.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geoadapt.backbones.base import BackboneSpec, Features, State
from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.prithvi_eo_bands import (
    BANDS,
    NEAR,
    NODATA,
    REFLECTANCE,
    STATISTICS,
    kernel_of,
    per_channel,
    source_of,
)
from geoadapt.backbones.prithvi_eo_encoder import Encoder
from geoadapt.backbones.prithvi_eo_keys import encoder_state, fill, mean_kernels
from geoadapt.backbones.prithvi_eo_layers import draw
from geoadapt.backbones.prithvi_eo_variants import HUB, VARIANTS, layout_of, weights_of
from geoadapt.backbones.squares import Squares
from geoadapt.backbones.weights import Provenance, load_state, provenance, random_provenance
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, ProjectedGrid

__all__ = ["PrithviEo", "PrithviEoSpec", "Seen", "build", "drawn", "loaded"]

log = logging.getLogger(__name__)

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of every channel [reflectance × 10000]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrithviEoSpec(BackboneSpec):
    """What the encoder declares, and its configuration: from it a head can build the checkpoint's own decoder."""

    settings: PrithviEoConfig


@dataclass(frozen=True, slots=True)
class Seen:
    """What the encoder reads of a batch: ``pixels`` (b, c, t, h, w) normalised, and what else is known."""

    pixels: Tensor
    valid: Tensor
    """(b, c, t, h, w) bool, False where a value is missing."""
    year_day: Tensor | None
    """(b, t, 2)."""
    lat_lon: Tensor | None
    """(b, 2) [degrees]."""


class PrithviEo(Encoder):
    """The encoder; a Backbone when called with a Batch, the bare network through ``encode``."""

    def __init__(self, config: PrithviEoConfig) -> None:
        layout = layout_of(config)
        variant = VARIANTS[config.name]
        super().__init__(layout, [kernel_of(c, config.channels) for c in config.channels])
        self.settings = config
        self.source: Provenance | None = None
        self.new = tuple(c for c in config.channels if kernel_of(c, config.channels) >= len(BANDS))
        """Channels that the pre-training never saw."""
        self.trainable = ("patch_embed.extra",) if self.new else ()
        """Parameters that an adapter is to train along."""
        mean, std = (per_channel(s, config.channels) for s in STATISTICS[variant.version])
        self.mean, self.std = mean, std
        self.taps = _taps(config.taps, layout.depth)
        stand_ins = [NEAR[c] for c in config.channels if NEAR.get(c, c) not in config.channels]
        self.spec = PrithviEoSpec(
            settings=config,
            name=config.name,
            inputs={"optical": (*config.channels, *stand_ins)},
            required={},
            units={"optical": "reflectance"},
            widths=(layout.width,) * len(self.taps),
            strides=(layout.patch[-1],) * len(self.taps),
            blocks=layout.depth,
            targets={"attention": r"blocks\.{block}\.attn\.(qkv|proj)", "mlp": r"blocks\.{block}\.mlp\.fc[12]"},
            multiple=layout.patch[-1],
            response="hls_l30" if variant.repository else None,
            dates=layout.frames,
        )

    def forward(self, batch: Batch) -> Features:
        """Features of a batch; height and width a multiple of the patch size.

        Raises:
            GeoadaptError: where ``optical`` is missing, holds no channel of the model, or has another size.
        """
        return self.upper(self.lower(batch, 0), 0)

    def lower(self, batch: Batch, block: int) -> State:
        """Tokens (b, squares, 1 + n, d) after the first ``block`` blocks; raises as ``forward`` does."""
        seen = self.read(batch)
        b, _, frames, height, width = seen.pixels.shape
        cut = self._squares(height, width)
        tokens = self.start(cut.take(seen.pixels), cut.repeat(seen.year_day), cut.repeat(seen.lat_lon))
        start = State((), tokens.unflatten(0, (b, -1)), None, (frames // self.layout.patch[0], height, width))  # type: ignore[no-untyped-call]
        return self._run(start, 0, block)

    def upper(self, state: State, block: int) -> Features:
        """Features from the tokens after the first ``block`` blocks."""
        return Features(self._run(state, block, len(self.blocks)).maps, self.spec.strides)

    def _squares(self, height: int, width: int) -> Squares:
        return Squares.of((height, width), self.settings.window * self.spec.multiple)

    def _run(self, state: State, first: int, stop: int) -> State:
        """The state after blocks ``first`` to before ``stop``; a tapped one gives a map, the last one a normed one."""
        if state.tokens is None:
            return state
        frames, height, width = state.grid
        size = self.spec.multiple
        cut = self._squares(height, width)
        grid = (frames, cut.height // size, cut.width // size)
        x = state.tokens.flatten(0, 1)
        maps = list(state.maps)
        for number in range(first + 1, stop + 1):
            x = self.blocks[number - 1](x)
            if number in self.taps:
                normed = number == len(self.blocks) or self.settings.norm_taps
                tokens = self.norm(x) if normed else x
                maps.append(cut.join(tokens[:, 1:].unflatten(1, grid).movedim(-1, 2), size))
        left = None if stop == len(self.blocks) else x.reshape(state.tokens.shape)
        return State(tuple(maps), left, None, state.grid)

    def read(self, batch: Batch, statistics: Statistics | None = None) -> Seen:
        """Normalised channels, what is missing filled; raises GeoadaptError as ``forward`` does.

        ``statistics`` stand for those of the pre-training.
        """
        given = self._optical(batch)
        means, stds = statistics or (self.mean, self.std)
        picked = [source_of(c, given.channels, self.settings.channels) for c in self.settings.channels]
        shape = (*given.values.shape[:2], len(picked), *given.values.shape[-2:])
        pixels = given.values.new_zeros(shape, dtype=torch.float32)
        valid = torch.zeros(shape, dtype=torch.bool, device=pixels.device)
        for place, index in enumerate(picked):
            if index is not None:
                valid[:, :, place] = True if given.valid is None else given.valid[:, :, index]
                pixels[:, :, place] = (given.values[:, :, index] * REFLECTANCE - means[place]) / stds[place]
        if self.settings.missing == "mean":
            empty = pixels.new_full((len(picked), 1, 1), NODATA)
        else:
            empty = pixels.new_tensor([-m / s for m, s in zip(means, stds, strict=True)])[:, None, None]
        pixels = torch.where(valid, pixels, empty)
        return Seen(pixels.transpose(1, 2), valid.transpose(1, 2), self._year_day(given), self._lat_lon(given))

    def _optical(self, batch: Batch) -> Field:
        given = batch.inputs.get("optical")
        wanted = self.spec.inputs["optical"]
        if given is None or not set(wanted) & set(given.channels):
            held = list(batch.inputs) if given is None else list(given.channels)
            raise GeoadaptError(
                "backbone", f"the batch holds {held}", f"it needs 'optical' with some of {list(wanted)}"
            )
        height, width = given.values.shape[-2:]
        size = self.spec.multiple
        if height % size or width % size:
            raise GeoadaptError(
                "backbone", f"{height} × {width} px is no multiple of the patch size {size} px", "pad or crop the input"
            )
        return given

    def _year_day(self, given: Field) -> Tensor | None:
        """Year and day of the year (b, t, 2), NaN where a date is unknown; None where it is not told."""
        if "time" not in self.layout.coords or not self.settings.times or given.times is None:
            return None
        seconds = given.times.detach().cpu().double().numpy()
        known = np.isfinite(seconds)
        dates = np.where(known, seconds, 0).astype("datetime64[s]")
        year = dates.astype("datetime64[Y]")
        day = (dates.astype("datetime64[D]") - year.astype("datetime64[D]")).astype(np.int64) + 1
        pairs = np.stack([year.astype(np.int64) + 1970, day], -1).astype(np.float32)
        return torch.from_numpy(np.where(known[..., None], pairs, np.float32("nan"))).to(given.values.device)

    def _lat_lon(self, given: Field) -> Tensor | None:
        if "location" not in self.layout.coords or not self.settings.location:
            return None
        if not isinstance(given.grid, ProjectedGrid) or given.grid.centre is None:
            return None
        return given.grid.centre.to(given.values.device, torch.float32)


def build(config: PrithviEoConfig) -> PrithviEo:
    """The encoder with its public weights, or with random ones drawn from ``config.seed``.

    It is frozen, except for the kernels of channels that the pre-training never saw.
    """
    if config.random_weights:
        model = drawn(config)
        model.source = random_provenance(config.name, config.seed, model)
    else:
        path = weights_of(config)
        model = loaded(config, load_state(path), path)
        repository = VARIANTS[config.name].repository
        where = f"https://huggingface.co/{HUB}/{repository}" if repository else "ships with geoadapt"
        model.source = provenance(config.name, path, where, "Apache-2.0")
    model.requires_grad_(False).eval()
    if model.patch_embed.extra is not None:
        model.patch_embed.extra.requires_grad_(True)
        log.info(
            "%s: new channels %s; their patch kernels start as the mean of the pre-trained ones and are trainable",
            config.name,
            ", ".join(model.new),
        )
    return model


def drawn(config: PrithviEoConfig) -> PrithviEo:
    """An encoder with random weights from ``config.seed``."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(config.seed)
        model = PrithviEo(config)
        draw(model)
        if model.patch_embed.extra is not None:
            model.patch_embed.extra.copy_(mean_kernels(model.patch_embed.proj.weight, len(model.new)))
    return model


def loaded(config: PrithviEoConfig, state: dict[str, Tensor], path: object) -> PrithviEo:
    """An encoder with the tensors of a public checkpoint; raises GeoadaptError where they do not fit."""
    with torch.device("meta"):
        model = PrithviEo(config)
    fill(model, encoder_state(state, model, path), path)
    return model


def _taps(chosen: tuple[int, ...], depth: int) -> tuple[int, ...]:
    """Numbers of the blocks, from 1, whose outputs become maps; four evenly spaced where none are chosen."""
    if not chosen:
        return tuple(sorted({max(1, depth * (i + 1) // 4) for i in range(4)}))
    if list(chosen) != sorted(set(chosen)) or not 1 <= chosen[0] <= chosen[-1] <= depth:
        raise GeoadaptError("backbone.taps", f"{list(chosen)}", f"choose ascending numbers of blocks, 1 to {depth}")
    return chosen
