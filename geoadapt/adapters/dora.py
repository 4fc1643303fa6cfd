"""DoRA (Liu 2024, arXiv 2402.09353) through peft: magnitude and direction of a layer's weights, each by itself.

W′ = m (W₀ + ΔW) / ‖W₀ + ΔW‖ (eq. 5) with ΔW = (α / r) B A and one magnitude m and one norm for each output. m starts
as ‖W₀‖, so that nothing changes before training; the norm takes no part in the gradient (section 4.3).
"""

from __future__ import annotations

import re

from torch import nn

from geoadapt.adapters.config import DoraConfig
from geoadapt.adapters.lora import COMPARED, lora_card, targets_named
from geoadapt.adapters.targets import layers
from geoadapt.adapters.through_peft import ThroughPeft
from geoadapt.errors import GeoadaptError

__all__ = ["build"]


def build(config: DoraConfig, backbone: nn.Module) -> ThroughPeft:
    """DoRA on the backbone's target groups; raises GeoadaptError for layers that it has no form for."""
    named = targets_named(config, backbone)
    card = lora_card(named, backbone, dora=True)
    for name in layers(backbone):
        if re.fullmatch(card.target_modules, name):
            _check(name, backbone.get_submodule(name))
    return ThroughPeft(backbone, named, card, (*COMPARED, "use_dora"))


def _check(name: str, layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        problem = f"matches {name}, a convolution in {layer.groups} groups"
        raise GeoadaptError("adapter.targets", problem, "leave it out: DoRA has no form for it")
    norms = layer.weight.detach().flatten(1).norm(dim=1)  # type: ignore[operator]
    if bool((norms == 0).any()):
        problem = f"matches {name}, which has outputs whose weights are all 0"
        raise GeoadaptError("adapter.targets", problem, "leave it out, or adapter=lora: DoRA divides by their norm")
