"""Archives as small_wx is pre-trained on them: standardised states, what is usual of them, and what can be asked.

In: a history with its statistics. Out: ``Archive``, from which ``weather_windows`` draws batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.baselines.past import blocks, seconds
from geoadapt.fields.history import History, Indices
from geoadapt.standard import Standard

__all__ = ["Archive", "Held", "make_archive", "standardised"]

TRIED = 400
"""Samples from which the usual change over a lead is measured."""


States = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Usual:
    """A climatology as harmonics: coefficients (k, c, h, w) of the background, see ``Standard``."""

    standard: Standard
    coefficients: Tensor

    def at(self, times: Tensor, channels: Indices, rows: Indices, columns: Indices) -> Tensor:
        """A window of it (b, c, h, w) at ``times`` (b,) [s]."""
        part = self.coefficients[:, channels][:, :, rows][..., columns]
        state: Tensor = torch.tensordot(self.standard.terms(times).to(part), part, dims=1)
        return state


@dataclass(frozen=True, slots=True)
class Held:
    """What all archives of one history share: states and static fields standardised, and what is usual."""

    states: States
    static: Tensor | None
    usual: Usual | None


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive: standardised states, how they usually change, and how often it is drawn."""

    history: History
    """Dates, grid and channels; its states are not read again."""
    states: States
    """(t, c, h, w), standardised, NaN where missing."""
    static: Tensor | None
    """(s, h, w), standardised."""
    usual: Usual | None
    """What is usual at a date."""
    leads: tuple[int, ...]
    """Steps ahead that are forecast; empty = it is only painted."""
    share: float
    places: Mapping[int, Indices] = field(default_factory=dict)
    """Lead → places of last input states; 0 = of those that are painted."""
    changes: Mapping[int, Tensor] = field(default_factory=dict)
    """Lead → usual change (c,), standardised."""
    frames: int = 1
    """Most past states that its inputs may have."""


def standardised(history: History, standard: Standard) -> Held:
    """All states as anomalies of order one, in half precision."""
    states = np.empty(history.states.shape, np.float16)
    for index in blocks(history, np.arange(len(history.times))):
        raw = torch.from_numpy(np.asarray(history.states[index], np.float32))
        states[index] = standard(raw, seconds(history.times[index])).clamp(-1e4, 1e4).numpy()
    terms = standard.background_terms()
    usual = None if terms is None else Usual(standard, terms)
    if history.static is None:
        return Held(states, None, usual)
    fixed = torch.from_numpy(np.asarray(history.static, np.float32))
    scaled = (fixed - standard.static_mean[:, None, None]) / standard.static_std[:, None, None]
    return Held(states, torch.where(scaled.isfinite(), scaled, 0.0), usual)


def make_archive(
    history: History,
    held: Held,
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
            changes[lead] = _change(held.states, found, ahead[found, lead - 1])
    # a single state can be painted, though it has no past
    places[0] = np.flatnonzero(inside if inside.any() else dates).astype(np.intp)
    most = frames if inside.any() else 1
    reached = tuple(k for k in places if k)
    return Archive(history, held.states, held.static, held.usual, reached, share, places, changes, most)


def _change(states: States, places: Indices, ahead: Indices) -> Tensor:
    tried = slice(None, None, max(1, len(places) // TRIED))
    off = states[ahead[tried]].astype(np.float32) - states[places[tried]]
    known = np.isfinite(off)
    square = np.square(np.where(known, off, 0.0)).sum((0, 2, 3))
    change = torch.from_numpy(np.sqrt(square / known.sum((0, 2, 3)).clip(1))).float()
    return change.clamp_min(1e-3)
