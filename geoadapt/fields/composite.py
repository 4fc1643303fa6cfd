"""The simple image that a removal head starts from, per pixel from its clear dates.

In: a field (b, t, c, h, w) whose last frame is the date to be restored. Out: what the other dates say about it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from geoadapt.fields.frames import days_from_target
from geoadapt.fields.types import Field

__all__ = ["FARTHEST", "Around", "Composite", "around", "closeness", "compose", "fill", "told"]

SHARE = 0.1
"""Share of valid pixels at which a level of the pyramid weighs as much as all coarser ones."""
FARTHEST = 400.0
"""Longer gaps are told alike [days]."""


@dataclass(frozen=True, slots=True)
class Composite:
    """What the other dates say about the last one, pixel by pixel and channel by channel."""

    image: Tensor
    """(b, c, h, w): linear in time between the nearest valid dates; the nearest where one side has none; else 0."""
    known: Tensor
    """(b, c, h, w) bool: whether any other date is valid."""
    change: Tensor
    """(b, c, h, w): the nearest valid value after minus the nearest before, 0 without both."""
    mean: Tensor
    """(b, c, h, w) over the valid dates, 0 without any."""
    median: Tensor
    """(b, c, h, w) the same, which a missed cloud or a few weeks of snow do not move."""
    spread: Tensor
    """(b, c, h, w) standard deviation over them."""
    count: Tensor
    """(b, c, h, w) how many they are."""
    before: Tensor
    """(b, c, h, w) days to the nearest valid date before, inf where there is none."""
    after: Tensor
    """(b, c, h, w) the same after."""


@dataclass(frozen=True, slots=True)
class Around:
    """A composite, and what the last date and the other dates have beyond it; all (b, c, h, w)."""

    found: Composite
    base: Tensor
    """The composite's image, and the channel's mean where no date is valid."""
    valid: Tensor
    """bool, of the last date."""
    beyond: Tensor
    """What the last date's valid pixels have beyond the base, 0 elsewhere."""
    carried: Tensor
    """The same, carried from there to the others."""
    still: Tensor
    """What the mean of the other dates has beyond the base."""
    usual: Tensor
    """What their median has beyond it."""

    @property
    def differences(self) -> tuple[Tensor, ...]:
        """All that is told of the place in differences."""
        return self.beyond, self.carried, self.still, self.usual, self.found.change, self.found.spread


def compose(field: Field) -> Composite:
    """Linear interpolation in time at the last frame's date, from all the others; no invalid value has a part in it."""
    days = days_from_target(field)
    like = field.values[:, -1].float()
    away = torch.full_like(like, torch.inf)
    before, after = away, away
    earlier, later = torch.zeros_like(like), torch.zeros_like(like)
    count, total, squares = torch.zeros_like(like), torch.zeros_like(like), torch.zeros_like(like)
    for frame in range(field.values.shape[1] - 1):
        gap = days[:, frame, None, None, None]
        seen = torch.ones_like(like, dtype=torch.bool) if field.valid is None else field.valid[:, frame]
        value = torch.where(seen, field.values[:, frame].float(), 0.0)
        closer = seen & (gap <= 0) & (-gap < before)
        earlier, before = torch.where(closer, value, earlier), torch.where(closer, -gap, before)
        closer = seen & (gap > 0) & (gap < after)
        later, after = torch.where(closer, value, later), torch.where(closer, gap, after)
        count, total, squares = count + seen, total + value, squares + value.square()
    known = count > 0
    share = torch.where(before.isinf(), 1.0, torch.where(after.isinf(), 0.0, before / (before + after)))
    mean = total / count.clamp(min=1)
    spread = (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
    change = torch.where(before.isfinite() & after.isfinite(), later - earlier, 0.0)
    image = earlier + share * (later - earlier)
    return Composite(image, known, change, mean, _median(field, count), spread, count, before, after)


def _median(field: Field, count: Tensor) -> Tensor:
    """Median over the valid dates but the last (b, c, h, w), 0 without any; ``count`` says how many they are."""
    if field.values.shape[1] == 1:
        return torch.zeros_like(count)
    # a channel at a time: a sort holds several copies of what it sorts
    return torch.stack([_median_of(field, count, channel) for channel in range(count.shape[1])], 1)


def _median_of(field: Field, count: Tensor, channel: int) -> Tensor:
    others = field.values[:, :-1, channel].float()
    if field.valid is not None:
        others = torch.where(field.valid[:, :-1, channel], others, torch.inf)
    # along the last axis sorting is fastest
    ordered = others.movedim(1, -1).contiguous().sort(-1).values
    size = count[:, channel, ..., None].long()
    low, high = (ordered.gather(-1, at.clamp(0, others.shape[1] - 1)) for at in ((size - 1) // 2, size // 2))
    return torch.where(size > 0, (low + high) / 2, 0.0)[..., 0]


def fill(values: Tensor, valid: Tensor) -> Tensor:
    """Values (b, c, h, w) carried from where they are ``valid`` to where they are not, towards 0 far from any.

    Means over squares that double in size, each giving way to the next where few of its pixels are valid
    (push-pull, Gortler 1996, with soft weights).
    """
    return torch.where(valid, values, _coarser(torch.where(valid, values, 0.0), valid.to(values.dtype)))


def _coarser(held: Tensor, weight: Tensor) -> Tensor:
    """What squares of twice the size say, of values that are 0 where their weight is; 0 from a single cell."""
    size = (held.shape[-2], held.shape[-1])
    if max(size) == 1:
        return torch.zeros_like(held)
    held, weight = (F.avg_pool2d(v, 2, ceil_mode=True, count_include_pad=False) for v in (held, weight))
    share = weight / (weight + SHARE)
    found = share * held / weight.clamp(min=1e-6) + (1 - share) * _coarser(held, weight)
    return F.interpolate(found, size=size, mode="bilinear", align_corners=False)


def around(field: Field, mean: Tensor) -> Around:
    """The composite of a field (b, t, c, h, w) that is 0 where it is not valid; ``mean`` (c, 1, 1) [reflectance]."""
    found = compose(field)
    base = torch.where(found.known, found.image, mean)
    target = field.values[:, -1].float()
    valid = torch.ones_like(found.known) if field.valid is None else field.valid[:, -1]
    beyond = torch.where(valid & found.known, target - base, 0.0)
    carried = fill(beyond, valid & found.known)
    still, usual = (torch.where(found.known, v - base, 0.0) for v in (found.mean, found.median))
    return Around(found, base, valid, beyond, carried, still, usual)


def told(place: Around, mean: Tensor, std: Tensor, error: Tensor) -> Tensor:
    """What a network reads of it (b, 8c + 4, h, w): differences in the composite's ``error``, large ones compressed."""
    found = place.found
    gaps = [closeness(gap.amax(1, keepdim=True)) for gap in (found.before, found.after)]
    parts = [
        (place.base - mean) / std,
        *(torch.asinh(v / error) for v in place.differences),
        found.known.float(),
        place.valid.all(1, keepdim=True).float(),
        torch.log1p(found.count.amin(1, keepdim=True)) / 2,
        *gaps,
    ]
    return torch.cat(parts, 1)


def closeness(gap: Tensor) -> Tensor:
    """1 on the same day, falling to 0 at ``FARTHEST`` days and where there is no such date."""
    return 1 - torch.log1p(gap.clamp(max=FARTHEST)) / math.log1p(FARTHEST)
