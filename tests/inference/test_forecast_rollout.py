"""Roll-out: states are the model's own, whatever else runs beside them, and each carries its labels."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import forecast_batch
from geoadapt.fields.types import Batch
from geoadapt.inference.rollout import State, as_dataset, lead_times, rollout
from geoadapt.inference.verifying import Verifying, truth_at
from tests.inference.forecasters import CHANNELS, DAY, Convolved, archive, day, days

LEADS = lead_times(round(3 * DAY), 0, DAY)


def one_by_one(model: Convolved, first: int, steps: int) -> list[np.ndarray]:
    """What a model says from one date, without the roll-out."""
    history = archive()
    with torch.no_grad():
        return [s[0].numpy() for s in model.states(forecast_batch(history, [first], model.frames, 0), steps)]


def test_a_forecaster_of_ones_own_is_one() -> None:
    assert isinstance(Convolved(), Forecaster)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_states_come_lead_by_lead_with_their_labels(batch: int) -> None:
    model, history = Convolved(), archive()
    states = list(rollout(model, history, days(3, 5, 6), LEADS, batch=batch))
    assert [s.lead / np.timedelta64(86400, "s") for s in states[:3]] == [1, 2, 3]
    assert {s.number for s in states} == {None}
    assert states[0].units == ("K", "Pa", "K") and states[0].channels == CHANNELS
    for state in states:
        for moment, values in zip(state.init_times, state.values, strict=True):
            first = int((moment - day(0)) / np.timedelta64(86400, "s"))
            step = int(state.lead / np.timedelta64(86400, "s"))
            np.testing.assert_allclose(values, one_by_one(Convolved(), first, 3)[step - 1], rtol=1e-6)
    assert sum(len(s.init_times) for s in states) == 9


def test_only_the_leads_that_are_asked_for_are_handed_on() -> None:
    states = list(rollout(Convolved(), archive(), days(3), lead_times(round(4 * DAY), round(2 * DAY), DAY)))
    assert [int(s.lead / np.timedelta64(3600, "s")) for s in states] == [48, 96]
    np.testing.assert_allclose(states[1].values[0], one_by_one(Convolved(), 3, 4)[3], rtol=1e-6)


@pytest.mark.parametrize(
    ("lead", "every", "said"),
    [
        (DAY * 1.5, 0, "36 h is no multiple of 24 h"),
        (DAY * 3, DAY / 2, "12 h is no multiple of the model's 24 h"),
        (DAY / 2, 0, "12 h is no multiple of 24 h"),
    ],
)
def test_leads_are_multiples_of_the_models_step(lead: float, every: float, said: str) -> None:
    with pytest.raises(GeoadaptError, match=said):
        lead_times(round(lead), round(every), DAY)


def test_an_init_time_is_the_same_whichever_others_failed_or_are_done() -> None:
    """Bit for bit: the batch is cut from the whole list and keeps its size."""
    whole = {(str(t), str(s.lead)): v for s in rollout(Convolved(), archive(), days(2, 3, 4, 5, 6), LEADS, batch=4)
             for t, v in zip(s.init_times, s.values, strict=True)}  # fmt: skip
    failed: list[str] = []
    holed = archive()
    holed.states[3, 1, 2, 2] = np.nan  # type: ignore[index]
    model = Convolved()

    def note(time: np.datetime64, why: str) -> None:
        failed.append(f"{time} {why}")

    states = list(rollout(model, holed, days(2, 3, 4, 5, 6), LEADS, batch=4, done={0}, failed=note))
    assert [t.split("T")[0] for t in failed] == ["2008-01-04", "2008-01-05"]
    assert "1 of its 288 input values are missing, first of mean_sea_level_pressure" in failed[0]
    kept = {(str(t), str(s.lead)): v for s in states for t, v in zip(s.init_times, s.values, strict=True)}
    assert {moment for moment, _ in kept} == {str(day(5)), str(day(6))}
    for key, values in kept.items():
        np.testing.assert_array_equal(values, whole[key])
    assert model.seen == [4, 4, 4, 1, 1, 1]


def test_points_that_never_have_a_value_are_no_failure_and_stay_missing() -> None:
    land = archive()
    land.states[:, 0, :2] = np.nan  # type: ignore[index]
    (state,) = rollout(Convolved(), land, days(4), LEADS[:1])
    assert np.isnan(state.values[0, 0, :2]).all()
    assert np.isfinite(state.values[0, 0, 2:]).all() and np.isfinite(state.values[0, 1:]).all()


def test_a_missing_date_is_named_with_what_there_is() -> None:
    history = archive()
    gap = replace(history, states=np.delete(history.states, 4, 0), times=np.delete(history.times, 4), _place={})
    failed: dict[str, str] = {}
    states = list(
        rollout(Convolved(), gap, days(4, 5, 6, 40), LEADS, failed=lambda t, why: failed.setdefault(str(t), why))
    )
    assert {len(s.init_times) for s in states} == {1}
    assert failed[str(day(4))] == "archive.nc lacks 2008-01-05; it has 2008-01-01 to 2008-01-12"
    assert "lacks 2008-01-05, which the model needs beside 2008-01-06" in failed[str(day(5))]
    assert "lacks 2008-02-10" in failed[str(day(40))]
    with pytest.raises(GeoadaptError, match="lacks 2008-01-05"):
        list(rollout(Convolved(), gap, days(4), LEADS))


class Exploding(Convolved):
    """Breaks for what is warmer than 400, from the second step on."""

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        for step, state in enumerate(super().states(batch, steps)):
            hot = batch.inputs["atmosphere"].values.amax((1, 2, 3, 4)) > 400
            yield torch.where((hot & (step > 0))[:, None, None, None], torch.inf, state)


def test_a_forecast_that_is_not_finite_is_given_up_and_the_others_go_on() -> None:
    history = archive()
    history.states[4, 0, 0, 0] = 500  # type: ignore[index]
    failed: list[str] = []
    states = list(
        rollout(Exploding(), history, days(2, 4, 7), LEADS, failed=lambda t, why: failed.append(f"{t}: {why}"))
    )
    assert failed == [f"{day(4)}: the forecast is not finite 48 h ahead"]
    assert [len(s.init_times) for s in states] == [3, 2, 2]


def test_whatever_a_model_meets_its_batch_is_listed_and_the_next_goes_on() -> None:
    calls = iter(range(100))

    def fail(step: int) -> None:
        if next(calls) == 1:
            raise MemoryError

    failed: list[str] = []
    model = Convolved(before=fail)
    states = list(rollout(model, archive(), days(2, 3, 4, 5), LEADS, batch=2, failed=lambda t, why: failed.append(why)))
    assert failed == ["out of memory with 2 init times at once; choose a smaller --batch"] * 2
    assert [len(s.init_times) for s in states] == [2, 2, 2, 2]
    with pytest.raises(MemoryError):
        list(rollout(Convolved(before=lambda step: (_ for _ in ()).throw(MemoryError)), archive(), days(2), LEADS))


def test_an_archive_must_have_the_models_channels_and_step() -> None:
    with pytest.raises(GeoadaptError, match="lacks temperature@500"):
        next(rollout(Convolved(), archive(channels=CHANNELS[:2]), days(3), LEADS))
    with pytest.raises(GeoadaptError, match="is in steps of 24 h, the model's are 12 h"):
        next(rollout(Convolved(step=DAY / 2), archive(), days(3), LEADS))


def test_a_state_becomes_a_dataset_with_names_levels_and_units() -> None:
    (state,) = rollout(Convolved(), archive(), days(3, 4), LEADS[:1])
    made = as_dataset(state)
    assert made["temperature"].dims == ("time", "prediction_timedelta", "level", "latitude", "longitude")
    assert made["temperature"].attrs == {"long_name": "temperature", "standard_name": "air_temperature", "units": "K"}
    np.testing.assert_array_equal(made["temperature"].sel(level=500)[:, 0], state.values[:, 2])
    np.testing.assert_array_equal(made["temperature"].sel(level=850)[:, 0], state.values[:, 0])
    np.testing.assert_array_equal(made["mean_sea_level_pressure"][:, 0], state.values[:, 1])
    np.testing.assert_array_equal(made["time"], state.init_times.astype("datetime64[ns]"))
    assert set(as_dataset(replace(state, number=3)).dims) == {*made.dims, "number"}


def test_one_pass_verifies_each_lead_with_all_its_members() -> None:
    history, told = archive(), []

    def add(times: np.ndarray, lead: int, forecast: np.ndarray, truth: np.ndarray, usual: np.ndarray) -> None:
        told.append((times, lead, forecast.shape, truth, usual))

    verify = Verifying(add, history, LEADS, (0, 1), lambda times: truth_at(history, times, CHANNELS) * 0)
    (first, *_), moments = list(rollout(Convolved(), history, days(5, 10), LEADS[:1])), days(5, 10)
    for lead in LEADS:
        for number in (0, 1):
            # The second member of the last lead lost an init time.
            cut = slice(0, 1) if (lead, number) == (LEADS[-1], 1) else slice(None)
            verify(State(moments[cut], number, lead, first.values[cut], CHANNELS, first.latitude, first.longitude))
    assert [(lead, shape) for _, lead, shape, _, _ in told] == [
        (0, (2, 2, 3, 6, 8)),
        (1, (1, 2, 3, 6, 8)),  # 10 January + 2 days lies behind the archive
        (2, (1, 2, 3, 6, 8)),
    ]
    np.testing.assert_array_equal(told[0][3], history.states[np.asarray([6, 11])])
    assert isinstance(xr.DataArray(told[2][4]).sum().item(), float)


def test_only_a_few_states_are_held_however_long_the_forecast() -> None:
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = 0

    class Watched(Convolved):
        def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
            nonlocal most
            for state in super().states(batch, steps):
                alive.add(state)
                most = max(most, len(alive))
                yield state

    states = rollout(Watched(), archive(), days(3, 4), lead_times(round(60 * DAY), 0, DAY))
    assert sum(len(state.init_times) for state in states) == 120
    assert most <= 3


def test_what_is_finished_may_lack_its_input_by_now() -> None:
    history = archive()
    history.states[2, 0, 0, 0] = np.nan  # type: ignore[index]
    states = list(rollout(Convolved(), history, days(2, 5), LEADS, done={0}))
    assert [len(state.init_times) for state in states] == [1, 1, 1]
