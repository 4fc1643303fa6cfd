"""The forecast baselines on fields whose answer is known: cycles, waves that travel, noise that forgets."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from geoadapt.baselines import eofs
from geoadapt.baselines.cnn import SmallCnn, fit_cnn
from geoadapt.baselines.damped import fit_damped
from geoadapt.baselines.eof_ridge import fit_eof_ridge
from geoadapt.baselines.forecasts import FORECAST_BASELINES
from geoadapt.baselines.persistence import fit_persistence
from geoadapt.baselines.seasonal import fit_climatology
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import History, forecast_batch

DAY = np.timedelta64(24, "h")
LATITUDE = np.array([60.0, 40.0, 20.0])
LONGITUDE = np.arange(0.0, 40.0, 10.0)
FITS = {
    "persistence": fit_persistence,
    "climatology": fit_climatology,
    "damped": fit_damped,
    "eof_ridge": fit_eof_ridge,
    "cnn": fit_cnn,
}


def dates(count: int, start: str = "2001-01-01", hours: int = 24) -> np.ndarray:
    return (np.datetime64(start, "h") + np.arange(count) * np.timedelta64(hours, "h")).astype("datetime64[ns]")


def archive(states: np.ndarray, times: np.ndarray | None = None, step: np.timedelta64 = DAY) -> History:
    channels = tuple(f"channel{i}" for i in range(states.shape[1]))
    times = dates(len(states)) if times is None else times
    return History(states.astype(np.float32), times, channels, LATITUDE, LONGITUDE, step)


def cycle(times: np.ndarray, hours: bool = False) -> np.ndarray:
    """A mean, a year and perhaps a day, different at every one of (2, 3, 4) grid points."""
    day = (times - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    where = np.arange(24.0).reshape(2, 3, 4)
    angle = (2 * np.pi * day / 365.2425)[:, None, None, None]
    out = 100 + where + (5 + where) * np.cos(angle - where) + np.sin(3 * angle)
    return out + 3 * np.cos(2 * np.pi * day[:, None, None, None] - where) * (2 + np.cos(angle)) if hours else out


def noisy(count: int = 900, memory: float = 0.8, seed: int = 0) -> np.ndarray:
    """Anomalies (t, 2, 3, 4) that keep ``memory`` of themselves from day to day."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(count, 2, 3, 4))
    for i in range(1, count):
        drawn[i] = memory * drawn[i - 1] + np.sqrt(1 - memory**2) * drawn[i]
    return drawn


def masks(history: History, train: int, val: int) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(len(history.times))
    return index < train, (index >= train) & (index < train + val)


def last(model: Forecaster, history: History, places: list[int], steps: int) -> np.ndarray:
    """The forecast's last state (b, c, h, w)."""
    batch = forecast_batch(history, places, 3, 0)
    with torch.no_grad():
        return np.asarray(list(model.states(batch, steps))[-1])


def test_persistence_keeps_the_last_state_and_what_is_missing_stays_missing():
    history = archive(cycle(dates(10)))
    history.states[5, 1, 2, 3] = np.nan
    made = last(fit_persistence(history, *masks(history, 8, 2)), history, [5], 4)
    assert np.isnan(made[0, 1, 2, 3])
    np.testing.assert_array_equal(made[0], history.states[5])


@pytest.mark.parametrize(("hours", "interval"), [(False, 24), (True, 6)])
def test_the_climatology_finds_the_cycles_of_year_and_day(hours: bool, interval: int):
    times = dates(3 * 366 * 24 // interval, hours=interval)
    history = archive(cycle(times, hours), times, np.timedelta64(interval, "h"))
    train, val = masks(history, 2 * 366 * 24 // interval, 400)
    fitted = fit_climatology(history, train, val, 3)
    place = len(times) - 5
    np.testing.assert_allclose(last(fitted, history, [place], 3)[0], history.states[place + 3], atol=0.02)


def test_the_climatology_does_not_extrapolate_a_season_it_never_saw():
    times = dates(31)
    history = archive(cycle(times) + noisy(31), times)
    fitted = fit_climatology(history, np.ones(31, bool))
    july = fitted.at(torch.tensor(np.datetime64("2001-07-15").astype("datetime64[s]").astype(int)))
    seen = history.states.mean(axis=0)
    assert np.abs(july.numpy() - seen).max() < 3


def test_gaps_leave_the_climatology_of_a_point_and_of_its_neighbours_as_it_is():
    history = archive(cycle(dates(1200)))
    whole = fit_climatology(history, np.ones(1200, bool))
    history.states[np.random.default_rng(0).random(1200) < 0.4, 0, 1, 2] = np.nan
    gappy = fit_climatology(history, np.ones(1200, bool))
    np.testing.assert_allclose(gappy.coefficients, whole.coefficients, atol=1e-3)


@pytest.mark.parametrize("name", [n for n in FITS if n != "persistence"])
def test_a_point_never_seen_is_missing_in_the_forecast_and_nowhere_else(name: str):
    history = archive(cycle(dates(900)) + noisy())
    history.states[:, 1, 0, 0] = np.nan
    made = last(FITS[name](history, *masks(history, 700, 200), 2), history, [800, 801], 2)
    assert np.isnan(made[:, 1, 0, 0]).all()
    assert np.isnan(made).sum() == 2


@pytest.mark.parametrize("name", list(FITS))
def test_a_constant_channel_is_forecast_as_constant(name: str):
    states = cycle(dates(900)) + noisy()
    states[:, 1] = 101325.25
    history = archive(states)
    made = last(FITS[name](history, *masks(history, 700, 200), 2), history, [800], 2)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made[0, 1], 101325.25, atol=0.1)


@pytest.mark.parametrize("name", [n for n in FITS if n != "persistence"])
def test_a_channel_without_any_value_is_an_error_that_names_it(name: str):
    history = archive(cycle(dates(900)))
    history.states[:700, 1] = np.nan
    with pytest.raises(GeoadaptError, match="channel1.*hold no value on any training date"):
        FITS[name](history, *masks(history, 700, 200), 2)


@pytest.mark.parametrize("name", [n for n in FITS if n != "persistence"])
def test_no_training_dates_is_an_error(name: str):
    history = archive(cycle(dates(30)))
    with pytest.raises(GeoadaptError, match="no training dates"):
        FITS[name](history, np.zeros(30, bool), np.ones(30, bool), 2)


@pytest.mark.parametrize("name", ["damped", "eof_ridge"])
def test_what_chooses_on_validation_dates_asks_for_some(name: str):
    history = archive(cycle(dates(60)) + noisy(60))
    with pytest.raises(GeoadaptError, match="no validation dates"):
        FITS[name](history, np.ones(60, bool), np.zeros(60, bool), 2)


def test_damped_persistence_finds_how_fast_anomalies_are_forgotten_and_goes_on_beyond_its_leads():
    history = archive(cycle(dates(6000)) + noisy(6000, memory=0.7))
    train, val = masks(history, 5000, 1000)
    fitted = fit_damped(history, train, val, 2)
    assert fitted.factors[0].numpy() == pytest.approx(0.7, abs=0.02)
    assert fitted.factors[1].numpy() == pytest.approx(0.49, abs=0.03)
    start, usual = 5500, fit_climatology(history, train)
    now, then = (last(usual, history, [start + shift], 1)[0] for shift in (-1, 4))
    left = (last(fitted, history, [start], 5)[0] - then) / (history.states[start] - now)
    np.testing.assert_allclose(left, fitted.factors[1].numpy() ** 2 * fitted.factors[0].numpy(), rtol=0.02)


def test_damped_persistence_is_local_where_that_helps():
    anomalies = noisy(3000, memory=0.95)
    anomalies[..., :2] = noisy(3000, memory=0.1, seed=1)[..., :2]
    history = archive(100 + anomalies)
    factors = fit_damped(history, *masks(history, 2000, 1000), 1).factors.numpy()
    assert factors[..., :2] == pytest.approx(0.1, abs=0.06)
    assert factors[..., 2:] == pytest.approx(0.95, abs=0.06)


def waves(count: int = 1500) -> History:
    """Two waves that travel at different speeds, in both channels: linear in the last two states."""
    t = np.arange(count)[:, None, None, None]
    where = np.arange(24.0).reshape(1, 2, 3, 4)
    return archive(280 + 3 * np.cos(0.5 * t - where) + 2 * np.cos(1.1 * t + 2 * where))


def test_the_ridge_continues_waves_that_travel_also_beyond_its_leads():
    history = waves()
    fitted = fit_eof_ridge(history, *masks(history, 1000, 300), 3, penalties=(1e-6, 1.0))
    for steps in (1, 3, 8):
        made = last(fitted, history, [1400, 1450], steps)
        np.testing.assert_allclose(made, history.states[[1400 + steps, 1450 + steps]], atol=0.2)


def test_a_date_missing_from_the_archive_costs_the_ridge_only_the_samples_that_need_it():
    history = waves()
    keep = np.ones(1500, bool)
    keep[np.random.default_rng(0).choice(1300, 40, replace=False)] = False
    gappy = replace(history, states=history.states[keep], times=history.times[keep], _place={})
    index = np.flatnonzero(keep)
    fitted = fit_eof_ridge(gappy, index < 1000, (index >= 1000) & (index < 1300), 1, penalties=(1e-6,))
    np.testing.assert_allclose(last(fitted, history, [1400], 1)[0], history.states[1401], atol=0.2)


def test_large_states_have_the_same_leading_patterns_as_small_ones(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(400, 24)) * 0.6 ** np.arange(24) @ np.linalg.qr(rng.normal(size=(24, 24)))[0]
    history, places = archive(np.zeros((400, 2, 3, 4))), np.arange(400)
    whole = eofs.find_eofs(lambda p: fields[p], history, places, 5)
    monkeypatch.setattr(eofs, "SMALL", 1)
    monkeypatch.setattr("geoadapt.baselines.past.BLOCK", 8 * 24 * 50)
    np.testing.assert_allclose(eofs.find_eofs(lambda p: fields[p], history, places, 5), whole, atol=1e-3)
    np.testing.assert_allclose(whole @ whole.T, np.eye(5), atol=1e-9)


@pytest.mark.parametrize("name", [n for n in FITS if n != "persistence"])
def test_fitting_block_by_block_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch):
    history = archive(cycle(dates(900)) + noisy())
    history.states[100:200, 0, 1, 1] = np.nan
    whole = FITS[name](history, *masks(history, 700, 200), 3)
    monkeypatch.setattr("geoadapt.baselines.past.BLOCK", 8 * 24 * 70)
    pieces = FITS[name](history, *masks(history, 700, 200), 3)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(pieces.state_dict()[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(FITS))
def test_what_later_dates_hold_changes_nothing(name: str):
    history = archive(cycle(dates(900)) + noisy())
    train, val = masks(history, 600, 150)
    before = FITS[name](history, train, val, 3)
    history.states[750:] = 1e6 * noisy(150, seed=7)
    after = FITS[name](history, train, val, 3)
    assert before.settings == after.settings
    for key, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[key], value), key


@pytest.mark.parametrize("name", ["climatology", "cnn"])
def test_what_validation_dates_hold_changes_nothing_that_is_only_fitted(name: str):
    history = archive(cycle(dates(900)) + noisy())
    train, val = masks(history, 600, 300)
    before = FITS[name](history, train, val, 3).state_dict()
    history.states[600:] = np.nan
    after = FITS[name](history, train, val, 3).state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


@pytest.mark.parametrize("name", list(FITS))
def test_settings_as_json_and_a_safetensors_file_are_all_that_a_baseline_needs(name: str, tmp_path: Path):
    history = archive(cycle(dates(900)) + noisy())
    fitted = FITS[name](history, *masks(history, 600, 300), 3)
    save_file({key: value.contiguous() for key, value in fitted.state_dict().items()}, tmp_path / "state.safetensors")
    again = FORECAST_BASELINES[name](json.loads(json.dumps(asdict(fitted.settings))))
    again.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert isinstance(again, Forecaster)
    assert (again.channels, again.frames, again.step) == (fitted.channels, fitted.frames, 86400.0)
    assert again.settings == fitted.settings
    np.testing.assert_array_equal(last(again, history, [700], 5), last(fitted, history, [700], 5))


def test_every_baseline_can_be_rebuilt():
    assert set(FORECAST_BASELINES) == set(FITS)


@pytest.mark.parametrize("name", list(FITS))
def test_channels_are_found_by_name_and_extra_states_are_left_alone(name: str):
    history = archive(cycle(dates(900)) + noisy())
    fitted = FITS[name](history, *masks(history, 600, 300), 2)
    given = forecast_batch(history, [700], 3, 0)
    more = forecast_batch(history, [700], 6, 0)
    field = more.inputs["atmosphere"]
    swapped = {"atmosphere": replace(field, values=field.values.flip(2), channels=field.channels[::-1])}
    with torch.no_grad():
        for a, b in zip(fitted.states(given, 2), fitted.states(replace(more, inputs=swapped), 2), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", list(FITS))
def test_a_batch_that_does_not_fit_is_an_error_that_says_why(name: str):
    history = archive(cycle(dates(900)) + noisy())
    fitted = FITS[name](history, *masks(history, 600, 300), 2)
    batch = forecast_batch(history, [700], 3, 0)
    field = batch.inputs["atmosphere"]
    for wrong, problem in (
        (replace(field, values=field.values[..., 1:]), r"its grid is \(3, 3\)"),
        (replace(field, values=field.values[:, :, :1], channels=("channel0",)), "channel1"),
        (replace(field, times=None), "no dates"),
        (replace(field, values=field.values[:, :0], times=field.times[:, :0]), "0 past states"),
    ):
        with pytest.raises(GeoadaptError, match=problem):
            next(iter(fitted.states(replace(batch, inputs={"atmosphere": wrong}), 1)))


def network(history: History, **size: int) -> SmallCnn:
    made = fit_cnn(history, *masks(history, 600, 300), features=8, blocks=2, kernel=3, **size)
    torch.manual_seed(1)
    torch.nn.init.normal_(made.head.conv.weight, std=0.3)
    return made


def test_the_network_has_a_third_of_a_million_parameters_and_starts_from_persistence():
    history = archive(cycle(dates(900)) + noisy())
    one = replace(history, states=history.states[:, :1], channels=history.channels[:1], _place={})
    fitted = fit_cnn(one, *masks(one, 600, 300))
    assert 320_000 < sum(p.numel() for p in fitted.parameters()) < 350_000
    np.testing.assert_allclose(last(fitted, one, [700], 2)[0], one.states[700], rtol=1e-5)


def test_the_network_is_trained_through_its_own_forecasts():
    history = archive(cycle(dates(900)) + noisy())
    made = network(history)
    batch = forecast_batch(history, [700, 710], 3, 3)
    out = made(batch)
    assert out.shape == batch.target.values.shape
    np.testing.assert_array_equal(out[:, 2].detach(), last(made, history, [700, 710], 3))
    out[:, 2].mean().backward()
    at_three = [p.grad.clone() for p in made.parameters()]
    made.zero_grad()
    torch.stack(list(made.states(batch, 1)))[0].mean().backward()
    assert all(g.abs().sum() > 0 for g in at_three)
    assert any(not torch.allclose(a, p.grad, rtol=0.1) for a, p in zip(at_three, made.parameters(), strict=True))
    assert made(replace(batch, target=None)).shape[1] == 1


@pytest.mark.parametrize("spacing", [90.0, 10.0])
def test_only_a_grid_round_the_globe_has_neighbours_across_its_edge(spacing: float):
    history = archive(cycle(dates(900)) + noisy())
    made = network(replace(history, longitude=np.arange(4) * spacing, _place={}))
    made.place.zero_()
    batch = forecast_batch(history, [700], 3, 0)
    rolled = replace(batch.inputs["atmosphere"], values=batch.inputs["atmosphere"].values.roll(1, -1))
    with torch.no_grad():
        a, b = made(batch).roll(1, -1), made(replace(batch, inputs={"atmosphere": rolled}))
    assert torch.allclose(a, b, atol=1e-3) == (spacing == 90.0)


def test_the_network_sees_static_fields_and_says_when_they_are_missing():
    history = archive(cycle(dates(900)) + noisy())
    relief = np.random.default_rng(0).normal(500, 100, (1, 3, 4)).astype(np.float32)
    made = network(replace(history, static=relief, static_channels=("orography",), _place={}))
    without = forecast_batch(history, [700], 3, 0)
    with pytest.raises(GeoadaptError, match="orography"):
        made(without)
    high, low = (
        made(forecast_batch(replace(history, static=s, static_channels=("orography",), _place={}), [700], 3, 0))
        for s in (relief, relief - 1000)
    )
    assert not torch.allclose(high, low)


def test_a_missing_value_stays_out_of_the_network():
    history = archive(cycle(dates(900)) + noisy())
    made = network(history)
    history.states[700, 1, 0, 0] = np.nan
    assert np.isfinite(last(made, history, [700], 3)).all()


def test_reference_errors_on_real_sea_level_pressure(data_dir: Path):
    """Fitted to 2006 and chosen on 2007, RMSE [Pa] over targets in 2007 at one, three and five days."""
    import xarray as xr

    with xr.open_dataset(data_dir / "weather/ncep_daily/ncep_slp_natl_2001_2008.nc", engine="h5netcdf") as cube:
        slp = cube["slp"].sortby("lat", ascending=False).sel(time=slice("2001", "2007")).load()
    states = slp.values[:, None].astype(np.float32)
    latitude, longitude = slp["lat"].values.astype(np.float64), slp["lon"].values.astype(np.float64)
    history = History(states, slp["time"].values, ("mean_sea_level_pressure",), latitude, longitude, DAY)
    year = slp["time"].dt.year.values
    weights = np.cos(np.deg2rad(latitude))[:, None] / np.cos(np.deg2rad(latitude)).mean()
    places = [p for p in np.flatnonzero(year >= 2006) if p + 1 < len(year) and year[p + 1] == 2007]
    expected = {
        "persistence": (646, 1014, 1143),
        "climatology": (892, 892, 892),
        "damped": (596, 826, 872),
        "eof_ridge": (450, 788, 854),
    }
    for name, wanted in expected.items():
        fitted = FITS[name](history, year < 2007, year == 2007, 5)
        states_ahead = list(fitted.states(forecast_batch(history, places, 3, 0), 5))
        for lead, most in zip((1, 3, 5), wanted, strict=True):
            index = np.asarray(places) + lead
            inside = index < len(year)
            error = states_ahead[lead - 1].numpy()[inside] - states[index[inside]]
            rmse = np.sqrt((error.astype(np.float64) ** 2 * weights).mean())
            assert rmse == pytest.approx(most, rel=0.015), (name, lead)
