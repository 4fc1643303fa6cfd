"""Climatology: mean, annual cycle and, for an archive of several states a day, daily cycle at every grid point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.baselines.past import blocks, known_dates, past_states, seconds, step_seconds, valid_times
from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History
from geoadapt.fields.types import Batch
from geoadapt.registry import from_plain

__all__ = ["Climatology", "SeasonalSettings", "fit_climatology", "rebuild_climatology", "seasonal_terms"]

DAY = 86400.0
YEAR = 365.2425 * DAY
LEAST_VARIANCE = 0.01
"""Of a combination of harmonics over the fitted dates (0.5 over whole years); what varies less is left at zero."""


@dataclass(slots=True)
class SeasonalSettings:
    """The grid and the harmonics."""

    channels: tuple[str, ...] = ()
    height: int = 1
    width: int = 1
    step: float = DAY
    """[s]."""
    pairs: int = 3
    """Sines and cosines of the year."""
    daily: int = 0
    """Sines and cosines of the day, each also with the first harmonic of the year as its amplitude."""

    @property
    def terms(self) -> int:
        """How many numbers each grid point has."""
        return 1 + 2 * self.pairs + 6 * self.daily


def seasonal_terms(times: Tensor, pairs: int, daily: int) -> Tensor:
    """One, and the harmonics of the year and the day, at ``times`` (…) [s since 1970], as (…, terms) float64."""
    now = times.double()
    year, day = now * (2 * math.pi / YEAR), now * (2 * math.pi / DAY)
    annual = [f(k * year) for k in range(1, pairs + 1) for f in (torch.cos, torch.sin)]
    hours = [f(k * day) for k in range(1, daily + 1) for f in (torch.cos, torch.sin)]
    both = [h * a for h in hours for a in (torch.ones_like(year), torch.cos(year), torch.sin(year))]
    return torch.stack([torch.ones_like(year), *annual, *both], dim=-1)


class Climatology(nn.Module):
    """The value that the date alone would suggest, NaN where the fitted dates never had one."""

    frames = 1
    coefficients: Tensor
    known: Tensor

    def __init__(self, settings: SeasonalSettings) -> None:
        super().__init__()
        self.settings = settings
        self.channels, self.step = tuple(settings.channels), settings.step
        self.shape = (settings.height, settings.width)
        state = (len(self.channels), *self.shape)
        self.register_buffer("coefficients", torch.zeros(settings.terms, *state))
        self.register_buffer("known", torch.ones(state, dtype=torch.bool))

    def at(self, times: Tensor) -> Tensor:
        """States (…, c, h, w) at ``times`` (…) [s since 1970], the channel's mean where a point was never seen."""
        terms = seasonal_terms(times, self.settings.pairs, self.settings.daily).to(self.coefficients)
        state: Tensor = torch.tensordot(terms, self.coefficients, dims=1)
        return state

    def anomalies(self, values: Tensor, times: Tensor, valid: Tensor | None = None) -> Tensor:
        """States (…, c, h, w) at ``times`` (…) less what is usual then, zero where they are missing."""
        departure = values - self.at(times)
        seen = self.known if valid is None else self.known & valid
        return torch.where(seen & departure.isfinite(), departure, 0.0)

    def masked(self, state: Tensor) -> Tensor:
        """``state`` (b, c, h, w), NaN where a grid point was never seen."""
        return torch.where(self.known, state, torch.nan)

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """The climatology (b, c, h, w) of each valid time."""
        field = past_states(batch, self)
        for lead in range(1, steps + 1):
            yield self.masked(self.at(valid_times(field, self.step, lead)))


def fit_climatology(
    history: History,
    train: NDArray[np.bool_],
    val: NDArray[np.bool_] | None = None,
    steps: int = 1,
    *,
    pairs: int = 3,
) -> Climatology:
    """Least squares over the dates in ``train`` (t,), each grid point on the dates that it has.

    Where the dates cover only some of the twelve months, that share of the ``pairs`` is kept, rounded down: a cycle is
    not extrapolated from a part of it. ``val`` and ``steps`` change nothing.
    Raises GeoadaptError where a channel has no value at all.
    """
    places = known_dates(history, train, "training")
    height, width = history.states.shape[-2:]
    interval = np.diff(history.times).min() if len(history.times) > 1 else np.timedelta64(1, "D")
    daily = 2 if interval < np.timedelta64(1, "D") else 0
    months = len(np.unique(history.times[places].astype("datetime64[M]").astype(np.int64) % 12))
    settings = SeasonalSettings(history.channels, height, width, step_seconds(history), pairs * months // 12, daily)
    counts = _counts(history, places)
    empty = [c for c, seen in zip(history.channels, counts, strict=True) if not seen.any()]
    if empty:
        raise GeoadaptError(history.name, f"{empty} hold no value on any training date", "leave them out")
    made = Climatology(settings)
    state = counts.shape
    fitted = _solve(history, places, settings, counts.ravel()).reshape(-1, *state)
    for channel, seen in enumerate(counts > 0):
        fitted[0, channel][~seen] = fitted[0, channel][seen].mean()
    made.coefficients.copy_(torch.from_numpy(fitted))
    made.known.copy_(torch.from_numpy(counts > 0))
    return made


def _counts(history: History, places: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many of the dates have a value (c, h, w)."""
    counts = np.zeros(history.states.shape[1:], np.int64)
    for piece in blocks(history, places):
        counts += np.isfinite(history.states[piece]).sum(axis=0)
    return counts


def _solve(
    history: History, places: NDArray[np.intp], settings: SeasonalSettings, counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Coefficients (terms, points) by the normal equations; points with gaps have equations of their own."""
    gaps = np.flatnonzero((counts > 0) & (counts < len(places)))
    terms = settings.terms
    shared = np.zeros((terms, terms))
    own = np.zeros((len(gaps), terms * terms))
    right = np.zeros((terms, len(counts)))
    for piece in blocks(history, places):
        design = seasonal_terms(seconds(history.times[piece]), settings.pairs, settings.daily).numpy()
        values = np.asarray(history.states[piece], np.float64).reshape(len(piece), -1)
        products = (design[:, :, None] * design[:, None, :]).reshape(len(piece), -1)
        seen = np.isfinite(values[:, gaps])
        shared += products.sum(axis=0).reshape(terms, terms)
        own += seen.T.astype(np.float64) @ products
        right += design.T @ np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    fitted: NDArray[np.float64] = _least_squares(shared[None], right.T[None])[0].T
    if len(gaps):
        fitted[:, gaps] = _least_squares(own.reshape(-1, terms, terms), right.T[gaps][:, None])[:, 0].T
    return fitted


def _least_squares(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions (n, points, terms) of normal equations (n, terms, terms) whose first term is the constant.

    The harmonics are centred first, and combinations that the dates hardly vary along are left out.
    """
    count = matrix[:, 0, 0][:, None]
    mean = matrix[:, 0] / count
    level = right[:, :, 0] / count
    covariance = matrix / count[:, :, None] - mean[:, :, None] * mean[:, None, :]
    variance, axes = np.linalg.eigh(covariance)
    inverse = np.where(variance > LEAST_VARIANCE, 1 / np.maximum(variance, LEAST_VARIANCE), 0.0)
    along = (right / count[:, :, None] - level[:, :, None] * mean[:, None, :]) @ axes
    solved: NDArray[np.float64] = (along * inverse[:, None, :]) @ np.swapaxes(axes, 1, 2)
    solved[:, :, 0] = level - (solved * mean[:, None, :])[:, :, 1:].sum(axis=2)
    return solved


def rebuild_climatology(plain: Mapping[str, Any]) -> Climatology:
    """An empty module of the shapes that plain settings describe."""
    return Climatology(from_plain(SeasonalSettings, plain, "baselines.climatology"))
