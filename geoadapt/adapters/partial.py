"""Partial fine-tuning: the last k blocks are trained, all of each (Yosinski 2014, arXiv 1411.1792; He 2021, MAE).

θ_b ← θ_b − η ∇L for blocks b > n − k of n; what lies below them, and the norm behind them, stays as published.
"""

from __future__ import annotations

from torch import nn

from geoadapt.adapters.config import PartialConfig
from geoadapt.adapters.selected import Selected
from geoadapt.adapters.targets import in_blocks
from geoadapt.errors import GeoadaptError

__all__ = ["build"]


def build(config: PartialConfig, backbone: nn.Module) -> Selected:
    """The backbone with its last blocks trainable; raises GeoadaptError where it numbers none."""
    parameters = dict(backbone.named_parameters())
    blocks = {
        block: {name: parameters[name] for name in names}
        for block, names in in_blocks(backbone, parameters, config.last_blocks).items()
    }
    if not blocks:
        problem = f"the last {config.last_blocks} of {backbone.spec.name} have no parameters"  # type: ignore[union-attr]
        raise GeoadaptError("adapter.last_blocks", problem, "choose more of them")
    chosen = {name: parameter for own in blocks.values() for name, parameter in own.items()}
    return Selected(backbone, config, chosen, {block: list(own.values()) for block, own in blocks.items()})
