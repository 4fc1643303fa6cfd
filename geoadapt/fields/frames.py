"""Which dates of a series a backbone looks at, and how one that knows single dates is given several.

In: batches whose last frame is the date to be restored (``series_batch``). Out: batches of fewer frames, or one each.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from geoadapt.fields.features import Features
from geoadapt.fields.types import Batch, Field, ProjectedGrid

__all__ = [
    "DAY",
    "days_from_target",
    "fold_dates",
    "known_to_others",
    "masked",
    "nearest_dates",
    "nearest_frames",
    "radar_of",
    "shown_frames",
    "unfold_dates",
]

DAY = 86400.0
"""[s]."""
FAR = 30.0
"""A date so far off counts half as much as one of the same day [days]."""


def masked(field: Field) -> Field:
    """The field with 0 wherever a value is not valid, whatever stood there; itself where all of these are 0 already."""
    if field.valid is None or _is_masked(field.values, field.valid):
        return field
    if field.values.dtype != torch.float32 or field.values.requires_grad:
        return replace(field, values=torch.where(field.valid, field.values, 0.0))
    # All bits or none of every value: a fifth of the time of ``where``, and NaN gives 0 too.
    bits = field.valid.view(torch.uint8).to(torch.int32).neg_().bitwise_and_(field.values.view(torch.int32))
    return replace(field, values=bits.view(torch.float32))


def _is_masked(values: Tensor, valid: Tensor) -> bool:
    """Whether all invalid values are 0, looked at date by date: a copy takes longer, and the memory of all dates."""
    if values.dtype != torch.float32 or values.device.type != "cpu" or values.requires_grad:
        return False
    for date in range(values.shape[1]):
        hidden = valid[:, date].view(torch.uint8).to(torch.int32).sub_(1)
        if hidden.bitwise_and_(values[:, date].view(torch.int32)).count_nonzero():
            return False
    return True


def days_from_target(field: Field) -> Tensor:
    """Days (b, t) from the last frame's date, negative before it; frames without dates count as a day apart."""
    if field.times is None:
        frames = field.values.shape[1]
        steps = torch.arange(frames, device=field.values.device, dtype=torch.float32) - (frames - 1)
        return steps.expand(len(field.values), frames)
    return (field.times - field.times[:, -1:]).float() / DAY


def nearest_frames(field: Field, count: int) -> Field:
    """The last frame and the ``count`` − 1 others that show most of what it hides, near in time; by date.

    A frame's worth is the share of the last frame's invalid pixels that it shows, over 1 + days / 30.
    """
    if field.values.shape[1] <= count:
        return field
    worth = _worth(field)
    worth[:, -1] = torch.inf
    return _picked(field, worth.topk(count, dim=1).indices)


def shown_frames(field: Field, count: int) -> Field:
    """As ``nearest_frames``, but a last frame that shows no pixel at all gives way to another that may."""
    if field.values.shape[1] <= count:
        return field
    worth = _worth(field)
    if field.valid is None:
        worth[:, -1] = torch.inf
    else:
        worth[:, -1] = torch.where(field.valid[:, -1].flatten(1).any(1), torch.inf, -1.0)
    return _picked(field, worth.topk(count, dim=1).indices)


def _worth(field: Field) -> Tensor:
    """What each frame (b, t) is worth to the last one; that of the last itself means nothing."""
    frames = field.values.shape[1]
    if field.valid is None:
        share = field.values.new_ones(len(field.values), frames)
    else:
        hidden = ~field.valid[:, -1:].all(2)
        hidden = hidden | ~hidden.any(-1).any(-1)[..., None, None]
        shown = field.valid.all(2) & hidden
        share = shown.sum((-2, -1)) / hidden.sum((-2, -1))
    return share / (1 + days_from_target(field).abs() / FAR)


def nearest_dates(field: Field, count: int, wanted: Tensor | None = None) -> Field:
    """The last frame and the ``count`` − 1 others nearest to it in time, those that show nothing wanted last; 0 = all.

    ``wanted`` (b, c, h, w) are the pixels that a date is looked at for; None = any.
    """
    if count == 0 or field.values.shape[1] <= count:
        return field
    away = days_from_target(field).abs()
    if field.valid is not None:
        shown = field.valid.view(torch.uint8)
        shown = shown if wanted is None else shown * wanted[:, None].view(torch.uint8)
        away = away + torch.where(shown.flatten(2).amax(2) > 0, 0.0, 1e6)
    away[:, -1] = -1
    return _picked(field, away.topk(count, dim=1, largest=False).indices)


def known_to_others(field: Field) -> Tensor:
    """Where any date but the last is valid (b, c, h, w)."""
    if field.valid is None or field.values.shape[1] == 1:
        return torch.full_like(field.values[:, -1], field.values.shape[1] > 1, dtype=torch.bool)
    return field.valid[:, :-1].view(torch.uint8).amax(1) > 0


def _picked(field: Field, index: Tensor) -> Field:
    """The frames at ``index`` (b, n), in the order of the field."""
    index = index.sort(dim=1).values
    place = index[..., None, None, None].expand(-1, -1, *field.values.shape[2:])
    return replace(
        field,
        values=field.values.gather(1, place),
        valid=None if field.valid is None else field.valid.gather(1, place),
        times=None if field.times is None else field.times.gather(1, index),
    )


def radar_of(radar: Field, frames: Field) -> Field | None:
    """The radar image nearest in time to each of ``frames``, on their dates; None where either has no dates."""
    if radar.times is None or frames.times is None:
        return None
    seen = torch.ones_like(radar.values, dtype=torch.bool) if radar.valid is None else radar.valid
    away = (radar.times[:, None] - frames.times[..., None]).abs().float()
    # a frame of padding has no pixel, and must not stand before an image of a later date
    away = away + torch.where(seen.any(-1).any(-1).any(-1), 0.0, 1e15)[:, None]
    index = away.argmin(-1)[..., None, None, None].expand(-1, -1, *radar.values.shape[2:])
    picked = replace(radar, values=radar.values.gather(1, index), valid=seen.gather(1, index), times=frames.times)
    return masked(picked)


def fold_dates(batch: Batch) -> Batch:
    """Every date of every sample as a sample of its own, (b, t, …) as (b·t, 1, …); the target is left out."""
    frames = max(field.values.shape[1] for field in batch.inputs.values())
    return Batch({name: _folded(field, frames) for name, field in batch.inputs.items()})


def unfold_dates(features: Features, frames: int) -> Features:
    """Maps (b·t, 1, d, h, w) of folded dates as (b, t, d, h, w)."""
    maps = tuple(m.reshape(-1, frames * m.shape[1], *m.shape[2:]) for m in features.maps)
    return replace(features, maps=maps, tokens=None)


def _folded(field: Field, frames: int) -> Field:
    repeats = frames // field.values.shape[1]

    def each(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.repeat_interleave(repeats, 1).flatten(0, 1).unsqueeze(1)

    values = each(field.values)
    assert values is not None
    grid = field.grid
    if isinstance(grid, ProjectedGrid):
        told, centre = grid.resolution, grid.centre
        grid = ProjectedGrid(
            told.repeat_interleave(frames, 0) if isinstance(told, Tensor) else told,
            None if centre is None else centre.repeat_interleave(frames, 0),
        )
    sensor = None if field.sensor is None else tuple(s for s in field.sensor for _ in range(frames))
    return replace(field, values=values, valid=each(field.valid), times=each(field.times), grid=grid, sensor=sensor)
