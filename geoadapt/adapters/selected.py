"""Parameters of the backbone itself that are trained in place: all of them, those of some blocks, the biases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.adapters.base import Attached, check_finite, load_tensors, save_tensors
from geoadapt.backbones.weights import check_state
from geoadapt.errors import GeoadaptError

__all__ = ["Selected"]

FILE = "delta.safetensors"
CARD = "delta.json"


class Selected(Attached):
    """Chosen parameters of the backbone are trained; stored are the tensors that changed, as they are now."""

    each_reaches = False

    def __init__(
        self,
        backbone: nn.Module,
        config: object,
        chosen: Mapping[str, nn.Parameter],
        modules: Mapping[str, list[nn.Parameter]] | None = None,
    ) -> None:
        """Make what is chosen trainable, and what is new in the backbone along with it.

        Args:
            backbone: changed in place.
            config: the configuration, as a bundle is to store it.
            chosen: parameters by their names in the backbone.
            modules: what the probe is to see move the output; None = nothing.
        """
        super().__init__(backbone)
        self.settings = config
        self._modules = dict(modules or {})
        self._name = str(config.name)  # type: ignore[attr-defined]
        self._mine = {n: p for n, p in (dict(chosen) | self.new).items() if p.is_floating_point()}
        self._before = {name: p.detach().clone() for name, p in self._mine.items()}
        backbone.requires_grad_(False)
        for parameter in self._mine.values():
            parameter.requires_grad_(True)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The chosen parameters; fixed tables are buffers and stay."""
        return {} if self.merged else self._mine

    def modules(self) -> dict[str, list[nn.Parameter]]:
        """Module → parameters, one of which at least must reach the output."""
        return {} if self.merged else self._modules

    def merge(self) -> None:
        """Freeze the backbone as it is now."""
        if self.merged:
            return
        check_finite(self._mine, "adapter")
        super().merge()

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
        """Write the changed tensors, their list, and the list of what was trained."""
        from geoadapt.io.atomic import write_text

        state = self.state()
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(folder / FILE, state)
        card = {"name": self._name, "tensors": sorted(state), "trained": sorted(self._mine)}
        write_text(folder / CARD, json.dumps(card, indent=1))

    def load_folder(self, folder: Path) -> None:
        """Read the changed tensors; raises GeoadaptError where they are not those of the list, or of this choice."""
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            listed = card["tensors"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GeoadaptError(folder / CARD, "is missing or no list of tensors", "save the adapter again") from error
        self._check_card(card, folder / CARD)
        state = load_tensors(folder / FILE)
        check_state(state, {key: self._mine.get(key, torch.empty(0)) for key in listed}, folder / FILE)
        self.load(state, folder / FILE)

    def _check_card(self, card: Mapping[str, object], path: Path) -> None:
        """Files written before there were other choices than all do not list what was trained."""
        if (name := card.get("name", self._name)) != self._name:
            raise GeoadaptError(path, f"is of adapter={name}, expected {self._name}", "build it with that adapter")
        trained = card.get("trained", sorted(self._mine))
        if not isinstance(trained, list) or set(trained) != set(self._mine):
            count = len(trained) if isinstance(trained, list) else 0
            problem = f"{count} tensors were trained, and not the {len(self._mine)} that are chosen here"
            raise GeoadaptError(path, problem, "choose the same targets and blocks")
