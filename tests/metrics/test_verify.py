from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.climatology import build_climatology
from geoadapt.errors import GeoadaptError
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.events import Event
from geoadapt.metrics.verify import compare_verifications, verify
from geoadapt.metrics.weights import Box, latitude_weights

LATITUDE, LONGITUDE = np.linspace(60, -60, 9), np.arange(0, 360, 30.0)
LEADS = np.array([6, 24, 48], "timedelta64[h]")
INIT = np.datetime64("2008-02-20", "ns") + np.arange(16) * np.timedelta64(1, "D")
TIMES = np.datetime64("2007-01-01", "ns") + np.arange(4 * 440) * np.timedelta64(6, "h")
T, P = "2m_temperature", "geopotential"


def truth() -> xr.Dataset:
    rng = np.random.default_rng(0)
    season = 10 * np.sin(2 * np.pi * np.arange(TIMES.size) / 1461)[:, None, None]
    t = 280 + season + rng.normal(0, 3, (TIMES.size, 9, 12))
    z = 5e4 + rng.normal(0, 500, (TIMES.size, 2, 9, 12))
    axes = {"time": TIMES, "level": [500, 850], "latitude": LATITUDE, "longitude": LONGITUDE}
    dims = ("time", "latitude", "longitude")
    fields = {T: (dims, t.astype(np.float32)), P: (("time", "level", *dims[1:]), z.astype(np.float32))}
    return xr.Dataset(fields, coords=axes)


def forecast(cube: xr.Dataset, noise: float = 1.0, members: int = 0, seed: int = 1) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    valid = xr.DataArray(INIT[:, None] + LEADS, dims=("time", "prediction_timedelta"))
    made = cube.sel(time=valid.clip(max=TIMES[-1])).drop_vars("time")
    made = made.assign_coords(time=INIT, prediction_timedelta=LEADS.astype("timedelta64[ns]"))
    if members:
        made = made.expand_dims(number=np.arange(members), axis=2)
    return made.map(lambda v: v + noise * rng.normal(size=v.shape).astype(np.float32))


CUBE = truth()
FORECAST = forecast(CUBE)


def test_scores_are_those_of_the_fields_at_the_valid_time():
    found = verify(FORECAST, CUBE, weights="none").flat()
    for n, lead in enumerate(LEADS):
        true = CUBE[T].sel(time=INIT + lead).values.astype(float)
        error = FORECAST[T].values[:, n] - true
        hours = int(lead / np.timedelta64(1, "h"))
        assert found[f"rmse/{T}/{hours}h"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-6)
        assert found[f"bias/{T}/{hours}h"] == pytest.approx(error.mean(), rel=1e-4)
    assert {key.split("/")[1] for key in found} == {T, f"{P}@500", f"{P}@850"}


def test_the_stored_forecast_and_the_one_in_passing_have_the_same_sums():
    stored = verify(forecast(CUBE, members=3), CUBE, scores=("rmse", "crps"), variables=[T]).statistics
    passing = Accumulator([T], LATITUDE, LONGITUDE, LEADS, ("rmse", "crps"), "area")
    members = forecast(CUBE, members=3)[T].values
    for n, lead in enumerate(LEADS):
        passing.add(INIT, n, members[:, n][:, :, None], CUBE[T].sel(time=INIT + lead).values[:, None])
    for name, values in passing.statistics().sums.items():
        np.testing.assert_allclose(stored.sums[name], values, rtol=1e-12, err_msg=name)


def test_any_reading_size_and_any_order_of_axes_give_the_same(tmp_path):
    usual = build_climatology(CUBE, window=15)
    options = {"climatology": usual, "scores": ("rmse", "acc"), "regions": {"tropics": Box(0, -20, 360, 20)}}
    whole = verify(FORECAST, CUBE, **options).flat()
    assert all(np.isfinite(v) for v in whole.values())
    turned = FORECAST.isel(latitude=slice(None, None, -1)).transpose(..., "longitude", "latitude")
    rolled = CUBE.assign_coords(longitude=(LONGITUDE + 180) % 360 - 180).sortby("longitude")
    FORECAST.chunk(time=3, prediction_timedelta=2).to_zarr(tmp_path / "fc.zarr", consolidated=False)
    stored = xr.open_zarr(tmp_path / "fc.zarr", chunks=None, consolidated=False)
    for other in (
        verify(FORECAST, CUBE, at_once=1, **options),
        verify(FORECAST, CUBE, at_once=9 * 12 * 4 * 7, **options),
        verify(turned, rolled, **options),
        verify(stored, CUBE.chunk(time=50), **options),
    ):
        assert other.flat() == pytest.approx(whole, rel=1e-6)


def test_anomalies_are_from_the_climatology_at_the_valid_time():
    usual = build_climatology(CUBE, window=31)
    got = finish("acc", verify(FORECAST, CUBE, climatology=usual, scores=("acc",)).statistics.totals())
    n, lead = 1, LEADS[1]
    when = xr.DataArray(INIT + lead, dims="time")
    at = usual[T].sel(hour=when.dt.hour, dayofyear=when.dt.dayofyear).transpose("time", ...).values
    a, b = FORECAST[T].values[:, n] - at, CUBE[T].sel(time=INIT + lead).values - at
    w = latitude_weights(LATITUDE, "area")[:, None]
    assert got[n, 0, 0] == pytest.approx((w * a * b).sum() / np.sqrt((w * a * a).sum() * (w * b * b).sum()), rel=1e-5)


def test_what_has_no_truth_is_left_out_and_said():
    short = CUBE.sel(time=slice(None, "2008-03-01")).drop_sel(level=850)
    found = verify(FORECAST.assign(extra=FORECAST[T]), short, variables=None)
    told = " | ".join(found.missing)
    assert "extra: the truth does not have it" in told
    assert f"{P}: the truth does not have 850 hPa" in told
    assert f"{T}: no truth at the valid time of 18 forecasts (2008-03-02T00 to 2008-03-08T00)" in told
    assert found.statistics.seen.sum() == 16 * 3 - 18
    complete = verify(FORECAST.isel(time=slice(0, 9)), CUBE).flat()
    partly = verify(FORECAST.isel(time=slice(0, 9)), short).flat()
    assert partly[f"rmse/{T}/48h"] == complete[f"rmse/{T}/48h"]


def test_events_are_scored_in_their_period_and_regions_over_all_dates():
    event = Event("cold spell", Box(-40, 20, 40, 60), np.datetime64("2008-02-25"), np.datetime64("2008-02-27T12"))
    found = verify(FORECAST, CUBE, variables=[T], events=[event], regions={"north": Box(0, 10, 360, 90)})
    keys = found.flat()
    assert {key.rpartition("/")[2] for key in keys} == {"6h", "24h", "48h", "north", "cold spell"}
    inside = (INIT + LEADS[1] >= event.start) & (INIT + LEADS[1] <= event.end)
    alone = verify(FORECAST.isel(time=inside), CUBE, variables=[T], regions={"box": event.box}).flat()
    assert keys[f"rmse/{T}/24h/cold spell"] == pytest.approx(alone[f"rmse/{T}/24h/box"])
    better = verify(forecast(CUBE, 0.5), CUBE, variables=[T], events=[event])
    worse = verify(forecast(CUBE, 2.0), CUBE, variables=[T], events=[event])
    gains = compare_verifications({"test": better, "other": worse}, draws=50)
    assert gains[f"other/rmse_gain_low/{T}/24h"] > 0 and f"other/rmse_gain/{T}/24h/cold spell" in gains


def test_thresholds_of_a_variable_hold_at_its_levels():
    found = verify(FORECAST, CUBE, scores=("brier",), thresholds={P: [5e4, 5.1e4], T: [280.0]})
    got = found.score("brier")
    assert got.shape == (3, 1, 3, 2)
    assert np.isfinite(got).tolist()[0][0] == [[True, False], [True, True], [True, True]]


def test_precipitation_is_judged_and_other_variables_are_not():
    name = "total_precipitation_24hr"
    rng = np.random.default_rng(3)
    rain = xr.zeros_like(CUBE[[T]]) + rng.exponential(1e-3, CUBE[T].shape).astype(np.float32)
    cube = CUBE[[T]].assign({name: rain[T]})
    axes = {"hour": [0, 6, 12, 18], "dayofyear": np.arange(1, 367), "latitude": LATITUDE, "longitude": LONGITUDE}
    usual = xr.Dataset(coords=axes)
    usual[f"{name}_seeps_dry_fraction"] = (tuple(axes), np.full((4, 366, 9, 12), 0.3, np.float32))
    usual[f"{name}_seeps_threshold"] = (tuple(axes), np.full((4, 366, 9, 12), 1e-3, np.float32))
    perfect = verify(forecast(cube, 0.0), cube, climatology=usual, scores=("seeps",)).flat()
    assert perfect[f"seeps/{name}/24h"] == 0 and np.isnan(perfect[f"seeps/{T}/24h"])
    random = forecast(cube, 0.0).assign({name: lambda d: d[name].copy(data=rng.permutation(d[name].values))})
    assert verify(random, cube, climatology=usual, scores=("seeps",)).flat()[f"seeps/{name}/24h"] > 0.3


def test_axes_may_have_other_names_and_leads_may_be_hours():
    expected = verify(FORECAST, CUBE).flat()
    hours = xr.Variable("prediction_timedelta", [6, 24, 48], {"units": "hours"})
    assert verify(FORECAST.assign_coords(prediction_timedelta=hours), CUBE).flat() == expected
    assert verify(FORECAST.rename(time="init_time", prediction_timedelta="lead_time"), CUBE).flat() == expected
    one = FORECAST.isel(time=3)
    assert verify(one, CUBE).flat() == verify(FORECAST.isel(time=[3]), CUBE).flat()


def test_units_that_differ_are_an_error_however_they_are_spelled():
    kelvin, celsius = (CUBE.assign({T: CUBE[T].assign_attrs(units=units)}) for units in ("K", "degC"))
    said = FORECAST.assign({T: FORECAST[T].assign_attrs(units="kelvin")})
    assert verify(said, kelvin).flat() == verify(FORECAST, CUBE).flat()
    with pytest.raises(GeoadaptError, match="2m_temperature: the forecast is in kelvin, the truth in degC"):
        verify(said, celsius)
    usual = build_climatology(celsius, window=15)
    with pytest.raises(GeoadaptError, match="the climatology in degC"):
        verify(said, kelvin, climatology=usual, scores=("acc",))


def test_gaps_and_empty_events_are_said():
    holey = FORECAST.copy(deep=True)
    holey[T][2, 1, 0, 0] = np.nan
    event = Event("later", Box(0, 0, 90, 60), np.datetime64("2010-01-01"), np.datetime64("2010-02-01"))
    found = verify(holey, CUBE, events=[event], scores=("rmse",))
    assert "later: no forecast is valid in its period" in found.missing
    assert any(told.startswith(f"{T}: NaN in 1 forecast, and so in the scores") for told in found.missing)
    scores = found.flat()
    assert np.isnan(scores[f"rmse/{T}/24h"]) and np.isfinite(scores[f"rmse/{T}/6h"])
    assert all(np.isfinite(v) for v in verify(holey, CUBE, missing="skip").flat().values())


def test_a_variable_whose_truth_ends_early_does_not_stop_the_others():
    early = xr.merge([CUBE[[T]], CUBE[[P]]])
    early[P] = CUBE[P].where(CUBE.time < INIT[0])
    found = verify(FORECAST, early, scores=("mae",))
    assert np.isfinite(found.flat()[f"mae/{T}/24h"]) and np.isnan(found.flat()[f"mae/{P}@500/24h"])


@pytest.mark.parametrize(
    ("made", "true", "options", "message"),
    [
        (FORECAST.drop_vars("prediction_timedelta"), CUBE, {}, "forecast: has no axis 'prediction_timedelta'"),
        (FORECAST.assign_coords(prediction_timedelta=[6, 24, 48]), CUBE, {}, "no duration"),
        (FORECAST, CUBE.isel(latitude=slice(0, 5)), {}, "has no latitude .* grids 9 × 12 and 5 × 12 differ"),
        (FORECAST, CUBE, {"variables": ["2m_temperatur"]}, "did you mean '2m_temperature'"),
        (FORECAST, CUBE.rename({T: "t", P: "z"}), {}, "none of the forecast's variables"),
        (FORECAST, CUBE.isel(level=0, drop=True), {"variables": [P]}, "levels in only one"),
        (FORECAST, CUBE, {"scores": ["acc"]}, "climatology: has no '2m_temperature', which acc need"),
        (FORECAST, CUBE.isel(time=slice(0, 4)), {}, "no truth at the valid time of 48 forecasts"),
    ],
)
def test_what_does_not_fit_together_is_said(made, true, options, message):
    with pytest.raises(GeoadaptError, match=message):
        verify(made, true, **options)
