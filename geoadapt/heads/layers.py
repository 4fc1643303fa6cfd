"""Pieces that several decoders share."""

from __future__ import annotations

from torch import Tensor, nn

from geoadapt.fields.types import Batch, Field

__all__ = ["Standardise", "fold_time", "optical", "unfold_time"]


class Standardise(nn.Module):
    """Reflectance (n, c, h, w) minus mean over standard deviation, per channel; missing pixels become 0.

    The statistics come from the training blocks and travel with the head's weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone().float()[:, None, None])
        self.register_buffer("std", std.clone().float().clamp_min(1e-6)[:, None, None])

    def forward(self, values: Tensor, valid: Tensor | None) -> Tensor:
        """Standardised values (n, c, h, w)."""
        out = (values - self.mean) / self.std
        return out if valid is None else out * valid


def optical(batch: Batch) -> Field:
    """The batch's image: the input called ``optical``, or the only one there is."""
    return batch.inputs["optical"] if "optical" in batch.inputs else next(iter(batch.inputs.values()))


def fold_time(values: Tensor) -> Tensor:
    """(b, t, c, h, w) → (b·t, c, h, w)."""
    return values.flatten(0, 1)


def unfold_time(values: Tensor, dates: int) -> Tensor:
    """(b·t, c, h, w) → (b, t, c, h, w)."""
    return values.reshape(-1, dates, *values.shape[1:])
