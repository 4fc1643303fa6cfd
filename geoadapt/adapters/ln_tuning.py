"""LN tuning (Zhao 2023, arXiv 2312.11420) through peft: y = γ ⊙ x̂ + β with γ and β trained, all else frozen.

Layer, group, instance and batch normalisation are one to it, as long as they scale or shift; of a batch normalisation
the statistics stay what they were. A backbone's own copies are trained, so that nothing changes before training.
"""

from __future__ import annotations

import re
import warnings

from torch import nn

from geoadapt.adapters.config import LnTuningConfig
from geoadapt.adapters.targets import exactly, in_blocks, target_pattern
from geoadapt.adapters.through_peft import ThroughPeft
from geoadapt.errors import GeoadaptError

__all__ = ["build", "norms"]


def build(config: LnTuningConfig, backbone: nn.Module) -> ThroughPeft:
    """LN tuning of the backbone's normalisations; raises GeoadaptError where it has none with parameters."""
    from peft import LNTuningConfig as PeftConfig

    names = norms(backbone)
    if config.targets:
        pattern = target_pattern(backbone, config.targets, config.last_blocks, names, "normalisation")
        names = [name for name in names if re.fullmatch(pattern, name)]
    else:
        names = [name for own in in_blocks(backbone, names, config.last_blocks).values() for name in own]
    if not names:
        problem = f"{backbone.spec.name} has no normalisation with parameters in its blocks"  # type: ignore[union-attr]
        raise GeoadaptError("adapter", problem, "choose another, such as adapter=lora")
    card = PeftConfig(target_modules=exactly(names))
    with warnings.catch_warnings():
        # peft asks every layer for its number of inputs, and warns of norms, which have none
        warnings.filterwarnings("ignore", "Unsupported layer type", UserWarning)
        return ThroughPeft(backbone, config, card, ("target_modules",))


def norms(backbone: nn.Module) -> list[str]:
    """Names of the normalisations that have parameters; they are known by the name of their class."""
    return [
        name
        for name, module in backbone.named_modules()
        if "Norm" in type(module).__name__ and any(True for _ in module.parameters(recurse=False))
    ]
