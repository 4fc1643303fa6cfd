"""Forecast and verify in one pass: every entry rolls out over the test dates, and only sums are kept.

In: forecasters by name, a history and its test dates. Out: statistics per init date, lead and channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import Dates, History
from geoadapt.inference.rollout import rollout
from geoadapt.inference.verifying import Values, Verifying
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.events import Event
from geoadapt.metrics.statistics import Statistics
from geoadapt.metrics.verify import Verification, compare_verifications
from geoadapt.metrics.weights import Box
from geoadapt.report.spectra import Spectra
from geoadapt.report.weather_maps import LatLon
from geoadapt.standard import Standard
from geoadapt.training.forecast_story import ForecastExample

__all__ = ["SCORES", "VerifiedEntries", "pictures", "summarise_forecasts", "verify_entries"]

SCORES = ("rmse", "mae", "bias", "acc")
SPECTRA = ("spectrum", "truth_spectrum")
BATCH = 64


@dataclass(frozen=True, slots=True)
class VerifiedEntries:
    """Statistics by WHO; of the model under test also maps of its error, and one forecast to look at."""

    statistics: Mapping[str, Statistics]
    leads: tuple[int, ...]
    """[h]."""
    squares: NDArray[np.float64]
    """Mean squared error of the model (lead, c, h, w)."""
    example: ForecastExample | None
    events: tuple[Event, ...] = ()


def verify_entries(
    entries: Mapping[str, Forecaster],
    history: History,
    test: NDArray[np.bool_],
    steps: int,
    climatology: Standard,
    *,
    device: str = "cpu",
    weights: str = "cos",
    regions: Mapping[str, Box] | None = None,
    events: Sequence[Event] = (),
    model: str = "test",
) -> VerifiedEntries:
    """Every entry at all leads of all forecasts whose target dates are in ``test`` (t,) bool.

    Raises GeoadaptError where no date can be forecast.
    """
    frames = max(entry.frames for entry in entries.values())
    places = _starts(history, test, frames, steps)
    if not len(places):
        raise GeoadaptError(
            history.name, f"no test date has {frames} past states before it", "name other years, or a longer archive"
        )
    leads = np.arange(1, steps + 1) * history.step
    boxes = {**(regions or {}), **{event.name: event.box for event in events}}
    kept: dict[str, Statistics] = {}
    maps = np.full((steps, *history.states.shape[1:]), np.nan)
    example: ForecastExample | None = None
    chosen = int(places[len(places) // 3])
    seen = climatology.climatology.known.cpu().numpy()

    def usual(times: Dates) -> Values:
        """What is usual (b, c, h, w) at dates (b,)."""
        found = climatology.usual(torch.from_numpy(times.astype("datetime64[s]").astype(np.int64)))
        return np.broadcast_to(found.float().cpu().numpy(), (len(times), *history.states.shape[1:]))

    for who, entry in entries.items():
        sums = Accumulator(
            history.channels,
            history.latitude,
            history.longitude,
            leads.astype("timedelta64[ns]"),
            (*SCORES, *SPECTRA),
            weights,
            boxes,
        )
        scores = _Scores(sums, history, test, leads, seen, maps=who == model)
        verify = Verifying(scores.add, history, leads, climatology=usual)
        shown: list[Values] = []
        for state in rollout(entry, history, history.times[places], leads, batch=BATCH, device=device, gaps=True):
            verify(state)
            shown += list(state.values[state.init_times == history.times[chosen]])
        if who == model:
            maps, example = scores.mean_squares(), _example(history, chosen, np.stack(shown))
        kept[who] = sums.statistics()
    told = tuple(round(float(lead / np.timedelta64(1, "h"))) for lead in leads)
    return VerifiedEntries(kept, told, maps, example, tuple(events))


class _Scores:
    """Takes each lead as it is verified: what is not of the test, or nobody can know, does not count."""

    def __init__(
        self,
        sums: Accumulator,
        history: History,
        test: NDArray[np.bool_],
        leads: NDArray[np.timedelta64],
        seen: NDArray[np.bool_],
        *,
        maps: bool,
    ) -> None:
        """``seen`` (c, h, w): where no training date had a value nobody can say what comes; ``maps``: keep them too."""
        self._sums, self._history, self._test, self._leads, self._seen = sums, history, test, leads, seen
        self._squares = np.zeros((2, len(leads), *history.states.shape[1:])) if maps else None

    def add(
        self, init_times: Dates, lead: int, forecast: Values, truth: Values, usual: Values, mask: object = None
    ) -> None:
        """Forecasts of ``init_times`` (b,) at one lead; ``truth`` is NaN where it is missing."""
        asked = self._test[self._history.places(init_times + self._leads[lead])]
        if not asked.any():
            return
        known = np.isfinite(truth[asked]) & self._seen
        true = np.where(known, truth[asked], 0.0)
        dates = init_times[asked].astype("datetime64[ns]")
        self._sums.add(dates, lead, forecast[asked], true, usual[asked], mask=known)
        if self._squares is not None:
            self._squares[0, lead] += np.where(known, (forecast[asked] - true) ** 2, 0.0).sum(0)
            self._squares[1, lead] += known.sum(0)

    def mean_squares(self) -> NDArray[np.float64]:
        """Mean squared error (lead, c, h, w), NaN where nothing counted; only where maps are kept."""
        assert self._squares is not None
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._squares[0] / self._squares[1])


def summarise_forecasts(found: VerifiedEntries, *, draws: int, seed: int) -> dict[str, float]:
    """Flat metrics ``WHO/METRIC/CHANNEL/LEADh[/REGION]``, 90 % intervals over weeks, and the model's paired gains."""
    parts = {who: Verification(one, SCORES, found.events) for who, one in found.statistics.items()}
    return compare_verifications(parts, draws=draws, seed=seed)


def _starts(history: History, test: NDArray[np.bool_], frames: int, steps: int) -> NDArray[np.intp]:
    """Places from which a forecast reaches a test date at one lead or another."""
    past, ahead = history.around(np.arange(len(history.times)), frames, steps)
    asked = (ahead >= 0) & test[ahead]
    return np.flatnonzero((past >= 0).all(1) & asked.any(1)).astype(np.intp)


def _example(history: History, place: int, forecast: NDArray[np.float32]) -> ForecastExample:
    _, ahead = history.around(np.asarray([place]), 1, len(forecast))
    truth = np.full_like(forecast, np.nan)
    known = ahead[0] >= 0
    truth[known] = history.states[ahead[0][known]]
    hours = float(history.step / np.timedelta64(1, "h"))
    leads = tuple(hours * (lead + 1) for lead in range(len(forecast)))
    return ForecastExample(history.times[place], leads, forecast, truth)


def pictures(found: VerifiedEntries, history: History, model: str = "test") -> dict[str, Any]:
    """Maps, spectra and one forecast, as a ``ForecastStory`` takes them; nothing of it for a grid without area."""
    if min(len(history.latitude), len(history.longitude)) < 4:
        return {}
    totals = {who: one.totals() for who, one in found.statistics.items()}
    truth = finish("truth_spectrum", totals[model])[:, 0]
    power = {who: finish("spectrum", one)[:, 0] for who, one in totals.items()}
    waves = np.arange(1, truth.shape[-1], dtype=np.float64)
    spectra = {
        channel: Spectra(waves, {"truth": truth[:, c, 1:], **{who: values[:, c, 1:] for who, values in power.items()}})
        for c, channel in enumerate(history.channels)
    }
    return {
        "place": LatLon(history.latitude, history.longitude),
        "example": found.example,
        "averages": {"rmse": np.sqrt(found.squares)},
        "spectra": spectra,
    }
