"""Simulated time series: one ground under many skies, the truth beside every image, made once and marked."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.simulate import series_dataset
from data_pipelines.simulate.passes import SENSOR
from data_pipelines.simulate.sensors import SENSORS
from data_pipelines.simulate.series import SeriesSpec, SimulatedSeries, simulate_series
from data_pipelines.simulate.series_dataset import series_specs, write_series
from geoadapt.cubes.series import open_series
from geoadapt.errors import GeoadaptError

SPEC = SeriesSpec(size=64, dates=16, seed=5, biome="farmland", radar=True)


@pytest.fixture(scope="module")
def made() -> SimulatedSeries:
    return simulate_series(SPEC)


def _bands(made: SimulatedSeries, *names: str) -> list[np.ndarray]:
    return [made.truth[:, made.bands.index(name)] for name in names]


def test_the_same_spec_gives_the_same_series_and_another_seed_another_one(made: SimulatedSeries) -> None:
    again, other = simulate_series(SPEC), simulate_series(replace(SPEC, seed=6))
    assert np.array_equal(made.values, again.values) and np.array_equal(made.truth, again.truth)
    assert np.array_equal(made.labels, again.labels) and np.array_equal(made.times, again.times)
    assert not np.array_equal(made.truth[0], other.truth[0]) and not np.array_equal(made.times, other.times)


def test_radar_hears_through_clouds_and_changes_nothing_of_the_images(made: SimulatedSeries) -> None:
    assert made.radar is not None and made.radar.shape == (16, 2, 64, 64)
    vv, vh = made.radar.mean((0, 2, 3))
    assert -20 < vv < -5 and vv - 12 < vh < vv - 3
    closed = int(np.argmax((made.labels != 0).mean((1, 2))))
    assert np.isfinite(made.radar[closed]).all() and made.radar[closed].std() > 1
    alone = simulate_series(replace(SPEC, radar=False))
    assert alone.radar is None and np.array_equal(alone.values, made.values) and alone.transform == made.transform


def test_shapes_dates_and_values_are_what_they_say(made: SimulatedSeries) -> None:
    assert made.values.shape == made.truth.shape == (16, 6, 64, 64) and made.labels.shape == (16, 64, 64)
    days = made.times.astype("datetime64[D]")
    gaps = np.diff(days).astype(int)
    assert (gaps > 0).all() and gaps.std() > 2 and days[-1] - days[0] < np.timedelta64(366)
    for stack in (made.values, made.truth):
        assert stack.min() > 0 and stack.max() <= 1.6


def test_without_a_cloud_the_image_is_the_truth_up_to_noise(made: SimulatedSeries) -> None:
    cloudless = [k for k in range(16) if not made.labels[k].any()]
    assert cloudless
    for k in cloudless:
        noise = made.values[k] - made.truth[k]
        expected = SENSORS[SENSOR].noise * np.sqrt(0.3 + 7 * made.truth[k]) + 1e-4
        assert abs(float(noise.mean())) < 2e-3 and float((np.abs(noise) / expected).mean()) < 2


def test_what_is_called_clear_is_near_the_truth_and_what_is_not_is_far_from_it(made: SimulatedSeries) -> None:
    apart = np.abs(made.values - made.truth).mean(1)
    clear = made.labels == 0
    assert np.median(apart[clear]) < 0.006 and apart[clear].mean() < 0.02
    assert apart[made.labels == 1].mean() > 0.1
    nir, green = made.bands.index("nir"), made.bands.index("green")
    dark = (made.values - made.truth)[:, nir][made.labels == 3]
    bright = (made.values - made.truth)[:, green][made.labels == 1]
    assert dark.mean() < -0.02 and bright.mean() > 0.1


def test_some_dates_are_entirely_cloudy_some_cloudless_and_clouds_move(made: SimulatedSeries) -> None:
    share = (made.labels != 0).mean((1, 2))
    assert (share == 1).sum() == 2 and (share == 0).sum() >= 2
    assert all(kind in made.labels for kind in (0, 1, 2, 3))
    partly = made.labels[(share > 0.1) & (share < 0.9)] != 0
    assert len(partly) >= 3
    for one, next_ in zip(partly[:-1], partly[1:], strict=True):
        assert not np.array_equal(one, next_)
    assert (partly.mean(0) < 1).mean() > 0.9


def test_plants_follow_the_seasons_and_fields_are_cut_at_once() -> None:
    made = simulate_series(replace(SPEC, dates=40, radar=False, size=96))
    red, nir = _bands(made, "red", "nir")
    index = (nir - red) / (nir + red)
    high = made.season[np.argmax(index.mean((1, 2)))]
    assert 110 < high < 260
    assert float(index.std(0).mean()) > 0.08
    fall = np.diff(index, axis=0)
    months = np.diff(made.season)
    steps = (fall < -0.25)[months > 0]
    assert steps.any((0,)).mean() > 0.05
    assert np.ptp(np.argmax(index, 0)) > 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("series (1) [ü]")
    write_series(folder, _specs())
    return folder


def _specs() -> dict[str, dict[str, SeriesSpec]]:
    return series_specs({"train": 2, "val": 1, "test": 1}, 32, 6, 0, 20.0, True)


def test_files_hold_what_was_simulated_and_open_as_a_series(root: Path) -> None:
    name, spec = next(iter(_specs()["train"].items()))
    made = simulate_series(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with open_series(root / "series" / f"{name}.zarr") as source:
            values, clear = source.read()
            info = source.info
        with open_series(root / "truth" / f"{name}.zarr", mask="none") as source:
            truth, _ = source.read()
    assert info.bands == made.bands and info.resolution == 20 and info.transform == made.transform
    assert info.crs == made.crs and np.array_equal(info.times, made.times) and set(info.sensors) == {"sentinel2"}
    assert np.abs(values - made.values).max() < 1e-4 and np.abs(truth - made.truth).max() < 1e-4
    assert np.array_equal(clear, made.labels == 0)


def test_every_store_and_the_folder_call_themselves_simulated(root: Path) -> None:
    stores = sorted(root.glob("*/*.zarr"))
    assert len(stores) == 12
    for store in stores:
        attributes = json.loads((store / "zarr.json").read_text())["attributes"]
        assert attributes["SIMULATED"] == "yes" and store.name.startswith("simulated_")
    assert json.loads((root / "simulated_series.json").read_text())["simulated"] is True
    assert (root / "README.txt").read_text().startswith("SIMULATED")


def test_a_second_run_makes_nothing_and_a_broken_one_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SeriesSpec] = []

    def counted(spec: SeriesSpec) -> SimulatedSeries:
        made.append(spec)
        return simulate_series(spec)

    monkeypatch.setattr(series_dataset, "simulate_series", counted)
    names = write_series(root, _specs())
    assert names == [name for part in _specs().values() for name in part] and not made
    (root / "truth" / f"{names[1]}.zarr" / "zarr.json").unlink()
    (root / "simulated_series.json").unlink()
    write_series(root, _specs())
    assert made == [_specs()["train"][names[1]]] and (root / "simulated_series.json").is_file()


def test_strangers_are_never_mixed_with_it(tmp_path: Path) -> None:
    (tmp_path / "series" / "mine.zarr").mkdir(parents=True)
    with pytest.raises(GeoadaptError, match=r"mine\.zarr: was not made by the simulator"):
        write_series(tmp_path, _specs())
    assert not (tmp_path / "simulated_series.json").exists()


def test_places_that_are_not_wanted_any_more_go(tmp_path: Path) -> None:
    write_series(tmp_path, series_specs({"train": 2, "test": 1}, 16, 4, 0, 20.0, False))
    names = write_series(tmp_path, series_specs({"train": 1, "test": 1}, 16, 4, 0, 20.0, False))
    assert sorted(path.stem for path in (tmp_path / "series").iterdir()) == sorted(names)


def test_no_place_is_in_two_parts() -> None:
    specs = series_specs({"train": 12, "val": 3, "test": 5}, 32, 6, 0, 20.0, False)
    seeds = [spec.seed for part in specs.values() for spec in part.values()]
    assert len(seeds) == len(set(seeds)) == 20
    assert len({spec.biome for spec in specs["train"].values()}) == 10


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"biome": "moon"}, "moon"),
        ({"bands": ("ultraviolet",)}, "ultraviolet"),
        ({"dates": 2}, "2 dates"),
        ({"bands": ("red",)}, "radar"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(GeoadaptError, match=problem):
        replace(SPEC, **changes)  # type: ignore[arg-type]
