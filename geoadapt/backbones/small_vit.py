"""A small plain vision transformer over optical channels, and the masked autoencoder that pre-trains it in seconds.

In: a Batch with ``optical`` (reflectance 0–1); channels it lacks and invalid pixels read as average. Out: Features, one
map per block, of stride ``patch_size``. Dates are independent images.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features
from geoadapt.backbones.config import SmallVitConfig
from geoadapt.backbones.vit_layers import Block, Windows, patches, square_positions
from geoadapt.backbones.weights import Provenance, find_weights, load_into, provenance, random_provenance
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch

__all__ = ["MaskedAutoencoder", "SmallVit", "build", "save"]

MEAN, STD = 0.2, 0.2
"""Of reflectance, for all channels alike."""
FILES = ("small_vit.safetensors",)


class SmallVit(nn.Module):
    """Patches, fixed sine positions, attention in windows; a Backbone."""

    def __init__(self, config: SmallVitConfig) -> None:
        super().__init__()
        self.settings = config
        self.source: Provenance | None = None
        self.patch_embed = nn.Linear(len(config.channels) * config.patch_size**2, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"optical": tuple(config.channels)},
            required={},
            units={"optical": "reflectance"},
            widths=(config.width,) * config.depth,
            strides=(config.patch_size,) * config.depth,
            blocks=config.depth,
            targets={"attention": r"blocks\.{block}\.attn\.(q|k|v|proj)", "mlp": r"blocks\.{block}\.mlp\.fc[12]"},
            multiple=config.patch_size,
        )

    def forward(self, batch: Batch) -> Features:
        """Features of a batch; raises GeoadaptError where ``optical`` is missing or no multiple of the patch size."""
        image, _ = self.read(batch)
        b, t = image.shape[:2]
        maps = self.maps(patches(image.flatten(0, 1), self.settings.patch_size))
        return Features(tuple(m.unflatten(0, (b, t)) for m in maps), self.spec.strides)  # type: ignore[no-untyped-call]

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Normalised channels (b, t, c, h, w), 0 where a value is missing, and where none is (b, t, c, h, w) bool."""
        given = batch.inputs.get("optical")
        wanted = self.settings.channels
        if given is None or not set(wanted) & set(given.channels):
            held = list(batch.inputs) if given is None else list(given.channels)
            raise GeoadaptError(
                "backbone", f"the batch holds {held}", f"it needs 'optical' with some of {list(wanted)}"
            )
        b, t, _, height, width = given.values.shape
        size = self.settings.patch_size
        if height % size or width % size:
            raise GeoadaptError(
                "backbone", f"{height} × {width} px is no multiple of {size} px", "pad or crop the input"
            )
        image = given.values.new_zeros(b, t, len(wanted), height, width)
        valid = torch.zeros(image.shape, dtype=torch.bool, device=image.device)
        for place, channel in enumerate(wanted):
            if channel in given.channels:
                index = given.channels.index(channel)
                seen = True if given.valid is None else given.valid[:, :, index]
                valid[:, :, place] = seen
                image[:, :, place] = (given.values[:, :, index] - MEAN) / STD
        return torch.where(valid, image, 0.0), valid

    def maps(self, pixels: Tensor, hidden: Tensor | None = None, token: Tensor | None = None) -> list[Tensor]:
        """Maps (b, d, h, w) after every block of patches (b, h, w, c·p²); ``token`` (d,) replaces ``hidden`` ones."""
        x = self.patch_embed(pixels)
        if hidden is not None and token is not None:
            x = torch.where(hidden[..., None], token, x)
        windows = Windows(x.shape[1], x.shape[2], self.settings.window)
        x = windows.cut(x.movedim(-1, 1)).movedim(1, -1)
        x = x + square_positions(windows.side_h, windows.side_w, x.shape[-1], 1.0, x.device).to(x)
        inside = torch.ones(1, 1, windows.height, windows.width, dtype=torch.bool, device=x.device)
        keys = None
        if windows.padded:
            keys = windows.cut(inside.expand(len(pixels), -1, -1, -1)).flatten(1)
        tokens = x.flatten(1, 2)
        out: list[Tensor] = []
        for number, block in enumerate(self.blocks, 1):
            tokens = block(tokens, keys=keys)
            last = self.norm(tokens) if number == len(self.blocks) else tokens
            out.append(windows.join(last.reshape(*x.shape).movedim(-1, 1)))
        return out


class MaskedAutoencoder(nn.Module):
    """An encoder and a linear decoder that must paint hidden patches (He 2021, Xie 2022)."""

    def __init__(self, encoder: SmallVit, hide: float = 0.6) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(True)
        self.hide = hide
        self.token = nn.Parameter(torch.zeros(encoder.settings.width))
        self.decoder = nn.Linear(encoder.settings.width, encoder.patch_embed.in_features)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Mean squared error of the hidden patches' valid values [normalised]."""
        image, valid = self.encoder.read(batch)
        size = self.encoder.settings.patch_size
        pixels, known = (patches(x.flatten(0, 1), size) for x in (image, valid))
        hidden = torch.rand(pixels.shape[:3], generator=generator).to(pixels.device) < self.hide
        painted = self.decoder(self.encoder.maps(pixels, hidden, self.token)[-1].movedim(1, -1))
        counted = hidden[..., None] & known
        return torch.where(counted, (painted - pixels) ** 2, 0.0).sum() / counted.sum().clamp(min=1)


def save(model: SmallVit, path: Path) -> None:
    """Write the weights as safetensors; from then on they are the model's ``source``."""
    from safetensors.torch import save as to_bytes

    from geoadapt.io.atomic import write_bytes

    write_bytes(path, to_bytes({key: value.contiguous() for key, value in model.state_dict().items()}))
    model.source = provenance(model.settings.name, path, "pre-trained by geoadapt", "Apache-2.0")


def build(config: SmallVitConfig) -> SmallVit:
    """The frozen encoder with weights from a file, or random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = SmallVit(config)
    if config.random_weights:
        model.source = random_provenance(config.name, config.seed, model)
    else:
        path = find_weights(config.name, config.weights, FILES)
        load_into(model, path)
        model.source = provenance(config.name, path, "pre-trained by geoadapt", "Apache-2.0")
    return model.requires_grad_(False).eval()
