"""What LoRA, DoRA, (IA)³ and LN tuning share: peft puts the parameters in, merges them, and names them in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from geoadapt.adapters.base import Attached, check_finite, load_tensors, save_tensors
from geoadapt.errors import GeoadaptError

__all__ = ["ThroughPeft"]

FILE = "adapter_model.safetensors"
CARD = "adapter_config.json"
ROOT = "base_model.model."
MAGNITUDE = ".lora_magnitude_vector"
"""Of DoRA; peft stores it without the name of its only parameter."""


class ThroughPeft(Attached):
    """A method of peft's in a backbone; stored in peft's own layout, which plain peft loads."""

    def __init__(self, backbone: nn.Module, settings: object, card: Any, compared: tuple[str, ...]) -> None:
        """Put in what ``card`` (a ``peft.PeftConfig``) says; raises GeoadaptError for layers that peft cannot take.

        Args:
            backbone: changed in place.
            settings: the configuration as a bundle is to store it.
            card: peft's configuration.
            compared: what must agree between a stored card and this one.
        """
        from peft import get_peft_model
        from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

        super().__init__(backbone)
        self.settings = settings
        backbone.requires_grad_(False)
        try:
            self._peft: Any = get_peft_model(backbone, card)
        except ValueError as error:
            raise GeoadaptError("adapter.targets", str(error).splitlines()[0], "choose linear layers") from error
        self._card = card
        self._mark = f".{PEFT_TYPE_TO_PREFIX_MAPPING[card.peft_type]}"
        self._compared = ("peft_type", *compared)
        for parameter in self.new.values():
            parameter.requires_grad_(True)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The method's parameters, and what is new in the backbone, by peft's keys."""
        if self.merged:
            return {}
        own = {_key(name): p for name, p in self._peft.named_parameters() if self._mark in name}
        return own | {ROOT + name: parameter for name, parameter in self.new.items()}

    def modules(self) -> dict[str, list[nn.Parameter]]:
        """Adapted module → its parameters."""
        found: dict[str, list[nn.Parameter]] = {}
        for key, parameter in self.named_parameters().items():
            if self._mark in key:
                found.setdefault(key.removeprefix(ROOT).rsplit(self._mark, 1)[0], []).append(parameter)
        return found

    def merge(self) -> None:
        """Fold the parameters into the weights and put the plain modules back."""
        if self.merged:
            return
        check_finite(self.named_parameters(), "adapter")
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
        """Read peft's two files; raises GeoadaptError where method, settings, targets or tensors differ."""
        try:
            stored = dict(json.loads((folder / CARD).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise GeoadaptError(folder / CARD, "is missing or no JSON", "save the adapter again") from error
        mine = json.loads(json.dumps(self._card.to_dict(), default=str))
        for key in self._compared:
            if stored.get(key) != mine[key]:
                raise GeoadaptError(
                    folder / CARD, f"{key} is {stored.get(key)!r}, expected {mine[key]!r}", "build it with that value"
                )
        self.load(load_tensors(folder / FILE), folder / FILE)


def _key(name: str) -> str:
    key = name.replace(".default", "")
    return key.removesuffix(".weight") if key.endswith(f"{MAGNITUDE}.weight") else key
