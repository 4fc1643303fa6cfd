"""What every head is told about its place: how many classes, and the image's channels and statistics."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["HeadInputs"]


@dataclass(frozen=True, slots=True)
class HeadInputs:
    """Classes, and per channel of the image its mean and standard deviation (c,) over the training blocks."""

    classes: int
    mean: Tensor
    std: Tensor
