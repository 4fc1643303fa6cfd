"""Labelled samples as batches: what is missing is not valid, what nobody labelled is not asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.config import TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.samples import IGNORE, Labelled, Layout, Piece, Target, samples_batch, turned
from geoadapt.fields.samples_loaders import WholeSamples, sample_loaders
from geoadapt.fields.samples_stacked import features, stacked, statistics
from geoadapt.fields.samples_units import in_units
from tests.fields.small_samples import CHANNELS, TARGETS, SmallSamplesConfig, build, sample

LAYOUT = Layout({"optical": CHANNELS, "sar": ("vv", "vh")}, {"optical": 3, "sar": 1})


def test_a_batch_is_filled_up_with_what_is_not_valid():
    config = SmallSamplesConfig(size=10, dates=2)
    batch = samples_batch([sample(config, 0), sample(config, 1)], TARGETS["class"], LAYOUT, 4)
    field = batch.inputs["optical"]
    assert field.values.shape == (2, 3, 6, 12, 12)
    assert field.valid is not None and not field.valid[:, 2].any() and not field.valid[..., 10:].any()
    assert not field.valid[0, 0, :, 0, 0].any() and field.valid[1, 0].sum() == 6 * 10 * 10
    assert bool(torch.isfinite(field.values).all())
    assert field.times is not None and field.times[0, 2] == field.times[0, 1] > field.times[0, 0]
    assert batch.inputs["sar"].values.shape == (2, 1, 2, 12, 12)
    assert field.sensor == ("sentinel2", "sentinel2")


def test_the_place_of_every_sample_comes_along():
    config = SmallSamplesConfig(size=4, dates=3)
    batch = samples_batch([sample(config, 0), sample(config, 2)], TARGETS["class"], LAYOUT)
    grid = batch.inputs["optical"].grid
    assert torch.equal(grid.centre, torch.tensor([[10.0, 20.0], [11.0, 20.0]]))
    assert torch.equal(grid.resolution, torch.tensor([10.0, 10.0]))


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("class", (2, 1, 1, 1, 1)),
        ("labels", (2, 1, 3, 1, 1)),
        ("value", (2, 1, 1, 1, 1)),
        ("class_map", (2, 1, 1, 12, 12)),
        ("value_map", (2, 1, 1, 12, 12)),
    ],
)
def test_targets_have_the_shape_of_their_kind(kind: str, shape: tuple[int, ...]):
    config = SmallSamplesConfig(kind=kind, size=10, dates=3)
    target = samples_batch([sample(config, 4), sample(config, 5)], TARGETS[kind], LAYOUT, 4).target
    assert target is not None and target.values.shape == shape and target.valid is not None
    assert int(target.valid.sum()) == {"class_map": 199, "value_map": 199, "labels": 6}.get(kind, 2)


def test_what_nobody_labelled_is_not_asked_for():
    given = sample(SmallSamplesConfig(dates=3), 1)
    batch = samples_batch([replace(given, target=IGNORE), given], TARGETS["class"], LAYOUT)
    assert batch.target is not None and batch.target.valid is not None
    assert batch.target.valid.flatten().tolist() == [False, True]
    nothing = samples_batch([replace(given, target=np.nan)], TARGETS["value"], LAYOUT)
    assert nothing.target is not None and nothing.target.valid is not None and not nothing.target.valid.any()


def test_errors_say_what_is_wrong():
    config = SmallSamplesConfig(size=10, dates=3)
    with pytest.raises(GeoadaptError, match=r"class \[7\]"):
        samples_batch([replace(sample(config, 0), target=7)], TARGETS["class"], LAYOUT)
    with pytest.raises(GeoadaptError, match="multiples of 16 px"):
        samples_batch([sample(config, 0)], TARGETS["class"], LAYOUT, 16)
    with pytest.raises(GeoadaptError, match="announces at most 2"):
        samples_batch([sample(config, 0)], TARGETS["class"], replace(LAYOUT, dates={"optical": 2, "sar": 1}))
    with pytest.raises(GeoadaptError, match="kind 'classes'"):
        Target("classes", ("a",))
    with pytest.raises(GeoadaptError, match="expected"):
        Piece(np.zeros((1, 2, 3), np.float32), ("a", "b"))


def test_a_turned_sample_shows_the_same_place():
    config = SmallSamplesConfig(kind="value_map", size=6)
    given = sample(config, 1)
    for quarter in range(4):
        for mirrored in (False, True):
            seen = turned(given, quarter, mirrored)
            pairs = zip(seen.inputs["optical"].values[0, 0].ravel(), np.asarray(seen.target).ravel(), strict=True)
            assert all(abs(50 + 100 * v - t) < 1e-4 for v, t in pairs)
    assert not np.array_equal(turned(given, 1, False).target, given.target)


def test_an_oblong_map_keeps_its_shape_when_turned():
    given = sample(SmallSamplesConfig(kind="value_map", size=6), 1)
    flat = Piece(np.zeros((1, 1, 2, 3), np.float32), ("a",))
    oblong = replace(given, inputs={"optical": flat}, target=np.zeros((2, 3)))
    assert turned(oblong, 1, True).inputs["optical"].values.shape == (1, 1, 2, 3)


def test_batches_depend_on_seed_and_step_alone_and_take_every_sample_once():
    data = build(SmallSamplesConfig())
    config = TrainConfig(steps=6, batch=4)
    whole = [batch.where for batch in sample_loaders(data, config, 3).train]
    later = [batch.where for batch in sample_loaders(data, config, 3, start=2).train]
    assert later == whole[2:]
    assert len({w.scene for where in whole[:3] for w in where}) == len(data.train)
    shares = [list(sample_loaders(data, config, 3, world=2, rank=rank).train) for rank in range(2)]
    assert {w.scene for part in shares for w in part[0].where} == {w.scene for w in whole[0]}
    with pytest.raises(GeoadaptError, match="multiple of 3"):
        sample_loaders(data, config, 3, world=3)


def test_whole_samples_come_in_order():
    data = build(SmallSamplesConfig())
    found = [w.scene for _, batch in WholeSamples(data.val, data, 4) for w in batch.where]
    assert found == [s.name for s in data.val]


def test_precipitation_is_brought_to_the_unit_of_the_backbone():
    data = build(SmallSamplesConfig(size=1))
    weather = np.array([[[[280.0]], [[0.002]]]], np.float32)
    piece = Piece(weather, ("2m_temperature", "total_precipitation"), np.array(["2021-04-15"], "datetime64[s]"))
    given = [replace(s, inputs={**s.inputs, "era5": piece}) for s in data.train]
    data = replace(data, train=given, units={"era5": "K, m per day"})
    same = in_units(data, {"era5": "K, m per day"})
    assert same is data
    converted = in_units(data, {"era5": "K, m per month"}).train[0].inputs["era5"]
    assert np.allclose(converted.values.ravel(), [280.0, 0.06])
    with pytest.raises(GeoadaptError, match="takes 'K, mm'"):
        in_units(data, {"era5": "K, mm"})


def test_every_month_has_the_days_of_the_calendar():
    months = np.arange("2021-01", "2022-01", dtype="datetime64[M]")
    days = np.diff(np.append(months, months[-1] + 1).astype("datetime64[D]")).astype(float)
    days[1] = 28.25  # of the four years that a climatology is of
    piece = Piece(np.ones((12, 1, 1, 1), np.float32), ("total_precipitation",), months.astype("datetime64[s]"))
    data = build(SmallSamplesConfig(size=1))
    data = replace(data, train=[replace(data.train[0], inputs={"era5": piece})], units={"era5": "K, m per day"})
    converted = in_units(data, {"era5": "K, m per month"}).train[0].inputs["era5"]
    assert np.array_equal(converted.values.ravel(), days.astype(np.float32))


def test_stacked_dates_are_channels_with_a_vegetation_index():
    given = Piece(
        np.array([[[[0.1]], [[0.3]]], [[[np.nan]], [[0.3]]]], np.float32),
        ("red", "nir"),
    )
    one = Labelled("a", {"optical": given}, 0)
    batch = samples_batch([one], TARGETS["class"], Layout({"optical": ("red", "nir")}, {"optical": 2}))
    field = stacked(batch, ("optical",))
    assert field.channels == tuple(f"optical {date} {name}" for date in (0, 1) for name in ("red", "nir", "ndvi"))
    found = features(field, mapped=False)[0]
    assert torch.allclose(found[:3], torch.tensor([0.1, 0.3, 0.5]))
    assert bool(found[3].isnan()) and bool(found[5].isnan()) and found[4] == pytest.approx(0.3)


def test_statistics_leave_out_what_is_missing():
    data = build(SmallSamplesConfig(size=8))
    mean, std = statistics(stacked(b, ("optical",)) for _, b in WholeSamples(data.train, data, 5))
    values = np.stack([s.inputs["optical"].values[0] for s in data.train])
    assert np.allclose(mean.numpy(), np.nanmean(values, (0, 2, 3)), atol=1e-5)
    assert np.allclose(std.numpy(), np.nanstd(values, (0, 2, 3)), atol=1e-5)
