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
from geoadapt.fields.history import History, forecast_batch
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
    hours = history.step / np.timedelta64(1, "h")
    leads = (np.arange(1, steps + 1) * history.step).astype("timedelta64[ns]")
    kept: dict[str, Statistics] = {}
    boxes = {**(regions or {}), **{event.name: event.box for event in events}}
    squares = np.zeros((2, steps, *history.states.shape[1:]))
    example: ForecastExample | None = None
    chosen = int(places[len(places) // 3])
    # where no training date had a value nobody can say what comes
    seen = climatology.climatology.known.cpu().numpy()
    for who, entry in entries.items():
        sums = Accumulator(
            history.channels, history.latitude, history.longitude, leads, (*SCORES, *SPECTRA), weights, boxes
        )
        for start in range(0, len(places), BATCH):
            index = places[start : start + BATCH]
            batch = forecast_batch(history, index, frames, 0).to(device)
            _, ahead = history.around(index, 1, steps)
            shown: list[NDArray[np.float32]] = []
            with torch.inference_mode():
                for lead, state in enumerate(entry.states(batch, steps)):
                    asked = (ahead[:, lead] >= 0) & test[ahead[:, lead]]
                    values = state.float().cpu().numpy()
                    if chosen in index:
                        shown.append(values[int(np.flatnonzero(index == chosen)[0])])
                    if not asked.any():
                        continue
                    true = np.asarray(history.states[ahead[asked, lead]], np.float32)
                    when = history.times[ahead[asked, lead]]
                    usual = climatology.usual(torch.from_numpy(when.astype("datetime64[s]").astype(np.int64)))
                    usual_values = np.broadcast_to(usual.float().cpu().numpy(), true.shape)
                    known = np.isfinite(true) & seen
                    truth = np.where(known, true, 0.0)
                    sums.add(
                        history.times[index[asked]].astype("datetime64[ns]"),
                        lead,
                        values[asked],
                        truth,
                        usual_values,
                        mask=known,
                    )
                    if who == model:
                        squares[0, lead] += np.where(known, (values[asked] - truth) ** 2, 0.0).sum(0)
                        squares[1, lead] += known.sum(0)
            if who == model and shown:
                example = _example(history, chosen, np.stack(shown))
        kept[who] = sums.statistics()
    with np.errstate(invalid="ignore", divide="ignore"):
        maps = squares[0] / squares[1]
    told = tuple(round(float((i + 1) * hours)) for i in range(steps))
    return VerifiedEntries(kept, told, maps, example, tuple(events))


def summarise_forecasts(found: VerifiedEntries, *, draws: int, seed: int) -> dict[str, float]:
    """Flat metrics ``WHO/METRIC/CHANNEL/LEADh`` with 90 % intervals over weeks, and the model's paired gains."""
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
