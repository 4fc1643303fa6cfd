"""What small_wx is pre-trained on: windows of many archives, to be forecast from the past or painted where hidden.

In: archives with their statistics. Out: standardised batches of one archive each, and what the readout should say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History, Indices, forecast_batch
from geoadapt.fields.types import Batch, Field, LatLonGrid
from geoadapt.standard import Standard

__all__ = ["Archive", "WindowBatches", "make_archive"]

PAINT = "paint"
FORECAST = "forecast"
TRIED = 400
"""Samples from which the usual change over a lead is measured."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive: states, statistics, and how often it is drawn."""

    history: History
    standard: Standard
    leads: tuple[int, ...]
    """Steps ahead that are forecast; empty = it is only painted."""
    share: float
    places: Mapping[int, Indices] = field(default_factory=dict)
    """Lead → places of last input states; 0 = of those that are painted."""
    changes: Mapping[int, Tensor] = field(default_factory=dict)
    """Lead → usual change (c,), standardised."""
    frames: int = 1
    """Most past states that its inputs may have."""


def make_archive(
    history: History,
    standard: Standard,
    dates: NDArray[np.bool_],
    leads: Sequence[int],
    share: float,
    frames: int,
) -> Archive:
    """An archive whose inputs and targets all lie in ``dates`` (t,) bool; leads that it cannot reach are left out."""
    places: dict[int, Indices] = {}
    changes: dict[int, Tensor] = {}
    every = np.arange(len(history.times))
    past, ahead = history.around(every, frames, max((*leads, 1)))
    inside = (past >= 0).all(1) & dates[past].all(1)
    for lead in leads:
        found = np.flatnonzero(inside & (ahead[:, lead - 1] >= 0) & dates[ahead[:, lead - 1]]).astype(np.intp)
        if len(found):
            places[lead] = found
            changes[lead] = _change(history, standard, found, lead)
    # a single state can be painted, though it has no past
    places[0] = np.flatnonzero(inside if inside.any() else dates).astype(np.intp)
    most = frames if inside.any() else 1
    return Archive(history, standard, tuple(k for k in places if k), share, places, changes, most)


def _change(history: History, standard: Standard, places: Indices, lead: int) -> Tensor:
    tried = places[:: max(1, len(places) // TRIED)]
    batch = forecast_batch(history, tried, 1, lead)
    now, then = batch.inputs["atmosphere"], batch.target
    assert then is not None and now.times is not None and then.times is not None
    off = standard(then.values[:, -1], then.times[:, -1]) - standard(now.values[:, 0], now.times[:, 0])
    known = torch.ones_like(off, dtype=torch.bool)
    for field_ in (now, then):
        known &= True if field_.valid is None else field_.valid[:, -1]
    change: Tensor = ((off.square() * known).sum((0, 2, 3)) / known.sum((0, 2, 3)).clamp(min=1)).sqrt()
    return change.clamp_min(1e-3)


@dataclass(frozen=True, slots=True)
class WindowBatches(Dataset[Batch]):
    """Batch ``i``: one archive, one window, some of its channels, one lead or a painting; drawn from seed and ``i``."""

    archives: tuple[Archive, ...]
    count: int
    batch: int
    seed: int
    paint: float = 0.25
    """Share of the batches that are painted."""
    window: tuple[int, int] = (17, 33)
    """Cells of a window; smaller archives are seen whole."""
    world: int = 1
    rank: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        """The share of this process."""
        rng = np.random.default_rng([self.seed, index])
        shares = np.array([archive.share for archive in self.archives])
        archive = self.archives[int(rng.choice(len(shares), p=shares / shares.sum()))]
        painted = not archive.leads or rng.random() < self.paint
        lead = 0 if painted else _lead(archive.leads, rng)
        places = rng.choice(archive.places[lead], self.batch)
        frames = int(rng.integers(1, archive.frames + 1))
        channels = self._channels(archive, rng)
        window = self._window(archive.history, rng)
        seeds = rng.integers(2**31, size=self.batch)[self.rank :: self.world]
        given = _given(archive, places[self.rank :: self.world], frames, lead)
        made = _painting(given, seeds) if painted else _forecast(given, archive, lead)
        return _cut(made, channels, window)

    def _channels(self, archive: Archive, rng: np.random.Generator) -> list[int]:
        """Often one channel, else several."""
        count = len(archive.history.channels)
        many = 1 if rng.random() < 0.5 else int(rng.integers(1, count + 1))
        chosen = rng.choice(count, many, replace=False)
        return sorted(int(c) for c in chosen)

    def _window(self, history: History, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Rows (h,) and columns (w,); columns go on across the seam of a circle."""
        height, width = len(history.latitude), len(history.longitude)
        h, w = min(self.window[0], height), min(self.window[1], width)
        top = int(rng.integers(0, height - h + 1))
        around = _circle(history.longitude)
        left = int(rng.integers(0, width if around and w < width else width - w + 1))
        return torch.arange(top, top + h), (left + torch.arange(w)) % width


def _lead(leads: tuple[int, ...], rng: np.random.Generator) -> int:
    """Short leads come more often: a roll-out feeds on them."""
    shares = 1 / np.array(leads)
    return int(rng.choice(leads, p=shares / shares.sum()))


@dataclass(frozen=True, slots=True)
class _Given:
    """Standardised states (b, t, c, h, w), what of them is known, their dates, and the archive's grid."""

    values: Tensor
    valid: Tensor
    times: Tensor
    target: Tensor | None
    known: Tensor | None
    lead_time: float
    batch: Batch


def _given(archive: Archive, places: Indices, frames: int, lead: int) -> _Given:
    history, standard = archive.history, archive.standard
    batch = forecast_batch(history, places, frames, lead)
    past, ahead = batch.inputs["atmosphere"], batch.target
    if past.times is None:
        raise GeoadaptError(history.name, "has no dates", "give it some")
    values = standard(past.values, past.times)
    valid = torch.ones_like(values, dtype=torch.bool) if past.valid is None else past.valid
    target = known = None
    if ahead is not None and ahead.times is not None:
        target = standard(ahead.values[:, -1:], ahead.times[:, -1:])
        known = torch.ones_like(target, dtype=torch.bool) if ahead.valid is None else ahead.valid[:, -1:]
    hours = lead * (history.step / np.timedelta64(1, "s"))
    return _Given(values, valid, past.times, target, known, float(hours), batch)


def _forecast(given: _Given, archive: Archive, lead: int) -> Batch:
    """The target is the change since the last state, in usual changes over that lead."""
    assert given.target is not None and given.known is not None
    change = (given.target - given.values[:, -1:]) / archive.changes[lead][:, None, None]
    return _batch(given, given.values, given.valid, change, given.known & given.valid[:, -1:])


def _painting(given: _Given, seeds: NDArray[np.int64]) -> Batch:
    """Squares are hidden in all states; the target is the last state where it is hidden."""
    h, w = given.values.shape[-2:]
    side = 4
    masks = []
    for seed in seeds:
        drawn = torch.rand(-(-h // side), -(-w // side), generator=torch.Generator().manual_seed(int(seed))) < 0.5
        masks.append(drawn.repeat_interleave(side, 0).repeat_interleave(side, 1)[:h, :w])
    hidden = torch.stack(masks)[:, None, None].expand_as(given.values)
    last = given.values[:, -1:]
    return _batch(given, given.values, given.valid & ~hidden, last, given.valid[:, -1:] & hidden[:, -1:])


def _batch(given: _Given, values: Tensor, valid: Tensor, target: Tensor, counted: Tensor) -> Batch:
    field_ = given.batch.inputs["atmosphere"]
    shown = replace(field_, values=torch.where(valid, values, 0.0), valid=None if bool(valid.all()) else valid)
    aim = Field(torch.where(counted, target, 0.0), field_.channels, counted, None, field_.grid)
    lead = torch.full((len(values),), given.lead_time)
    kind = PAINT if given.target is None else FORECAST
    return Batch({"atmosphere": shown}, aim, lead, tuple(replace(w, shift=kind) for w in given.batch.where))


def _cut(batch: Batch, channels: list[int], window: tuple[Tensor, Tensor]) -> Batch:
    rows, columns = window

    def cut(one: Field) -> Field:
        assert isinstance(one.grid, LatLonGrid)
        grid = LatLonGrid(one.grid.latitude[rows], _unrolled(one.grid.longitude[columns]))
        pick = [None if v is None else v[:, :, channels][..., rows, :][..., columns] for v in (one.values, one.valid)]
        assert pick[0] is not None
        names = tuple(one.channels[c] for c in channels)
        return replace(one, values=pick[0], valid=pick[1], channels=names, grid=grid)

    assert batch.target is not None
    return replace(batch, inputs={"atmosphere": cut(batch.inputs["atmosphere"])}, target=cut(batch.target))


def _unrolled(longitude: Tensor) -> Tensor:
    """Ascending longitudes, beyond 360 where a window crosses the seam."""
    return longitude + 360.0 * (torch.diff(longitude, prepend=longitude[:1]) < 0).cumsum(0)


def _circle(longitude: NDArray[np.float64]) -> bool:
    if len(longitude) < 3:
        return False
    step = float(np.diff(longitude).mean())
    return abs(len(longitude) * step - 360) < step / 2
