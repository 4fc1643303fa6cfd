"""The two ends: nothing trained in the backbone, and all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.adapters.base import Attached, check_finite, load_tensors, save_tensors
from geoadapt.adapters.config import FullConfig, HeadOnlyConfig
from geoadapt.backbones.weights import check_state
from geoadapt.errors import GeoadaptError

__all__ = ["Full", "build_full", "build_none"]

FILE = "delta.safetensors"
CARD = "delta.json"


class Full(Attached):
    """Every parameter of the backbone is trained; stored are the tensors that changed, as they are now."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self._mine = {n: p for n, p in backbone.named_parameters() if p.is_floating_point()}
        self._before = {name: p.detach().clone() for name, p in self._mine.items()}
        for parameter in self._mine.values():
            parameter.requires_grad_(True)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """All parameters of the backbone; fixed tables are buffers and stay."""
        return {} if self.merged else self._mine

    def modules(self) -> dict[str, list[nn.Parameter]]:
        """Nothing to probe: parts for other inputs rightly stay unused."""
        return {}

    def merge(self) -> None:
        """Freeze the backbone as it is now."""
        for parameter in self._mine.values():
            parameter.requires_grad_(False)
        self.merged = True

    def state(self) -> dict[str, Tensor]:
        """The tensors that differ from those before training."""
        return {key: value for key, value in super().state().items() if not torch.equal(value, self._before[key].cpu())}

    def load(self, state: Mapping[str, Tensor], where: object = "adapter") -> None:
        """Take over changed tensors; all others go back to what they were before training."""
        self._must_be_there("load")
        check_state(state, {key: self._mine[key] for key in state if key in self._mine}, where)
        check_finite(state, where)
        with torch.no_grad():
            for key, parameter in self._mine.items():
                parameter.copy_(state.get(key, self._before[key]))

    def save(self, folder: Path) -> None:
        """Write the changed tensors and their list."""
        from geoadapt.io.atomic import write_text

        state = self.state()
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(folder / FILE, state)
        write_text(folder / CARD, json.dumps({"name": "full", "tensors": sorted(state)}, indent=1))

    def load_folder(self, folder: Path) -> None:
        """Read the changed tensors; raises GeoadaptError where they are not those of the list."""
        try:
            listed = json.loads((folder / CARD).read_text(encoding="utf-8"))["tensors"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GeoadaptError(folder / CARD, "is missing or no list of tensors", "save the adapter again") from error
        state = load_tensors(folder / FILE)
        check_state(state, {key: self._mine.get(key, torch.empty(0)) for key in listed}, folder / FILE)
        self.load(state, folder / FILE)


def build_none(config: HeadOnlyConfig, backbone: nn.Module) -> Attached:
    """The backbone as published; only what is new in it is trained."""
    attached = Attached(backbone)
    attached.freeze()
    return attached


def build_full(config: FullConfig, backbone: nn.Module) -> Full:
    """The backbone with every parameter trainable."""
    return Full(backbone)
