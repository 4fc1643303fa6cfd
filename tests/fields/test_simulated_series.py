"""Simulated series as data: other places and other months in the test, and a truth that is asked for only there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import data_pipelines
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.gaps import test_samples as fixed_samples
from geoadapt.fields.series import SeriesData, series_batch
from geoadapt.fields.series_config import SimulatedSeriesConfig
from geoadapt.fields.simulated_series import build, felt_month
from geoadapt.registry import build as build_named


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSeriesConfig:
    folder = tmp_path_factory.mktemp("series")
    made = SimulatedSeriesConfig(root=str(folder), train=2, val=1, test=2, size=48, dates=14, radar=True)
    data_pipelines.ensure(made)
    return made


@pytest.fixture(scope="module")
def data(config: SimulatedSeriesConfig) -> SeriesData:
    made = build_named(DATASETS, config, 0)
    assert isinstance(made, SeriesData)
    return made


def _months(root: str, name: str) -> dict[np.datetime64, int]:
    import xarray as xr

    with xr.open_zarr(Path(root) / "series" / f"{name}.zarr") as store:
        times = store["time"].values.astype("datetime64[s]")
        return dict(zip(times, felt_month(store["season"].values).tolist(), strict=True))


def test_it_says_that_it_is_simulated_and_how_it_is_split(data: SeriesData) -> None:
    assert data.simulated and data.note.startswith("SIMULATED") and "months 4, 7, 10" in data.note
    assert (len(data.train), len(data.val), len(data.test)) == (2, 1, 2)
    names = [one.name for part in (data.train, data.val, data.test) for one in part]
    assert len(set(names)) == 5


def test_no_month_of_the_test_was_seen_and_nothing_else_is_asked(
    data: SeriesData, config: SimulatedSeriesConfig
) -> None:
    for one in (*data.train, *data.val):
        months = _months(config.root, one.name)
        assert not {months[t] for t in one.times} & {4, 7, 10}
        assert one.truth is not None and np.isfinite(one.truth).all()
    for one in data.test:
        months = _months(config.root, one.name)
        assert one.truth is not None and len(one.times) == 14
        known = np.isfinite(one.truth).all((1, 2, 3))
        assert [months[t] in (4, 7, 10) for t in one.times] == known.tolist()
        assert known.any() and not np.isfinite(one.truth[~known]).any()


def test_samples_of_the_test_restore_clouds_of_its_months_alone(
    data: SeriesData, config: SimulatedSeriesConfig
) -> None:
    samples = fixed_samples(data.test, (), 48, 0)
    assert samples
    for sample in samples:
        assert _months(config.root, sample.series.name)[sample.series.times[sample.target]] in (4, 7, 10)
    batch = series_batch(samples)
    assert batch.target is not None and batch.target.valid is not None
    shown, asked = batch.inputs["optical"].valid, batch.target.valid
    assert shown is not None and bool(asked.any()) and not bool((shown[:, -1] & asked[:, 0]).any())
    assert batch.inputs["radar"].values.shape[2:] == (2, 48, 48)


def test_every_place_tells_its_landscape_and_its_chips_do_too(data: SeriesData, config: SimulatedSeriesConfig) -> None:
    told = json.loads((Path(config.root) / "simulated_series.json").read_text())["places"]
    made = {name: spec["biome"] for part in told.values() for name, spec in part.items()}
    assert {one.name: one.land_cover for part in (data.train, data.val, data.test) for one in part} == made
    assert all(made.values())
    samples = fixed_samples(data.test, (), 32, 0)
    assert samples and all(s.series.land_cover == made[s.series.name] for s in samples)


def test_felt_months_run_from_one_to_twelve() -> None:
    assert felt_month(np.array([0.0, 30.0, 31.0, 182.0, 364.9, 365.2])).tolist() == [1, 1, 2, 6, 12, 12]


def test_radar_is_left_out_unless_asked_for(config: SimulatedSeriesConfig) -> None:
    assert all(one.radar is None for one in build(replace(config, radar=False)).train)


@pytest.mark.parametrize("changes", [{"train": 3}, {"size": 64}, {"dates": 20}])
def test_another_folder_than_asked_for_is_refused(config: SimulatedSeriesConfig, changes: dict[str, int]) -> None:
    with pytest.raises(GeoadaptError, match=r"holds \{'train': 2.*geoadapt prepare data=simulated_series"):
        build(replace(config, **changes))


def test_a_folder_without_series_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="holds no simulated series.*geoadapt prepare"):
        build(SimulatedSeriesConfig(root=str(tmp_path)))
    (tmp_path / "simulated_series.json").write_text(json.dumps({"places": []}))
    with pytest.raises(GeoadaptError, match="is damaged"):
        build(SimulatedSeriesConfig(root=str(tmp_path)))


@pytest.mark.parametrize("changes", [{"test_months": []}, {"test_months": [13]}, {"val": 0}, {"dates": 2}])
def test_values_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(GeoadaptError, match=next(iter(changes))):
        SimulatedSeriesConfig(**changes)  # type: ignore[arg-type]
