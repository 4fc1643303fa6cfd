"""The simple image that a removal head starts from, per pixel from its clear dates.

In: a field (b, t, c, h, w) whose last frame is the date to be restored. Out: what the other dates say about it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from geoadapt.fields.frames import days_from_target, masked
from geoadapt.fields.types import Field

__all__ = ["FARTHEST", "Around", "Composite", "around", "closeness", "compose", "fill", "squashed", "told"]

SHARE = 0.1
"""Share of valid pixels at which a level of the pyramid weighs as much as all coarser ones."""
FARTHEST = 400.0
"""Longer gaps are told alike [days]."""
LAST = 1e30
"""Added to what is not valid, so that it comes last."""


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
    days = days_from_target(field)[:, :-1]
    held = masked(field)
    values = held.values[:, :-1].float()
    seen = _counted(torch.ones_like(values, dtype=torch.bool) if held.valid is None else held.valid[:, :-1])
    earlier, before = _nearest(values, seen, torch.where(days <= 0, -days, torch.inf))
    later, after = _nearest(values, seen, torch.where(days > 0, days, torch.inf))
    count, total = seen.sum(1, dtype=seen.dtype).float(), values.sum(1)
    squares = torch.zeros_like(total)
    for frame in range(values.shape[1]):
        squares.addcmul_(values[:, frame], values[:, frame])
    share = torch.where(before.isinf(), 1.0, torch.where(after.isinf(), 0.0, before / (before + after)))
    mean = total / count.clamp(min=1)
    spread = (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
    change = torch.where(before.isfinite() & after.isfinite(), later - earlier, 0.0)
    image = earlier + share * (later - earlier)
    return Composite(image, count > 0, change, mean, _median(values, seen, count), spread, count, before, after)


def _counted(valid: Tensor) -> Tensor:
    """A mask (b, t, …) as 0 and 1 of a type that counts to t + 1: arithmetic with it takes a tenth of a bool's time."""
    return valid.view(torch.uint8) if valid.shape[1] < 255 else valid.to(torch.int16)


def _nearest(values: Tensor, seen: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    """The valid value (b, c, h, w) with the smallest finite ``gap`` (b, t), the first of equals, and that gap.

    0 and inf where there is none. Every date is told by its place in the order of gaps, so that bytes are compared.
    """
    dates = values.shape[1]
    if not dates:
        return values.sum(1), torch.full_like(values.sum(1), torch.inf)
    order = gap.argsort(dim=1, stable=True)
    place = torch.where(gap.isfinite(), order.argsort(dim=1), dates).to(seen.dtype)
    best = torch.full_like(seen[:, 0], dates)
    for n in range(dates):
        best = torch.minimum(best, dates - seen[:, n] * (dates - place[:, n, None, None, None]))
    at = best.flatten(1).long()
    none = order.new_zeros(len(order), 1)
    date = torch.cat([order, none], 1).gather(1, at).view_as(best)
    away = torch.cat([gap.gather(1, order), torch.full_like(gap[:, :1], torch.inf)], 1).gather(1, at).view_as(best)
    value = values.gather(1, date[:, None])[:, 0]
    return torch.where(best < dates, value, 0.0), away


def _median(values: Tensor, seen: Tensor, count: Tensor) -> Tensor:
    """Median over the valid dates (b, c, h, w), 0 without any; ``count`` says how many they are."""
    if values.shape[1] == 0:
        return torch.zeros_like(count)
    # a channel at a time: a sort holds a copy of what it sorts
    return torch.stack([_median_of(values[:, :, c], seen[:, :, c], count[:, c]) for c in range(count.shape[1])], 1)


def _median_of(values: Tensor, seen: Tensor, count: Tensor) -> Tensor:
    dates = values.shape[1]
    planes = [values[:, date] + (1 - seen[:, date].float()) * LAST for date in range(dates)]
    for a, b in _network(dates):
        planes[a], planes[b] = torch.minimum(planes[a], planes[b]), torch.maximum(planes[a], planes[b])
    ordered, size = torch.stack(planes[: dates // 2 + 1]), count.long()
    low, high = (ordered.gather(0, at.clamp(0, dates // 2)[None])[0] for at in ((size - 1) // 2, size // 2))
    return torch.where(size > 0, (low + high) / 2, 0.0)


@lru_cache(maxsize=64)
def _network(count: int) -> tuple[tuple[int, int], ...]:
    """Which pairs are compared, one after the other, to sort ``count`` planes: odd-even merging (Batcher 1968).

    Comparing whole planes takes a sixth of the time of sorting every pixel's dates.
    """
    pairs = []
    size = 1
    while size < count:
        step = size
        while step:
            for start in range(step % size, count - step, 2 * step):
                both = range(start, min(start + step, count - step))
                pairs += [(low, low + step) for low in both if low // (2 * size) == (low + step) // (2 * size)]
            step //= 2
        size *= 2
    return tuple(pairs)


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
        *(squashed(v / error) for v in place.differences),
        found.known.float(),
        place.valid.all(1, keepdim=True).float(),
        torch.log1p(found.count.amin(1, keepdim=True)) / 2,
        *gaps,
    ]
    return torch.cat(parts, 1)


def squashed(values: Tensor) -> Tensor:
    """The area hyperbolic sine of inputs, which keeps small values and takes the logarithm of large ones.

    Made of vectorised functions it takes an eighth of the time of torch's own; beyond 1e18 it stays as it is there.
    """
    size = values.abs().clamp(max=1e18)
    return torch.copysign(torch.log1p(size + size.square() / (1 + (1 + size.square()).sqrt())), values)


def closeness(gap: Tensor) -> Tensor:
    """1 on the same day, falling to 0 at ``FARTHEST`` days and where there is no such date."""
    return 1 - torch.log1p(gap.clamp(max=FARTHEST)) / math.log1p(FARTHEST)
