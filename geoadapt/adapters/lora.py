"""LoRA (Hu 2021, arXiv 2106.09685) through peft: low-rank updates beside frozen linear layers.

h = W₀x + (α / r) B A x (eq. 3); B starts at zero, so that nothing changes before training.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from torch import nn

from geoadapt.adapters.config import LoraConfig
from geoadapt.adapters.targets import layers, target_groups, target_pattern
from geoadapt.adapters.through_peft import ThroughPeft
from geoadapt.errors import GeoadaptError

__all__ = ["COMPARED", "build", "lora_card", "targets_named"]

COMPARED = ("r", "lora_alpha", "target_modules")
"""What must agree between a stored card and the adapter that is to take its tensors."""


def build(config: LoraConfig, backbone: nn.Module) -> ThroughPeft:
    """LoRA on the backbone's target groups."""
    config = targets_named(config, backbone)
    return ThroughPeft(backbone, config, lora_card(config, backbone), COMPARED)


def targets_named(config: LoraConfig, backbone: nn.Module) -> LoraConfig:
    """The configuration with every target named, so that a stored bundle keeps its meaning."""
    return replace(config, targets=tuple(config.targets) or target_groups(backbone))


def lora_card(config: LoraConfig, backbone: nn.Module, *, dora: bool = False) -> Any:
    """What peft is told for LoRA or DoRA; raises GeoadaptError for layers that these have no form for."""
    from peft import LoraConfig as PeftConfig

    pattern = target_pattern(backbone, config.targets, config.last_blocks)
    for name in layers(backbone):
        layer = backbone.get_submodule(name)
        if isinstance(layer, nn.Conv2d) and layer.dilation != (1, 1) and re.fullmatch(pattern, name):
            # peft gives the update no dilation, so that it would have another shape
            problem = f"matches {name}, a convolution with dilation {layer.dilation[0]}"
            raise GeoadaptError("adapter.targets", problem, "leave it out: LoRA has no form for it")
    return PeftConfig(
        r=config.r, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=pattern, use_dora=dora
    )
