"""Galileo (Tseng 2025, arXiv 2502.09356): one encoder for optical, radar, weather, terrain, in channel groups.

In: a Batch with ``optical`` (reflectance 0–1), ``sar`` [dB] and others of ``INPUTS``. Out: Features, a map per fourth
of the depth: the mean over the visible space-time tokens of each patch and date; zeros where a patch has none.
Modules and keys are those of the public ``encoder.pt``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features, State
from geoadapt.backbones.config import GalileoConfig
from geoadapt.backbones.galileo_inputs import GROUPS, INPUTS, UNITS, Groups, cut_groups, read_batch
from geoadapt.backbones.galileo_tokens import MAX_DATES, METRES, Encoded, GroupTable, Packing, Sequence
from geoadapt.backbones.vit_layers import Block, Windows, patches, resize_kernel
from geoadapt.backbones.weights import Provenance, find_weights, load_into, provenance, random_provenance
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.types import Batch, Field, ProjectedGrid

__all__ = ["SIZES", "Galileo", "Size", "build"]

KERNEL = 8
"""Side of the stored patch kernels [px]."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width, depth and heads of a published model, the depth of its decoders, and its folder on the hub."""

    width: int
    depth: int
    heads: int
    decoder_depth: int
    folder: str


SIZES: dict[str, Size] = {
    "galileo_nano": Size(128, 4, 8, 2, "nano"),
    "galileo_tiny": Size(192, 12, 3, 4, "tiny"),
    "galileo_base": Size(768, 12, 12, 4, "base"),
}
HUB = "nasaharvest/galileo"


class Galileo(GroupTable):
    """The encoder; a Backbone when called with a Batch, the bare network through ``encode``."""

    def __init__(self, config: GalileoConfig, *, drop_path: float = 0.0) -> None:
        if config.name not in SIZES:
            raise GeoadaptError("backbone.name", f"'{config.name}' is unknown", nearest(config.name, SIZES))
        size = SIZES[config.name]
        super().__init__(size.width)
        self.settings = config
        self.source: Provenance | None = None
        self.blocks = nn.ModuleList(Block(size.width, size.heads, 4.0, drop_path) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width)
        self.space_time_embed = _projections("space_time", size.width)
        self.space_embed = _projections("space", size.width)
        self.time_embed = _projections("time", size.width)
        self.static_embed = _projections("static", size.width)
        self.taps = tuple(size.depth * (i + 1) // 4 for i in range(4))
        self.spec = BackboneSpec(
            name=config.name,
            inputs=INPUTS,
            required={},
            units=UNITS,
            widths=(size.width,) * len(self.taps),
            strides=(config.patch_size,) * len(self.taps),
            blocks=size.depth,
            targets={
                "attention": r"blocks\.{block}\.attn\.(q|k|v|proj)",
                "mlp": r"blocks\.{block}\.mlp\.fc[12]",
            },
            multiple=config.patch_size,
            response="sentinel2",
        )

    def forward(self, batch: Batch) -> Features:
        """Features of a batch; height and width a multiple of the patch size.

        Raises:
            GeoadaptError: where inputs do not fit together, or no channel group is complete.
        """
        return self.upper(self.lower(batch, 0), 0)

    def lower(self, batch: Batch, block: int) -> State:
        """Tokens (b, windows, n, d) after the first ``block`` blocks, 0 where hidden; raises as ``forward`` does."""
        patch = self.settings.patch_size
        groups = read_batch(batch, patch, location=self.settings.location)
        lead = next(f for name, f in batch.inputs.items() if name in ("optical", "sar"))
        height, width = (n // patch for n in lead.values.shape[-2:])
        windows = Windows(height, width, self.settings.window)
        resolution = self.settings.resolution or _resolution(lead)
        if isinstance(resolution, Tensor):
            resolution = resolution.repeat_interleave(windows.count)
        cut = cut_groups(groups, windows, patch)
        sequence = Sequence(cut, self.project(cut, patch))
        shape = (len(lead.values), windows.count)
        tokens = self._start(sequence, cut, patch, resolution).unflatten(0, shape)  # type: ignore[no-untyped-call]
        seen = None if sequence.visible is None else sequence.visible.unflatten(0, shape)  # type: ignore[no-untyped-call]
        together = len(sequence.names["space_time"])
        return self._run(State((), tokens, seen, (groups.months.shape[1], height, width, together)), 0, block)

    def upper(self, state: State, block: int) -> Features:
        """Features from the tokens after the first ``block`` blocks."""
        return Features(self._run(state, block, len(self.blocks)).maps, self.spec.strides)

    def encode(
        self,
        groups: Groups,
        patch: int,
        resolution: float | Tensor = METRES,
        *,
        exit_after: int | None = None,
        norm_on_exit: bool = True,
        token_exits: Mapping[str, int] | None = None,
    ) -> Encoded:
        """Tokens of every group after all blocks, after ``exit_after`` of them, or each group after its own number.

        ``resolution`` [m] is one for all samples, or (b,). Depth 0 is the bare projection, without encodings.
        ``norm_on_exit=False`` leaves out the last norm.
        """
        raw = self.project(groups, patch)
        sequence = Sequence(groups, raw)
        depth = len(self.blocks) if exit_after is None else exit_after
        wanted = {name: depth for name in raw} if token_exits is None else {name: token_exits[name] for name in raw}
        out = {name: tokens for name, tokens in raw.items() if wanted[name] == 0}
        if len(out) < len(raw):
            packing = Packing(sequence.visible)
            x = packing.pack(self._start(sequence, groups, patch, resolution))
            for number, block in enumerate(self.blocks[: max(wanted.values())], 1):
                x = block(x, keys=packing.keys)
                if number in wanted.values():
                    here = sequence.split(packing.unpack(x))
                    out |= {name: tokens for name, tokens in here.items() if wanted[name] == number}
        if norm_on_exit:
            out = {name: self.norm(tokens) for name, tokens in out.items()}
        return Encoded({name: out[name] for name in raw}, {name: groups.visible.get(name) for name in raw})

    def project(self, groups: Groups, patch: int) -> dict[str, Tensor]:
        """The bare projections of the given groups: (b, t, h, w, d), (b, h, w, d), (b, t, d) or (b, d) by kind."""
        tables = {
            "space_time": self.space_time_embed,
            "space": self.space_embed,
            "time": self.time_embed,
            "static": self.static_embed,
        }
        out: dict[str, Tensor] = {}
        for name, value in groups.values.items():
            layer = tables[GROUPS[name].kind][name]
            if isinstance(layer, nn.Linear):
                out[name] = layer(value)
            else:
                weight = resize_kernel(layer.proj.weight, patch).flatten(1)  # type: ignore[arg-type, union-attr]
                out[name] = F.linear(patches(value, patch), weight, layer.proj.bias)  # type: ignore[arg-type, union-attr]
        return out

    def _start(self, sequence: Sequence, groups: Groups, patch: int, resolution: float | Tensor) -> Tensor:
        """The sequence (b, n, d) that enters the first block: projections and encodings."""
        if groups.months.shape[1] > MAX_DATES:
            raise GeoadaptError("backbone", f"{groups.months.shape[1]} dates", f"Galileo takes up to {MAX_DATES}")
        first = sequence.stacked.get("space_time", sequence.stacked.get("space"))
        grid = (1, 1) if first is None else (first.shape[-4], first.shape[-3])
        step = resolution * patch / METRES
        return sequence.flat(
            {
                kind: sequence.stacked[kind] + self.encodings(kind, names, grid, groups.months, step)
                for kind, names in sequence.names.items()
            }
        )

    def _run(self, state: State, first: int, stop: int) -> State:
        """The state after blocks ``first`` to before ``stop``.

        A tapped block's map is the mean over a patch's visible space-time groups; the last one's is normed.
        """
        if state.tokens is None:
            return state
        dates, height, width, together = state.grid
        windows = Windows(height, width, self.settings.window)
        seen = None if state.seen is None else state.seen.flatten(0, 1)
        packing = Packing(seen)
        x = packing.pack(state.tokens.flatten(0, 1))
        shape = (-1, dates, windows.side_h, windows.side_w, together)
        length = dates * windows.side_h * windows.side_w * together
        count = None if seen is None or packing.index is None else seen[:, :length].reshape(shape).sum(-1, keepdim=True)
        maps = list(state.maps)
        for number in range(first + 1, stop + 1):
            x = self.blocks[number - 1](x, keys=packing.keys)
            if number in self.taps:
                last = number == len(self.blocks)
                tokens = packing.unpack(self.norm(x) if last else x)[:, :length].reshape(*shape, x.shape[-1])
                mean = tokens.mean(-2) if count is None else tokens.sum(-2) / count.clamp(min=1)
                maps.append(windows.join(mean.movedim(-1, 2)))
        if stop == len(self.blocks):
            return State(tuple(maps), None, None, state.grid)
        return State(tuple(maps), packing.unpack(x).reshape(state.tokens.shape), state.seen, state.grid)


def build(config: GalileoConfig) -> Galileo:
    """The frozen encoder with its public weights, or with random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = Galileo(config).apply(_initialise)
    if config.random_weights:
        model.source = random_provenance(config.name, config.seed, model)
    else:
        folder = SIZES[config.name].folder
        path = find_weights(
            config.name,
            config.weights,
            ("encoder.safetensors", "encoder.pt"),
            hub=(HUB, f"models/{folder}/encoder.pt"),
        )
        load_into(model, path)
        model.source = provenance(config.name, path, f"https://huggingface.co/{HUB} (models/{folder})", "MIT")
    return model.requires_grad_(False).eval()


def _resolution(lead: Field) -> float | Tensor:
    """The ground resolution of an input [m], of each sample (b,) where they differ; 10 m where it is unknown."""
    if not isinstance(lead.grid, ProjectedGrid):
        return METRES
    told = lead.grid.resolution
    return told.to(lead.values.device).nan_to_num(METRES) if isinstance(told, Tensor) else told


def _initialise(module: nn.Module) -> None:
    """Xavier, as is usual for vision transformers: the control with random weights must not be a weakened one."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _projections(kind: str, width: int) -> nn.ModuleDict:
    """One projection per group; convolutions stand for their keys, their kernels are resized and read directly."""
    layers: dict[str, nn.Module] = {}
    for name, group in GROUPS.items():
        if group.kind != kind:
            continue
        if kind in ("space_time", "space"):
            layers[name] = nn.ModuleDict({"proj": nn.Conv2d(len(group.channels), width, KERNEL, KERNEL)})
        else:
            layers[name] = nn.Linear(len(group.channels), width)
    return nn.ModuleDict(layers)
