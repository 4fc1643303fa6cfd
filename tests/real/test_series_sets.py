"""The small public time series: shapes, splits that share nothing, and values that are reflectance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.gaps import mask_pool
from geoadapt.fields.gaps import test_samples as fixed_samples
from geoadapt.fields.series import SeriesData, series_batch
from geoadapt.fields.series_config import RealSeriesConfig
from geoadapt.fields.series_sets import sigma_db
from geoadapt.registry import build

NAMES = ("worldcereal", "modis_mt", "l8ny18", "landsat_p035r032")


@pytest.fixture(scope="module")
def sets(data_dir: Path) -> dict[str, SeriesData]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOADAPT_DATA", str(data_dir))
        return {name: build(DATASETS, RealSeriesConfig(name), 0) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "shapes", "clear"),
    [
        ("worldcereal", [(12, 9, 100, 50), (12, 9, 100, 15), (12, 9, 100, 35)], (0.82, 0.834)),
        ("modis_mt", [(68, 4, 27, 37), (21, 4, 27, 37), (48, 4, 27, 37)], (0.99, 1.0)),
        ("l8ny18", [(5, 6, 78, 65), (5, 6, 78, 12), (6, 6, 52, 77)], (0.45, 0.65)),
        ("landsat_p035r032", [(224, 6, 5, 5), (67, 6, 5, 5), (156, 6, 5, 5)], (0.55, 0.7)),
    ],
)
def test_shapes_and_clear_shares_are_what_was_once_found(
    sets: dict[str, SeriesData], name: str, shapes: list[tuple[int, ...]], clear: tuple[float, float]
) -> None:
    data = sets[name]
    parts = [part[0] for part in (data.train, data.val, data.test)]
    assert [part.values.shape for part in parts] == shapes
    assert not data.simulated and data.channels == parts[0].channels and data.note
    for part in (parts[0], parts[2]):
        assert clear[0] <= part.clear.mean() <= clear[1]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_clear_is_known_and_lies_in_0_to_1(sets: dict[str, SeriesData], name: str) -> None:
    for part in (sets[name].train, sets[name].val, sets[name].test):
        values = np.moveaxis(part[0].values, 1, -1)[part[0].clear]
        assert values.size and np.isfinite(values).all() and values.min() > 0 and values.max() <= 1
        assert 0.02 < np.median(values) < 0.5


@pytest.mark.parametrize("name", ["modis_mt", "landsat_p035r032"])
def test_periods_follow_one_another(sets: dict[str, SeriesData], name: str) -> None:
    first, middle, last = (part[0].times for part in (sets[name].train, sets[name].val, sets[name].test))
    assert first[-1] < middle[0] and middle[-1] < last[0]


def test_worldcereal_keeps_its_empty_months_empty_and_brings_its_radar(sets: dict[str, SeriesData]) -> None:
    data = sets["worldcereal"]
    for part in (data.train[0], data.val[0], data.test[0]):
        empty = ~np.isfinite(part.values).any((1, 2, 3))
        assert [str(t)[:7] for t in part.times[empty]] == ["2020-12", "2021-01"] and not part.clear[empty].any()
        assert part.radar is not None and part.radar.values.shape == (12, 2, 100, part.values.shape[3])
        vv, vh = np.nanmedian(part.radar.values, axis=(0, 2, 3))
        assert -13 < vv < -7 and -21 < vh < -14
    assert "2020-12" in data.note and data.train[0].sensor == "sentinel2"


def test_decibels_follow_worldcereals_formula() -> None:
    found = sigma_db(np.array([0, 1, 1000, 14125, 65535], np.uint16))
    assert np.isnan(found[[0, 4]]).all() and found[1:4] == pytest.approx([-83.0, -23.0, 0.0], abs=1e-3)


def test_the_landsat_scene_of_the_test_lies_south_of_the_other(sets: dict[str, SeriesData]) -> None:
    data = sets["l8ny18"]
    assert data.train[0].name.startswith("l8ny18_014031") and data.test[0].name == "l8ny18_014032"
    # 78 rows, of which the northern 26 are in the other scene too
    assert data.test[0].values.shape[2] == 52 and "sine of the sun" in data.note


@pytest.mark.parametrize("name", NAMES)
def test_gaps_can_be_pasted_and_hide_what_is_known(sets: dict[str, SeriesData], name: str) -> None:
    data = sets[name]
    pool = mask_pool(data.test)
    chip = min(32, *data.test[0].clear.shape[1:])
    samples = fixed_samples(data.test, pool, chip, 0, per_series=6, frames=8)
    batch = series_batch(samples)
    assert len(samples) == 6 and batch.target is not None and batch.target.valid is not None
    shown = batch.inputs["optical"].valid
    assert shown is not None and bool(batch.target.valid.flatten(1).any(1).all())
    assert not bool((shown[:, -1] & batch.target.valid[:, 0]).any())


@pytest.mark.parametrize("name", ["worldcereal", "modis_mt"])
def test_patterns_of_the_test_are_not_those_of_the_fit(sets: dict[str, SeriesData], name: str) -> None:
    fit, held = mask_pool(sets[name].train), mask_pool(sets[name].test)
    assert len(fit) == 5 and len(held) == 6
    assert not any(np.array_equal(a, b) for a in fit for b in held)


def test_a_missing_folder_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOADAPT_DATA", str(tmp_path))
    with pytest.raises(GeoadaptError, match="worldcereal_s1s2: is not there; set GEOADAPT_DATA"):
        build(DATASETS, RealSeriesConfig("worldcereal"), 0)
    with pytest.raises(GeoadaptError, match="unknown"):
        RealSeriesConfig("worldcereals")
