"""All dates of all inputs of a sample as channels of one image, for models that know nothing of dates or sensors.

In: a Batch. Out: a field (b, 1, c, h, w); feature vectors (n, c), NaN where missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from geoadapt.fields.samples import SampleSet, samples_batch
from geoadapt.fields.types import Batch, Field

__all__ = ["evenly", "features", "stacked", "statistics", "training_batches"]

NDVI = ("red", "nir")


def stacked(batch: Batch, names: Sequence[str]) -> Field:
    """One date (b, 1, c, h, w) of all dates of these inputs and their vegetation index, on the first one's grid."""
    size = batch.inputs[names[0]].values.shape[-2:]
    values, valid, channels = [], [], []
    for name in names:
        given = batch.inputs[name]
        seen = torch.ones_like(given.values, dtype=torch.bool) if given.valid is None else given.valid
        told = list(given.channels)
        numbers = given.values
        if set(NDVI) <= set(told):
            numbers, seen = _with_index(numbers, seen, told)
            told.append("ndvi")
        values.append(_on(numbers, size))
        valid.append(_on(seen.to(numbers.dtype), size) > 0.5)  # noqa: PLR2004 - more than half of what lies there
        channels += [f"{name} {date} {channel}" for date in range(given.values.shape[1]) for channel in told]
    return Field(torch.cat(values, 1)[:, None], tuple(channels), torch.cat(valid, 1)[:, None])


def features(field: Field, *, mapped: bool) -> Tensor:
    """Vectors (n, c): of every pixel in the order b, h, w, or the mean of every sample; NaN where nothing is valid."""
    values, valid = field.values[:, 0], field.valid
    seen = torch.ones_like(values, dtype=torch.bool) if valid is None else valid[:, 0]
    if mapped:
        return torch.where(seen, values, torch.nan).movedim(1, -1).flatten(0, 2)
    count = seen.sum((2, 3))
    total = torch.where(seen, values, 0.0).sum((2, 3))
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan)


def statistics(fields: Iterable[Field]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (c,) of what is valid; 0 and 1 for a channel that never is."""
    sums = None
    for field in fields:
        seen = torch.ones_like(field.values, dtype=torch.bool) if field.valid is None else field.valid
        kept = torch.where(seen, field.values, 0.0).double()
        part = torch.stack([v.sum((0, 1, 3, 4)) for v in (seen.double(), kept, kept.square())])
        sums = part if sums is None else sums + part
    assert sums is not None
    count, total, squares = sums
    mean = total / count.clamp(min=1)
    std = (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 0, std, 1.0).float()


def training_batches(data: SampleSet, most: int, size: int = 64) -> Iterable[Batch]:
    """At most ``most`` training samples, evenly taken, ``size`` at a time."""
    places = evenly(len(data.train), most)
    for start in range(0, len(places), size):
        chosen = [data.train[n] for n in places[start : start + size]]
        yield samples_batch(chosen, data.target, data.layout)


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` places, spread over all."""
    kept = min(most, count)
    return [n * count // kept for n in range(kept)]


def _with_index(values: Tensor, valid: Tensor, channels: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Values and validity with (nir − red) / (nir + red) as one more channel, 0 where the sum is not positive."""
    red, nir = (values[:, :, channels.index(name)] for name in NDVI)
    total = red + nir
    index = torch.where(total > 0, (nir - red) / total.where(total > 0, 1.0), 0.0)
    seen = torch.stack([valid[:, :, channels.index(name)] for name in NDVI]).all(0)
    return torch.cat([values, index.unsqueeze(2)], 2), torch.cat([valid, seen.unsqueeze(2)], 2)


def _on(values: Tensor, size: torch.Size) -> Tensor:
    """(b, t, c, h, w) as (b, t · c, h, w) on another grid."""
    flat = values.flatten(1, 2)
    return flat if flat.shape[-2:] == size else F.interpolate(flat, size=tuple(size), mode="nearest")
