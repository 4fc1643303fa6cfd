"""What a backbone is: a frozen encoder that declares what it takes, and the features it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from geoadapt.fields.types import Batch

__all__ = ["Backbone", "BackboneSpec", "Features"]


@dataclass(frozen=True, slots=True)
class Features:
    """Maps (b, t, d, h, w) from shallow to deep, and the stride of each against the input [px]."""

    maps: tuple[Tensor, ...]
    strides: tuple[int, ...]
    tokens: Tensor | None = None
    """(b, n, d), where an adapter needs them."""


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """What a backbone declares: inputs it may be given, units, widths, and where adapters may go."""

    name: str
    inputs: dict[str, tuple[str, ...]]
    """Input name → channels it can take (any subset, any order)."""
    required: dict[str, tuple[str, ...]]
    """Input name → channels without which it cannot run."""
    units: dict[str, str]
    """Input name → units of its values, e.g. ``reflectance`` (0–1), ``dB``, ``K``."""
    widths: tuple[int, ...]
    """Feature widths d, one per map in ``Features.maps``."""
    strides: tuple[int, ...]
    blocks: int
    targets: dict[str, str]
    """Adapter target group (``attention``, ``mlp``) → regex, anchored, with ``{block}`` where the block's number stands."""
    multiple: int
    """Height and width must be a multiple of this [px]."""


class Backbone(Protocol):
    """A frozen encoder; also an ``nn.Module``."""

    spec: BackboneSpec

    def __call__(self, batch: Batch) -> Features:
        """Features of a batch, in the order of ``spec.widths``."""

    def modules(self) -> object:
        """As in ``nn.Module``."""


def as_module(backbone: Backbone) -> nn.Module:
    """The same object, typed as the module it is."""
    if not isinstance(backbone, nn.Module):
        raise TypeError(f"{type(backbone).__name__} is not an nn.Module")
    return backbone
