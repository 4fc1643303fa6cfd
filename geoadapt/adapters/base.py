"""What every adapter offers once attached: its parameters, its state, merging, and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from geoadapt.backbones.weights import check_state, load_state
from geoadapt.errors import GeoadaptError

__all__ = ["Attached", "load_tensors", "save_tensors"]

FILE = "new.safetensors"
"""What an adapter without tensors of its own stores of the backbone's new parameters."""


class Attached:
    """A backbone with an adapter in it; this one changes nothing, and others override what they need to."""

    each_reaches = True
    """Whether each parameter of a module must reach the output, or one of them at least."""

    def __init__(self, backbone: nn.Module) -> None:
        self.backbone = backbone
        """Callable with a Batch, as before."""
        names = getattr(backbone, "trainable", ())
        self.new = {n: p for n, p in backbone.named_parameters() if n in names}
        """What the backbone holds that nobody has trained yet: the kernels of new channels, for one."""
        self.merged = False

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The adapter's trainable parameters by the keys of ``state``."""
        return {} if self.merged else self.new

    def parameters(self) -> list[nn.Parameter]:
        """The adapter's trainable parameters."""
        return list(self.named_parameters().values())

    def modules(self) -> dict[str, list[nn.Parameter]]:
        """Adapted module → its adapter parameters, which must reach the output."""
        return {}

    def freeze(self) -> None:
        """Leave nothing of the backbone trainable but what is new in it."""
        self.backbone.requires_grad_(False)
        for parameter in self.new.values():
            parameter.requires_grad_(True)

    def merge(self) -> None:
        """Fold the adapter into the backbone's weights; outputs stay, and the adapter is gone."""
        self.backbone.requires_grad_(False)
        self.merged = True

    def state(self) -> dict[str, Tensor]:
        """What training changed, by key; detached copies on the CPU."""
        self._must_be_there("state")
        return {key: value.detach().cpu().clone() for key, value in self.named_parameters().items()}

    def load(self, state: Mapping[str, Tensor], where: object = "adapter") -> None:
        """Take over a state, all of it or nothing; raises GeoadaptError for other keys, shapes or values."""
        self._must_be_there("load")
        mine = self.named_parameters()
        check_state(state, mine, where)
        check_finite(state, where)
        with torch.no_grad():
            for key, value in state.items():
                mine[key].copy_(value)

    def save(self, folder: Path) -> None:
        """Write the adapter's files into a folder; none where nothing is trained."""
        if self.named_parameters():
            folder.mkdir(parents=True, exist_ok=True)
            save_tensors(folder / FILE, self.state())

    def load_folder(self, folder: Path) -> None:
        """Read what ``save`` wrote; raises GeoadaptError where it is not this adapter's."""
        if self.named_parameters():
            self.load(load_tensors(folder / FILE), folder / FILE)

    def _must_be_there(self, what: str) -> None:
        if self.merged:
            raise GeoadaptError("adapter", f"is merged into the backbone: no {what}", "take its state before merging")


def check_finite(state: Mapping[str, Tensor], where: object) -> None:
    """Raises GeoadaptError where a value is not finite."""
    bad = [key for key, value in state.items() if not bool(value.isfinite().all())]
    if bad:
        raise GeoadaptError(where, f"values that are not finite in {', '.join(bad[:5])}", "train it again")


def save_tensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all."""
    from safetensors.torch import save

    from geoadapt.io.atomic import write_bytes

    write_bytes(path, save({key: value.contiguous() for key, value in state.items()}, metadata={"format": "pt"}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors; raises GeoadaptError for a missing or damaged file."""
    return load_state(path)
