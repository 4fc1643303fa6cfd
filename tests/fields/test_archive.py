"""From a canonical cube to a history: channels by name, levels by value, static fields, and steps that fit."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from geoadapt.errors import GeoadaptError
from geoadapt.fields.archive import channels_of, history_of, parse_step
from tests.waves import dates


def cube(count: int = 6, hours: int = 6) -> xr.Dataset:
    rng = np.random.default_rng(0)

    def field(*dims: str) -> xr.Variable:
        sizes = {"time": count, "level": 3, "latitude": 4, "longitude": 5}
        return xr.Variable(dims, rng.normal(size=[sizes[d] for d in dims]).astype(np.float32), {"units": "K"})

    return xr.Dataset(
        {
            "temperature": field("time", "level", "latitude", "longitude"),
            "2m_temperature": field("time", "latitude", "longitude"),
            "land_sea_mask": field("latitude", "longitude"),
        },
        {
            "time": dates(count, hours=hours).astype("datetime64[ns]"),
            "level": [500.0, 850.0, 92.5],
            "latitude": np.linspace(60, 50, 4),
            "longitude": np.linspace(0, 10, 5),
        },
    )


def test_every_variable_and_level_is_a_channel_by_value() -> None:
    made = cube()
    history = history_of(made)
    names = ("temperature@500", "temperature@850", "temperature@92.5", "2m_temperature")
    assert history.channels == names == tuple(channels_of(made)) and history.units == ("K",) * 4
    assert np.array_equal(history.states[np.array([2])][0, 2], made["temperature"].values[2, 2])
    assert history.static is not None and history.static_channels == ("land_sea_mask",)
    assert np.array_equal(history.static[0], made["land_sea_mask"].values)
    assert history.step == np.timedelta64(6, "h") and not history.simulated


def test_channels_come_in_the_order_asked_for_and_unknown_ones_are_refused() -> None:
    made = cube()
    history = history_of(made, ["2m_temperature", "temperature@850"], "12h", "file.nc")
    assert history.channels == ("2m_temperature", "temperature@850") and history.step == np.timedelta64(12, "h")
    assert np.array_equal(np.asarray(history.states)[:, 1], made["temperature"].sel(level=850).values)
    with pytest.raises(GeoadaptError, match=r"file\.nc: has no 'temperature@851'; did you mean 'temperature@850'"):
        history_of(made, ["temperature@851"], name="file.nc")


@pytest.mark.parametrize("extra", ["number", "prediction_timedelta", "model_level"])
def test_a_cube_with_members_or_lead_times_is_refused_by_name(extra: str) -> None:
    made = cube().expand_dims({extra: 2})
    with pytest.raises(GeoadaptError, match=rf"'temperature@500' has \['{extra}'\] too.*; take one {extra} first"):
        history_of(made, ["temperature@500"], name="file.nc")


def test_a_cube_larger_than_memory_is_read_by_date_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = cube()
    kept = history_of(made)
    monkeypatch.setattr("geoadapt.fields.archive.SHARE", 0.0)
    read = history_of(made.chunk({"time": 1}))
    assert not isinstance(read.states, np.ndarray) and read.states.shape == kept.states.shape
    index = np.array([4, 1, 1, 3])
    assert np.array_equal(read.states[index], np.asarray(kept.states)[index])


def test_steps_and_calendars_that_cannot_be_are_refused() -> None:
    with pytest.raises(GeoadaptError, match=r"data\.step: .* is no multiple of the"):
        history_of(cube(), step="9h")
    for text in ("tomorrow", "-6h", "0h"):
        with pytest.raises(GeoadaptError, match="step"):
            parse_step(text)
    assert parse_step("1d") == np.timedelta64(86400, "s")
    odd = cube().assign_coords(time=xr.date_range("2001-02-25", periods=6, calendar="noleap", use_cftime=True))
    with pytest.raises(GeoadaptError, match="its calendar is noleap; forecasts need real dates"):
        history_of(odd)
    with pytest.raises(GeoadaptError, match="holds no variable with dates"):
        history_of(cube()[["land_sea_mask"]].assign_coords(time=cube()["time"]))


@pytest.mark.parametrize(("said", "simulated"), [("true", True), (True, True), ("false", False), (0, False)])
def test_what_says_that_it_is_simulated_is(said: object, simulated: bool) -> None:
    assert history_of(cube().assign_attrs(simulated=said)).simulated is simulated
