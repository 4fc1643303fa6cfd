"""Which encoders of pictures there are, how ``transformers`` builds each, and how public files name their tensors.

In: a name and a number of channels. Out: an ``Anatomy``: stem, blocks and norm of one network. Nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

__all__ = [
    "IMAGENET",
    "KERNEL",
    "VARIANTS",
    "Anatomy",
    "Variant",
    "anatomy",
    "network",
    "own_keys",
    "read_keys",
    "resized",
]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of red, green and blue, of pictures from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A published model: its family, sizes, and where its file and its licence are."""

    family: str
    """A key of ``CLASSES``."""
    widths: tuple[int, ...]
    """Of the stages; of a transformer the only one."""
    depths: tuple[int, ...]
    repository: str
    licence: str
    heads: int = 0
    """Of a transformer."""

    @property
    def stride(self) -> int:
        """Height and width must be a multiple of this [px]."""
        return {"dinov2": 14, "dinov3_vit": 16}.get(self.family, 32)


CLASSES: dict[str, tuple[str, str]] = {
    "dinov2": ("Dinov2Config", "Dinov2Model"),
    "dinov3_vit": ("DINOv3ViTConfig", "DINOv3ViTModel"),
    "dinov3_convnext": ("DINOv3ConvNextConfig", "DINOv3ConvNextModel"),
    "convnext": ("ConvNextConfig", "ConvNextModel"),
    "convnextv2": ("ConvNextV2Config", "ConvNextV2Model"),
    "resnet": ("ResNetConfig", "ResNetModel"),
}
"""Family → its classes in ``transformers``."""
KERNEL: dict[str, str] = {
    "dinov2": "embeddings.patch_embeddings.projection",
    "dinov3_vit": "embeddings.patch_embeddings",
    "dinov3_convnext": "model.stages.0.downsample_layers.0",
    "convnext": "embeddings.patch_embeddings",
    "convnextv2": "embeddings.patch_embeddings",
    "resnet": "embedder.embedder.convolution",
}
"""Family → the layer that reads the channels."""
APACHE, DINOV3, NON_COMMERCIAL = "Apache-2.0", "DINOv3 License", "CC BY-NC 4.0"


def _vit(family: str, width: int, depth: int, repository: str, licence: str) -> Variant:
    return Variant(family, (width,), (depth,), f"facebook/{repository}", licence, width // 64)


def _conv(family: str, width: int, depths: tuple[int, ...], repository: str, licence: str) -> Variant:
    return Variant(family, tuple(width * 2**i for i in range(4)), depths, repository, licence)


_T, _S = (3, 3, 9, 3), (3, 3, 27, 3)
VARIANTS: dict[str, Variant] = {
    "dinov2_small": _vit("dinov2", 384, 12, "dinov2-small", APACHE),
    "dinov2_base": _vit("dinov2", 768, 12, "dinov2-base", APACHE),
    "dinov2_large": _vit("dinov2", 1024, 24, "dinov2-large", APACHE),
    "dinov3_vits16": _vit("dinov3_vit", 384, 12, "dinov3-vits16-pretrain-lvd1689m", DINOV3),
    "dinov3_vitb16": _vit("dinov3_vit", 768, 12, "dinov3-vitb16-pretrain-lvd1689m", DINOV3),
    "dinov3_vitl16": _vit("dinov3_vit", 1024, 24, "dinov3-vitl16-pretrain-lvd1689m", DINOV3),
    **{
        f"dinov3_convnext_{size}": _conv(
            "dinov3_convnext", width, depths, f"facebook/dinov3-convnext-{size}-pretrain-lvd1689m", DINOV3
        )
        for size, width, depths in (("tiny", 96, _T), ("small", 96, _S), ("base", 128, _S), ("large", 192, _S))
    },
    **{
        f"convnext_{size}": _conv("convnext", width, depths, f"facebook/convnext-{size}-224-22k", APACHE)
        for size, width, depths in (
            *(("tiny", 96, _T), ("small", 96, _S), ("base", 128, _S), ("large", 192, _S)),
            ("xlarge", 256, _S),
        )
    },
    **{
        f"convnextv2_{size}": _conv("convnextv2", width, depths, f"facebook/convnextv2-{size}-1k-224", NON_COMMERCIAL)
        for size, width, depths in (
            *(("atto", 40, (2, 2, 6, 2)), ("femto", 48, (2, 2, 6, 2)), ("pico", 64, (2, 2, 6, 2))),
            *(("nano", 80, (2, 2, 8, 2)), ("tiny", 96, _T), ("base", 128, _S), ("large", 192, _S)),
            ("huge", 352, _S),
        )
    },
    "resnet50": _conv("resnet", 256, (3, 4, 6, 3), "microsoft/resnet-50", APACHE),
}
"""Name → what is published under it."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A network as a stem, blocks behind each other, the norm behind the last one, and positions told to each."""

    stem: nn.Module
    blocks: nn.ModuleList
    norm: nn.Module | None
    rope: nn.Module | None
    targets: dict[str, str]
    """Target group → regular expression, the blocks being called ``blocks``."""


def network(variant: Variant, channels: int = 3, *, random: bool = False) -> nn.Module:
    """The network of a variant as ``transformers`` builds it, its weights drawn.

    ``random`` says that they stay as drawn: then layers that training would have opened are open from the start.
    """
    import transformers

    names = CLASSES[variant.family]
    config_class, model_class = (getattr(transformers, name) for name in names)
    model: nn.Module = model_class(config_class(num_channels=channels, **_sizes(variant, random)))
    embeddings: Any = getattr(model, "embeddings", None)
    if hasattr(embeddings, "mask_token"):
        embeddings.mask_token = None
    return model


def _sizes(variant: Variant, random: bool) -> dict[str, Any]:
    if variant.heads:
        sizes = {
            "hidden_size": variant.widths[0],
            "num_hidden_layers": variant.depths[0],
            "num_attention_heads": variant.heads,
        }
        if variant.family == "dinov2":
            return {**sizes, "image_size": 518}
        # positions are told as they are: what the pre-training did to vary them is none of ours
        return {
            **sizes,
            "intermediate_size": 4 * variant.widths[0],
            "num_register_tokens": 4,
            "pos_embed_rescale": None,
        }
    conv: dict[str, Any] = {"hidden_sizes": list(variant.widths), "depths": list(variant.depths)}
    if variant.family == "resnet":
        return {**conv, "embedding_size": variant.widths[0] // 4}
    # scales of 1e-6, as training starts, would leave nothing of the blocks in the control with random weights
    return {**conv, "layer_scale_init_value": 1.0} if random and variant.family != "convnextv2" else conv


def anatomy(family: str, model: nn.Module) -> Anatomy:
    """The parts of a network of ``network``."""
    parts: Any = model
    attention = r"blocks\.{block}\.attention\.(q|k|v|o)_proj"
    if family == "dinov2":
        targets = {"attention": attention, "mlp": r"blocks\.{block}\.mlp\.fc[12]"}
        return Anatomy(parts.embeddings, parts.encoder.layer, parts.layernorm, None, targets)
    if family == "dinov3_vit":
        targets = {"attention": attention, "mlp": r"blocks\.{block}\.mlp\.(up|down)_proj"}
        return Anatomy(parts.embeddings, parts.model.layer, parts.norm, parts.rope_embeddings, targets)
    if family == "dinov3_convnext":
        targets = {"mlp": r"blocks\.{block}\.layers\.\d+\.pointwise_conv[12]"}
        return Anatomy(nn.Identity(), parts.model.stages, None, None, targets)
    if family == "resnet":
        targets = {"convolution": r"blocks\.{block}\.layers\.\d+\.layer\.\d+\.convolution"}
        return Anatomy(parts.embedder, parts.encoder.stages, None, None, targets)
    targets = {"mlp": r"blocks\.{block}\.layers\.\d+\.pwconv[12]"}
    return Anatomy(parts.embeddings, parts.encoder.stages, None, None, targets)


RENAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "dinov2": (
        *(
            (rf"attention\.attention\.{old}\.", f"attention.{new}_proj.")
            for old, new in (("query", "q"), ("key", "k"), ("value", "v"))
        ),
        (r"attention\.output\.dense\.", "attention.o_proj."),
    ),
    "dinov3_vit": ((r"^layer\.", "model.layer."),),
    "dinov3_convnext": ((r"^stages\.", "model.stages."),),
    "convnext": (),
    "convnextv2": (),
    "resnet": (),
}
"""Family → what has another name in the published files."""
TIMM: tuple[tuple[str, str], ...] = (
    (r"^stem[._]0\.", "embeddings.patch_embeddings."),
    (r"^stem[._]1\.", "embeddings.layernorm."),
    (r"^stages[._](\d)\.downsample\.", r"encoder.stages.\1.downsampling_layer."),
    (r"^stages[._](\d)\.blocks\.", r"encoder.stages.\1.layers."),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.norm\.", ".layernorm."),
    (r"\.mlp\.fc([12])\.", r".pwconv\1."),
    (r"\.mlp\.grn\.", ".grn."),
    (r"\.gamma$", ".layer_scale_parameter"),
)
"""timm's names of a ConvNeXt's tensors → those of ``transformers``."""
LEFT_OUT = re.compile(
    r"(classifier|head|fc|pooler)\.|.*(mask_token|num_batches_tracked)$|(layernorm|layer_norm)\.(weight|bias)$"
)
"""Heads of the pre-training, norms that only these read, and counts that nothing reads."""


def read_keys(variant: Variant, model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network that its features come through; a norm behind convolutions is read by heads alone."""
    state: dict[str, Tensor] = model.state_dict()
    return {k: v for k, v in state.items() if not LEFT_OUT.match(k) or (variant.heads and "norm." in k)}


def own_keys(family: str, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published file's tensors by the names and in the shapes of ``network``, without what only its head reads.

    timm's files of a ConvNeXt are read as well: ``features_only`` or whole.
    """
    out: dict[str, Tensor] = {}
    timm = any(re.match(r"stem[._]0\.", key) for key in state)
    for key, value in state.items():
        key = key.removeprefix(f"{family}.")
        if LEFT_OUT.match(key) and key not in wanted:
            continue
        for old, new in TIMM if timm and family.startswith("convnext") else RENAMED[family]:
            key = re.sub(old, new, key)
        like = wanted.get(key)
        # a linear layer and a convolution of one pixel, a vector and one with axes of length one, hold the same
        same = like is not None and value.ndim != like.ndim and value.numel() == like.numel()
        out[key] = value.reshape(like.shape) if same and like is not None else value
    return out


def resized(variant: Variant, widths: tuple[int, ...], depths: tuple[int, ...], heads: int | None) -> Variant:
    """The same family at other sizes, where these are given."""
    return replace(
        variant, widths=widths or variant.widths, depths=depths or variant.depths, heads=heads or variant.heads
    )
