"""A forecast job: the store holds what the model says, and is resumed, never mixed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.latlon_box import part_of
from geoadapt.errors import GeoadaptError
from geoadapt.inference.config import ForecastConfig
from geoadapt.inference.forecast import forecast, plan_store, run_folder
from geoadapt.inference.outlook import outlook
from geoadapt.inference.rollout import State, lead_times, rollout
from tests.inference.forecasters import DAY, Convolved, archive, days

CONFIG = ForecastConfig(lead=round(3 * DAY), batch=2)
FIVE = (3, 4, 5, 6, 7)


def run(
    path: Path, *numbers: int, config: ForecastConfig = CONFIG, model: Convolved | None = None, **more: Any
) -> list[str]:
    """How each init time ended."""
    results = forecast(archive(), [model or Convolved()], days(*numbers), path, config, **more)
    return [result.status for result in results]


def opened(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="zarr", chunks=None) as found:
        return found.load()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a store."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_store_holds_what_the_roll_out_gives(tmp_path: Path) -> None:
    seen: list[State] = []
    told: list[tuple[str, int, int]] = []
    path = tmp_path / "fc.zarr"
    statuses = run(path, *FIVE, consumers=[seen.append], progress=lambda *said: told.append(said))
    assert statuses == ["done"] * 5
    found = opened(path)
    assert dict(found.sizes) == {"time": 5, "prediction_timedelta": 3, "level": 2, "latitude": 6, "longitude": 8}
    states = list(rollout(Convolved(), archive(), days(*FIVE), lead_times(CONFIG.lead, 0, DAY), batch=2))
    assert len(seen) == len(states) == 9
    for state in states:
        part = found.sel(time=state.init_times, prediction_timedelta=state.lead)
        np.testing.assert_array_equal(part["mean_sea_level_pressure"], state.values[:, 1])
        np.testing.assert_array_equal(part["temperature"].sel(level=500), state.values[:, 2])
    assert told[-1] == ("forecast", 15, 15)
    said = json.loads((run_folder(path) / "run.json").read_text())
    assert said["counts"] == {"done": 5, "skipped": 0, "failed": 0, "not_reached": 0}


def test_finished_init_times_are_skipped_and_only_the_others_are_computed(tmp_path: Path) -> None:
    path, whole = tmp_path / "fc.zarr", tmp_path / "whole.zarr"
    run(path, *FIVE)
    (path / "temperature/c/4").rename(tmp_path / "moved")
    model = Convolved()
    assert run(path, *FIVE, model=model) == ["skipped"] * 4 + ["done"]
    assert model.seen == [1, 1, 1]
    run(whole, *FIVE)
    assert contents(path) == contents(whole)
    assert run(path, *FIVE, stamp=(5, 5)) == ["done"] * 5  # the archive changed


def test_a_changed_byte_is_found_by_reading_again(tmp_path: Path) -> None:
    import os

    path = tmp_path / "fc.zarr"
    run(path, 3, 4)
    chunk = next(p for p in (path / "mean_sea_level_pressure/c/1").rglob("*") if p.is_file())
    stamp, data = chunk.stat(), bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(bytes(data))
    os.utime(chunk, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert run(path, 3, 4) == ["skipped", "skipped"]
    assert run(path, 3, 4, verify=True) == ["skipped", "done"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": Convolved(seed=7)}, "by 'convolved' (000000000000), this run is by 'convolved' (000000000000)"),
        ({"config": replace(CONFIG, lead=round(2 * DAY))}, "(lead: 259200 there, 172800 here)"),
        ({"config": replace(CONFIG, batch=3)}, "(batch: 2 there, 3 here)"),
        ({"config": replace(CONFIG, members=2)}, "members: 1 there, 2 here; perturb: None there, initial here"),
        ({"config": replace(CONFIG, bbox=(0, 50, 3, 60))}, "bbox: None there"),
    ],
)
def test_a_store_of_another_job_is_an_error_that_names_both(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "fc.zarr"
    run(path, 3)
    before = contents(path)
    with pytest.raises(GeoadaptError) as error:
        run(path, 3, **change)
    assert said in str(error.value) and "--overwrite" in str(error.value)
    assert contents(path) == before
    assert run(path, 3, overwrite=True, **change) == ["done"]
    with pytest.raises(GeoadaptError, match="init_times: 1 from 2008-01-04"):
        run(path, 4, **change)


def test_seed_and_noise_do_not_part_jobs_that_use_none() -> None:
    assert CONFIG.plain() == replace(CONFIG, seed=3, length=7.0).plain()
    noisy = replace(CONFIG, members=2)
    assert noisy.plain() != replace(noisy, seed=3).plain()


def test_an_ensemble_is_stored_by_member_and_the_control_is_the_single_forecast(tmp_path: Path) -> None:
    run(tmp_path / "single.zarr", 3, 4, 5)
    run(tmp_path / "many.zarr", 3, 4, 5, config=replace(CONFIG, members=3))
    single, many = opened(tmp_path / "single.zarr"), opened(tmp_path / "many.zarr")
    assert many["temperature"].dims[:3] == ("time", "number", "prediction_timedelta")
    np.testing.assert_array_equal(many["temperature"].sel(number=0), single["temperature"])
    assert (many["temperature"].std("number") > 0).all()


def test_only_what_is_wanted_is_kept(tmp_path: Path) -> None:
    full, part = tmp_path / "full.zarr", tmp_path / "part.zarr"
    run(full, 3)
    run(part, 3, config=replace(CONFIG, variables=("t",), bbox=(-1.5, 53, 1.5, 90), every=CONFIG.lead))
    whole, kept = opened(full), opened(part)
    assert list(kept) == ["temperature"]
    expected = (
        whole["temperature"].sel(latitude=slice(90, 53), longitude=slice(-1.5, 1.5)).isel(prediction_timedelta=[2])
    )
    np.testing.assert_array_equal(kept["temperature"], expected)
    assert kept["longitude"].values.tolist() == [-1, 0, 1]
    with pytest.raises(GeoadaptError, match="geopotential: is not predicted"):
        run(tmp_path / "x.zarr", 3, config=replace(CONFIG, variables=("geopotential",)))
    with pytest.raises(GeoadaptError, match="no grid point lies in 20,50,30,60"):
        run(tmp_path / "x.zarr", 3, config=replace(CONFIG, bbox=(20, 50, 30, 60)))
    assert not (tmp_path / "x.zarr").exists() and not run_folder(tmp_path / "x.zarr").exists()


def test_a_box_may_cross_greenwich_and_the_date_line() -> None:
    latitude, longitude = np.asarray([1.0, 0.0, -1.0]), np.arange(0.0, 360.0, 10.0)
    crossing = part_of(latitude, longitude, (-20, -1, 10, 0))
    assert crossing.longitude.tolist() == [-20, -10, 0, 10] and crossing.latitude.tolist() == [0, -1]
    values = np.broadcast_to(longitude.astype(np.float32), (3, 36))
    assert crossing.cut(values)[0].tolist() == [340, 350, 0, 10]
    assert part_of(latitude, longitude, (170, -1, -170, 1)).longitude.tolist() == [170, 180, 190]
    assert part_of(latitude, longitude, (-180, -90, 180, 90)).longitude.size == 36


def test_an_archive_without_any_of_the_dates_is_an_error_that_tells_its_own(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="lacks 2008-02-20; it has 2008-01-01 to 2008-01-12, and so for all 2"):
        run(tmp_path / "fc.zarr", 50, 60)
    assert list(tmp_path.iterdir()) == []


def test_an_outlook_counts_what_the_store_will_hold() -> None:
    history, model = archive(), Convolved()
    spec, _ = plan_store(history, model, days(0, 3, 4), CONFIG)
    found = outlook(history, [model], spec, CONFIG)
    assert found.disk == 4 * 3 * 3 * 3 * 6 * 8
    assert found.seconds > 0
    assert len(found.problems) == 1 and "lacks 2007-12-31" in found.problems[0]
    longer, _ = plan_store(history, model, days(*range(1, 9)), replace(CONFIG, lead=round(4 * DAY)))
    more = outlook(history, [model], longer, CONFIG)
    assert more.disk == 4 * 8 * 4 * 3 * 6 * 8 and more.memory <= 2 * found.memory
