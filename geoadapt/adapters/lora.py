"""LoRA (Hu 2021, arXiv 2106.09685) through peft: low-rank updates beside frozen linear layers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from geoadapt.adapters.base import Attached, load_tensors, save_tensors
from geoadapt.adapters.config import LoraConfig
from geoadapt.backbones.base import BackboneSpec
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["Lora", "build", "target_groups", "target_pattern"]

FILE = "adapter_model.safetensors"
CARD = "adapter_config.json"
COMPARED = ("peft_type", "r", "lora_alpha", "target_modules")
"""What must agree between a stored card and the adapter that is to take its tensors."""


class Lora(Attached):
    """LoRA in a backbone; stored in peft's own layout, which plain peft loads."""

    def __init__(self, backbone: nn.Module, config: LoraConfig) -> None:
        from peft import LoraConfig as PeftConfig
        from peft import get_peft_model

        super().__init__(backbone)
        self.settings = replace(config, targets=tuple(config.targets) or target_groups(backbone))
        """The configuration with every target named, so that a stored bundle keeps its meaning."""
        pattern = target_pattern(backbone, self.settings.targets, config.last_blocks)
        card = PeftConfig(r=config.r, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=pattern)
        backbone.requires_grad_(False)
        try:
            self._peft: Any = get_peft_model(backbone, card)
        except ValueError as error:
            raise GeoadaptError("adapter.targets", str(error).splitlines()[0], "choose linear layers") from error
        self._card = card
        for parameter in self.new.values():
            parameter.requires_grad_(True)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The two factors of every adapted layer, and what is new in the backbone, by peft's keys."""
        if self.merged:
            return {}
        factors = {
            name.replace(".default", ""): parameter
            for name, parameter in self._peft.named_parameters()
            if ".lora_" in name
        }
        return factors | {f"base_model.model.{name}": parameter for name, parameter in self.new.items()}

    def modules(self) -> dict[str, list[nn.Parameter]]:
        """Adapted layer → its factors."""
        found: dict[str, list[nn.Parameter]] = {}
        for key, parameter in self.named_parameters().items():
            if ".lora_" not in key:
                continue
            name = key.removeprefix("base_model.model.").rsplit(".lora_", 1)[0]
            found.setdefault(name, []).append(parameter)
        return found

    def merge(self) -> None:
        """Fold the updates into the weights and put the plain layers back."""
        if self.merged:
            return
        try:
            self._peft.merge_and_unload(safe_merge=True)
        except ValueError as error:
            raise GeoadaptError("adapter", "merging gives weights that are not finite", "train it again") from error
        self.backbone.requires_grad_(False)
        self.merged = True

    def save(self, folder: Path) -> None:
        """Write peft's ``adapter_config.json`` and ``adapter_model.safetensors``."""
        state = self.state()
        folder.mkdir(parents=True, exist_ok=True)
        self._card.save_pretrained(str(folder))
        save_tensors(folder / FILE, state)

    def load_folder(self, folder: Path) -> None:
        """Read peft's two files; raises GeoadaptError where rank, scaling, targets or tensors differ."""
        try:
            stored = json.loads((folder / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise GeoadaptError(folder / CARD, "is missing or no JSON", "save the adapter again") from error
        mine = json.loads(json.dumps(self._card.to_dict(), default=str))  # type: ignore[no-untyped-call]
        for key in COMPARED:
            if stored.get(key) != mine[key]:
                raise GeoadaptError(
                    folder / CARD, f"{key} is {stored.get(key)!r}, expected {mine[key]!r}", "build it with that value"
                )
        self.load(load_tensors(folder / FILE), folder / FILE)


def target_groups(backbone: nn.Module) -> tuple[str, ...]:
    """All target groups that a backbone declares, in its order; raises GeoadaptError where it declares none."""
    spec: BackboneSpec = backbone.spec  # type: ignore[assignment]
    if not spec.targets:
        raise GeoadaptError("adapter.targets", f"{spec.name} names no groups of layers", "name layers, or adapter=none")
    return tuple(spec.targets)


def target_pattern(backbone: nn.Module, targets: Sequence[str], last_blocks: int | None = None) -> str:
    """One regular expression over whole module names.

    Args:
        backbone: what has the modules, and in its ``spec`` the target groups.
        targets: group names, or regular expressions, in which ``{block}`` stands for the chosen blocks' numbers.
        last_blocks: only the last k; None = all.

    Raises:
        GeoadaptError: for a target that matches no module, with the nearest names.
    """
    spec: BackboneSpec = backbone.spec  # type: ignore[assignment]
    first = 0 if last_blocks is None else max(0, spec.blocks - last_blocks)
    numbers = "(" + "|".join(str(n) for n in range(first, spec.blocks)) + ")"
    names = [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    parts = []
    for target in targets:
        pattern = spec.targets.get(target, target)
        if last_blocks is not None and "{block}" not in pattern:
            raise GeoadaptError(
                "adapter.last_blocks", f"does not go with the target '{target}'", "write {block} for the block's number"
            )
        pattern = pattern.replace("{block}", numbers)
        try:
            matched = [name for name in names if re.fullmatch(pattern, name)]
        except re.error as error:
            raise GeoadaptError("adapter.targets", f"'{target}' is no regular expression: {error}") from error
        if not matched:
            raise GeoadaptError(
                "adapter.targets",
                f"'{target}' matches no layer as a whole name",
                f"groups: {', '.join(spec.targets)}; layers: {nearest(target, names)}",
            )
        _check_dilation(backbone, target, matched)
        parts.append(pattern)
    if not parts:
        raise GeoadaptError("adapter.targets", "is empty", f"groups: {', '.join(spec.targets)}")
    return "|".join(f"(?:{part})" for part in parts)


def _check_dilation(backbone: nn.Module, target: str, names: Sequence[str]) -> None:
    """Refuse what peft has no form for: the update of a dilated convolution would have another shape."""
    for name in names:
        layer = backbone.get_submodule(name)
        if isinstance(layer, nn.Conv2d) and layer.dilation != (1, 1):
            problem = f"'{target}' matches {name}, a convolution with dilation {layer.dilation[0]}"
            raise GeoadaptError("adapter.targets", problem, "leave it out: LoRA has no form for it")


def build(config: LoraConfig, backbone: nn.Module) -> Lora:
    """LoRA on the backbone's target groups."""
    return Lora(backbone, config)
