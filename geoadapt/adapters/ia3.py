"""(IA)³ (Liu 2022, arXiv 2205.05638, section 3.3) through peft: learned scales of what is inside a block.

softmax(Q (l_k ⊙ Kᵀ) / √d) (l_v ⊙ V) in attention, and (l_ff ⊙ γ(W₁ x)) W₂ in the MLP. A projection of queries, keys and
values in one gets one scale for each of its outputs, as peft does it; so do the outputs of convolutions, of which the
paper has none. All scales start at 1, so that nothing changes before training.
"""

from __future__ import annotations

import re
from dataclasses import replace

from torch import nn

from geoadapt.adapters.config import Ia3Config
from geoadapt.adapters.targets import exactly, layers, target_groups, target_pattern
from geoadapt.adapters.through_peft import ThroughPeft
from geoadapt.errors import GeoadaptError

__all__ = ["build"]

KEYS_AND_VALUES = re.compile(r"(.*[._])?(k|v|kv|qkv|key|value|query_key_value)(_proj)?")
COMPARED = ("target_modules", "feedforward_modules")


def build(config: Ia3Config, backbone: nn.Module) -> ThroughPeft:
    """(IA)³ on the backbone's target groups; raises GeoadaptError where a group holds nothing to be scaled."""
    from peft import IA3Config as PeftConfig

    named = replace(config, targets=tuple(config.targets) or target_groups(backbone))
    ends: list[str] = []
    starts: list[str] = []
    for target in named.targets:
        (starts if target in named.feedforward else ends).extend(_scaled(backbone, target, named.last_blocks))
    if both := sorted(set(starts) & set(ends)):
        raise GeoadaptError("adapter.feedforward", f"{both[0]} is asked for on both sides", "name it in one target")
    card = PeftConfig(target_modules=exactly([*ends, *starts]), feedforward_modules=exactly(starts))
    return ThroughPeft(backbone, named, card, COMPARED)


def _scaled(backbone: nn.Module, target: str, last_blocks: int | None) -> list[str]:
    """Names of the layers that a target scales: of its group those that the paper does."""
    pattern = target_pattern(backbone, (target,), last_blocks)
    matched = [name for name in layers(backbone) if re.fullmatch(pattern, name)]
    if target not in backbone.spec.targets:  # type: ignore[union-attr, operator]
        return matched
    if target == "attention":
        matched = [name for name in matched if KEYS_AND_VALUES.fullmatch(name)]
    elif target == "mlp":
        matched = [name for name in matched if _narrows(backbone.get_submodule(name))]
    if not matched:
        what = "keys and values" if target == "attention" else "a layer that narrows"
        raise GeoadaptError("adapter.targets", f"'{target}' has nothing called {what}", "name the layers themselves")
    return matched


def _narrows(layer: nn.Module) -> bool:
    """Whether it takes the wide hidden features of an MLP back."""
    if isinstance(layer, nn.Linear):
        return layer.out_features < layer.in_features
    return isinstance(layer, nn.Conv2d) and layer.out_channels < layer.in_channels
