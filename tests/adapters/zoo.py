"""Small backbones of every kind, what they are given, and one configuration of every adapter."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.adapters.attach import Attached, attach
from geoadapt.adapters.config import (
    BitFitConfig,
    DoraConfig,
    FullConfig,
    HeadOnlyConfig,
    Ia3Config,
    LnTuningConfig,
    LoraConfig,
    PartialConfig,
)
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.config import (
    DlL8s2UvConfig,
    GalileoConfig,
    PmaaConfig,
    PrestoConfig,
    PrithviEoConfig,
    SmallSeriesConfig,
    SpaGanConfig,
)
from geoadapt.backbones.picture_config import PictureConfig
from geoadapt.fields.types import Batch, Field, LatLonGrid
from geoadapt.registry import build
from tests.tiny import tiny_backbone
from tests.waves import tiny_wx

__all__ = ["ADAPTER", "BACKBONE", "IN_DOUBLE", "batch", "built", "features", "fresh", "moved", "some"]

STAGES: dict[str, Any] = {"random_weights": True, "widths": (8, 16, 24, 32), "depths": (1, 1, 2, 1)}
BACKBONE = {
    "galileo": GalileoConfig(random_weights=True),
    "prithvi": PrithviEoConfig(random_weights=True, width=32, depth=2, heads=2, patch_size=8),
    "small_eo": tiny_backbone(patch_size=4),
    "small_wx": tiny_wx(depth=4),
    "pmaa": PmaaConfig(random_weights=True, width=4, norm="batch", fusion="coarse"),
    "pmaa_published": PmaaConfig(random_weights=True, width=4),
    "dl_l8s2_uv": DlL8s2UvConfig(random_weights=True, variant="RGBI6"),
    "spagan": SpaGanConfig(random_weights=True),
    "small_series": SmallSeriesConfig(random_weights=True),
    "presto": PrestoConfig(random_weights=True, stride=8),
    "dinov2": PictureConfig("dinov2_small", random_weights=True, widths=(32,), depths=(2,), heads=2),
    "convnextv2": PictureConfig("convnextv2_atto", **STAGES),
    "resnet": PictureConfig("resnet50", **STAGES),
}
IN_DOUBLE = ("pmaa", "pmaa_published", "dl_l8s2_uv", "spagan")
"""Those that run in double precision; PMAA's features reach 100, and single precision blurs what merging does."""
ADAPTER = {
    "lora": LoraConfig(r=2),
    "dora": DoraConfig(r=2),
    "ia3": Ia3Config(),
    "ln_tuning": LnTuningConfig(),
    "bitfit": BitFitConfig(),
    "partial": PartialConfig(last_blocks=2),
    "none": HeadOnlyConfig(),
    "full": FullConfig(),
}


@cache
def built(name: str) -> nn.Module:
    made: nn.Module = build(BACKBONES, BACKBONE[name])
    # where a network starts with zeros nothing would be seen to move
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for key, parameter in made.named_parameters():
            if key.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.05)
            elif "layer_scale" in key:
                parameter.fill_(0.5)
        norms = [module for module in made.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.train().momentum = 1.0
        made(batch(name))
    return made.eval()


def fresh(name: str) -> nn.Module:
    return copy.deepcopy(built(name))


@cache
def batch(name: str) -> Batch:
    drawn = torch.Generator().manual_seed(0)
    if name == "small_wx":
        grid = LatLonGrid(torch.linspace(60, 40, 5), torch.arange(8) * 5.0)
        times = torch.tensor([[978307200], [979000000]])
        values = torch.randn(2, 1, 2, 5, 8, generator=drawn)
        channels = ("mean_sea_level_pressure", "temperature@850")
        return Batch({"atmosphere": Field(values, channels, None, times, grid)}, lead_time=torch.tensor([24.0, 48.0]))
    dates = 3 if name.startswith("pmaa") or name == "small_series" else 1
    side = {"dinov2": 28, "resnet": 64}.get(name, 32)
    values = torch.rand(1, dates, 6, side, side, generator=drawn) * 0.5
    times = (torch.arange(dates) * 864_000)[None]
    return Batch({"optical": Field(values, ("blue", "green", "red", "nir", "swir16", "swir22"), None, times)})


def features(backbone: nn.Module, name: str) -> Tensor:
    """All maps as one vector, in the backbone's own precision."""
    given, kind = batch(name), next(backbone.parameters()).dtype
    cast = {key: replace(field, values=field.values.to(kind)) for key, field in given.inputs.items()}
    with torch.no_grad():
        return torch.cat([m.flatten() for m in backbone(replace(given, inputs=cast)).maps])


def moved(attached: Attached, size: float = 0.05) -> Attached:
    """As after some training."""
    drawn = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in attached.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=drawn) * size)
    return attached


def some(adapter: str, backbone: str = "small_eo") -> Attached:
    return attach(fresh(backbone), ADAPTER[adapter])
