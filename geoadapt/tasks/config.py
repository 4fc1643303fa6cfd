"""Configurations of the tasks; plain data, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["LOSS_NAMES", "CloudSegmentationConfig", "PretrainingConfig"]

LOSS_NAMES = ("ce", "focal", "dice", "lovasz")
CLASS_WEIGHTS = ("none", "balanced")


@dataclass
class CloudSegmentationConfig:
    """Classes 0 clear, 1 cloud, 2 thin_cloud, 3 shadow, 255 nodata."""

    name: str = "cloud_segmentation"
    losses: dict[str, float] = field(default_factory=lambda: {"ce": 1.0, "dice": 0.5})
    """Loss → weight, of ``ce``, ``focal``, ``dice``, ``lovasz``."""
    class_weights: str = "none"
    """``none`` or ``balanced`` (by the square root of inverse frequency in the training blocks)."""

    def __post_init__(self) -> None:
        for name, weight in self.losses.items():
            if name not in LOSS_NAMES:
                raise GeoadaptError(f"task.losses.{name}", "unknown loss", nearest(name, LOSS_NAMES))
            if not 0 <= weight < math.inf:
                raise GeoadaptError(f"task.losses.{name}", f"{weight}", "choose 0 or more")
        if not sum(self.losses.values()):
            raise GeoadaptError("task.losses", "nothing is weighed", f"choose from {', '.join(LOSS_NAMES)}")
        if self.class_weights not in CLASS_WEIGHTS:
            raise GeoadaptError(
                "task.class_weights", f"'{self.class_weights}' is unknown", nearest(self.class_weights, CLASS_WEIGHTS)
            )


@dataclass
class PretrainingConfig:
    """A masked autoencoder (He 2021): most patches are hidden, and painted from the rest."""

    name: str = "pretraining"
    hide: float = 0.75
    """Share of the patches that are hidden."""
    norm_target: bool = False
    """Whether each patch is to be painted with its own mean and deviation taken out."""

    def __post_init__(self) -> None:
        if not 0 < self.hide < 1:
            raise GeoadaptError("task.hide", f"{self.hide}", "choose more than 0 and less than 1")
