"""From the keys of public Prithvi-EO checkpoints to those of the modules here, and into them, all keys or nothing.

Public files hold the whole autoencoder: below ``encoder.`` and ``decoder.``, or, in the first version, side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from geoadapt.backbones.prithvi_eo_encoder import Encoder
from geoadapt.backbones.vit_layers import resize_kernel
from geoadapt.backbones.weights import check_state

__all__ = ["decoder_state", "encoder_state", "fill", "mean_kernels"]

log = logging.getLogger(__name__)

KERNEL = "patch_embed.proj.weight"
EXTRA = "patch_embed.extra"
TABLES = ("pos_embed", "decoder_pos_embed")


def encoder_state(state: Mapping[str, Tensor], encoder: Encoder, path: object) -> dict[str, Tensor]:
    """The encoder's share of a checkpoint, fitted to ``encoder``.

    What it cannot be told is dropped, kernels of another size are resampled, those of new channels are averaged.
    """
    own = _below("encoder.", state, encoder)
    kernel = own.get(KERNEL)
    if kernel is not None and kernel.ndim == 5:
        side = encoder.layout.patch[-1]
        if kernel.shape[-2] == kernel.shape[-1] != side and encoder.layout.patch[-2] == side:
            log.info("%s: patch kernels of %d px resampled to %d px", path, kernel.shape[-1], side)
            kernel = resize_kernel(kernel.flatten(1, 2), side).unflatten(1, kernel.shape[1:3])  # type: ignore[no-untyped-call]
            own[KERNEL] = kernel
        extra = encoder.patch_embed.extra
        if extra is not None and EXTRA not in own:
            own[EXTRA] = mean_kernels(kernel, extra.shape[1])
    return own


def decoder_state(state: Mapping[str, Tensor], decoder: nn.Module) -> dict[str, Tensor]:
    """The decoder's share of a checkpoint, without what ``decoder`` cannot be told."""
    return _below("decoder.", state, decoder)


def mean_kernels(kernel: Tensor, count: int) -> Tensor:
    """Kernels (d, count, t, h, w) of new channels: the mean of the pre-trained ones (d, c, t, h, w), each a copy."""
    return kernel.mean(1, keepdim=True).repeat(1, count, 1, 1, 1)


def fill(module: nn.Module, state: dict[str, Tensor], path: object) -> None:
    """Give a module the tensors of ``state``, which may lie on the meta device until then.

    Raises:
        GeoadaptError: where keys or shapes differ.
    """
    wanted = module.state_dict()
    # position tables depend on the number of frames, so that a stored one may be that of another model
    state = state | {key: wanted[key] for key in TABLES if key in wanted}
    check_state(state, wanted, path)
    state = {key: value.to(torch.float32) for key, value in state.items()}
    module.load_state_dict(state, strict=True, assign=True)


def _below(part: str, state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The tensors of one part by its own keys, without the coordinates that ``module`` does not take."""
    found = {key.removeprefix(part): value for key, value in _prefixed(state).items() if key.startswith(part)}
    kinds = ("temporal_embed_", "location_embed_")
    dropped = [k for k in found if k.startswith(kinds) and getattr(module, k.partition(".")[0], None) is None]
    return {key: value for key, value in found.items() if key not in dropped}


def _prefixed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every key below ``encoder.`` or ``decoder.``, whichever form the file has."""
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix("_timm_module.")
        if not name.startswith(("encoder.", "decoder.")):
            decodes = "decoder" in name or "_dec" in name or name == "mask_token"
            name = f"decoder.{name}" if decodes else f"encoder.{name}"
        out[name] = value
    return out
