"""What small_wx is pre-trained on: windows of many archives, to be forecast from the past or painted where hidden.

In: archives with their statistics. Out: standardised batches of one archive each, and what the readout should say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from geoadapt.baselines.past import seconds
from geoadapt.cubes.variables import split_channel
from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History, Indices
from geoadapt.fields.types import Batch, Field, LatLonGrid, Where
from geoadapt.standard import USUAL
from geoadapt.training.window_archives import Archive

__all__ = ["WindowBatches"]

PAINT = "paint"
FORECAST = "forecast"
WIDE = 0.25
"""Of the windows on a globe, those that go around it: the same rows, fewer samples."""

ALONE = 0.3
"""Of the batches, those that show a single channel."""
OFTEN = {"mean_sea_level_pressure": 2.0, "geopotential": 1.5}
"""Variables that most archives have come more often."""
FULL = 0.7
"""Of the batches, those that show all past states that they may."""
FAR = 0.8
"""Of the windows on a globe, those whose middle lies in the middle latitudes, where weather moves most."""
LEAST = 4
"""Samples of a batch however wide it is, so that a few processes all have one."""


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
        window = self._window(archive.history, rng)
        drawn = _Drawn(
            lead=lead,
            frames=_frames(archive.frames, rng),
            channels=_channels(archive, rng),
            rows=window[0],
            columns=window[1],
            static=archive.static is not None and rng.random() < 0.5,
            usual=archive.usual is not None and rng.random() < 0.9,
        )
        # a batch that goes around the globe has fewer samples, so that all batches cost about the same
        fewer = self.batch * self.window[1] // len(window[1])
        size = min(self.batch, max(LEAST, fewer))
        places = rng.choice(archive.places[lead], size)[self.rank :: self.world]
        seeds = rng.integers(2**31, size=size)[self.rank :: self.world]
        return _painting(archive, drawn, places, seeds) if painted else _forecast(archive, drawn, places)

    def _window(self, history: History, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Rows (h,) and columns (w,); columns go on across the seam of a circle."""
        height, width = len(history.latitude), len(history.longitude)
        around = _circle(history.longitude)
        h, w = min(self.window[0], height), min(self.window[1], width)
        if around and rng.random() < WIDE:
            w = width
        top = int(rng.integers(0, height - h + 1))
        if around and rng.random() < FAR:
            middles = history.latitude[np.arange(height - h + 1) + h // 2]
            top = int(rng.choice(np.flatnonzero((np.abs(middles) > 30) & (np.abs(middles) < 65))))
        left = int(rng.integers(0, width if around and w < width else width - w + 1))
        return np.arange(top, top + h), (left + np.arange(w)) % width


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a batch shows: a lead [steps], past states, places of channels, rows and columns, and static fields."""

    lead: int
    frames: int
    channels: Indices
    rows: Indices
    columns: Indices
    static: bool
    usual: bool


def _channels(archive: Archive, rng: np.random.Generator) -> Indices:
    """At times one channel, else several; every variable comes as often, however many levels it has."""
    names = archive.history.channels
    variables = [split_channel(name)[0] for name in names]
    shares = np.array([OFTEN.get(variable, 1.0) / variables.count(variable) for variable in variables])
    many = 1 if rng.random() < ALONE else int(rng.integers(1, min(len(names), 4) + 1))
    return np.sort(rng.choice(len(names), many, replace=False, p=shares / shares.sum()))


def _frames(most: int, rng: np.random.Generator) -> int:
    """Mostly as many past states as there may be."""
    return most if rng.random() < FULL else int(rng.integers(1, most + 1))


def _lead(leads: tuple[int, ...], rng: np.random.Generator) -> int:
    """Short leads come much more often: a roll-out feeds on them, and there is more to learn from them."""
    shares = 1.0 / np.square(leads)
    return int(rng.choice(leads, p=shares / shares.sum()))


def _cut(archive: Archive, drawn: _Drawn, places: Indices) -> tuple[Tensor, Tensor]:
    """Standardised states (…, c, h, w) at ``places`` (…), zero where missing, and what is known of them."""
    found = archive.states[np.ix_(places.ravel(), drawn.channels, drawn.rows, drawn.columns)]
    values = torch.from_numpy(found.astype(np.float32).reshape(*places.shape, *found.shape[1:]))
    known = values.isfinite()
    return torch.where(known, values, 0.0), known


def _forecast(archive: Archive, drawn: _Drawn, places: Indices) -> Batch:
    """The target is the change since the last state, in usual changes over that lead."""
    past, ahead = archive.history.around(places, drawn.frames, drawn.lead)
    if (past < 0).any() or (ahead[:, -1] < 0).any():
        raise GeoadaptError(archive.history.name, "a sample needs a date that is missing", "draw from Archive.places")
    values, valid = _cut(archive, drawn, past)
    target, known = _cut(archive, drawn, ahead[:, -1:])
    change = (target - values[:, -1:]) / archive.changes[drawn.lead][drawn.channels][:, None, None]
    return _batch(archive, drawn, past, (values, valid), (change, known & valid[:, -1:]))


def _painting(archive: Archive, drawn: _Drawn, places: Indices, seeds: NDArray[np.int64]) -> Batch:
    """Squares are hidden in all states; the target is the last state where it is hidden."""
    past, _ = archive.history.around(places, drawn.frames, 1)
    values, valid = _cut(archive, drawn, past)
    h, w = values.shape[-2:]
    side = 4
    masks = []
    for seed in seeds:
        hides = torch.rand(-(-h // side), -(-w // side), generator=torch.Generator().manual_seed(int(seed))) < 0.5
        masks.append(hides.repeat_interleave(side, 0).repeat_interleave(side, 1)[:h, :w])
    hidden = torch.stack(masks)[:, None, None].expand_as(values)
    return _batch(archive, drawn, past, (values, valid & ~hidden), (values[:, -1:], valid[:, -1:] & hidden[:, -1:]))


def _batch(
    archive: Archive, drawn: _Drawn, past: Indices, shown: tuple[Tensor, Tensor], aim: tuple[Tensor, Tensor]
) -> Batch:
    history = archive.history
    names = tuple(history.channels[c] for c in drawn.channels)
    latitude, longitude = history.latitude[drawn.rows], history.longitude[drawn.columns]
    grid = LatLonGrid(torch.from_numpy(latitude), _unrolled(torch.from_numpy(longitude)))
    (values, valid), (target, counted) = shown, aim
    seen = None if bool(valid.all()) else valid
    times = seconds(history.times[past].ravel()).reshape(past.shape)
    inputs = {"atmosphere": Field(torch.where(valid, values, 0.0), names, seen, times, grid)}
    if drawn.usual and archive.usual is not None:
        background = archive.usual.at(times[:, -1], drawn.channels, drawn.rows, drawn.columns)
        inputs["usual"] = Field(background[:, None], tuple(USUAL + name for name in names), grid=grid)
    if drawn.static and archive.static is not None:
        fixed = archive.static[:, drawn.rows][..., drawn.columns]
        inputs["static"] = Field(
            fixed[None, None].expand(len(values), 1, *fixed.shape), history.static_channels, grid=grid
        )
    hours = drawn.lead * (history.step / np.timedelta64(1, "s"))
    kind = FORECAST if drawn.lead else PAINT
    where = tuple(Where(history.name, int(i), shift=kind) for i in past[:, -1])
    aimed = Field(torch.where(counted, target, 0.0), names, counted, None, grid)
    return Batch(inputs, aimed, torch.full((len(values),), float(hours)), where)


def _unrolled(longitude: Tensor) -> Tensor:
    """Ascending longitudes, beyond 360 where a window crosses the seam."""
    return longitude + 360.0 * (torch.diff(longitude, prepend=longitude[:1]) < 0).cumsum(0)


def _circle(longitude: NDArray[np.float64]) -> bool:
    if len(longitude) < 3:
        return False
    step = float(np.diff(longitude).mean())
    return abs(len(longitude) * step - 360) < step / 2
