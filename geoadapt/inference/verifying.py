"""Forecast and verify in one pass: states go from the roll-out to a verification, and are forgotten.

In: states as they come, and the archive that holds the truth. Out: calls of ``add(init_times, lead_index, forecast,
truth, climatology)``, one a lead, with all members of an ensemble together, and ``mask`` where truth has gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.fields.history import History
from geoadapt.inference.rollout import State

__all__ = ["Verifying", "truth_at"]

Dates = NDArray[np.datetime64]
Values = NDArray[np.float32]


def truth_at(history: History, times: Dates, channels: Sequence[str]) -> Values:
    """States (b, c, h, w) at dates (b,), NaN where the archive lacks one."""
    places = history.places(times)
    index = [history.channels.index(channel) for channel in channels]
    found = np.full((len(places), len(index), *history.states.shape[-2:]), np.nan, np.float32)
    known = places >= 0
    if known.any():
        found[known] = np.asarray(history.states[places[known]])[:, index]
    return found


class Verifying:
    """A consumer of states that has each lead verified; init times without a truth at its date are left out of it."""

    def __init__(
        self,
        add: Callable[..., Any],
        history: History,
        leads: NDArray[np.timedelta64],
        numbers: Sequence[int] | None = None,
        climatology: Callable[[Dates], Values] | None = None,
    ) -> None:
        """``climatology`` gives (b, c, h, w) at dates (b,); ``numbers`` are the members, as the roll-out has them."""
        self._add, self._history, self._climatology = add, history, climatology
        self._leads = np.asarray(leads, "timedelta64[s]")
        self._numbers = tuple(numbers or ())
        self._waiting: list[State] = []

    def __call__(self, state: State) -> None:
        """Take one state; with the last member of a lead, verify it."""
        self._waiting.append(state)
        if self._numbers and state.number != self._numbers[-1]:
            return
        members, self._waiting = self._waiting, []
        valid = state.init_times + state.lead
        known = self._history.places(valid) >= 0
        if not known.any():
            return
        # One that failed between two members is in the earlier ones only.
        picked = [m.values[np.isin(m.init_times, state.init_times)][known] for m in members]
        forecast = np.stack(picked, 1) if self._numbers else picked[0]
        usual = None if self._climatology is None else self._climatology(valid[known])
        truth = truth_at(self._history, valid[known], state.channels)
        lead = int(np.searchsorted(self._leads, state.lead))
        there = np.isfinite(truth)
        mask = {} if there.all() else {"mask": there}
        self._add(state.init_times[known], lead, forecast, truth, usual, **mask)
