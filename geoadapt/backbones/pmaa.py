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
from geoadapt.fields.frames import shown_frames
from geoadapt.fields.restorer import Restored
from geoadapt.fields.tanh import REFLECTANCE, Span, begin_at, span_of
from geoadapt.fields.types import Batch, Field

__all__ = ["Pmaa", "PmaaRestorer", "build", "build_restorer", "load_teacher", "scaled"]

CLOUD = 1.0
"""What a pixel that is not valid is shown as: a cloud, past which it learns to look."""
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

    Of a longer series it sees the date to be restored and the two others that ``shown_frames`` chooses, in order of
    date: those that show the largest share of what is hidden, over 1 + days / 30. Of a date that shows nothing, as in
    Sen2_MTC, it sees the three others.
    """

    frames = DATES

    def __init__(self, config: PmaaConfig) -> None:
        """Weights are drawn from torch's own state; ``build_restorer`` draws or loads them as configured."""
        super().__init__()
        self.channels = tuple(config.channels)
        self.outputs = tuple(config.outputs) or self.channels
        self.scaling = config.scaling
        self.network = _network(config)
        self.source: Provenance | None = None

    def begin(self, mean: Tensor) -> None:
        """Start to learn from an image near ``mean`` (c,), in order of ``channels`` [reflectance]."""
        layer = self.network.output_layer[0]
        assert isinstance(layer, nn.Conv2d)
        begin_at(layer, mean[[self.channels.index(name) for name in self.outputs]], self.scaling)

    def forward(self, batch: Batch) -> Tensor:
        """The last frame without clouds (b, 1, o, h, w) [reflectance], in order of ``outputs``."""
        frames = self._frames(batch)
        span = span_of(frames, self.scaling)
        seen = scaled(frames, span)
        height, width = seen.shape[-2:]
        image = self.network.image(_padded(seen))[:, None, :, :height, :width]
        if self.outputs != self.channels:
            span = span_of(frames.select(self.outputs), self.scaling)
        return span.reflectance(image)

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
        frames = self._frames(batch)
        return scaled(frames, span_of(frames, self.scaling))

    def _frames(self, batch: Batch) -> Field:
        return _three(_chosen(_optical(batch, self.channels)))


class Pmaa(nn.Module):
    """PMAA's features; a Backbone when called with a Batch."""

    def __init__(self, config: PmaaConfig) -> None:
        super().__init__()
        self.settings = config
        self.source: Provenance | None = None
        self.channels = tuple(config.channels)
        self.outputs = tuple(config.outputs) or self.channels
        self.network = _network(config)
        fused = config.features == "fused"
        self.choose = _chosen if fused else None
        """Which frames of a field it sees, where it sees three together; what goes around it must choose the same."""
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
        field = self.frames(batch) if self.settings.features == "fused" else _optical(batch, self.channels)
        dates = _padded(self._scaled(field))
        if self.settings.features == "fused":
            out = self.network.features(dates)[:, None]
        else:
            shape = field.values.shape[:2]
            dates = dates.flatten(0, 1)
            out = self.network.feature_extractor.features(dates)[1]
            out = out.unflatten(0, shape)  # type: ignore[no-untyped-call]
        return self._cut(out, field)

    def frames(self, batch: Batch) -> Field:
        """The three dates that are seen together (b, 3, c, h, w), as ``PmaaRestorer`` chooses them."""
        return _three(_chosen(_optical(batch, self.channels)))

    def parts(self, field: Field) -> tuple[Features, list[Tensor], list[Tensor]]:
        """The fused features of ``frames``, and per date its cloud mask (b, 1, h, w) and image (b, c, h, w)."""
        out, masks, images = self.network.parts(_padded(self._scaled(field)))
        height, width = field.values.shape[-2:]
        masks, images = ([v[..., :height, :width] for v in found] for found in (masks, images))
        return self._cut(out[:, None], field), masks, images

    def _scaled(self, field: Field) -> Tensor:
        return scaled(field, span_of(field, self.settings.scaling))

    def _cut(self, out: Tensor, field: Field) -> Features:
        """Without what was continued beyond the image."""
        height, width = field.values.shape[-2:]
        return Features((out[..., :height, :width],), self.spec.strides)

    def train(self, mode: bool = True) -> Pmaa:
        """As any module, but what is frozen drops no features, and statistics never move: no adapter stores them."""
        super().train(mode)
        for module in self.network.modules():
            frozen = not any(p.requires_grad for p in module.parameters(recurse=False))
            if isinstance(module, nn.BatchNorm2d) or (frozen and isinstance(module, GlobalAttention)):
                # its own switch alone: an adapter that sits inside is trained as asked
                module.training = False
            elif isinstance(module, Aspp) and not next(module.project.parameters()).requires_grad:
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
    load_into(model, find_weights("pmaa", path, (TEACHER,), where=WHERE))
    return model.requires_grad_(False).eval()


def scaled(field: Field, span: Span = REFLECTANCE) -> Tensor:
    """From reflectance to [−1, 1]; what is not valid is shown as a cloud."""
    values = span.signed(field.values)
    return values if field.valid is None else torch.where(field.valid, values, CLOUD)


def _network(config: PmaaConfig) -> Generator:
    outputs = len(config.outputs or config.channels)
    return Generator(len(config.channels), outputs, config.width, norm=config.norm, coarse=config.fusion == "coarse")


def _fill(network: Generator, config: PmaaConfig) -> Provenance:
    if config.random_weights:
        # parameters are what is drawn; batch normalisation counts its batches beside them
        return random_provenance(config.name, config.seed, nn.ParameterList(network.parameters()))
    path = find_weights(config.name, config.weights, FILES, where=WHERE)
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


def _chosen(field: Field) -> Field:
    """The three frames of a longer series that are seen together."""
    return shown_frames(field, DATES)


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


def _padded(values: Tensor) -> Tensor:
    """Images (…, h, w) continued by reflection to 32 px, or to the next multiple of 16 px."""
    rows, cols = (reflection(n, LEAST if n <= LEAST else MULTIPLE).to(values.device) for n in values.shape[-2:])
    return values[..., rows[:, None], cols]
