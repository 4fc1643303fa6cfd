"""Models of the Prithvi-EO family: their sizes, and where their weights lie.

In: a configuration. Out: the layout of its encoder, the path and the address of its file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.prithvi_eo_bands import BANDS
from geoadapt.backbones.prithvi_eo_layers import Layout
from geoadapt.backbones.weights import find_weights
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["HUB", "VARIANTS", "Variant", "layout_of", "weights_of"]

HUB = "ibm-nasa-geospatial"


@dataclass(frozen=True, slots=True)
class Variant:
    """A model of the family: sizes, patch [px], frames of its pre-training, and where its file lies."""

    version: int
    width: int
    depth: int
    heads: int
    frames: int
    patch: int
    coords: tuple[str, ...]
    repository: str
    """Empty where the file ships with the package."""
    file: str
    image: int = 224
    """Side of the images of its pre-training [px]."""


TL = ("time", "location")
VARIANTS: dict[str, Variant] = {
    "prithvi_eo_v1_100": Variant(1, 768, 12, 12, 3, 16, (), "Prithvi-EO-1.0-100M", "Prithvi_EO_V1_100M.pt"),
    "prithvi_eo_v2_tiny_tl": Variant(2, 192, 12, 3, 1, 16, TL, "Prithvi-EO-2.0-tiny-TL", "Prithvi_EO_V2_tiny_TL.pt"),
    "prithvi_eo_v2_100_tl": Variant(2, 768, 12, 12, 4, 16, TL, "Prithvi-EO-2.0-100M-TL", "Prithvi_EO_V2_100M_TL.pt"),
    "prithvi_eo_v2_300": Variant(2, 1024, 24, 16, 4, 16, (), "Prithvi-EO-2.0-300M", "Prithvi_EO_V2_300M.pt"),
    "prithvi_eo_v2_300_tl": Variant(2, 1024, 24, 16, 4, 16, TL, "Prithvi-EO-2.0-300M-TL", "Prithvi_EO_V2_300M_TL.pt"),
    "prithvi_eo_v2_600": Variant(2, 1280, 32, 16, 4, 14, (), "Prithvi-EO-2.0-600M", "Prithvi_EO_V2_600M.pt"),
    "prithvi_eo_v2_600_tl": Variant(2, 1280, 32, 16, 4, 14, TL, "Prithvi-EO-2.0-600M-TL", "Prithvi_EO_V2_600M_TL.pt"),
    "small_eo": Variant(2, 192, 6, 6, 1, 8, (), "", "small_eo.safetensors", 64),
}
"""The published ones, and a small one of our own, which ships with the package."""


def layout_of(config: PrithviEoConfig) -> Layout:
    """The sizes of a configuration: those of its variant, where it does not override them; raises GeoadaptError."""
    if config.name not in VARIANTS:
        raise GeoadaptError("backbone.name", f"'{config.name}' is unknown", nearest(config.name, VARIANTS))
    variant = VARIANTS[config.name]
    patch = config.patch_size or variant.patch
    # another patch size sees the same table of positions, as when the kernels are resampled
    image = variant.image // variant.patch * patch
    return Layout(
        width=config.width or variant.width,
        depth=config.depth or variant.depth,
        heads=config.heads or variant.heads,
        patch=(1, patch, patch),
        frames=variant.frames,
        image=(image, image),
        channels=len(BANDS),
        coords=variant.coords,
        decoder_width=config.decoder_width,
        decoder_depth=config.decoder_depth,
        decoder_heads=config.decoder_heads,
        eps=config.eps,
    )


def weights_of(config: PrithviEoConfig) -> Path:
    """The weights file of a configuration; raises GeoadaptError where there is none."""
    variant = VARIANTS[config.name]
    files = tuple(dict.fromkeys((f"{config.name}.safetensors", variant.file)))
    hub = (f"{HUB}/{variant.repository}", variant.file) if variant.repository else None
    return find_weights(config.name, config.weights, files, hub=hub)
