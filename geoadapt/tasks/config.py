"""Configurations of the tasks; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CloudSegmentationConfig"]


@dataclass
class CloudSegmentationConfig:
    """Classes 0 clear, 1 cloud, 2 thin_cloud, 3 shadow, 255 nodata."""

    name: str = "cloud_segmentation"
    losses: dict[str, float] = field(default_factory=lambda: {"ce": 1.0, "dice": 0.5})
    """Loss → weight, of ``ce``, ``focal``, ``dice``, ``lovasz``."""
    class_weights: str = "none"
    """``none`` or ``balanced`` (by the square root of inverse frequency in the training blocks)."""
