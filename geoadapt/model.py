"""Backbone + adapter + head, as one module.

In: a Batch. Out: scores (b, t, k, h, w) on the grid of its image.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.adapters import ADAPTERS
from geoadapt.adapters.attach import Attached, attach
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.base import BackboneSpec
from geoadapt.backbones.weights import Provenance
from geoadapt.errors import GeoadaptError
from geoadapt.fields.response import respond
from geoadapt.fields.types import Batch, Field, ProjectedGrid
from geoadapt.heads import HEADS
from geoadapt.heads.inputs import HeadInputs
from geoadapt.registry import build, look_up

__all__ = ["AdaptedModel", "ParameterCount", "build_model", "image_batch"]


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """How much of a model is trained."""

    total: int
    adapter: int
    head: int

    @property
    def trainable(self) -> int:
        """Parameters that the fit changes."""
        return self.adapter + self.head

    def __str__(self) -> str:
        share = 100 * self.trainable / max(1, self.total)
        return f"{self.trainable:,} of {self.total:,} parameters are trained ({share:.1f} %)"


class AdaptedModel(nn.Module):
    """A frozen backbone with its adapter attached, and a head on its features."""

    def __init__(self, attached: Attached, head: nn.Module, spec: BackboneSpec, sensor: str | None = None) -> None:
        """``sensor`` names the one whose bands the model works on, where images are to be brought to them."""
        super().__init__()
        self.attached = attached
        self.backbone: nn.Module = attached.backbone
        self.head = head
        self.spec = spec
        self.sensor = sensor
        self.source: Provenance = attached.backbone.source  # type: ignore[assignment]

    def forward(self, batch: Batch) -> Tensor:
        """Scores (b, t, k, h, w)."""
        seen = self.seen(batch)
        scores: Tensor = self.head(self.backbone(seen), seen)
        return scores

    def seen(self, batch: Batch) -> Batch:
        """The batch as backbone and head read it: on the bands of the backbone's pre-training, where that is wanted."""
        return respond(batch, self.sensor)

    def count(self) -> ParameterCount:
        """Parameters in all, and of the adapter and the head that are trained."""
        adapter = sum(p.numel() for p in self.attached.parameters())
        head = sum(p.numel() for p in self.head.parameters())
        return ParameterCount(sum(p.numel() for p in self.parameters()), adapter, head)


def build_model(
    backbone: Any, adapter: Any, head: Any, inputs: HeadInputs, channels: tuple[str, ...], seed: int = 0
) -> AdaptedModel:
    """The model that the three configurations describe; its new parameters are drawn from ``seed``.

    Raises GeoadaptError where the data lack a channel that the backbone cannot run without.
    """
    for entries, config, group in (
        (BACKBONES, backbone, "backbone"),
        (ADAPTERS, adapter, "adapter"),
        (HEADS, head, "head"),
    ):
        look_up(entries, config.name, group)
    encoder = build(BACKBONES, backbone)
    spec: BackboneSpec = encoder.spec
    missing = [c for c in spec.required.get("optical", ()) if c not in channels]
    if missing:
        raise GeoadaptError("data.channels", f"{spec.name} needs {missing}", f"the data have {list(channels)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        attached = attach(encoder, adapter)
        decoder = build(HEADS, head, spec, inputs)
        if hasattr(encoder, "readout_kernels") and hasattr(decoder, "start"):
            decoder.start(encoder.readout_kernels(channels))
    return AdaptedModel(attached, decoder, spec, _sensor(backbone, spec))


def _sensor(backbone: Any, spec: BackboneSpec) -> str | None:
    """The sensor to whose bands images are brought, where the configuration asks for it."""
    if getattr(backbone, "response", "none") == "none":
        return None
    if spec.response is None:
        raise GeoadaptError("backbone.response", f"{spec.name} was pre-trained on no one sensor", "set it to none")
    return spec.response


def image_batch(
    values: Tensor,
    valid: Tensor | None,
    channels: tuple[str, ...],
    *,
    time: datetime | None = None,
    resolution: float | None = None,
    sensor: str | None = None,
) -> Batch:
    """A one-date batch of images (b, c, h, w) [reflectance]; ``valid`` the same shape or None."""
    times = None
    if time is not None:
        times = torch.full((values.shape[0], 1), int(time.timestamp()), dtype=torch.int64, device=values.device)
    grid = None if resolution is None else ProjectedGrid(resolution)
    marked = None if valid is None else valid[:, None].expand(-1, 1, *values.shape[1:])
    sensors = None if sensor is None else (sensor,) * len(values)
    return Batch({"optical": Field(values[:, None], channels, marked, times, grid, sensors)})
