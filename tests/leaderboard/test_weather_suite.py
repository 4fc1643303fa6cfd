"""The suite of weather: every score that it ranks by is one that its runs leave, by lead, by level and by region."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from geoadapt.cli.compose import compose
from geoadapt.cli.keys import conf_dir
from geoadapt.leaderboard.groups import Dataset
from geoadapt.leaderboard.suite import Pair, pairs_of, read_plan
from geoadapt.leaderboard.suite_config import Plan
from geoadapt.metrics.weights import Box
from geoadapt.tasks.config import ForecastingConfig
from geoadapt.training import forecasting
from geoadapt.training.run import train
from tests.waves import TINY_WX, dates, waves

FILE = conf_dir() / "suite" / "weather.yaml"
ENTRY = "small_wx + lora_r16"
QUICK = ("train.steps=2", "train.val_every=2", "train.bootstrap=20", "runtime.threads=1", "runtime.precision=fp32")
SMALL = tuple(f"backbone.{key}={str(value).lower()}" for key, value in TINY_WX.items())


@pytest.fixture(scope="module")
def plan() -> Plan:
    return read_plan(FILE, more=(*SMALL, *QUICK))


def lead_of(dataset: Dataset) -> str:
    return dataset.metric.split("/")[2]


def region_of(dataset: Dataset) -> str:
    return "".join(dataset.metric.split("/")[3:])


def by_key(plan: Plan) -> dict[str, Pair]:
    return {pair.dataset.key: pair for pair in pairs_of(plan) if pair.entry.name == ENTRY}


def task_of(plan: Plan, key: str) -> ForecastingConfig:
    task = compose(by_key(plan)[key].words(plan, Path("D"), 1)).task
    assert isinstance(task, ForecastingConfig)
    return task


def write_atlantic(root: Path) -> None:
    """Three Januaries of pressure on the grid of the real archive."""
    path = root / "weather" / "ncep_daily" / "ncep_slp_natl_2001_2008.nc"
    path.parent.mkdir(parents=True)
    times = np.concatenate([dates(24, f"{year}-01-01") for year in (2006, 2007, 2008)])
    values = (101000 + 800 * waves(len(times), 17, 33)).astype(np.float32)
    cube = xr.Dataset({"slp": (("time", "lat", "lon"), values, {"units": "Pa"})})
    cube = cube.assign_coords(
        time=times.astype("datetime64[ns]"), lat=np.arange(30, 70.1, 2.5), lon=np.arange(-70, 10.1, 2.5)
    )
    cube.to_netcdf(path)


def write_planet(root: Path) -> None:
    """A year of validation between two weeks of training and of test, with the channels of the simulated core."""
    times = dates(394, "2002-12-18").astype("datetime64[ns]")
    state = waves(len(times), 8, 12)
    levels = np.stack([state, 0.5 * state], 1)
    sizes = {"geopotential": ("m2 s-2", 900), "u_component_of_wind": ("m s-1", 9), "v_component_of_wind": ("m s-1", 9)}
    dims = ("time", "level", "latitude", "longitude")
    fields = {name: (dims, (size * levels).astype(np.float32), {"units": unit}) for name, (unit, size) in sizes.items()}
    pressure = ((dims[0], *dims[2:]), (101000 + 800 * state).astype(np.float32), {"units": "Pa"})
    xr.Dataset(
        {"mean_sea_level_pressure": pressure, **fields},
        {
            "time": times,
            "level": ("level", [500.0, 850.0], {"units": "hPa"}),
            "latitude": ("latitude", np.linspace(80, -80, 8), {"units": "degrees_north"}),
            "longitude": ("longitude", np.arange(12) * 30.0, {"units": "degrees_east"}),
        },
        {"simulated": "true"},
    ).to_zarr(root / "data" / "planets" / "member_00.zarr", consolidated=False)


@pytest.mark.parametrize(
    ("key", "write", "more"),
    [("slp_natl", write_atlantic, ("data.gaps=allow",)), ("planet", write_planet, ())],
    ids=["atlantic", "planet"],
)
def test_a_run_leaves_every_score_that_it_is_looked_at_by(
    plan: Plan,
    key: str,
    write: Callable[[Path], None],
    more: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path)
    monkeypatch.setenv("GEOADAPT_DATA", str(tmp_path))
    bare = replace(forecasting.KIND, page=lambda *told: told[-1] / "report.html")
    monkeypatch.setattr(forecasting, "KIND", bare)
    pair = by_key(plan)[key]
    words = [*pair.words(plan, tmp_path, 1, lr=1e-3, batch=4), *more, "train.controls=persistence,damped"]
    found = train(compose(words), tmp_path / "run", "").metrics
    views = [one.dataset for one in pair.seen_as(plan)]
    assert len(views) > 10
    for dataset in views:
        for who in ("test", "persistence", "damped"):
            assert math.isfinite(found.get(f"{who}/{dataset.metric}", math.nan)), (who, dataset.key, dataset.metric)


def test_no_score_stands_there_twice(plan: Plan) -> None:
    metrics = [(one.of or one.key, one.metric) for one in plan.suite.datasets.values()]
    assert len(set(metrics)) == len(metrics)
    labels = [one.label for one in plan.suite.datasets.values()]
    assert len(set(labels)) == len(labels)


def test_groups_by_lead_level_and_region_hold_what_they_say(plan: Plan) -> None:
    suite = plan.suite
    told = {key: [suite.datasets[name] for name in group.datasets] for key, group in suite.groups.items()}
    for group, lead in (("day1", "24h"), ("day3", "72h"), ("day5", "120h")):
        assert {lead_of(one) for one in told[group]} == {lead} and len(told[group]) == 4
    for group, channel in (
        *(("sea_level", "mean_sea_level_pressure"), ("hpa_850", "geopotential@850"), ("hpa_500", "geopotential@500")),
    ):
        assert {one.metric.split("/")[1] for one in told[group]} == {channel}
        assert {lead_of(one) for one in told[group]} == {"24h", "72h", "120h"}
    regions = {
        **{f"natl_{name}": ("slp_natl", name) for name in ("north", "south", "west", "east")},
        **{name: ("planet", name) for name in ("northern_extratropics", "tropics", "southern_extratropics")},
    }
    for group, (base, region) in regions.items():
        assert {(one.of, region_of(one)) for one in told[group]} == {(base, region)}
        assert region in task_of(plan, base).regions
    whole = {one.key for group in ("all", "day1", "day3", "day5", "real") for one in told[group] if region_of(one)}
    assert not whole, "what is of a region would count twice"
    assert {one.of or one.key for one in told["real"]} == {"slp_natl"}
    assert {name for group in suite.groups.values() for name in group.datasets} == set(suite.datasets)


def test_every_score_of_a_simulated_planet_says_so(plan: Plan) -> None:
    for one in plan.suite.datasets.values():
        assert ("Simulated" in one.label) == ("planet" in (one.of or one.key)), one.key


def test_every_point_lies_in_one_region_of_each_kind(plan: Plan) -> None:
    atlantic = task_of(plan, "slp_natl").boxes()
    latitude, longitude = np.arange(30, 70.1, 2.5), np.arange(-70, 10.1, 2.5)
    for one, two in (("north", "south"), ("west", "east")):
        np.testing.assert_array_equal(counts([atlantic[one], atlantic[two]], latitude, longitude), 1)
    gaussian = np.asarray(np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(48)[0])), np.float64)
    planet = list(task_of(plan, "planet").boxes().values())
    np.testing.assert_array_equal(counts(planet, gaussian, np.arange(0, 360, 3.75)), 1)


def counts(boxes: list[Box], latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.int_]:
    """In how many boxes each point lies (h, w)."""
    held = [box.holds(latitude, longitude) for box in boxes]
    return np.asarray(sum((rows[:, None] & columns).astype(int) for rows, columns in held))
