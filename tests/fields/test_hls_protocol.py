"""The masking protocol of Prithvi's gap filling: seven patterns, fixed validation masks, equal bins of coverage."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gaps import coverage_bin, val_batches
from geoadapt.fields.hls_protocol import (
    MIDDLE,
    POSITIONS,
    drawn_masks,
    equalised,
    fixed_masks,
    hls_samples,
    hls_test,
    in_range,
    positions_of,
)
from geoadapt.fields.series import Series


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
    assert in_range(pool) == [2, 3, 4] and in_range(pool, (0.5, 0.9)) == [3]
    with pytest.raises(GeoadaptError, match="none of 5 hides"):
        in_range(pool, (0.7, 0.9))
    usable = [pool[i] for i in in_range(pool)]
    seen = set()
    for draw in range(30):
        masks = drawn_masks(usable, draw, np.random.default_rng([0, draw]))
        assert np.flatnonzero(masks.any((1, 2))).tolist() == list(POSITIONS[draw % 7])
        seen |= {round(float(m.mean()), 1) for m in masks if m.any()}
        assert np.array_equal(masks, drawn_masks(usable, draw, np.random.default_rng([0, draw])))
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
