"""Configurations of the public data sets of cloud removal; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError

__all__ = ["PAIRS", "RemovalDatasetConfig"]

PAIRS = ("sen2_mtc_new", "sen2_mtc_old", "sen12mscr")
"""Cloudy images with a cloud-free one beside them, and nothing that tells where the clouds are."""


@dataclass
class RemovalDatasetConfig:
    """A public data set of cloud removal in its published folders; ``name`` chooses it."""

    name: str = "sen12mscr"
    root: str = ""
    """Empty = ``data/NAME``."""
    images: int = 0
    """At most so many places of every split, evenly taken; 0 = all."""
    radar: bool = True
    """Whether Sentinel-1 is read, where the data set has it."""
    masks: str = ""
    """A folder of cloud masks in the folders and under the names of the cloudy images, or those with ``_labels``
    behind them, as ``geoadapt predict`` writes them: 0 = clear. Empty = all of a pair's cloudy image is shown."""
    val_fraction: float = 0.1
    """Share of the training places that validate, where the data set names none itself."""

    def __post_init__(self) -> None:
        self.root = self.root or f"data/{self.name}"
        if self.images < 0:
            raise GeoadaptError("data.images", f"{self.images}", "choose 0 or more")
        if not 0 < self.val_fraction < 1:
            raise GeoadaptError("data.val_fraction", f"{self.val_fraction}", "choose more than 0 and less than 1")

    @property
    def knows_clouds(self) -> bool:
        """Whether it is told where the images are cloudy."""
        return bool(self.masks) or self.name not in PAIRS
