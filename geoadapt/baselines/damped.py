"""Damped persistence: the climatology of the valid time, and what is left of today's anomaly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.baselines.past import blocks, known_dates, latitude_weights, past_states, seconds, valid_times
from geoadapt.baselines.seasonal import Climatology, SeasonalSettings, fit_climatology
from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History
from geoadapt.fields.types import Batch
from geoadapt.registry import from_plain

__all__ = ["Damped", "DampedSettings", "fit_damped", "rebuild_damped"]


@dataclass(slots=True)
class DampedSettings:
    """The climatology and the lead times."""

    climatology: SeasonalSettings = field(default_factory=SeasonalSettings)
    steps: int = 1
    """Lead times with a factor of their own; beyond them the forecast goes on from itself."""


class Damped(nn.Module):
    """Climatology + a · anomaly, with a factor for every lead time and channel, for every grid point where it helps."""

    frames = 1
    factors: Tensor

    def __init__(self, settings: DampedSettings) -> None:
        super().__init__()
        self.settings = settings
        self.climatology = Climatology(settings.climatology)
        self.channels, self.step, self.shape = (getattr(self.climatology, n) for n in ("channels", "step", "shape"))
        self.register_buffer("factors", torch.zeros(settings.steps, len(self.channels), *self.shape))

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """Climatology plus the damped anomaly (b, c, h, w); a missing value starts from the climatology."""
        past = past_states(batch, self)
        assert past.times is not None  # past_states refuses a batch without dates
        valid = None if past.valid is None else past.valid[:, -1]
        start = self.climatology.anomalies(past.values[:, -1], past.times[:, -1], valid)
        for lead in range(1, steps + 1):
            rounds, index = divmod(lead - 1, self.settings.steps)
            anomaly = start * self.factors[-1] ** rounds * self.factors[index]
            usual = self.climatology.at(valid_times(past, self.step, lead))
            yield self.climatology.masked(usual + anomaly.to(usual))


@dataclass(slots=True)
class _Sums:
    """Σ x², Σ x y and Σ y² of anomalies x today and y at each lead time, each (steps, c, h, w) float64."""

    xx: NDArray[np.float64]
    xy: NDArray[np.float64]
    yy: NDArray[np.float64]

    def error(self, factor: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ (y − a x)²."""
        return self.yy - 2 * factor * self.xy + factor**2 * self.xx


def fit_damped(
    history: History,
    train: NDArray[np.bool_],
    val: NDArray[np.bool_],
    steps: int,
    *,
    climatology: Climatology | None = None,
) -> Damped:
    """Factors by regression on pairs whose later date is in ``train`` (t,).

    For every lead time and channel, one factor for all grid points or one for each, whichever errs less (weighted by
    the cosine of latitude) on the dates in ``val`` (t,). Raises GeoadaptError where no pair is left.
    """
    known_dates(history, val, "validation")
    usual = climatology or fit_climatology(history, train)
    fitted, chosen_on = (_sums(history, mask, steps, usual) for mask in (train, val))
    if not fitted.xx.any():
        raise GeoadaptError(history.name, "no pair of training dates that are a step apart", "give more dates")
    weights = latitude_weights(history.latitude)[:, None]
    total = (fitted.xx * weights).sum(axis=(2, 3), keepdims=True)
    common = _ratio((fitted.xy * weights).sum(axis=(2, 3), keepdims=True), total)
    local = _ratio(fitted.xy, fitted.xx)
    errors = [(chosen_on.error(f) * weights).sum(axis=(2, 3), keepdims=True) for f in (common, local)]
    made = Damped(DampedSettings(usual.settings, steps))
    made.climatology.load_state_dict(usual.state_dict())
    made.factors.copy_(torch.from_numpy(np.where(errors[1] < errors[0], local, common)))
    return made


def _sums(history: History, targets: NDArray[np.bool_], steps: int, usual: Climatology) -> _Sums:
    shape = (steps, *history.states.shape[1:])
    sums = _Sums(np.zeros(shape), np.zeros(shape), np.zeros(shape))
    for piece in blocks(history, np.arange(len(history.times), dtype=np.intp), 1 + steps):
        now, ahead = history.around(piece, 1, steps)
        wanted = (ahead >= 0) & targets[ahead]
        needed = np.unique(np.concatenate([now[wanted.any(axis=1)].ravel(), ahead[wanted]]))
        if not len(needed):
            continue
        values = torch.from_numpy(np.asarray(history.states[needed], np.float32))
        seen = values.isfinite()
        states = usual.anomalies(values, seconds(history.times[needed])).double().numpy()
        present = (seen & usual.known).numpy()
        for lead in range(steps):
            rows = np.flatnonzero(wanted[:, lead])
            x, y = (np.searchsorted(needed, places) for places in (now[rows, 0], ahead[rows, lead]))
            both = present[x] & present[y]
            before, after = np.where(both, states[x], 0.0), np.where(both, states[y], 0.0)
            sums.xx[lead] += (before**2).sum(axis=0)
            sums.xy[lead] += (before * after).sum(axis=0)
            sums.yy[lead] += (after**2).sum(axis=0)
    return sums


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero where there is nothing to divide by: a constant point keeps its climatology."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def rebuild_damped(plain: Mapping[str, Any]) -> Damped:
    """An empty module of the shapes that plain settings describe."""
    own = {key: value for key, value in plain.items() if key != "climatology"}
    usual = from_plain(SeasonalSettings, plain.get("climatology", {}), "baselines.damped.climatology")
    return Damped(replace(from_plain(DampedSettings, own, "baselines.damped"), climatology=usual))
