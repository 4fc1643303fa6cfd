"""Forecast and verify in one pass: the same scores as of the stored forecast, which is opened as anyone's would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.inference.config import ForecastConfig
from geoadapt.inference.forecast import forecast
from geoadapt.inference.rollout import lead_times, rollout
from geoadapt.inference.verifying import Verifying
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.verify import verify
from tests.inference.forecasters import CHANNELS, DAY, Convolved, archive, days

LEAD = round(3 * DAY)


@pytest.mark.parametrize("members", [1, 3])
def test_one_pass_gives_the_scores_of_the_stored_forecast(tmp_path: Path, members: int) -> None:
    history, leads = archive(), lead_times(LEAD, 0, DAY)
    scores = ("rmse", "bias") if members == 1 else ("rmse", "bias", "crps", "spread")
    added = Accumulator(CHANNELS, history.latitude, history.longitude, leads, scores, "cos")
    config = ForecastConfig(lead=LEAD, batch=2, members=members)
    seen = Verifying(added.add, history, leads, config.numbers())
    # From 10 January on, the last leads lie behind the archive.
    forecast(history, [Convolved()], days(2, 3, 4, 9), tmp_path / "fc.zarr", config, consumers=[seen])
    states = np.asarray(history.states)
    dims = ("time", "level", "latitude", "longitude")
    truth = xr.Dataset(
        {"temperature": (dims, states[:, [2, 0]]), "mean_sea_level_pressure": (dims[:1] + dims[2:], states[:, 1])},
        {
            "time": history.times.astype("datetime64[ns]"),
            "level": [500, 850],
            "latitude": history.latitude,
            "longitude": history.longitude,
        },
    )
    with xr.open_dataset(tmp_path / "fc.zarr", engine="zarr", chunks=None) as stored:
        after = verify(stored, truth, scores=scores, weights="cos").statistics
    once = added.statistics()
    assert once.seen.sum() == 11
    order = [after.channels.index(channel) for channel in CHANNELS]
    for name in scores:
        expected = finish(name, after.totals())[..., order]
        np.testing.assert_allclose(finish(name, once.totals()), expected, rtol=1e-6, atol=1e-9)


def test_points_without_truth_are_masked_and_do_not_spoil_the_others() -> None:
    history, leads = archive(), lead_times(LEAD, 0, DAY)
    history.states[:, 0, :2] = np.nan  # type: ignore[index]
    added = Accumulator(CHANNELS, history.latitude, history.longitude, leads, ("rmse",), "cos")
    seen = Verifying(added.add, history, leads)
    for state in rollout(Convolved(), history, days(2, 3, 4), leads):
        seen(state)
    found = finish("rmse", added.statistics().totals())
    assert np.isfinite(found).all() and (found > 0).all()
