"""Encoders of pictures for images from space: DINOv2, DINOv3, ConvNeXt, ConvNeXt V2 and ResNet-50.

In: a Batch with ``optical`` (reflectance 0–1). Out: Features, four maps: of a transformer after each fourth of its
depth, without class and register tokens, the last one normed; else of each stage. Every date is a picture of its own.
DINOv2: Oquab 2023, arXiv 2304.07193; DINOv3: Siméoni 2025, arXiv 2508.10104; ConvNeXt: Liu 2022, arXiv 2201.03545;
ConvNeXt V2: Woo 2023, arXiv 2301.00808; ResNet: He 2015, arXiv 1512.03385. The networks are those of ``transformers``.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features, State
from geoadapt.backbones.picture_bands import RGB, BandConv, Bands, adapted_kernel
from geoadapt.backbones.picture_config import PictureConfig
from geoadapt.backbones.picture_models import KERNEL, VARIANTS, Variant, anatomy, network, own_keys, read_keys, resized
from geoadapt.backbones.weights import (
    Provenance,
    check_state,
    find_weights,
    load_state,
    provenance,
    random_provenance,
)
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.types import Batch

__all__ = ["Picture", "build", "variant_of"]

log = logging.getLogger(__name__)
FREE = "Apache-2.0"


class Picture(nn.Module):
    """A network of pictures as a Backbone; its parts are called ``stem``, ``blocks`` and ``norm`` in every family."""

    def __init__(self, config: PictureConfig, variant: Variant, model: nn.Module, bands: Bands) -> None:
        super().__init__()
        parts = anatomy(variant.family, model)
        self.settings, self.variant, self.bands = config, variant, bands
        self.stem, self.blocks, self.rope = parts.stem, parts.blocks, parts.rope
        self.norm = parts.norm or nn.Identity()
        self.source: Provenance | None = None
        self.trainable = tuple(name for name, _ in self.named_parameters() if name.endswith(".extra"))
        """Parameters that an adapter is to train along."""
        depth = len(self.blocks)
        self.taps = tuple(sorted({max(1, depth * (i + 1) // 4) for i in range(4)}))
        self.extra_tokens = {"dinov2": 1, "dinov3_vit": 5}.get(variant.family, 0)
        """Class and register tokens, which come first."""
        vit = bool(variant.heads)
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"optical": bands.names},
            required={"optical": bands.names},
            units={"optical": "reflectance"},
            widths=variant.widths * len(self.taps) if vit else variant.widths,
            strides=(variant.stride,) * len(self.taps) if vit else (4, 8, 16, 32),
            blocks=depth,
            targets=parts.targets,
            multiple=variant.stride,
        )

    def forward(self, batch: Batch) -> Features:
        """Features of a batch; raises GeoadaptError where ``optical`` lacks a channel or has another size."""
        return self.upper(self.lower(batch, 0), 0)

    def lower(self, batch: Batch, block: int) -> State:
        """What the stem and the first ``block`` blocks give, (b, t, …); raises as ``forward`` does."""
        given, pictures = self.bands.read(batch, self.spec.multiple)
        b, t, _, height, width = given.values.shape
        start = self.stem(pictures).unflatten(0, (b, t))
        return self._run(State((), start, None, (height, width)), 0, block)

    def upper(self, state: State, block: int) -> Features:
        """Features from what the first ``block`` blocks gave."""
        return Features(self._run(state, block, len(self.blocks)).maps, self.spec.strides)

    def train(self, mode: bool = True) -> Picture:
        """As any module, but a batch normalisation's statistics never move: no adapter stores them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                # its own switch alone: an adapter that sits inside is trained as asked
                module.training = False
        return self

    def _run(self, state: State, first: int, stop: int) -> State:
        """The state after blocks ``first`` to before ``stop``; a tapped one gives a map."""
        if state.tokens is None:
            return state
        dates = state.tokens.shape[:2]
        x = state.tokens.flatten(0, 1)
        told = {} if self.rope is None else {"position_embeddings": self.rope(x.new_empty(1, 1, *state.grid))}
        maps = list(state.maps)
        for number in range(first + 1, stop + 1):
            x = self.blocks[number - 1](x, **told)
            if number in self.taps:
                maps.append(self._map(x, number, state.grid).unflatten(0, dates))  # type: ignore[no-untyped-call]
        left = None if stop == len(self.blocks) else x.unflatten(0, dates)  # type: ignore[no-untyped-call]
        return State(tuple(maps), left, None, state.grid)

    def _map(self, x: Tensor, number: int, size: tuple[int, ...]) -> Tensor:
        """A block's output as maps (b · t, d, h, w)."""
        if not self.variant.heads:
            return x
        tokens = self.norm(x) if number == len(self.blocks) else x
        grid = tuple(n // self.variant.stride for n in size)
        return tokens[:, self.extra_tokens :].unflatten(1, grid).movedim(-1, 1)  # type: ignore[no-any-return]


def variant_of(config: PictureConfig) -> Variant:
    """What a configuration's name stands for, at its sizes; raises GeoadaptError for an unknown one."""
    if config.name not in VARIANTS:
        raise GeoadaptError("backbone.name", f"'{config.name}' is unknown", nearest(config.name, VARIANTS))
    return resized(VARIANTS[config.name], config.widths, config.depths, config.heads)


def build(config: PictureConfig) -> Picture:
    """The network with published weights, or with random ones drawn from ``config.seed``.

    It is frozen, except for the kernels of new channels where ``bands`` asks for these.
    """
    variant = variant_of(config)
    bands = Bands(config.bands, config.channels, config.white)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = network(variant, random=config.random_weights)
    path = None if config.random_weights else _filled(config, variant, model)
    _adapt(model, variant.family, config.bands, bands)
    picture = Picture(config, variant, model, bands)
    if path is None:
        picture.source = random_provenance(config.name, config.seed, picture)
    else:
        where = f"https://huggingface.co/{variant.repository}"
        picture.source = provenance(config.name, path, where, variant.licence)
        if variant.licence != FREE:
            log.warning("%s: its weights are published under the %s", config.name, variant.licence)
    picture.requires_grad_(False).eval()
    for name, parameter in picture.named_parameters():
        parameter.requires_grad_(name in picture.trainable)
    if config.bands != "rgb":
        told = ", ".join(bands.names)
        log.warning("%s was trained on red, green, blue; its kernels for %s: bands=%s", config.name, told, config.bands)
    return picture


def _filled(config: PictureConfig, variant: Variant, model: nn.Module) -> Path:
    """Fill the network from the file that the configuration names or that is found; raises GeoadaptError."""
    files = (f"{config.name}.safetensors", "model.safetensors", "pytorch_model.bin")
    path = find_weights(config.name, config.weights, files, hub=(variant.repository, "model.safetensors"))
    wanted = read_keys(variant, model)
    state = own_keys(variant.family, load_state(path), wanted)
    check_state(state, wanted, path)
    model.load_state_dict(state, strict=False)
    return path


def _adapt(model: nn.Module, family: str, bands: str, chosen: Bands) -> None:
    """Give the first layer a kernel for every channel that is read, and tell the layers around it their number."""
    if bands == "rgb":
        return
    place = KERNEL[family]
    conv = model.get_submodule(place)
    assert isinstance(conv, nn.Conv2d)
    count = len(chosen.names)
    if bands == "new":
        known = tuple(RGB.index(c) for c in chosen.known)
        if count > len(known):
            model.set_submodule(place, BandConv(conv, known, count - len(known)))
        else:
            conv.weight = nn.Parameter(conv.weight.detach()[:, list(known)].clone())
    else:
        conv.weight = nn.Parameter(adapted_kernel(conv.weight.detach(), bands, count).clone())
    for module in model.modules():
        if hasattr(module, "num_channels"):
            module.num_channels = count  # type: ignore[assignment]
