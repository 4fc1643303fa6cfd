"""BitFit (Ben Zaken 2021, arXiv 2106.10199): of y = W x + b in every layer and norm, b alone is trained."""

from __future__ import annotations

import re

from torch import nn

from geoadapt.adapters.config import BitFitConfig
from geoadapt.adapters.selected import Selected
from geoadapt.adapters.targets import in_blocks, target_pattern
from geoadapt.errors import GeoadaptError

__all__ = ["build"]

OF_KEYS = re.compile(r"(.*[._])?(k|key)(_proj)?")
"""Their bias adds the same to all that a query is compared with, which a softmax does not see: trained, not probed."""


def build(config: BitFitConfig, backbone: nn.Module) -> Selected:
    """The backbone with its biases trainable; raises GeoadaptError where it has none."""
    biases = {name: parameter for name, parameter in backbone.named_parameters() if _is_bias(name)}
    owners = {name: name.rpartition(".")[0] for name in biases}
    if config.targets:
        names = list(dict.fromkeys(owners.values()))
        pattern = target_pattern(backbone, config.targets, config.last_blocks, names, "layer with a bias")
        chosen = [name for name in biases if re.fullmatch(pattern, owners[name])]
    else:
        chosen = [name for own in in_blocks(backbone, biases, config.last_blocks).values() for name in own]
    if not chosen:
        problem = f"{backbone.spec.name} has no biases in its blocks"  # type: ignore[union-attr]
        raise GeoadaptError("adapter", problem, "choose another, such as adapter=lora")
    seen: dict[str, list[nn.Parameter]] = {}
    for name in chosen:
        if not OF_KEYS.fullmatch(owners[name]):
            seen.setdefault(owners[name], []).append(biases[name])
    return Selected(backbone, config, {name: biases[name] for name in chosen}, seen)


def _is_bias(name: str) -> bool:
    return name.rpartition(".")[2] == "bias" or name.endswith("_bias")
