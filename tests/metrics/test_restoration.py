"""Errors of restored images: their definitions, what they leave out, and that chips add up."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Sample, Series, series_batch
from geoadapt.metrics.restoration import Asked, asked_of, concatenate, finish, restoration_sums, score, shared
from geoadapt.metrics.restoration_compare import compare_restorations
from geoadapt.metrics.restoration_maps import angle_map, ssim_map
from geoadapt.metrics.stretched import ssim_8bit, stretched_scores

Floats = NDArray[np.float64]
BANDS = ("red", "green", "nir")


def asked(samples: int = 4, side: int = 24, seed: int = 0) -> Asked:
    """Smooth images of which a third is hidden and a tenth unknown."""
    rng = np.random.default_rng(seed)
    truth = 0.1 + 0.3 * rng.random((samples, len(BANDS), side, side))
    hidden = np.repeat(rng.random((samples, 1, side, side)) < 0.33, len(BANDS), 1)
    known = np.repeat(rng.random((samples, 1, side, side)) < 0.9, len(BANDS), 1)
    places = tuple(f"p{n // 2}" for n in range(samples))
    return Asked(np.where(known, truth, np.nan), hidden & known, known, BANDS, places)


def restored(what: Asked, seed: int = 1, size: float = 0.02) -> Floats:
    rng = np.random.default_rng(seed)
    return np.nan_to_num(what.truth, nan=0.5) + rng.normal(0, size, what.truth.shape)


def test_errors_are_those_of_the_hidden_pixels() -> None:
    what = asked()
    image = restored(what)
    totals = restoration_sums(image, what).totals()
    for c in range(len(BANDS)):
        off = (image - what.truth)[:, c][what.masked[:, c]]
        assert finish("mae", totals)[0, c + 1] == pytest.approx(np.abs(off).mean())
        assert finish("rmse", totals)[0, c + 1] == pytest.approx(np.sqrt((off**2).mean()))
        assert finish("bias", totals)[0, c + 1] == pytest.approx(off.mean())
        assert finish("psnr", totals)[0, c + 1] == pytest.approx(-10 * np.log10((off**2).mean()))
    assert finish("mae", totals)[0, 0] == pytest.approx(finish("mae", totals)[0, 1:].mean())
    assert finish("rmse", totals)[0, 0] == pytest.approx(np.sqrt((finish("rmse", totals)[0, 1:] ** 2).mean()))
    share = what.masked[:, 0].sum() / what.known[:, 0].sum()
    assert finish("mae", totals)[1, 1] == pytest.approx(share * finish("mae", totals)[0, 1])
    np.testing.assert_allclose(finish("coverage", totals), 1)


def test_what_is_neither_hidden_nor_known_has_no_part_in_any_score() -> None:
    what = asked()
    image = restored(what)
    wild = np.where(what.masked, image, np.random.default_rng(3).normal(0, 100, image.shape))
    wild[~what.known] = np.nan
    first, second = restoration_sums(image, what), restoration_sums(wild, what)
    for name, values in first.sums.items():
        assert np.isfinite(values).all(), name
        np.testing.assert_allclose(second.sums[name], values, rtol=1e-10, atol=1e-12, err_msg=name)


def test_a_perfect_image_has_no_error_and_another_unit_of_range_moves_psnr_alone() -> None:
    what = asked()
    totals = restoration_sums(np.nan_to_num(what.truth), what).totals()
    for metric, value in {"mae": 0, "rmse": 0, "psnr": np.inf, "ssim": 1, "sam": 0}.items():
        assert finish(metric, totals)[:, 0] == pytest.approx([value, value])
    totals = restoration_sums(restored(what), what).totals()
    twice = finish("psnr", totals, 2.0) - finish("psnr", totals, 1.0)
    np.testing.assert_allclose(twice, 10 * np.log10(4))


@given(seed=st.integers(0, 99), cut=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_samples_add_up(seed: int, cut: int) -> None:
    what = asked(seed=seed, side=16)
    image = restored(what, seed)
    parts = [
        restoration_sums(image[s], Asked(what.truth[s], what.masked[s], what.known[s], what.channels, what.places[s]))
        for s in (slice(0, cut), slice(cut, 4))
    ]
    whole, joined = restoration_sums(image, what), concatenate(parts)
    assert joined.places == whole.places
    for name, values in whole.sums.items():
        np.testing.assert_allclose(joined.sums[name], values, rtol=1e-12, atol=1e-14, err_msg=name)


def test_entries_are_compared_on_the_pixels_that_all_have_and_tell_their_own_coverage() -> None:
    what = asked()
    image = restored(what)
    gaps = np.random.default_rng(5).random(image.shape) < 0.25
    holey = np.where(gaps, np.nan, image)
    holey[0, 0, 0, 0] = np.inf
    found = score({"test": image, "last_clear": holey}, what)
    common = shared({"a": image, "b": holey}) & what.masked
    np.testing.assert_array_equal(found["test"].sums["count"][:, 0], common.sum(axis=(-2, -1)))
    for name in ("absolute", "ssim", "angle"):
        np.testing.assert_allclose(found["test"].sums[name], found["last_clear"].sums[name], err_msg=name)
    own = (np.isfinite(holey) & what.masked).sum() / what.masked.sum()
    assert finish("coverage", found["last_clear"].totals())[0, 0] == pytest.approx(own, abs=0.01)
    assert finish("coverage", found["test"].totals())[0, 0] == 1


def test_ssim_is_the_usual_one_where_the_window_is_whole() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 256, (3, 40, 30)).astype(np.uint8) for _ in range(2))
    found = ssim_map(x.astype(float), y.astype(float), np.ones(x.shape, bool), 255.0)
    usual = ssim_8bit(np.moveaxis(x, 0, -1), np.moveaxis(y, 0, -1))
    assert found[:, 5:-5, 5:-5].mean() == pytest.approx(usual, abs=1e-9)


@pytest.mark.parametrize("place", [(0, 0), (3, 19), (10, 10)])
def test_ssim_beside_borders_and_unknown_pixels_is_that_of_the_known_part_of_its_window(place: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    x, y, known = rng.random((20, 20)), rng.random((20, 20)), rng.random((20, 20)) < 0.7
    known[place] = True
    found = ssim_map(np.where(known, x, np.nan), np.where(known, y, 1e3), known)
    rows, cols = np.indices(x.shape)
    away = np.stack([rows - place[0], cols - place[1]])
    weight = np.exp(-(away**2).sum(axis=0) / (2 * 1.5**2)) * known * (np.abs(away).max(axis=0) <= 5)
    weight /= weight.sum()
    mean_x, mean_y = (weight * x).sum(), (weight * y).sum()
    (var_x, both), (_, var_y) = np.cov(x.ravel(), y.ravel(), aweights=weight.ravel(), ddof=0)
    top, bottom = (
        (2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4),
        (mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4),
    )
    assert found[place] == pytest.approx(top / bottom)
    np.testing.assert_array_equal(np.isnan(found), ~known)


def test_ssim_of_masked_pixels_is_the_mean_of_the_map_there() -> None:
    what = asked(1)
    image = restored(what)
    pasted = np.where(what.masked, image, np.nan_to_num(what.truth))
    found = ssim_map(pasted, np.nan_to_num(what.truth), what.known)
    totals = restoration_sums(image, what).totals()
    assert finish("ssim", totals)[0, 1] == pytest.approx(found[0, 0][what.masked[0, 0]].mean())
    assert finish("ssim", totals)[1, 1] == pytest.approx(found[0, 0][what.known[0, 0]].mean())
    assert finish("ssim", totals)[1, 1] > finish("ssim", totals)[0, 1]


def test_angles_between_spectra() -> None:
    x = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]])[..., None]
    y = np.array([[3.0, 1.0, 1.0, 1.0], [0.0, 1e-9, 0.0, 1.0]])[..., None]
    known = np.ones(x.shape, bool)
    found = angle_map(x, y, known)[:, 0]
    assert found[0] == 0 and found[1] == pytest.approx(np.degrees(1e-9)) and found[2] == pytest.approx(90)
    assert np.isnan(found[3]), "a spectrum without length has no direction"
    assert np.isnan(angle_map(x, y, known & (np.arange(2) > 0)[:, None, None])).all()
    assert np.isnan(angle_map(x[:1], y[:1], known[:1])).all()


def test_nothing_hidden_is_a_missing_number_and_never_zero() -> None:
    what = asked()
    nothing = replace(what, masked=np.zeros_like(what.masked))
    totals = restoration_sums(restored(what), nothing).totals()
    for metric in ("mae", "rmse", "psnr", "ssim", "sam", "coverage"):
        assert np.isnan(finish(metric, totals)[0]).all(), metric
    empty = restoration_sums(np.full(what.truth.shape, np.nan), what).totals()
    assert np.isnan(finish("mae", empty)[0]).all() and (finish("coverage", empty) == 0).all()


def test_gains_are_paired_and_above_zero_where_the_model_is_better() -> None:
    what = asked(12, 16)
    found = compare_restorations(
        score({"test": restored(what, 1, 0.01), "linear": restored(what, 2, 0.03)}, what), draws=200
    )
    assert found["linear/mae_gain/masked"] == pytest.approx(found["linear/mae/masked"] - found["test/mae/masked"])
    assert found["linear/psnr_gain/all"] == pytest.approx(found["test/psnr/all"] - found["linear/psnr/all"])
    assert 0 < found["linear/mae_gain_low/masked"] < found["linear/mae_gain/masked"]
    assert found["test/mae_low/masked/red"] < found["test/mae/masked/red"] < found["test/mae_high/masked/red"]
    assert "test/sam/masked" in found and "test/sam/masked/red" not in found and "linear/bias_gain/all" not in found
    assert json.loads(json.dumps(found)) == found


def test_one_place_has_no_interval_and_other_pixels_are_not_compared() -> None:
    what = asked(2)
    sums = restoration_sums(restored(what), what)
    found = compare_restorations({"test": sums}, ("mae",), draws=20)
    assert np.isfinite(found["test/mae/masked"]) and np.isnan(found["test/mae_low/masked"])
    holey = np.where(np.random.default_rng(0).random(what.truth.shape) < 0.5, np.nan, restored(what))
    with pytest.raises(GeoadaptError, match="different pixels"):
        compare_restorations({"test": sums, "mean": restoration_sums(holey, what)})
    with pytest.raises(GeoadaptError, match="did you mean 'test'"):
        compare_restorations({"test": sums}, model="tests")
    with pytest.raises(GeoadaptError, match="expected"):
        restoration_sums(restored(what)[:1], what)
    with pytest.raises(GeoadaptError, match="'mad' is unknown"):
        finish("mad", sums.totals())


def test_a_batch_asks_for_what_was_hidden_and_knows_what_it_shows() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((3, 2, 8, 8)).astype(np.float32)
    clear, hidden = rng.random((3, 8, 8)) < 0.8, rng.random((8, 8)) < 0.5
    days = np.datetime64("2020-01-01", "s") + np.arange(3) * np.timedelta64(5, "D")
    series = Series("place", values, clear, days, ("red", "nir"))
    what = asked_of(series_batch([Sample(series, 1, hidden)]))
    np.testing.assert_array_equal(what.masked[0, 0], hidden & clear[1])
    np.testing.assert_array_equal(what.known[0, 1], clear[1])
    np.testing.assert_array_equal(what.truth[0][:, clear[1]], values[1][:, clear[1]])
    assert what.places == ("place",) and what.channels == ("red", "nir")


@pytest.mark.parametrize(("gain", "offset"), [(1.5, 0.0), (1.0, 0.05)])
def test_stretched_scores_do_not_see_a_gain_or_an_offset_that_radiometry_sees(gain: float, offset: float) -> None:
    truth = np.random.default_rng(0).uniform(0.02, 0.1, (1, 3, 32, 32))
    wrong = gain * truth + offset
    found = stretched_scores(wrong, truth, "sen2_mtc_new")
    assert found["psnr"][0] > 40 and found["ssim"][0] > 0.99
    what = Asked(truth, np.ones(truth.shape, bool), np.ones(truth.shape, bool), BANDS, ("p",))
    found_mae = finish("mae", restoration_sums(wrong, what).totals())[0, 0]
    assert found_mae == pytest.approx((gain - 1) * truth.mean() + offset) and found_mae > 0.02


def test_stretched_scores_of_flat_incomplete_and_small_images() -> None:
    flat = np.full((2, 4, 16, 16), 0.1)
    holey = flat.copy()
    holey[1, 2, 3, 4] = np.nan
    found = stretched_scores(holey, flat, "sen2_mtc_new")
    assert np.isinf(found["psnr"][0]) and np.isnan(found["psnr"][1]) and np.isnan(found["ssim"][1])
    with pytest.raises(GeoadaptError, match="did you mean 'sen2_mtc_"):
        stretched_scores(flat, flat, "sen2_mtc")
    with pytest.raises(GeoadaptError, match="need more than 10"):
        stretched_scores(flat[..., :10], flat[..., :10], "sen2_mtc_old")
    with pytest.raises(GeoadaptError, match="expected two"):
        stretched_scores(flat[:, :2], flat[:, :2], "sen2_mtc_old")
