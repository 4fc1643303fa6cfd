"""Frozen encoders. In: a Batch. Out: Features, maps (b, t, d, h, w) from shallow to deep.

One file per family; the dict below is the whole registry.
"""

from geoadapt.backbones.config import (
    DlL8s2UvConfig,
    GalileoConfig,
    PmaaConfig,
    PrestoConfig,
    PrithviEoConfig,
    SmallEoConfig,
    SmallSeriesConfig,
    SmallWxConfig,
    SpaGanConfig,
)
from geoadapt.backbones.picture_config import EosFmConfig, PictureConfig
from geoadapt.registry import Entry

__all__ = ["BACKBONES"]

BACKBONES: dict[str, Entry] = {
    "galileo_nano": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "galileo_tiny": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "galileo_base": Entry(GalileoConfig, "geoadapt.backbones.galileo:build"),
    "presto": Entry(PrestoConfig, "geoadapt.backbones.presto:build"),
    "dinov2_small": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov2_base": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov2_large": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov3_vits16": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov3_vitb16": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov3_vitl16": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov3_convnext_tiny": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov3_convnext_small": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov3_convnext_base": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "dinov3_convnext_large": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnext_tiny": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnext_small": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnext_base": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnext_large": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnext_xlarge": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_atto": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_femto": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_pico": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_nano": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_tiny": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_base": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_large": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "convnextv2_huge": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "resnet50": Entry(PictureConfig, "geoadapt.backbones.picture:build"),
    "small_eo": Entry(SmallEoConfig, "geoadapt.backbones.prithvi_eo:build"),
    "small_series": Entry(SmallSeriesConfig, "geoadapt.backbones.small_series:build"),
    "small_wx": Entry(SmallWxConfig, "geoadapt.backbones.small_wx:build"),
    "eosfm": Entry(EosFmConfig, "geoadapt.backbones.eosfm:build"),
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
