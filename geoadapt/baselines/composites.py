"""Restoring a date from the clear dates around it, without a model: what every model has to be better than.

In: batches whose last frame is the date to be restored. Out: its image, per pixel and band from its valid dates; NaN
where no date is valid. A pixel that is valid on the date itself counts as one of its dates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor, nn

from geoadapt.baselines.composites_archive import masked_median
from geoadapt.baselines.composites_harmonic import HarmonicSettings, fit_harmonic
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields.restorer import Restored
from geoadapt.fields.types import Batch, Field
from geoadapt.registry import from_plain

__all__ = ["COMPOSITES", "Composite", "build_composite"]

Combine = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Values (t, c, h, w), what of them is valid, and days (t,) from the date to be restored → its image (c, h, w)."""
Extrapolate = Literal["nearest", "none"]

DAY = 86400.0
"""[s]."""
AT_ONCE = 1 << 22
"""Values that are worked on at a time."""


class Composite(nn.Module):
    """A rule without parameters that makes the last frame out of all frames: it is a ``Restorer``."""

    def __init__(self, name: str, channels: tuple[str, ...], combine: Combine) -> None:
        super().__init__()
        self.name, self.channels, self.combine = name, tuple(channels), combine

    def restore(self, batch: Batch) -> Restored:
        """The image (b, c, h, w) [reflectance], NaN where the rule has no date to take it from; without a scale.

        Raises GeoadaptError where the batch has no optical series, or lacks a channel.
        """
        field = batch.inputs.get("optical")
        if field is None:
            raise GeoadaptError("batch", f"holds {list(batch.inputs)}", "a composite needs 'optical'")
        if field.channels != self.channels:
            field = field.select(self.channels)
        days = _days(field)
        b, t, c, h, w = field.values.shape
        image = torch.full((b, c, h, w), torch.nan, dtype=torch.float32, device=field.values.device)
        rows = max(1, AT_ONCE // max(1, t * c * w))
        with torch.no_grad():
            for n in range(b):
                for row in range(0, h, rows):
                    part = (n, slice(None), slice(None), slice(row, row + rows))
                    values = field.values[part].float()
                    valid = values.isfinite() if field.valid is None else field.valid[part] & values.isfinite()
                    image[n, :, row : row + rows] = self.combine(values, valid, days[n])
        return Restored(image)


def _days(field: Field) -> Tensor:
    """Days (b, t) from the last frame, in double: ties and symmetric dates must stay ties."""
    if field.times is None:
        frames = field.values.shape[1]
        return (torch.arange(frames, device=field.values.device).double() - (frames - 1)).expand(len(field.values), -1)
    return (field.times - field.times[:, -1:]).double() / DAY


def _temporal_mean(values: Tensor, valid: Tensor, days: Tensor) -> Tensor:
    total = torch.zeros_like(values[0], dtype=torch.float64)
    for frame in range(len(values)):
        total += torch.where(valid[frame], values[frame], 0.0)
    count = valid.sum(0)
    return torch.where(count > 0, total / count, torch.nan).float()


def _temporal_median(values: Tensor, valid: Tensor, days: Tensor) -> Tensor:
    if values.device.type == "cpu":
        return torch.from_numpy(masked_median(values.numpy(), valid.numpy()))
    return _sorted_median(values, valid)


def _sorted_median(values: Tensor, valid: Tensor) -> Tensor:
    """The same on an accelerator; on a CPU torch sorts eight times as slowly as numpy."""
    ordered = torch.where(valid, values, torch.nan).sort(0).values
    count = valid.sum(0, keepdim=True)
    places = ((count - 1).clamp(min=0) // 2, (count // 2).clamp(max=len(values) - 1))
    low, high = (ordered.gather(0, place) for place in places)
    return ((low + high) / 2)[0]


def _nearest_clear(values: Tensor, valid: Tensor, days: Tensor) -> Tensor:
    image = torch.full_like(values[0], torch.nan)
    away = torch.full_like(values[0], torch.inf, dtype=torch.float64)
    for frame in days.argsort().tolist():  # by date, so that of two equally near the earlier stays
        closer = valid[frame] & (days[frame].abs() < away)
        image, away = torch.where(closer, values[frame], image), torch.where(closer, days[frame].abs(), away)
    return image


def _last_clear(values: Tensor, valid: Tensor, days: Tensor) -> Tensor:
    return _latest(values, valid, days)[0]


def _latest(values: Tensor, valid: Tensor, days: Tensor) -> tuple[Tensor, Tensor]:
    """The newest valid value not after day 0 (c, h, w), NaN without one, and how many days before, inf without."""
    image = torch.full_like(values[0], torch.nan)
    away = torch.full_like(values[0], torch.inf, dtype=torch.float64)
    for frame in days.argsort().tolist():
        if days[frame] <= 0:
            image = torch.where(valid[frame], values[frame], image)
            away = torch.where(valid[frame], -days[frame], away)
    return image, away


def _linear(values: Tensor, valid: Tensor, days: Tensor, extrapolate: Extrapolate) -> Tensor:
    earlier, before = _latest(values, valid, days)
    later, after = _latest(values, valid, -days)
    both = before.isfinite() & after.isfinite()
    share = torch.where(both & (before > 0), before / (before + after), 0.0)
    between = torch.where(both, earlier + share * (later - earlier), torch.nan).float()
    if extrapolate == "none":
        return between
    return torch.where(both, between, torch.where(before.isfinite(), earlier, later))


def _harmonic(values: Tensor, valid: Tensor, days: Tensor, settings: HarmonicSettings) -> Tensor:
    return fit_harmonic(values.flatten(2), valid.flatten(2), days, settings).view_as(values[0])


def _build_linear(extrapolate: Extrapolate = "nearest") -> Combine:
    if extrapolate not in ("nearest", "none"):
        raise GeoadaptError("extrapolate", f"'{extrapolate}' is unknown", nearest(extrapolate, ("nearest", "none")))
    return partial(_linear, extrapolate=extrapolate)


def _build_harmonic(**settings: Any) -> Combine:
    return partial(_harmonic, settings=from_plain(HarmonicSettings, settings, "composites.harmonic"))


COMPOSITES: dict[str, Callable[..., Combine]] = {
    "temporal_mean": lambda: _temporal_mean,
    "temporal_median": lambda: _temporal_median,
    "nearest_clear": lambda: _nearest_clear,
    "linear": _build_linear,
    "harmonic": _build_harmonic,
    "last_clear": lambda: _last_clear,
}
"""Name → what makes the rule out of its settings."""


def build_composite(name: str, channels: tuple[str, ...], **settings: Any) -> Composite:
    """The composite called ``name`` on ``channels``; raises GeoadaptError for an unknown name or setting.

    ``linear`` takes ``extrapolate``: ``nearest`` gives the nearest valid date where one side has none, ``none`` gives
    NaN there. ``harmonic`` takes those of ``HarmonicSettings``.
    """
    if name not in COMPOSITES:
        raise GeoadaptError("composite", f"'{name}' is unknown", nearest(name, COMPOSITES))
    builder = COMPOSITES[name]
    known = signature(builder).parameters
    if name != "harmonic" and (strange := [key for key in settings if key not in known]):
        raise GeoadaptError(f"composite {name}", f"has no setting '{strange[0]}'", nearest(strange[0], known))
    return Composite(name, tuple(channels), builder(**settings))
