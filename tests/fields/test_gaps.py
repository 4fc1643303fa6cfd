"""Real cloud patterns pasted onto clear dates: what is hidden was known, and every draw can be repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gaps import (
    COVERAGE,
    GapDraws,
    SeriesSamples,
    coverage_bin,
    draw_samples,
    iter_samples,
    mask_pool,
    nearby,
    paste_mask,
    test_samples,
    val_batches,
)
from geoadapt.fields.series import Radar, Sample, Series


def series(dates: int = 6, height: int = 40, width: int = 56, *, truth: bool = False, seed: int = 0) -> Series:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    clouds = [(y - rng.integers(height)) ** 2 + (x - rng.integers(width)) ** 2 < (4 + 5 * k) ** 2 for k in range(dates)]
    values = rng.uniform(0.1, 0.4, (dates, 2, height, width)).astype(np.float32)
    clear = ~np.stack(clouds)
    seen = np.where(clear[:, None], values, 0.9).astype(np.float32)
    seen[1] = np.nan
    clear[1] = False
    times = np.datetime64("2020-01-05") + np.arange(dates) * np.timedelta64(16, "D")
    radar = Radar(values[:3] * -20, times[:3], ("vv", "vh"))
    return Series("place", seen, clear, times, ("red", "nir"), values if truth else None, radar=radar)


def counted(sample: Sample) -> float:
    """The share of the target's clear pixels that the sample hides."""
    return float(sample.hidden[sample.series.clear[sample.target]].mean())


def same(a: Sample, b: Sample) -> bool:
    return a.target == b.target and (a.row, a.col) == (b.row, b.col) and np.array_equal(a.hidden, b.hidden)


def test_the_pool_holds_what_is_not_clear_and_no_missing_date() -> None:
    one = series()
    pool = mask_pool(one)
    partly = [k for k in range(6) if k != 1 and 0 < (~one.clear[k]).mean() < 1]
    assert len(pool) == len(partly) >= 4
    assert all(np.array_equal(mask, ~one.clear[k]) for mask, k in zip(pool, partly, strict=True))
    assert len(mask_pool((one, series(5, 20, 24, seed=1)))) > len(pool)
    assert len(mask_pool([one] * 4, limit=3)) == 3 and len(mask_pool([one] * 9, limit=8)) == 8
    covered = replace(one, clear=np.zeros_like(one.clear))
    with pytest.raises(GeoadaptError, match="no date that is partly cloudy"):
        mask_pool(covered)
    assert len(mask_pool(covered, whole=True)) == 5


def test_a_sequence_with_masks_of_its_own_gives_those() -> None:
    class Chips(tuple[Series, ...]):
        masks = (np.eye(4, dtype=bool),)

    assert mask_pool(Chips((series(),))) is Chips.masks


@given(
    pattern=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 99),
)
def test_a_pasted_mask_fits_any_chip(pattern: tuple[int, int], shape: tuple[int, int], seed: int) -> None:
    whole = np.ones(pattern, bool)
    assert paste_mask([whole], shape, np.random.default_rng(seed)).shape == shape
    assert paste_mask([whole], shape, np.random.default_rng(seed)).all()
    assert not paste_mask([~whole], shape, np.random.default_rng(seed)).any()


def test_a_pattern_is_pasted_as_it_is_but_for_symmetry_and_place() -> None:
    pattern = np.zeros((12, 12), bool)
    pattern[3:5, 4:9] = True
    shapes = set()
    for seed in range(60):
        mask = paste_mask([pattern], (12, 12), np.random.default_rng(seed))
        rows, cols = mask.any(1).sum(), mask.any(0).sum()
        if mask.sum() == 10 and not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()):
            shapes.add((int(rows), int(cols)))
    assert {(2, 5), (5, 2)} <= shapes


def test_draws_hide_known_clear_pixels_within_the_coverage_evenly_over_the_bins() -> None:
    data = (series(), series(seed=2))
    samples = draw_samples(data, mask_pool(data), 100, 16, 0)
    shares = [counted(sample) for sample in samples]
    assert all(COVERAGE[0] <= share <= COVERAGE[1] for share in shares)
    bins = Counter(map(coverage_bin, shares))
    assert len(bins) == 10 and max(bins.values()) <= 25
    assert all(sample.hidden.shape == (16, 16) and sample.series.clear.shape == (6, 16, 16) for sample in samples)
    assert all(sample.target != 1 for sample in samples), "nothing of a missing date is known"
    again = draw_samples(data, mask_pool(data), 100, 16, 0)
    assert all(map(same, samples, again)) and not all(
        map(same, samples, draw_samples(data, mask_pool(data), 100, 16, 1))
    )
    few = [counted(s) for s in draw_samples(data, mask_pool(data), 20, 16, 0, (0.2, 0.4))]
    assert all(0.2 <= share <= 0.4 for share in few)


def test_the_test_takes_every_chip_position_once_on_every_date_that_can_be() -> None:
    one = series()
    samples = test_samples([one], mask_pool(one), 16, 0)
    places = Counter((sample.target, sample.row, sample.col) for sample in samples)
    assert max(places.values()) == 1
    positions = {(row, col) for row in (0, 16, 24) for col in (0, 16, 32, 40)}
    assert {place[1:] for place in places} == positions
    assert {target for target, *_ in places} == {0, 2, 3, 4, 5}
    for sample in samples:
        rows, cols = slice(sample.row, sample.row + 16), slice(sample.col, sample.col + 16)
        assert one.clear[sample.target, rows, cols].mean() >= 0.1
        assert np.array_equal(sample.series.values, one.values[..., rows, cols], equal_nan=True)
    assert all(map(same, samples, test_samples([one], mask_pool(one), 16, 0)))
    first = test_samples([one, one], mask_pool(one), 16, 0, per_series=8)
    assert len(first) == 16 and len({(s.row, s.col) for s in first[:8]}) == 8
    streamed = iter_samples([one, one], mask_pool(one), 16, 0, 8)
    assert all(map(same, first, streamed))


def test_with_a_truth_the_clouds_themselves_hide_it() -> None:
    one = series(truth=True)
    samples = test_samples([one], [np.ones((4, 4), bool)], 16, 0)
    assert not any(sample.hidden.any() for sample in samples)
    assert {sample.target for sample in samples} == {0, 1, 2, 3, 4, 5}, "a date entirely missing can be asked for too"
    batch = val_batches(samples, len(samples))[0]
    assert batch.target is not None and batch.target.valid is not None
    for n, sample in enumerate(samples):
        cloudy = ~sample.series.clear[sample.target]
        assert np.array_equal(batch.target.valid[n, 0, 0].numpy(), cloudy) and cloudy.any()
    with pytest.raises(GeoadaptError, match="no chip of 16 px"):
        draw_samples([replace(one, clear=np.ones_like(one.clear)).part(slice(2, None))], (), 1, 16, 0)


def test_hidden_pixels_are_the_only_target_and_never_an_input() -> None:
    one = series()
    samples = test_samples([one], mask_pool(one), 16, 0, per_series=5)
    batch = val_batches(samples, 3)[1]
    optical, target = batch.inputs["optical"], batch.target
    assert target is not None and target.valid is not None and optical.valid is not None
    assert len(batch.where) == 2 and len(val_batches(samples, 3)) == 2
    assert not (optical.valid[:, -1:] & target.valid).any() and target.valid.any()
    assert (optical.values[~optical.valid] == 0).all()
    k, sample = 0, samples[3]
    wanted = sample.series.values[sample.target][:, sample.hidden & sample.series.clear[sample.target]]
    assert np.array_equal(target.values[k, 0][target.valid[k, 0]].numpy(), wanted.ravel())


def test_training_batches_resume_anywhere_and_do_not_depend_on_the_number_of_processes() -> None:
    data = (series(), series(seed=2))
    pool = mask_pool(data)
    whole = SeriesSamples(data, pool, 5, 4, 16, 3)
    assert len(whole) == 5
    with pytest.raises(IndexError):
        whole[5]
    again = SeriesSamples(data, pool, 9, 4, 16, 3)[4]
    assert torch.equal(whole[4].inputs["optical"].values, again.inputs["optical"].values)
    shares = [SeriesSamples(data, pool, 5, 4, 16, 3, world=2, rank=rank)[4] for rank in (0, 1)]
    joined = torch.stack([share.inputs["optical"].values for share in shares], 1).flatten(0, 1)
    assert torch.equal(joined, whole[4].inputs["optical"].values)
    assert not torch.equal(whole[3].inputs["optical"].values, whole[4].inputs["optical"].values)
    with pytest.raises(GeoadaptError, match="multiple of 3"):
        SeriesSamples(data, pool, 5, 4, 16, 3, world=3)


def test_augmentation_changes_all_dates_alike_and_leaves_radar_values_alone() -> None:
    data, plain = (series(),), GapDraws()
    pool = mask_pool(data)
    for step in range(6):
        varied = SeriesSamples(data, pool, 6, 1, 16, 0)[step]
        still = SeriesSamples(data, pool, 6, 1, 16, 0, draws=plain)[step]
        new, old = varied.inputs["optical"], still.inputs["optical"]
        assert varied.where == still.where
        sums = [field.values.sum((0, 3, 4)) for field in (new, old)]
        gains = (sums[0] / sums[1])[sums[1][:, 0] > 0]
        torch.testing.assert_close(gains, gains[:1].expand_as(gains), atol=1e-4, rtol=1e-4)
        assert (gains[0] - 1).abs().max() > 1e-3
        radars = [batch.inputs["radar"].values.flatten(3).sort(-1).values for batch in (varied, still)]
        assert torch.equal(*radars)


def test_small_series_are_filled_up_with_missing_pixels() -> None:
    small = series(6, 5, 7)
    pool = mask_pool(series())
    (sample,) = draw_samples([small], pool, 1, 16, 0)
    assert sample.series.values.shape == (6, 2, 16, 16) and np.isnan(sample.series.values[:, :, 5:]).all()
    assert (
        not sample.series.clear[:, 5:].any() and not sample.series.clear[:, :, 7:].any() and not sample.hidden[5:].any()
    )
    assert sample.series.radar is not None and np.isnan(sample.series.radar.values[..., 7:]).all()


def test_samples_of_series_read_on_demand_keep_no_more_than_their_chips() -> None:
    class OnDemand(Sequence[Series]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Series:  # type: ignore[override]
            return series(seed=index)

    pool = mask_pool(series())
    for samples in (
        draw_samples(OnDemand(), pool, 3, 16, 0, frames=0),
        test_samples(OnDemand(), pool, 16, 0, per_series=2),
    ):
        assert all(s.series.values.base is None and s.series.clear.base is None for s in samples)
    (view,) = test_samples((series(),), pool, 16, 0, per_series=1)
    assert view.series.values.base is not None


def test_the_nearest_dates_are_kept_and_empty_ones_last() -> None:
    one = series()
    part, target = nearby(one, 2, 3)
    assert np.array_equal(part.times, one.times[[0, 2, 3]]) or np.array_equal(part.times, one.times[[2, 3, 4]])
    assert part.times[target] == one.times[2]
    assert one.times[1] not in part.times, "it has no clear pixel"
    assert nearby(one, 2, 0) == (one, 2)
    (sample,) = draw_samples([one], mask_pool(one), 1, 16, 0, frames=2)
    assert len(sample.series.times) == 2


def test_wrong_settings_say_what_to_choose() -> None:
    with pytest.raises(GeoadaptError, match="low < high"):
        GapDraws(coverage=(0.5, 0.2))
    with pytest.raises(GeoadaptError, match="1 px or more"):
        GapDraws(chip=0)
    one = series()
    with pytest.raises(GeoadaptError, match="give more masks"):
        draw_samples([one], [np.ones((9, 9), bool)], 1, 16, 0)
