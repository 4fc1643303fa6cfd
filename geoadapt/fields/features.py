"""What lies between a backbone and a head: feature maps, and what a backbone declares about itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["BackboneSpec", "Features"]


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
    """Adapter target group (``attention``, ``mlp``) → whole-name regex, ``{block}`` standing for the number."""
    multiple: int
    """Height and width must be a multiple of this [px]."""
    response: str | None = None
    """The sensor of ``cubes.sensors`` whose bands it was pre-trained on, where there was one."""
    dates: int | None = None
    """How many dates of a place it was pre-trained on together; None = any number."""
