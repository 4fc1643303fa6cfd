"""The masking protocol of Prithvi's gap filling: seven patterns, fixed validation masks, equal bins of coverage."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gaps import GapDraws, coverage_bin, val_batches
from geoadapt.fields.hls_protocol import (
    MIDDLE,
    POSITIONS,
    PositionSamples,
    drawn_chip,
    drawn_masks,
    equalised,
    fixed_chips,
    fixed_masks,
    hls_samples,
    hls_test,
    positions_of,
)
from geoadapt.fields.series import Sample, Series


def chip(seed: int = 0) -> Series:
    values = np.random.default_rng(seed).uniform(0, 0.4, (3, 2, 10, 10)).astype(np.float32)
    times = np.array(["2022-03-05", "2022-06-01", "2022-09-02"], "datetime64[D]")
    return Series(f"chip_{seed}", values, np.ones((3, 10, 10), bool), times, ("red", "nir"))


def masks_of(*shares: float) -> list[np.ndarray]:
    return [(np.arange(100) < round(share * 100)).reshape(10, 10) for share in shares]


def test_the_seven_patterns_cycle_over_the_chips() -> None:
    told = ["".join(str(p + 1) for p in positions_of(i)) for i in range(8)]
    assert told == ["1", "2", "3", "12", "23", "13", "123", "1"]
    assert [positions_of(i, MIDDLE) for i in range(3)] == [(1,)] * 3


def test_validation_takes_mask_number_index_plus_date() -> None:
    pool = masks_of(0.1, 0.2, 0.3, 0.4, 0.5)
    everything = fixed_masks(pool, 6)
    assert [m.mean() for m in everything] == pytest.approx([0.2, 0.3, 0.4])
    pair = fixed_masks(pool, 4)
    assert [m.mean() for m in pair] == pytest.approx([0.0, 0.1, 0.2]), "numbers start again behind the last mask"


def test_training_draws_masks_of_the_wanted_coverage_for_each_hidden_date() -> None:
    pool = masks_of(0.0, 0.005, 0.3, 0.6, 1.0)
    with pytest.raises(GeoadaptError, match="hides 0.01 to 1"):
        drawn_masks(pool[:2], 0, np.random.default_rng(0))
    seen = set()
    for draw in range(30):
        masks = drawn_masks(pool, draw, np.random.default_rng([0, draw]))
        assert np.flatnonzero(masks.any((1, 2))).tolist() == list(POSITIONS[draw % 7])
        seen |= {round(float(m.mean()), 1) for m in masks if m.any()}
        assert np.array_equal(masks, drawn_masks(pool, draw, np.random.default_rng([0, draw])))
    assert seen == {0.3, 0.6, 1.0}


def test_bins_of_coverage_are_equally_frequent() -> None:
    pool = masks_of(0.0, 0.05, 0.06, 0.07, 0.15, 0.16, 0.45, 0.46, 0.47, 1.0, 0.99)
    chosen = equalised(pool)
    counts = Counter(coverage_bin(float(pool[i].mean())) for i in chosen)
    assert counts == {0: 2, 1: 2, 4: 2, 9: 2} and len(set(chosen)) == 8
    assert chosen == equalised(pool) and sorted(equalised(pool, 1)) != sorted(chosen)
    with pytest.raises(GeoadaptError, match="hides anything"):
        equalised(masks_of(0.0))


def test_each_hidden_date_is_a_target_once_while_the_others_stay_hidden() -> None:
    masks = np.stack(masks_of(0.3, 0.0, 0.5))
    samples = hls_samples(chip(), masks)
    assert [sample.target for sample in samples] == [0, 2]
    for sample, other in zip(samples, (2, 0), strict=True):
        assert np.array_equal(sample.hidden, masks[sample.target])
        assert np.array_equal(sample.series.clear[other], ~masks[other]) and sample.series.clear[1].all()
        batch = val_batches([sample], 1)[0]
        valid, target = batch.inputs["optical"].valid, batch.target
        assert valid is not None and target is not None and target.valid is not None
        assert np.array_equal(target.valid[0, 0, 0].numpy(), sample.hidden)
        assert not valid[0, -1, 0][sample.hidden].any()
    with pytest.raises(GeoadaptError, match=r"expected \(3, h, w\)"):
        hls_samples(chip(), masks[:2])


def test_the_test_uses_all_patterns_on_all_chips() -> None:
    series = [chip(i) for i in range(14)]
    samples = hls_test(series, masks_of(*np.linspace(0.05, 0.95, 10)))
    assert Counter(s.series.name for s in samples)["chip_6"] == 3 and len(samples) == 2 * (3 + 3 * 2 + 3)
    bins = Counter(coverage_bin(float(s.hidden.mean())) for s in samples)
    assert len(bins) == 10
    assert {s.target for s in hls_test(series, masks_of(0.4), MIDDLE)} == {1}


def hidden_dates(sample: Sample) -> list[int]:
    """Of a chip without a cloud of its own: the date that is asked for, and those that are hidden beside it."""
    others = np.flatnonzero((~sample.series.clear).any((1, 2))).tolist()
    return sorted({sample.target, *others})


def test_a_fit_hides_several_dates_at_once_by_the_seven_patterns() -> None:
    series, pool = [chip(i) for i in range(3)], [np.ones((10, 10), bool), *masks_of(0.001)]
    drawn = [drawn_chip(series, pool, GapDraws(10), (5, k)) for k in range(28)]
    assert [hidden_dates(sample) for sample in drawn] == [list(POSITIONS[k % 7]) for k in range(28)]
    assert {sample.target for sample in drawn} == {0, 1, 2} and {s.series.name for s in drawn} == {
        "chip_0",
        "chip_1",
        "chip_2",
    }
    assert all(sample.hidden.all() for sample in drawn), "a mask beyond the range of coverage is never taken"
    smaller = drawn_chip(series, masks_of(0.5), GapDraws(4), (5, 6))
    assert smaller.hidden.shape == (4, 4) and smaller.hidden.any()
    larger = drawn_chip(series, masks_of(0.5), GapDraws(16), (5, 6))
    assert larger.hidden.shape == (16, 16) and larger.hidden.sum() == 50
    with pytest.raises(GeoadaptError, match="could be hidden in 200 tries"):
        drawn_chip([replace(chip(), clear=np.zeros((3, 10, 10), bool))], masks_of(0.5), GapDraws(10), (0, 0))


def test_batches_of_a_fit_are_those_chips_and_are_shared_between_processes() -> None:
    series, pool = [chip(i) for i in range(3)], masks_of(0.3, 0.6)
    alone = PositionSamples(series, pool, 3, 4, 8, 1, draws=GapDraws())
    assert len(alone) == 3
    expected = val_batches([drawn_chip(series, pool, GapDraws(8), (1, k)) for k in range(4, 8)], 4)[0]
    optical = alone[1].inputs["optical"]
    assert optical.values.equal(expected.inputs["optical"].values) and alone[1].where == expected.where
    parts = [PositionSamples(series, pool, 3, 4, 8, 1, draws=GapDraws(), world=2, rank=rank)[1] for rank in range(2)]
    assert [w for pair in zip(*(p.where for p in parts), strict=True) for w in pair] == list(alone[1].where)
    with pytest.raises(IndexError):
        alone[3]


def test_validation_has_every_hidden_date_of_every_chip_the_same_in_every_run() -> None:
    series, pool = [chip(i) for i in range(7)], masks_of(0.2, 0.4, 0.6)
    whole = list(fixed_chips(series, pool, 10))
    assert [(s.series.name, s.target) for s in whole] == [
        (f"chip_{i}", date) for i, dates in enumerate(POSITIONS) for date in dates
    ]
    for sample in whole:
        number = int(sample.series.name[-1])
        assert np.array_equal(sample.hidden, pool[(number + sample.target) % 3])
    parts = list(fixed_chips(series, masks_of(1.0), 5))
    assert len(parts) == 12 and {(s.row, s.col) for s in parts} == {(0, 0), (5, 0), (0, 5), (5, 5)}
    assert all(s.hidden.shape == (5, 5) for s in parts)
    assert len(list(fixed_chips(series[6:], masks_of(1.0), 5, frames=2))[0].series.times) == 2
