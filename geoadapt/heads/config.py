"""Configurations of the heads; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FcnConfig", "LinearConfig", "UnetConfig"]


@dataclass
class LinearConfig:
    """One linear map from the deepest features to the patch's pixels."""

    name: str = "linear"


@dataclass
class FcnConfig:
    """Convolutions on the deepest features, upsampled."""

    name: str = "fcn"
    width: int = 64
    layers: int = 2


@dataclass
class UnetConfig:
    """A decoder over a pyramid made from the backbone's features, with the image itself as the finest level."""

    name: str = "unet"
    width: int = 32
    image_skip: bool = True
    """Feed the input's pixels to the finest level: a patch of 4 px is coarser than a cloud's edge."""
