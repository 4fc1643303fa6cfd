"""Configurations of the tasks on labelled samples; plain data, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.tasks.config import check_class_weights, check_losses

__all__ = ["ClassificationConfig", "MultilabelConfig", "RegressionConfig", "SampleSegmentationConfig"]

DIVISIBLE = ("ce", "focal", "dice")
"""Losses that several processes may share."""
REGRESSION_LOSSES = ("huber", "mse")


@dataclass
class ClassificationConfig:
    """One class for every sample."""

    name: str = "classification"
    class_weights: str = "none"
    """``none`` or ``balanced`` (by the square root of inverse frequency in the training samples)."""

    def __post_init__(self) -> None:
        check_class_weights(self.class_weights)


@dataclass
class MultilabelConfig:
    """Some of several labels for every sample."""

    name: str = "multilabel"
    class_weights: str = "none"
    """``none`` or ``balanced``: what is rare and there weighs more."""

    def __post_init__(self) -> None:
        check_class_weights(self.class_weights)


@dataclass
class RegressionConfig:
    """One value for every sample, or for every pixel of it."""

    name: str = "regression"
    loss: str = "huber"
    """``huber`` or ``mse``, of targets in deviations of the training ones."""
    delta: float = 1.0
    """Where Huber's loss turns from squares to absolutes [deviations]."""

    def __post_init__(self) -> None:
        if self.loss not in REGRESSION_LOSSES:
            raise GeoadaptError("task.loss", f"'{self.loss}'", nearest(self.loss, REGRESSION_LOSSES))
        if not 0 < self.delta < math.inf:
            raise GeoadaptError("task.delta", f"{self.delta}", "choose more than 0, such as 1")


@dataclass
class SampleSegmentationConfig:
    """One class for every pixel of a sample."""

    name: str = "segmentation"
    losses: dict[str, float] = field(default_factory=lambda: {"ce": 1.0})
    """Loss → weight, of ``ce``, ``focal``, ``dice``."""
    class_weights: str = "none"

    def __post_init__(self) -> None:
        check_class_weights(self.class_weights)
        check_losses(self.losses, DIVISIBLE)
