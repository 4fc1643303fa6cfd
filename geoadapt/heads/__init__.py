"""Decoders. In: Features and the Batch they came from. Out: scores (b, t, k, h, w) on the input's grid."""

from geoadapt.heads.config import (
    FcnConfig,
    ImageConfig,
    LinearConfig,
    MaeDecoderConfig,
    PooledConfig,
    RemovalConfig,
    ResidualConfig,
    UnetConfig,
    UpernetConfig,
)
from geoadapt.registry import Entry

__all__ = ["HEADS"]

HEADS: dict[str, Entry] = {
    "image": Entry(ImageConfig, "geoadapt.heads.image:build"),
    "linear": Entry(LinearConfig, "geoadapt.heads.linear:build"),
    "mae_decoder": Entry(MaeDecoderConfig, "geoadapt.heads.mae_decoder:build"),
    "fcn": Entry(FcnConfig, "geoadapt.heads.fcn:build"),
    "pooled": Entry(PooledConfig, "geoadapt.heads.pooled:build"),
    "removal": Entry(RemovalConfig, "geoadapt.heads.removal:build"),
    "residual": Entry(ResidualConfig, "geoadapt.heads.residual:build"),
    "unet": Entry(UnetConfig, "geoadapt.heads.unet:build"),
    "upernet": Entry(UpernetConfig, "geoadapt.heads.upernet:build"),
}
