"""Frozen encoders. In: a Batch. Out: Features, maps (b, t, d, h, w) from shallow to deep.

One file per family; the dict below is the whole registry.
"""

from geoadapt.backbones.config import (
    DlL8s2UvConfig,
    GalileoConfig,
    PmaaConfig,
    PrithviEoConfig,
    SmallEoConfig,
    SmallWxConfig,
    SpaGanConfig,
)
from geoadapt.registry import Entry

__all__ = ["BACKBONES"]

BACKBONES: dict[str, Entry] = {
    "galileo_nano": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "galileo_tiny": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "galileo_base": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "small_eo": Entry(SmallEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "small_wx": Entry(SmallWxConfig, "geoadapt.backbones.small_wx:build"),
    "dl_l8s2_uv": Entry(DlL8s2UvConfig, "geoadapt.backbones.dl_l8s2_uv:build"),
    "pmaa": Entry(PmaaConfig, "geoadapt.backbones.pmaa:build"),
    "spagan": Entry(SpaGanConfig, "geoadapt.backbones.spagan:build"),
    "prithvi_eo_v1_100": Entry(PrithviEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "prithvi_eo_v2_tiny_tl": Entry(PrithviEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "prithvi_eo_v2_100_tl": Entry(PrithviEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "prithvi_eo_v2_300": Entry(PrithviEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "prithvi_eo_v2_300_tl": Entry(PrithviEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "prithvi_eo_v2_600": Entry(PrithviEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "prithvi_eo_v2_600_tl": Entry(PrithviEoConfig, "geoadapt.backbones.prithvi_eo:build"),
}
