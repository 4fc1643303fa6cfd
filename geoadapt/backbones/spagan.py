"""SpA-GAN: clouds removed from a single image in three visible bands, as a frozen backbone.

In: a Batch with ``optical`` [reflectance], each date by itself. Out: Features of stride 1, what the image is made of.
Pan 2020, arXiv 2009.13015. A spatial attention map, drawn by passing features to their neighbours in four directions
(Wang 2019, arXiv 1904.01538), tells the residual blocks where to work.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features
from geoadapt.backbones.config import SpaGanConfig
from geoadapt.backbones.weights import (
    Provenance,
    check_state,
    find_weights,
    load_state,
    provenance,
    random_provenance,
)
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

__all__ = ["Generator", "SpaGan", "build"]

WIDTH = 32
BLOCKS = 17
ATTENDED = range(4, 16)
"""Blocks that work where the attention map says, which is drawn anew before every third of them."""
EVERY = 3
CHANNELS = {"bgr": ("blue", "green", "red"), "rgb": ("red", "green", "blue")}
PREFIX = "gen.gen."
WHERE = "https://github.com/Penn000/SpA-GAN_for_cloud_removal (pretrained_models)"


class Generator(nn.Module):
    """The network of the published weights, under their names without ``gen.gen.``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1, bias=False), nn.ReLU())
        self.SAM1 = SpatialAttention(WIDTH)
        for number in range(1, BLOCKS + 1):
            self.add_module(f"res_block{number}", Block(WIDTH))
        self.conv_out = nn.Sequential(nn.Conv2d(WIDTH, 3, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, 3, h, w), 0 to 1 → the last attention map (n, 1, h, w), 0 to 1, and images without clouds."""
        attention, out = self.features(x)
        return attention, self.conv_out(out)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last attention map (n, 1, h, w) and what the image is made of (n, 32, h, w)."""
        out = self.conv_in(x)
        attention = torch.ones_like(out[:, :1])
        for number in range(1, BLOCKS + 1):
            found: Tensor = self.get_submodule(f"res_block{number}")(out)
            if number in ATTENDED:
                if (number - ATTENDED.start) % EVERY == 0:
                    attention = self.SAM1(out)
                found = found * attention
            out = F.relu(found + out)
        return attention, out


class Block(nn.Module):
    """What a residual block adds: a dilated 3×3 convolution between two pointwise ones."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.group1 = nn.Sequential()
        self.group1.add_module("conv1", nn.Conv2d(width, width, 1, bias=False))
        self.group1.add_module("relu1", nn.ReLU())
        self.group1.add_module("conv2", nn.Conv2d(width, width, 3, padding=2, dilation=2, bias=False))
        self.group1.add_module("relu2", nn.ReLU())
        self.group1.add_module("conv3", nn.Conv2d(width, width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to features."""
        return self.group1(x)  # type: ignore[no-any-return]


class SpatialAttention(nn.Module):
    """Where clouds are, from two rounds of passing features on in four directions.

    ``conv_in`` and ``attention_layer`` are published with the values they were drawn with, and take no part.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 1)
        self.irnn1 = Neighbours(width)
        self.conv2 = nn.Conv2d(4 * width, width, 1)
        self.irnn2 = Neighbours(width)
        self.conv3 = nn.Conv2d(4 * width, width, 1)
        self.conv_out = nn.Conv2d(width, 1, 1, bias=False)
        self.conv_in = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.attention_layer = nn.Module()
        self.attention_layer.conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.attention_layer.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.attention_layer.conv3 = nn.Conv2d(width // 2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) to a map (n, 1, h, w), 0 to 1."""
        out = self.conv2(self.irnn1(self.conv1(x)))
        out = F.relu(self.conv3(self.irnn2(out)))
        return torch.sigmoid(self.conv_out(out))


class Neighbours(nn.Module):
    """Every pixel with its weighted neighbour added, once for each side.

    The recurrent original goes on across the whole image; the published weights belong to this single step.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        for side in ("left", "right", "up", "down"):
            self.add_module(f"{side}_weight", nn.Conv2d(width, width, 1, groups=width))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d, h, w) → (n, 4d, h, w): with the neighbour above, right, below and left; at the edge alone."""
        above, right, below, left = (
            self.get_submodule(f"{side}_weight")(x) for side in ("up", "right", "down", "left")
        )
        parts = (
            torch.cat([x[:, :, :1], F.relu(above[:, :, :-1] + x[:, :, 1:])], 2),
            torch.cat([F.relu(right[..., 1:] + x[..., :-1]), x[..., -1:]], 3),
            torch.cat([F.relu(below[:, :, 1:] + x[:, :, :-1]), x[:, :, -1:]], 2),
            torch.cat([x[..., :1], F.relu(left[..., :-1] + x[..., 1:])], 3),
        )
        return torch.cat(parts, 1)


class SpaGan(nn.Module):
    """The generator; a Backbone when called with a Batch, an image without clouds by ``remove``."""

    def __init__(self, config: SpaGanConfig) -> None:
        super().__init__()
        self.settings = config
        self.source: Provenance | None = None
        self.channels = CHANNELS[config.order]
        self.gen = Generator()
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"optical": CHANNELS["bgr"]},
            required={"optical": CHANNELS["bgr"]},
            units={"optical": "reflectance"},
            widths=(WIDTH,),
            strides=(1,),
            # numbered from 1 in their names; the first convolution stands for block 0
            blocks=BLOCKS + 1,
            # peft's LoRA knows no dilation, which conv2 has
            targets={"pointwise": r"gen\.res_block{block}\.group1\.conv[13]"},
            multiple=1,
            dates=1,
        )

    def forward(self, batch: Batch) -> Features:
        """One map (b, t, 32, h, w), each date by itself; raises GeoadaptError for missing channels."""
        field = self._optical(batch)
        shape = field.values.shape[:2]
        _, out = self.gen.features(self._shown(field).flatten(0, 1))
        return Features((out.unflatten(0, shape),), self.spec.strides)  # type: ignore[no-untyped-call]

    def remove(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Every date as the published network makes it, and its attention map.

        Returns:
            (b, t, 3, h, w) [reflectance] in the batch's own order of the three bands, and (b, t, 1, h, w), 0 to 1.
        """
        field = self._optical(batch)
        attention, image = self.gen(self._shown(field).flatten(0, 1))
        held = [name for name in batch.inputs["optical"].channels if name in self.channels]
        image = image[:, [self.channels.index(name) for name in held]].clamp(0, 1) * self.settings.white
        shape = field.values.shape[:2]
        return image.unflatten(0, shape), attention.unflatten(0, shape)

    def _optical(self, batch: Batch) -> Field:
        given = batch.inputs.get("optical")
        if given is None or not set(self.channels) <= set(given.channels):
            held = list(batch.inputs) if given is None else list(given.channels)
            raise GeoadaptError(
                "backbone", f"the batch holds {held}", f"SpA-GAN needs 'optical' with {list(self.channels)}"
            )
        return given.select(self.channels)

    def _shown(self, field: Field) -> Tensor:
        """As in a picture (b, t, 3, h, w), 0 to 1; what is not valid is white, as clouds are."""
        shown = (field.values / self.settings.white).clamp(0, 1)
        return shown if field.valid is None else torch.where(field.valid, shown, 1.0)


def build(config: SpaGanConfig) -> SpaGan:
    """The frozen network with its public weights, or with random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = SpaGan(config).apply(_initialise)
    if config.random_weights:
        model.source = random_provenance(config.name, config.seed, model)
    else:
        path = find_weights(config.name, config.weights, _files(config.variant), where=WHERE)
        _fill(model.gen, path)
        model.source = provenance(config.name, path, WHERE, "MIT")
    return model.requires_grad_(False).eval()


def _files(variant: str) -> Sequence[str]:
    return (f"{variant}_gen_model_epoch_200.pth",)


def _fill(network: Generator, path: Path) -> None:
    """All tensors of the public file or none."""
    state = {key.removeprefix(PREFIX): value for key, value in load_state(path).items()}
    check_state(state, network.state_dict(), path)
    network.load_state_dict(state, strict=True)


def _initialise(module: nn.Module) -> None:
    """Variance is kept from layer to layer: the control with random weights must not be a weakened one."""
    if isinstance(module, nn.Conv2d) and module.groups == 1:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, Block):
        with torch.no_grad():  # what so many blocks add must not grow with their number
            module.get_parameter("group1.conv3.weight").mul_(BLOCKS**-0.5)
