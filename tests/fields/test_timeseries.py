"""Series of one's own: read whole, split by place or by period, never by pixel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.simulate.series_dataset import series_specs, write_series
from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Radar, Series
from geoadapt.fields.series_config import TimeseriesConfig
from geoadapt.fields.series_split import by_columns, by_dates, by_place, with_dates
from geoadapt.fields.timeseries import build

pytestmark = pytest.mark.filterwarnings("ignore:.*clear as sentinel2_scl:UserWarning")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("mine")
    names = write_series(folder, series_specs({"train": 4}, 32, 10, 3, 20.0, False))
    return [str(folder / "series" / f"{name}.zarr") for name in names]


def _numbered(dates: int = 20, width: int = 20) -> Series:
    """Every pixel knows its column, every date its number."""
    values = np.zeros((dates, 1, 4, width), np.float32)
    values += np.arange(width, dtype=np.float32) / 100
    times = np.datetime64("2020-01-01", "s") + np.arange(dates) * np.timedelta64(10, "D")
    late = Radar(np.zeros((2 * dates, 1, 4, width), np.float32), times[0] + np.arange(2 * dates) * 432000, ("vv",))
    return Series("n", values, np.ones((dates, 4, width), bool), times, ("red",), radar=late)


def test_one_place_is_split_by_columns(stores: list[str]) -> None:
    data = build(TimeseriesConfig(root=stores[0]))
    widths = [part[0].clear.shape[2] for part in (data.train, data.val, data.test)]
    assert sum(widths) == 32 and widths[2] == 10 and not data.simulated
    assert "split by place" in data.note and data.train[0].sensor == "sentinel2" and data.train[0].resolution == 20
    assert data.train[0].clear.any() and not data.train[0].clear.all()


def test_several_places_are_split_whole_and_share_their_bands(stores: list[str]) -> None:
    data = build(TimeseriesConfig(paths=stores, bands=["red", "nir"]), seed=1)
    names = [one.name for part in (data.train, data.val, data.test) for one in part]
    assert len(names) == len(set(names)) == 4 and data.channels == ("red", "nir")
    assert [len(part) for part in (data.train, data.val, data.test)] == [2, 1, 1]


def test_a_period_is_split_in_order(stores: list[str]) -> None:
    data = build(TimeseriesConfig(paths=stores[:2], split="time"))
    for first, middle, last in zip(data.train, data.val, data.test, strict=True):
        assert first.times[-1] < middle.times[0] and middle.times[-1] < last.times[0]
        assert len(first.times) + len(middle.times) + len(last.times) == 10


def test_a_window_cuts_and_one_that_leaves_the_place_is_refused(stores: list[str]) -> None:
    data = build(TimeseriesConfig(root=stores[0], window=[2, 4, 20, 24]))
    assert data.train[0].clear.shape[1] == 20
    with pytest.raises(GeoadaptError, match=r"data\.window.*leaves"):
        build(TimeseriesConfig(root=stores[0], window=[20, 0, 20, 20]))


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(stores: list[str]) -> None:
    with pytest.raises(GeoadaptError, match="GB"):
        build(TimeseriesConfig(root=stores[0], memory_gb=1e-5))


def test_parts_share_neither_pixels_nor_dates_and_lose_none() -> None:
    series = _numbered()
    west, strip, east = by_columns(series, 0.15, 0.3)
    found = np.concatenate([part.values[0, 0, 0] for part in (west, strip, east)])
    assert np.array_equal(found, series.values[0, 0, 0])
    first, middle, last = by_dates(series, 0.15, 0.3)
    assert np.array_equal(np.concatenate([part.times for part in (first, middle, last)]), series.times)
    assert [len(part.times) for part in (first, middle, last)] == [11, 3, 6]


def test_radar_goes_with_its_period() -> None:
    part = with_dates(_numbered(), slice(5, 10))
    assert part.radar is not None and part.radar.times.min() == part.times[0]
    assert part.radar.times.max() == part.times[-1] and len(part.radar.times) == len(part.radar.values) == 9


def test_of_two_places_the_second_is_the_test() -> None:
    one, other = _numbered(), _numbered()
    train, val, test = by_place([one, other], 0.2, 0.4, 0)
    assert test == (other,) and train[0].values.shape[3] + val[0].values.shape[3] == 20


@pytest.mark.parametrize("count", [3, 4, 7])
@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.15, 0.5), (0.15, 0.8), (0.45, 0.5)])
def test_of_three_places_or_more_each_part_has_one(count: int, val: float, test: float) -> None:
    places = [replace(_numbered(3, 4), name=str(n)) for n in range(count)]
    parts = by_place(places, val, test, 0)
    assert min(map(len, parts)) >= 1 and sorted(s.name for part in parts for s in part) == [s.name for s in places]


def test_too_short_a_series_is_refused() -> None:
    with pytest.raises(GeoadaptError, match="has 4 dates, too few"):
        by_dates(_numbered(4), 0.15, 0.3)


@pytest.mark.parametrize(
    "changes",
    [{"split": "pixel"}, {"val_fraction": 0.0}, {"window": [1, 2]}, {"root": "a", "paths": ["b"]}],
)
def test_values_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(GeoadaptError, match=next(iter(changes))):
        TimeseriesConfig(**changes)  # type: ignore[arg-type]


def test_no_path_at_all_says_what_to_set() -> None:
    with pytest.raises(GeoadaptError, match=r"data\.root=FOLDER"):
        build(TimeseriesConfig())


def test_a_store_of_other_bands_is_refused(stores: list[str]) -> None:
    with pytest.raises(GeoadaptError, match="coastal"):
        build(TimeseriesConfig(root=stores[0], bands=["coastal"]))


def test_one_name_for_two_places_is_refused(stores: list[str], tmp_path: Path) -> None:
    twin = tmp_path / Path(stores[0]).name
    twin.symlink_to(stores[0])
    with pytest.raises(GeoadaptError, match="called alike"):
        build(TimeseriesConfig(paths=[stores[0], str(twin)]))
