"""Frozen encoders. In: a Batch. Out: Features, maps (b, t, d, h, w) from shallow to deep.

One file per family; the dict below is the whole registry.
"""

from geoadapt.backbones.config import GalileoConfig, SmallVitConfig
from geoadapt.registry import Entry

__all__ = ["BACKBONES"]

BACKBONES: dict[str, Entry] = {
    "galileo_nano": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "galileo_tiny": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "galileo_base": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "small_vit": Entry(SmallVitConfig, "geoadapt.backbones.small_vit:build"),
}
