"""Composites: exact where their assumption holds, blind to clouds and to the order of dates, silent without a date."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from geoadapt.baselines.composites import COMPOSITES, _sorted_median, build_composite
from geoadapt.baselines.composites_archive import METHODS, composite, masked_median
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

BANDS = ("red", "nir")
NAMES = tuple(COMPOSITES)
DAY = 86400


def batch_of(values: Tensor, valid: Tensor, days: Tensor) -> Batch:
    """(t, c, h, w) and days (t,) as a batch of one; what is not valid holds a number that would show."""
    held = torch.where(valid, values, 7e3)
    return Batch({"optical": Field(held[None], BANDS, valid[None], (days * DAY).long()[None])})


def series(seed: int, dates: int = 8, side: int = 5, clear: float = 0.6) -> tuple[Tensor, Tensor, Tensor]:
    """Random values, clouds that hide all bands, and ascending dates but for the last, which lies among them."""
    rng = torch.Generator().manual_seed(seed)
    values = torch.rand((dates, len(BANDS), side, side), generator=rng)
    valid = (torch.rand((dates, 1, side, side), generator=rng) < clear).expand_as(values).clone()
    days = torch.randperm(700, generator=rng)[:dates].double()
    days[:-1] = days[:-1].sort().values
    return values, valid, days


def restored(name: str, values: Tensor, valid: Tensor, days: Tensor, **told: object) -> Tensor:
    return build_composite(name, BANDS, **told).restore(batch_of(values, valid, days)).image[0]


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 999), dates=st.integers(2, 9))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_other_dates_does_not_matter(name: str, seed: int, dates: int) -> None:
    values, valid, days = series(seed, dates)
    order = torch.cat([torch.randperm(dates - 1), torch.tensor([dates - 1])])
    first, second = restored(name, values, valid, days), restored(name, values[order], valid[order], days[order])
    torch.testing.assert_close(first, second, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 999), day=st.integers(-900, 900))
@settings(max_examples=15, deadline=None)
def test_a_date_entirely_cloudy_changes_nothing(name: str, seed: int, day: int) -> None:
    values, valid, days = series(seed)
    more = torch.cat([torch.full_like(values[:1], torch.nan), values])
    cloudy = torch.cat([torch.zeros_like(valid[:1]), valid])
    when = torch.cat([torch.tensor([float(day)]).double(), days])
    torch.testing.assert_close(restored(name, more, cloudy, when), restored(name, values, valid, days), equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 999))
@settings(max_examples=15, deadline=None)
def test_one_clear_date_is_the_image_and_none_is_nan(name: str, seed: int) -> None:
    values, valid, days = series(seed)
    days[-1] = 800
    which = torch.randint(0, len(days), valid.shape[2:], generator=torch.Generator().manual_seed(seed))
    only = (torch.arange(len(days))[:, None, None] == which)[:, None].expand_as(valid).clone()
    only[:, :, 0, 0] = False
    expected = (values * only).sum(0)
    expected[:, 0, 0] = torch.nan
    torch.testing.assert_close(restored(name, values, only, days), expected, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 999))
@settings(max_examples=10, deadline=None)
def test_what_is_not_valid_and_what_is_not_finite_never_shows(name: str, seed: int) -> None:
    values, valid, days = series(seed, clear=0.3)
    days[-1] = 800
    image = restored(name, values, valid, days)
    assert torch.equal(image.isnan(), ~valid.any(0))
    broken, told = values.clone(), valid.clone()
    broken[2, 0, 1, 1], told[2, 0, 1, 1] = torch.nan, True
    without = valid.clone()
    without[2, 0, 1, 1] = False
    torch.testing.assert_close(
        restored(name, broken, told, days), restored(name, values, without, days), equal_nan=True
    )
    other = restored(name, broken, told, days)
    far = torch.ones(image.shape, dtype=torch.bool)
    far[0, 1, 1] = False
    torch.testing.assert_close(other[far], image[far], equal_nan=True)


@given(seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_linear_is_exact_on_a_line_and_told_not_to_leaves_the_ends_empty(seed: int) -> None:
    noise, valid, days = series(seed)
    start, slope = noise[0], (noise[1] - 0.5) / 300
    values = start + slope * days.float()[:, None, None, None]
    before, after = (valid & side[:, None, None, None] for side in (days <= days[-1], days >= days[-1]))
    inside = before.any(0) & after.any(0)
    found = restored("linear", values, valid, days, extrapolate="none")
    torch.testing.assert_close(found[inside], values[-1][inside], atol=1e-5, rtol=1e-5)
    assert torch.equal(found.isnan(), ~inside)
    nearest = restored("nearest_clear", values, valid, days)
    beyond = valid.any(0) & ~inside
    assert torch.equal(restored("linear", values, valid, days)[beyond], nearest[beyond])


@given(seed=st.integers(0, 999), harmonics=st.integers(1, 2), trend=st.booleans(), alike=st.booleans())
@settings(max_examples=20, deadline=None)
def test_harmonic_is_exact_on_the_courses_that_it_knows(seed: int, harmonics: int, trend: bool, alike: bool) -> None:
    rng = torch.Generator().manual_seed(seed)
    days = torch.cat([torch.arange(0, 700, 17), torch.tensor([333])]).double()
    years = days / 365.25
    weights = torch.rand((6, len(BANDS), 3, 4), generator=rng).double()
    columns = [torch.ones_like(years)]
    for k in range(1, harmonics + 1):
        columns += [torch.cos(2 * torch.pi * k * years), torch.sin(2 * torch.pi * k * years)]
    columns += [years] if trend else []
    values = torch.einsum("kt,kcij->tcij", torch.stack(columns), weights[: len(columns)]).float()
    valid = torch.rand((len(days), 1 if alike else len(BANDS), 3, 4), generator=rng).expand(-1, 2, -1, -1) < 0.8
    valid[-1] = False
    found = restored("harmonic", values, valid, days, harmonics=harmonics, trend=trend, ridge=1e-9)
    torch.testing.assert_close(found, values[-1], atol=1e-4, rtol=1e-4)


def test_harmonic_has_fewer_terms_with_fewer_dates_and_below_three_is_their_mean() -> None:
    values, _, days = series(0, dates=9)
    for count in range(1, 9):
        valid = torch.zeros(values.shape, dtype=torch.bool)
        valid[:count] = True
        found = restored("harmonic", values, valid, days, harmonics=2, dates_per_term=1.0, ridge=1e-9)
        mean = restored("temporal_mean", values, valid, days)
        assert torch.allclose(found, mean, atol=1e-5) == (count < 3), count
        one = restored("harmonic", values, valid, days, harmonics=1, dates_per_term=1.0, ridge=1e-9)
        assert torch.allclose(found, one, atol=1e-5) == (count < 5), count


def test_nearest_and_last_take_the_date_they_say() -> None:
    values = torch.arange(5.0)[:, None, None, None].expand(5, 2, 1, 6).clone()
    days = torch.tensor([0, 10, 30, 60, 20]).double()
    valid = torch.tensor(
        [[1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0], [1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 0]]
    ).bool()[:, None, None].expand(5, 2, 1, 6)  # fmt: skip
    nan = torch.nan
    wanted = {"nearest_clear": [1.0, 2, 2, 1, 4, nan], "last_clear": [1.0, 0, nan, 1, 4, nan]}
    for name, expected in wanted.items():
        found = restored(name, values, valid, days)
        torch.testing.assert_close(found[0, 0], torch.tensor(expected), equal_nan=True)
        order = [3, 2, 1, 0, 4]
        torch.testing.assert_close(restored(name, values[order], valid[order], days[order]), found, equal_nan=True)
    assert restored("linear", values, valid, days)[0, 0, 4] == 4


@given(seed=st.integers(0, 999), dates=st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_mean_and_median_are_numpys(seed: int, dates: int) -> None:
    values, valid, days = series(seed, dates)
    held = np.where(valid, values, np.nan)
    seen = valid.any(0).numpy()
    for name, rule in {"temporal_mean": np.nanmean, "temporal_median": np.nanmedian}.items():
        expected = np.full(seen.shape, np.nan)
        expected[seen] = rule(held[:, seen], axis=0)
        np.testing.assert_allclose(restored(name, values, valid, days), expected, rtol=1e-5)
    torch.testing.assert_close(
        _sorted_median(values, valid), restored("temporal_median", values, valid, days), equal_nan=True
    )


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_rows_samples_and_frames_of_padding_change_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [batch_of(*series(seed)).inputs["optical"] for seed in (1, 2)]
    assert all(part.valid is not None and part.times is not None for part in parts)
    both = Field(*(torch.cat([getattr(p, k) for p in parts]) for k in ("values",)), BANDS,
                 *(torch.cat([getattr(p, k) for p in parts]) for k in ("valid", "times")))  # fmt: skip
    rule = build_composite(name, BANDS)
    whole = rule.restore(Batch({"optical": both})).image
    monkeypatch.setattr("geoadapt.baselines.composites.AT_ONCE", 1)
    torch.testing.assert_close(rule.restore(Batch({"optical": both})).image, whole, equal_nan=True)
    for n, part in enumerate(parts):
        torch.testing.assert_close(rule.restore(Batch({"optical": part})).image[0], whole[n], equal_nan=True)
    swapped = build_composite(name, BANDS[::-1]).restore(Batch({"optical": both})).image
    torch.testing.assert_close(swapped, whole.flip(1), equal_nan=True)
    assert not list(rule.parameters())


def test_wrong_names_and_settings_are_told() -> None:
    with pytest.raises(GeoadaptError, match="did you mean 'harmonic'"):
        build_composite("harmonics", BANDS)
    with pytest.raises(GeoadaptError, match="did you mean 'extrapolate'"):
        build_composite("linear", BANDS, extrapolat="none")
    with pytest.raises(GeoadaptError, match="did you mean 'nearest'"):
        build_composite("linear", BANDS, extrapolate="neares")
    with pytest.raises(GeoadaptError, match="no setting 'ridge'"):
        build_composite("temporal_mean", BANDS, ridge=1)
    for told in ({"harmonics": 3}, {"ridge": 0.0}, {"dates_per_term": 0.5}, {"harmonic": 1}, {"trend": "perhaps"}):
        with pytest.raises(GeoadaptError):
            build_composite("harmonic", BANDS, **told)
    with pytest.raises(GeoadaptError, match="needs 'optical'"):
        build_composite("linear", BANDS).restore(Batch({}))


def archive(seed: int, dates: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, valid, days = series(seed, dates)
    stack = values.numpy().copy()
    stack[np.random.default_rng(seed).random(stack.shape) < 0.1] = np.nan
    return stack, valid[:, 0].numpy(), np.datetime64("2020-01-01", "s") + days.numpy().astype("timedelta64[D]")


@pytest.mark.parametrize("method", [*METHODS, "best_pixel of a day"])
@given(seed=st.integers(0, 999), dates=st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_archive_composites_hold_only_what_is_clear(method: str, seed: int, dates: int) -> None:
    values, clear, times = archive(seed, dates)
    told = {"method": method.split()[0]} | ({"day": np.datetime64("2020-06-01")} if "day" in method else {})
    image, count, index = composite(values, clear, times, **told)
    known = clear[:, None] & np.isfinite(values)
    np.testing.assert_array_equal(count, known.any(axis=1).sum(axis=0))
    low, high = (rule(np.where(known, values, fill), axis=0) for rule, fill in ((np.min, np.inf), (np.max, -np.inf)))
    seen = np.isfinite(image)
    assert (image[seen] >= low[seen] - 1e-6).all() and (image[seen] <= high[seen] + 1e-6).all()
    assert not seen[:, count == 0].any()
    order = np.random.default_rng(seed).permutation(dates)
    again, _, other = composite(values[order], clear[order], times[order], **told)
    np.testing.assert_allclose(again, image, rtol=1e-6)
    if index is None:
        assert method in ("mean", "median")
        np.testing.assert_array_equal(seen, known.any(axis=0))
        return
    assert other is not None
    np.testing.assert_array_equal(np.where(other >= 0, order[other], -1), index)
    np.testing.assert_array_equal(index < 0, count == 0)
    held = np.where(known, values, np.nan)
    rows, cols = np.nonzero(index >= 0)
    np.testing.assert_array_equal(image[:, rows, cols].T, held[index[rows, cols], :, rows, cols])


def test_best_pixel_is_the_nearest_clear_date_or_the_medoid() -> None:
    times = np.array(["2020-01-01", "2020-02-01", "2020-03-03", "2020-06-01"], "datetime64[s]")
    values = np.array([[0.1, 0.4], [0.2, 0.5], [0.9, 0.1], [0.21, 0.52]], np.float32)[:, :, None, None]
    clear = np.ones((4, 1, 1), bool)
    assert composite(values, clear, times, "best_pixel")[2] == 1, "the date nearest to the medians, 0.205 and 0.45"
    middle = np.datetime64("2020-02-16T12:00")
    assert composite(values, clear, times, "best_pixel", middle)[2] == 1, "the earlier of two equally near"
    clear[1] = False
    image, count, index = composite(values, clear, times, "best_pixel", np.datetime64("2020-02-10"))
    assert index == 2 and count == 3
    np.testing.assert_array_equal(image[:, 0, 0], values[2, :, 0, 0])
    values[2, 1] = np.nan
    assert composite(values, clear, times, "best_pixel", np.datetime64("2020-02-10"))[2] == 0, "with all its bands"


@pytest.mark.parametrize("day", [None, np.datetime64("2020-01-09")])
def test_best_pixel_takes_the_earlier_of_two_dates_that_are_equally_near(day: np.datetime64 | None) -> None:
    values = np.random.default_rng(0).uniform(0.02, 0.4, (3, 6, 40, 40)).astype(np.float32)
    times = np.array(["2020-03-01", "2020-01-17", "2020-01-01"], "datetime64[s]")
    clear = np.ones((3, 40, 40), bool)
    clear[0] = False
    index = composite(values, clear, times, "best_pixel", day)[2]
    assert index is not None and (index == 2).all(), "rounding of the median must not mix two dates pixel by pixel"


@pytest.mark.parametrize("limit", ["AT_ONCE", "SORTED_AT_ONCE"])
def test_archive_composites_in_blocks_equal_the_whole(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    parts = archive(3)
    whole = {method: composite(*parts, method)[0] for method in METHODS}
    monkeypatch.setattr(f"geoadapt.baselines.composites_archive.{limit}", 1)
    for method, image in whole.items():
        np.testing.assert_array_equal(composite(*parts, method)[0], image)


@pytest.mark.parametrize("dates", range(1, 13))
def test_medians_of_few_dates_and_of_many_are_one_to_the_last_bit(monkeypatch: pytest.MonkeyPatch, dates: int) -> None:
    rng = np.random.default_rng(dates)
    values = rng.normal(0, 0.2, (dates, 2, 9, 7)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    valid = np.isfinite(values) & (rng.random(values.shape) < 0.5)
    expected = np.full(values.shape[1:], np.nan, np.float32)
    seen = valid.any(axis=0)
    expected[seen] = np.nanmedian(np.where(valid, values, np.float32(np.nan))[:, seen], axis=0)
    for few in (0, dates):
        monkeypatch.setattr("geoadapt.baselines.composites_archive.FEW", few)
        found = masked_median(values, valid)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@given(seed=st.integers(0, 999), dates=st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_best_pixel_is_the_same_where_the_median_is_told(seed: int, dates: int) -> None:
    values, clear, times = archive(seed, dates)
    middle = composite(values, clear, times, "median")[0]
    for told, found in zip(
        composite(values, clear, times, "best_pixel", middle=middle),
        composite(values, clear, times, "best_pixel"),
        strict=True,
    ):
        assert told is not None and found is not None
        np.testing.assert_array_equal(told, found)


def test_no_date_gives_an_empty_image_and_wrong_questions_are_told() -> None:
    values, clear, times = archive(0)
    for method in METHODS:
        image, count, index = composite(values[:0], clear[:0], times[:0], method)
        assert np.isnan(image).all() and (count == 0).all() and (index is None or (index == -1).all())
    assert np.isnan(masked_median(np.ones((0, 3), np.float32), np.ones((0, 3), bool))).all()
    with pytest.raises(GeoadaptError, match="did you mean 'median'"):
        composite(values, clear, times, "medain")  # type: ignore[arg-type]
    with pytest.raises(GeoadaptError, match="means nothing to 'mean'"):
        composite(values, clear, times, "mean", np.datetime64("2020-01-01"))
    with pytest.raises(GeoadaptError, match="expected one clear each"):
        composite(values, clear[1:], times)
