"""PMAA as a restorer of its own, and as a frozen backbone.

In: a Batch with ``optical`` [reflectance], whose last frame is the date to be restored. Out: that date without clouds,
or Features: one map of stride 1 of the three dates, or one of each date. Zou 2023, arXiv 2303.16565.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.base import BackboneSpec, Features
from geoadapt.backbones.config import PmaaConfig
from geoadapt.backbones.dl_l8s2_uv import reflection
from geoadapt.backbones.pmaa_layers import Aspp, Extractor, GlobalAttention
from geoadapt.backbones.pmaa_network import DATES, Generator, teacher
from geoadapt.backbones.weights import Provenance, find_weights, load_into, provenance, random_provenance
from geoadapt.errors import GeoadaptError
from geoadapt.fields.frames import nearest_frames
from geoadapt.fields.restorer import Restored
from geoadapt.fields.types import Batch, Field

__all__ = ["Pmaa", "PmaaRestorer", "build", "build_restorer", "load_teacher"]

CLOUD = 1.0
"""What a pixel that is not valid is shown as [reflectance]: a cloud, past which it learns to look."""
MULTIPLE = 16
LEAST = 32
"""Instance normalisation needs more than one pixel at a stride of 16 [px]."""
FILES = ("pmaa.safetensors", "pmaa.pth", "pmaa.pt")
TEACHER = "Feature_Extrator_FS2.pth"
"""The teacher's published file, spelt so."""
WHERE = "https://github.com/XavierJiezou/PMAA"
UNET = r"other_unet\.{block}\."


class PmaaRestorer(nn.Module):
    """PMAA as an ordinary model to train: a ``Restorer`` whose output a removal task can take.

    Of a longer series it sees the date to be restored and the two others that ``nearest_frames`` chooses, in order of
    date: those that show the largest share of what is hidden, over 1 + days / 30.
    """

    frames = DATES

    def __init__(self, config: PmaaConfig) -> None:
        """Weights are drawn from torch's own state; ``build_restorer`` draws or loads them as configured."""
        super().__init__()
        self.channels = tuple(config.channels)
        self.outputs = tuple(config.outputs) or self.channels
        self.network = _network(config)
        self.source: Provenance | None = None

    def forward(self, batch: Batch) -> Tensor:
        """The last frame without clouds (b, 1, o, h, w) [reflectance], in order of ``outputs``."""
        seen = self.seen(batch)
        height, width = seen.shape[-2:]
        image = self.network.image(_padded(seen))
        return reflectance(image)[:, None, :, :height, :width]

    def restore(self, batch: Batch) -> Restored:
        """The last frame (b, c, h, w) without a scale.

        NaN where no date of the batch shows a pixel, and in bands that are no outputs.
        """
        with torch.inference_mode():
            made = self(batch)[:, 0].float()
        field = _optical(batch, self.channels)
        image = torch.full_like(field.values[:, -1], torch.nan, dtype=torch.float32)
        index = [self.channels.index(name) for name in self.outputs]
        image[:, index] = made
        if field.valid is not None:
            image = torch.where(field.valid.any(1), image, torch.nan)
        return Restored(image)

    def seen(self, batch: Batch) -> Tensor:
        """What the network is shown (b, 3, c, h, w) in [−1, 1]; raises GeoadaptError for missing channels.

        Dates that a short series lacks are shown as clouds, and so is every pixel that is not valid.
        """
        return _scaled(_three(nearest_frames(_optical(batch, self.channels), DATES)))


class Pmaa(nn.Module):
    """PMAA's features; a Backbone when called with a Batch."""

    def __init__(self, config: PmaaConfig) -> None:
        super().__init__()
        self.settings = config
        self.source: Provenance | None = None
        self.channels = tuple(config.channels)
        self.network = _network(config)
        fused = config.features == "fused"
        self.spec = BackboneSpec(
            name=config.name,
            inputs={"optical": self.channels},
            required={"optical": self.channels},
            units={"optical": "reflectance"},
            widths=(config.width,),
            strides=(1,),
            blocks=2 if fused else 7,
            targets=_targets(fused),
            multiple=1,
            dates=DATES if fused else None,
        )

    def forward(self, batch: Batch) -> Features:
        """One map (b, 1, d, h, w) of the last frame and two others, or (b, t, d, h, w) of each frame alone.

        Raises:
            GeoadaptError: for missing channels.
        """
        field = _optical(batch, self.channels)
        height, width = field.values.shape[-2:]
        if self.settings.features == "fused":
            out = self.network.features(_padded(_scaled(_three(nearest_frames(field, DATES)))))[:, None]
        else:
            shape = field.values.shape[:2]
            dates = _padded(_scaled(field)).flatten(0, 1)
            out = self.network.feature_extractor.features(dates)[1]
            out = out.unflatten(0, shape)  # type: ignore[no-untyped-call]
        return Features((out[..., :height, :width],), self.spec.strides)

    def train(self, mode: bool = True) -> Pmaa:
        """As any module, but what is frozen neither drops features nor moves its statistics."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d | GlobalAttention):
                # its own switch alone: an adapter that sits inside is trained as asked
                module.training = False
            elif isinstance(module, Aspp):
                module.project.eval()
        return self


def build(config: PmaaConfig) -> Pmaa:
    """The frozen network with public weights, or with random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = Pmaa(config)
    model.source = _fill(model.network, config)
    return model.requires_grad_(False).eval()


def build_restorer(config: PmaaConfig) -> PmaaRestorer:
    """The restorer, all of it trainable, with public weights or with random ones drawn from ``config.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = PmaaRestorer(config)
    model.source = _fill(model.network, config)
    return model


def load_teacher(path: str | Path | None = None) -> Extractor:
    """The frozen teacher of cloud masks with its published weights, for the four channels of ``PmaaConfig``.

    Raises GeoadaptError where the file is missing or is something else.
    """
    model = teacher()
    load_into(model, find_weights("pmaa", path, (TEACHER,)))
    return model.requires_grad_(False).eval()


def reflectance(image: Tensor) -> Tensor:
    """From [−1, 1] to 0–1 [reflectance]."""
    return (image + 1) / 2


def _network(config: PmaaConfig) -> Generator:
    outputs = len(config.outputs or config.channels)
    return Generator(len(config.channels), outputs, config.width, norm=config.norm, coarse=config.fusion == "coarse")


def _fill(network: Generator, config: PmaaConfig) -> Provenance:
    if config.random_weights:
        # parameters are what is drawn; batch normalisation counts its batches beside them
        return random_provenance(config.name, config.seed, nn.ParameterList(network.parameters()))
    path = find_weights(config.name, config.weights, FILES)
    load_into(network, path)
    return provenance(config.name, path, WHERE, "MIT")


def _targets(fused: bool) -> dict[str, str]:
    """Layers that the features come through, by the last two U-Nets or the extractor's seven stages."""
    if not fused:
        # peft's LoRA knows no dilation, which the convolution between the two has
        return {"pointwise": r"network\.feature_extractor\.bottle{block}\.bottleneck\.[06]"}
    return {
        "pointwise": rf"network\.{UNET}(proj_1x1|spp_dw\.[0-4])\.conv_pw",
        "conv": rf"network\.{UNET}spp_dw\.[0-4]\.conv_dw",
        "attention": rf"network\.{UNET}globalatt\.attn\.(a\.0|v|proj)",
        "mlp": rf"network\.{UNET}globalatt\.mlp\.fc[12]",
    }


def _optical(batch: Batch, channels: tuple[str, ...]) -> Field:
    given = batch.inputs.get("optical")
    if given is None or not set(channels) <= set(given.channels):
        held = list(batch.inputs) if given is None else list(given.channels)
        raise GeoadaptError("pmaa", f"the batch holds {held}", f"it needs 'optical' with {list(channels)}")
    return given.select(channels)


def _three(field: Field) -> Field:
    """The field with three frames: those it lacks come first, without a valid pixel."""
    lacking = DATES - field.values.shape[1]
    if lacking <= 0:
        return field
    valid = torch.ones_like(field.values, dtype=torch.bool) if field.valid is None else field.valid
    empty = torch.zeros_like(field.values[:, :1]).expand(-1, lacking, -1, -1, -1)
    return replace(
        field,
        values=torch.cat([empty, field.values], 1),
        valid=torch.cat([empty.bool(), valid], 1),
        times=None,
    )


def _scaled(field: Field) -> Tensor:
    """Twice the reflectance, minus 1."""
    values = field.values if field.valid is None else torch.where(field.valid, field.values, CLOUD)
    return 2 * values - 1


def _padded(values: Tensor) -> Tensor:
    """Images (…, h, w) continued by reflection to 32 px, or to the next multiple of 16 px."""
    rows, cols = (reflection(n, LEAST if n <= LEAST else MULTIPLE).to(values.device) for n in values.shape[-2:])
    return values[..., rows[:, None], cols]
