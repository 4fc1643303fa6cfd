"""The archives that small_wx is pre-trained on: which samples they have, and how their states usually change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from geoadapt.fields.history import History
from geoadapt.standard import fit_standard
from geoadapt.training.window_archives import Archive, make_archive, standardised
from tests.waves import made

REGION = made(500, seed=5)
EVERY = np.ones(500, bool)


def archive(history: History, dates: np.ndarray, leads: tuple[int, ...] = (1, 3)) -> Archive:
    return make_archive(history, standardised(history, fit_standard(history, dates)), dates, leads, 1.0, 3)


def test_the_usual_change_is_that_of_what_is_known() -> None:
    states = np.asarray(REGION.states).copy()
    states[:, :, :, :4] = np.nan
    states[:, :, :, 4:] = np.asarray(REGION.states)[:, :, :, 4:]
    half = archive(replace(REGION, states=states, _place={}), EVERY)
    kept = replace(REGION, states=np.asarray(REGION.states)[..., 4:], longitude=REGION.longitude[4:], _place={})
    torch.testing.assert_close(half.changes[1], archive(kept, EVERY).changes[1], rtol=1e-3, atol=1e-4)


def test_inputs_and_targets_lie_in_the_chosen_dates() -> None:
    dates = np.arange(500) % 100 < 50
    one = archive(REGION, dates, (1, 3, 50))
    assert one.leads == (1, 3), "a lead that no sample reaches is left out"
    for lead in (1, 3):
        for place in one.places[lead]:
            assert dates[place - 2 : place + 1].all() and dates[place + lead]
    assert len(one.places[3]) == 5 * 45
