"""Verification of real sea-level pressure: persistence and climatology over the North Atlantic, 2008."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.climatology import build_climatology, climatology_at
from geoadapt.cubes.weather import open_weather
from geoadapt.metrics.verify import Verification, compare_verifications, verify

NAME = "mean_sea_level_pressure"
LEADS = np.array([24, 72, 120], "timedelta64[h]")


@pytest.fixture(scope="module")
def cube(data_dir: Path) -> xr.Dataset:
    return open_weather(data_dir / "weather/ncep_daily/ncep_slp_natl_2001_2008.nc")


@pytest.fixture(scope="module")
def found(cube: xr.Dataset) -> dict[str, Verification]:
    usual = build_climatology(cube.sel(time=slice(None, "2006")), window=61)
    now = cube.sel(time="2008")
    lead = xr.DataArray(LEADS.astype("timedelta64[ns]"), dims="prediction_timedelta", name="prediction_timedelta")
    still = now.expand_dims(prediction_timedelta=lead.values, axis=1)
    valid = now.time.values[:, None] + lead.values
    seasonal = climatology_at(usual[NAME], valid.ravel()).values.reshape(still[NAME].shape)
    entries = {"persistence": still, "climatology": still.copy(data={NAME: seasonal})}
    options = {"climatology": usual, "weights": "cos", "scores": ("rmse", "acc", "activity")}
    return {who: verify(entry, cube, **options) for who, entry in entries.items()}


def test_persistence_errs_as_computed_by_hand(cube: xr.Dataset, found: dict[str, Verification]) -> None:
    values = cube[NAME].sel(time="2008").values.astype(np.float64)
    weights = np.cos(np.deg2rad(cube.latitude.values))[:, None] * np.ones(values.shape[2])
    for days in (1, 3, 5):
        squares = (values[days:] - values[:-days]) ** 2
        expected = np.sqrt(np.average(squares.mean(axis=0), weights=weights))
        got = found["persistence"].flat()[f"rmse/{NAME}/{24 * days}h"]
        assert got == pytest.approx(expected, rel=1e-6)
    assert "no truth at the valid time of 9 forecasts" in found["persistence"].missing[0]


def test_persistence_fades_below_climatology_and_never_loses_activity(found: dict[str, Verification]) -> None:
    results = compare_verifications(found, model="persistence", draws=200)
    near, far = (results[f"climatology/rmse_gain_low/{NAME}/24h"], results[f"climatology/rmse_gain_high/{NAME}/120h"])
    assert near > 0 > far
    flat = found["persistence"].flat()
    assert flat[f"acc/{NAME}/24h"] > 0.75 > 0.4 > flat[f"acc/{NAME}/120h"] > 0
    assert flat[f"activity/{NAME}/120h"] == pytest.approx(flat[f"activity/{NAME}/24h"], rel=0.02)
    assert found["climatology"].flat()[f"activity/{NAME}/24h"] < 1e-2
