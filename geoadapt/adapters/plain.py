"""The two ends: nothing trained in the backbone, and all of it."""

from __future__ import annotations

from torch import nn

from geoadapt.adapters.base import Attached
from geoadapt.adapters.config import FullConfig, HeadOnlyConfig
from geoadapt.adapters.selected import Selected

__all__ = ["build_full", "build_none"]


def build_none(config: HeadOnlyConfig, backbone: nn.Module) -> Attached:
    """The backbone as published; only what is new in it is trained."""
    attached = Attached(backbone)
    attached.freeze()
    return attached


def build_full(config: FullConfig, backbone: nn.Module) -> Selected:
    """The backbone with every parameter trainable; none is probed, because parts for other inputs stay unused."""
    return Selected(backbone, config, dict(backbone.named_parameters()))
