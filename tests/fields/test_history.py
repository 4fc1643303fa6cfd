"""Which dates make a sample, and what a batch holds of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History, forecast_batch
from geoadapt.fields.types import LatLonGrid
from tests.waves import CHANNELS, dates, made


def without(history: History, *gone: int) -> History:
    kept = np.setdiff1d(np.arange(len(history.times)), gone)
    return replace(history, states=history.states[kept], times=history.times[kept], _place={})


def every(history: History) -> np.ndarray:
    return np.ones(len(history.times), bool)


def test_a_gap_leaves_out_the_samples_that_would_need_its_date_and_no_other() -> None:
    whole = made(12)
    assert whole.samples(every(whole), 3, 2).tolist() == list(range(2, 10))
    gappy = without(whole, 6)
    found = gappy.times[gappy.samples(every(gappy), 3, 2)]
    assert found.tolist() == whole.times[[2, 3, 9]].tolist()
    batch = forecast_batch(gappy, gappy.samples(every(gappy), 3, 2), 3, 2)
    expected = forecast_batch(whole, [2, 3, 9], 3, 2)
    assert batch.target is not None and expected.target is not None
    assert torch.equal(batch.target.values, expected.target.values)
    assert torch.equal(batch.inputs["atmosphere"].values, expected.inputs["atmosphere"].values)
    with pytest.raises(GeoadaptError, match="a sample needs a date that is missing"):
        forecast_batch(gappy, [6], 3, 2)


def test_the_dates_of_the_targets_decide_whose_a_sample_is() -> None:
    history = made(20)
    index = np.arange(20)
    first, second = history.samples(index < 10, 3, 2), history.samples(index >= 10, 3, 2)
    assert first.tolist() == list(range(2, 8)), "both targets before 10"
    assert second.tolist() == list(range(9, 18)), "inputs may lie before, targets may not"
    assert history.samples(np.zeros(20, bool), 1, 1).size == 0


def test_a_step_of_several_intervals_starts_at_every_date() -> None:
    daily = replace(made(40, hours=6), step=np.timedelta64(86400, "s"))
    batch = forecast_batch(daily, [20], 2, 3)
    assert batch.target is not None
    values = torch.from_numpy(np.asarray(daily.states))
    assert torch.equal(batch.inputs["atmosphere"].values[0], values[[16, 20]])
    assert torch.equal(batch.target.values[0], values[[24, 28, 32]])
    assert daily.samples(every(daily), 2, 3).tolist() == list(range(4, 28))


def test_a_batch_names_its_dates_grid_lead_and_places() -> None:
    history = made(12, CHANNELS, static=True)
    batch = forecast_batch(history, [4, 6], 3, 2)
    field, target = batch.inputs["atmosphere"], batch.target
    assert target is not None and field.times is not None and target.times is not None
    assert field.channels == target.channels == CHANNELS and field.valid is None
    day = dates(12).astype(np.int64)
    assert field.times.tolist() == [day[2:5].tolist(), day[4:7].tolist()]
    assert target.times.tolist() == [day[5:7].tolist(), day[7:9].tolist()]
    assert isinstance(field.grid, LatLonGrid) and field.grid.latitude.tolist() == history.latitude.tolist()
    assert batch.lead_time is not None and batch.lead_time.tolist() == [86400.0, 86400.0]
    assert [w.row for w in batch.where] == [4, 6]
    fixed = batch.inputs["static"]
    assert fixed.channels == ("orography",) and fixed.values.shape == (2, 1, 1, 5, 8)
    assert history.static is not None and np.array_equal(fixed.values[1, 0], history.static)
    assert forecast_batch(history, [4], 3, 0).target is None


def test_what_is_missing_becomes_zero_and_is_marked() -> None:
    history = made(12, CHANNELS)
    states = np.asarray(history.states).copy()
    states[3, 1, 2, 4] = np.nan
    states[5, 0, 0, 0] = np.inf
    batch = forecast_batch(replace(history, states=states, _place={}), [4], 3, 2)
    field, target = batch.inputs["atmosphere"], batch.target
    assert target is not None and field.valid is not None and target.valid is not None
    assert torch.equal(torch.nonzero(~field.valid), torch.tensor([[0, 1, 1, 2, 4]]))
    assert torch.equal(torch.nonzero(~target.valid), torch.tensor([[0, 0, 0, 0, 0]]))
    assert (field.values[~field.valid] == 0).all() and (target.values[~target.valid] == 0).all()


def test_dates_out_of_order_are_refused() -> None:
    history = made(5)
    with pytest.raises(GeoadaptError, match="its dates are not ascending; sort them, and drop doubles"):
        replace(history, times=history.times[::-1], _place={})
