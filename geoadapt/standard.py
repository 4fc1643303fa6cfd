"""Between SI units and numbers of order one: anomalies over their standard deviation, and how fast they change.

In: a history and the dates to learn from. Out: a module that standardises batches and takes predictions back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.baselines.past import blocks, seconds, step_seconds
from geoadapt.baselines.seasonal import Climatology, SeasonalSettings, fit_climatology, seasonal_terms
from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History
from geoadapt.fields.types import Batch, Field

__all__ = ["ANOMALIES", "USUAL", "Standard", "fit_standard"]

ANOMALIES = ("season", "place", "channel")
"""What is taken out: the climatology of the place and date, the place's mean, or the channel's."""
USUAL = "usual_"
"""Before the name of a channel: its climatology."""
LEAST = 1e-6
"""A channel whose standard deviation is less than this share of its mean does not vary."""


class Standard(nn.Module):
    """(x − climatology) / deviation per channel; ``increment`` is the usual change over one step, standardised."""

    std: Tensor
    increment: Tensor
    static_mean: Tensor
    static_std: Tensor

    def __init__(self, usual: Climatology, std: Tensor, increment: Tensor, static: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.climatology = usual
        self.register_buffer("std", std.float())
        self.register_buffer("increment", increment.float())
        self.register_buffer("static_mean", static[0].float())
        self.register_buffer("static_std", static[1].float())

    def usual(self, times: Tensor) -> Tensor:
        """The climatology (…, c, h, w), or (…, c, 1, 1), at ``times`` (…) [s]."""
        # a thousandth of a surface pressure is a storm: never in half precision
        with torch.autocast(times.device.type, enabled=False):
            return self.climatology.at(times)

    def forward(self, values: Tensor, times: Tensor) -> Tensor:
        """Values (…, c, h, w) at ``times`` (…), standardised."""
        return (values - self.usual(times)) / self.std[:, None, None]

    def back(self, values: Tensor, times: Tensor) -> Tensor:
        """Standardised values (…, c, h, w) at ``times`` (…), in SI units."""
        return values * self.std[:, None, None] + self.usual(times)

    def background(self, times: Tensor) -> Tensor | None:
        """The climatology (b, c, h, w) at ``times`` (b,), less each channel's mean, in the units of the anomalies.

        Anomalies alone do not tell in which current they swim. None where the climatology is one number a channel.
        """
        scaled = self.background_terms()
        if scaled is None:
            return None
        with torch.autocast(times.device.type, enabled=False):
            state: Tensor = torch.tensordot(self.terms(times).to(scaled), scaled, dims=1)
        return state

    def background_terms(self) -> Tensor | None:
        """The coefficients (k, c, h, w) of the background, to go with ``terms``; None where there is none."""
        fitted = self.climatology.coefficients
        if fitted.shape[-2:].numel() == 1:
            return None
        scaled = fitted / self.std[:, None, None]
        return torch.cat([scaled[:1] - scaled[:1].mean((-2, -1), keepdim=True), scaled[1:]])

    def terms(self, times: Tensor) -> Tensor:
        """The harmonics (…, k) at ``times`` (…) [s]."""
        settings = self.climatology.settings
        return seasonal_terms(times, settings.pairs, settings.daily)

    def batch(self, batch: Batch) -> Batch:
        """The batch with its inputs standardised, and the background; what is missing becomes 0, the target stays.

        Raises GeoadaptError where it has other static fields than those that the statistics are of.
        """
        given = batch.inputs["atmosphere"]
        inputs = {"atmosphere": self._field(given)}
        assert given.times is not None  # or _field has refused it
        background = self.background(given.times[:, -1])
        if background is not None:
            names = tuple(USUAL + channel for channel in given.channels)
            inputs["usual"] = Field(background[:, None], names, grid=given.grid)
        static = batch.inputs.get("static")
        have = 0 if static is None else static.values.shape[2]
        if have != len(self.static_mean):
            problem = f"{have} fields without dates, the model was fitted with {len(self.static_mean)}"
            raise GeoadaptError("batch", problem, "give the archive with the same ones, such as orography")
        if static is not None:
            scaled = (static.values - self.static_mean[:, None, None]) / self.static_std[:, None, None]
            inputs["static"] = replace(static, values=torch.where(scaled.isfinite(), scaled, 0.0))
        return replace(batch, inputs=inputs)

    def _field(self, field: Field) -> Field:
        if field.times is None:
            raise GeoadaptError("batch", "its states have no dates", "give Field.times")
        values = self(field.values, field.times)
        return replace(field, values=values if field.valid is None else torch.where(field.valid, values, 0.0))


def fit_standard(
    history: History, dates: NDArray[np.bool_], anomalies: str = "season", *, changes: bool = True
) -> Standard:
    """Statistics over the chosen dates (t,) bool; without ``changes`` the usual change is taken as 1.

    Raises GeoadaptError for a channel without values or variation, or where no two dates are a step apart.
    """
    usual = _usual(history, dates, anomalies)
    std = _deviation(history, (v - usual.at(t).numpy() for v, t in _pieces(history, dates)))
    level = usual.coefficients[0].abs().mean((-2, -1)).numpy()
    for name, spread, size in zip(history.channels, std, level, strict=True):
        if not spread > LEAST * size or spread == 0:
            problem = "has no value" if np.isnan(spread) else f"does not vary (standard deviation {spread:.3g})"
            raise GeoadaptError(history.name, f"{name} {problem} on the training dates", "leave it out of variables")
    scaled = torch.from_numpy(std)[:, None, None]
    increment = np.ones_like(std)
    if changes:
        moved = (_change(usual, t, ahead, v, w) / scaled for v, t, w, ahead in _pairs(history, dates))
        increment = np.maximum(_deviation(history, (m.numpy() for m in moved)), 1e-4)
    static = torch.zeros(0), torch.ones(0)
    if history.static is not None:
        fixed = np.ma.masked_invalid(history.static).reshape(len(history.static), -1)
        mean, spread = (torch.from_numpy(s.filled(0.0)) for s in (fixed.mean(1), fixed.std(1)))
        static = mean, spread.clamp_min(1e-6)
    return Standard(usual, torch.from_numpy(std), torch.from_numpy(increment), static)


def _change(
    usual: Climatology, times: Tensor, ahead: Tensor, first: NDArray[np.float32], second: NDArray[np.float32]
) -> Tensor:
    """How anomalies change (n, c, h, w) from states ``first`` at ``times`` to ``second`` at ``ahead``."""
    return (torch.from_numpy(second) - usual.at(ahead)) - (torch.from_numpy(first) - usual.at(times))


def _usual(history: History, dates: NDArray[np.bool_], anomalies: str) -> Climatology:
    """What is taken out of the states."""
    if anomalies not in ANOMALIES:
        raise GeoadaptError("task.anomalies", f"'{anomalies}'", f"choose from {', '.join(ANOMALIES)}")
    if anomalies == "season":
        return fit_climatology(history, dates)
    fitted = fit_climatology(history, dates, pairs=0)
    mean = fitted.coefficients[:1]
    if anomalies == "channel":
        mean = mean.mean((-2, -1), keepdim=True)
    usual = Climatology(SeasonalSettings(history.channels, mean.shape[-2], mean.shape[-1], step_seconds(history), 0, 0))
    usual.coefficients.copy_(mean)
    if anomalies == "place":
        usual.known.copy_(fitted.known)
    return usual


def _pieces(history: History, dates: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.float32], Tensor]]:
    """States and their dates [s], a piece at a time."""
    for index in blocks(history, np.flatnonzero(dates)):
        yield np.asarray(history.states[index], np.float32), seconds(history.times[index])


def _pairs(
    history: History, dates: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.float32], Tensor, NDArray[np.float32], Tensor]]:
    """States one step apart whose dates are both chosen; raises GeoadaptError where there are none."""
    first = history.samples(dates, 1, 1)
    first = first[dates[first]]
    if not len(first):
        raise GeoadaptError(
            history.name, f"holds no two training dates {history.step} apart", "choose another data.step"
        )
    second = dict(zip(first.tolist(), history.around(first, 1, 1)[1][:, 0].tolist(), strict=True))
    for a in blocks(history, first, 2):
        b = np.asarray([second[int(i)] for i in a], np.intp)
        now, then = (np.asarray(history.states[i], np.float32) for i in (a, b))
        yield now, seconds(history.times[a]), then, seconds(history.times[b])


def _deviation(history: History, pieces: Iterator[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Root mean square per channel (c,) of (n, c, h, w), of what is known; NaN where nothing is."""
    total = np.zeros(len(history.channels))
    count = np.zeros(len(history.channels))
    for values in pieces:
        known = np.isfinite(values)
        total += np.square(np.where(known, values, 0.0), dtype=np.float64).sum((0, 2, 3))
        count += known.sum((0, 2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.where(count > 0, total / count, np.nan))
