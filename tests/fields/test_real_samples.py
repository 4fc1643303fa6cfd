"""Real sets of labelled samples: what lies where, and that no place is on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.fields import flood_chip, modis_samples, sits_samples
from geoadapt.fields.samples import IGNORE, SampleSet
from geoadapt.fields.samples_config import FloodChipConfig, ModisSamplesConfig, SitsSamplesConfig
from geoadapt.fields.samples_split import split_groups


def check_split(data: SampleSet) -> None:
    groups = [{s.group for s in part} for part in (data.train, data.val, data.test)]
    assert all(groups) and not groups[0] & groups[1] and not (groups[0] | groups[1]) & groups[2]


def test_modis_samples_are_a_farming_year_of_their_own_pixel(data_dir: Path):
    data = modis_samples.build(ModisSamplesConfig(root=str(data_dir / "timeseries" / "modis_mt")))
    check_split(data)
    whole = [*data.train, *data.val, *data.test]
    assert len(whole) == 603 and data.layout.dates["optical"] == 23
    for part in (data.train, data.val, data.test):
        assert {s.target for s in part} == set(range(5))
    one = whole[0].inputs["optical"]
    assert one.times[0] >= np.datetime64("2007-09-01")
    assert one.times[-1] - one.times[0] < np.timedelta64(366 * 86400, "s")
    values = np.stack([s.inputs["optical"].values for s in whole if len(s.inputs["optical"].values) == 23])
    assert 0 < np.nanmin(values) < np.nanmax(values) <= 1
    # where things grow, near infrared is brighter than red: channels are what they are called
    assert np.nanmean(values[:, :, 2]) > 2 * np.nanmean(values[:, :, 1])
    forest = data.target.names.index("Forest")
    ndvi = [np.nanmean((v[:, 2] - v[:, 1]) / (v[:, 2] + v[:, 1])) for v in (s.inputs["optical"].values for s in whole)]
    trees = np.array([s.target == forest for s in whole])
    assert np.mean(np.array(ndvi)[trees]) > np.mean(np.array(ndvi)[~trees]) + 0.1


def test_vegetation_series_of_brazil_are_split_by_square(data_dir: Path):
    root = str(data_dir / "timeseries" / "sits_modis_jp2")
    data = sits_samples.build(SitsSamplesConfig(root=root))
    check_split(data)
    assert len(data.train) + len(data.val) + len(data.test) == 746 and data.target.names == ("Cerrado", "Pasture")
    assert data.layout.channels["optical"] == ("ndvi", "evi") and data.layout.dates["optical"] == 23
    assert -18 < data.test[0].latlon[0] < -9 and (np.diff(data.test[0].inputs["optical"].times) > 0).all()
    other = sits_samples.build(SitsSamplesConfig(root=root, table="samples_modis_ndvi"))
    sides = [{s.target for s in part} for part in (other.train, other.val, other.test)]
    forest = other.target.names.index("Forest")
    # all of it was sampled in one place, which cannot be on two sides
    assert "Forest lies in a single square" in other.note and sum(forest in side for side in sides) == 1
    assert all(side >= {0, 2, 3} for side in sides) and forest == 1
    with pytest.raises(GeoadaptError, match="is not there"):
        sits_samples.build(SitsSamplesConfig(root=root, table="none"))


def test_squares_of_a_flood_chip_show_water_dark_to_radar(data_dir: Path):
    data = flood_chip.build(FloodChipConfig(root=str(data_dir / "benchmark" / "sen1floods11")))
    check_split(data)
    whole = [*data.train, *data.val, *data.test]
    assert len(whole) == 64 and sum(int((s.target == IGNORE).sum()) for s in whole) == 99
    for part in (data.train, data.val, data.test):
        assert 0.1 < np.mean([(s.target == 1).mean() for s in part]) < 0.6
    vv = np.stack([s.inputs["sar"].values[0, 0] for s in whole])
    water = np.stack([s.target == 1 for s in whole])
    assert vv[water].mean() < vv[~water].mean() - 3
    latitudes = [s.latlon[0] for s in whole]
    assert 38.08 < min(latitudes) < max(latitudes) < 38.13


def test_every_class_is_on_every_side_where_it_can_be():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, 400)
    groups = [f"g{c}-{rng.integers(6)}" for c in classes]
    part = split_groups(groups, classes, (0.2, 0.3), 0)
    assert all(set(classes[part == side]) == {0, 1, 2, 3} for side in range(3))
    assert abs((part == 2).mean() - 0.3) < 0.12
    assert all(len({part[n] for n in range(400) if groups[n] == g}) == 1 for g in set(groups))
    assert np.array_equal(part, split_groups(groups, classes, (0.2, 0.3), 0))
    with pytest.raises(GeoadaptError, match="2 places"):
        split_groups(["a", "b"], [0, 1], (0.2, 0.3), 0)


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_place_trains_however_the_rest_is_drawn(seed: int):
    groups = ["large"] * 60 + [f"g{n}" for n in range(40)]
    part = split_groups(groups, [0] * 100, (0.2, 0.2), seed)
    assert part[0] == 0
    assert np.bincount(part).tolist() == [60, 20, 20]


def test_a_timeline_that_is_missing_or_holds_no_dates_is_named(tmp_path: Path, data_dir: Path):
    for file in (data_dir / "timeseries" / "modis_mt").iterdir():
        if file.name != "timeline":
            (tmp_path / file.name).symlink_to(file.resolve())
    config = ModisSamplesConfig(root=str(tmp_path))
    with pytest.raises(GeoadaptError, match=r"timeline: cannot be read \(No such file"):
        modis_samples.build(config)
    (tmp_path / "timeline").write_text("2007-09-14\nsoon\n")
    with pytest.raises(GeoadaptError, match="timeline: holds what is no date"):
        modis_samples.build(config)
