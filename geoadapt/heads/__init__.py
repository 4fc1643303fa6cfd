"""Decoders. In: Features and the Batch they came from. Out: scores (b, t, k, h, w) on the input's grid."""

from geoadapt.heads.config import FcnConfig, LinearConfig, UnetConfig, UpernetConfig
from geoadapt.registry import Entry

__all__ = ["HEADS"]

HEADS: dict[str, Entry] = {
    "linear": Entry(LinearConfig, "geoadapt.heads.linear:build"),
    "fcn": Entry(FcnConfig, "geoadapt.heads.fcn:build"),
    "unet": Entry(UnetConfig, "geoadapt.heads.unet:build"),
    "upernet": Entry(UpernetConfig, "geoadapt.heads.upernet:build"),
}
