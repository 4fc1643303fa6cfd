"""What a fit is told and what it tells: parameters with their learning rate, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

__all__ = ["FitResult", "ParameterGroup"]


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters that share a learning rate, as a multiple of ``train.lr``."""

    parameters: Sequence[nn.Parameter]
    lr_scale: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """How a fit went: the validation score that chose the weights, and what it cost."""

    best: float
    """The task's monitored score."""
    best_step: int
    steps: int
    seconds: float
    curves: Path
    checkpoint: Path
