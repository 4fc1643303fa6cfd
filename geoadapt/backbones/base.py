"""What a backbone is: a frozen encoder that declares what it takes, and the features it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.types import Batch

__all__ = ["Backbone", "BackboneSpec", "Features", "SplitBackbone", "State"]


class Backbone(Protocol):
    """A frozen encoder; also an ``nn.Module``."""

    spec: BackboneSpec

    def __call__(self, batch: Batch) -> Features:
        """Features of a batch, in the order of ``spec.widths``."""


@dataclass(frozen=True, slots=True)
class State:
    """What a backbone has computed of each sample up to a block; every tensor's first axis is the sample."""

    maps: tuple[Tensor, ...]
    """Feature maps that are done (b, t, d, h, w), or what the backbone keeps in their place."""
    tokens: Tensor | None
    """What enters the next block (b, …, n, d); None where there is none."""
    seen: Tensor | None = None
    """Which tokens take part (b, …, n) bool; None = all."""
    grid: tuple[int, ...] = ()
    """Sizes of the token grid, as the backbone counts them: the same for all samples."""

    def to(self, device: torch.device | str) -> State:
        """The same state on ``device``."""
        return replace(
            self,
            maps=tuple(m.to(device) for m in self.maps),
            tokens=None if self.tokens is None else self.tokens.to(device),
            seen=None if self.seen is None else self.seen.to(device),
        )


@runtime_checkable
class SplitBackbone(Protocol):
    """A backbone whose lower blocks can be computed once, and its upper ones again and again.

    ``upper(lower(batch, b), b)`` is the backbone's output, for every b from 0 to ``spec.blocks``.
    """

    spec: BackboneSpec

    def lower(self, batch: Batch, block: int) -> State:
        """What the first ``block`` blocks, and all that comes before them, make of a batch."""

    def upper(self, state: State, block: int) -> Features:
        """The features, from what the first ``block`` blocks have made."""
