"""Decoders. In: Features and the Batch they came from. Out: scores (b, t, k, h, w) on the input's grid."""

from geoadapt.heads.config import FcnConfig, LinearConfig, RemovalConfig, UnetConfig, UpernetConfig
from geoadapt.registry import Entry

__all__ = ["HEADS"]

HEADS: dict[str, Entry] = {
    "linear": Entry(LinearConfig, "geoadapt.heads.linear:build"),
    "fcn": Entry(FcnConfig, "geoadapt.heads.fcn:build"),
    "removal": Entry(RemovalConfig, "geoadapt.heads.removal:build"),
    "unet": Entry(UnetConfig, "geoadapt.heads.unet:build"),
    "upernet": Entry(UpernetConfig, "geoadapt.heads.upernet:build"),
}
