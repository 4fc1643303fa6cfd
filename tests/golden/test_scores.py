"""Scores against numbers of ChaosBench, WeatherBench-X, CREDIT and Prithvi WxC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.catalogue import finish
from geoadapt.metrics.forecast import unnormalised
from geoadapt.metrics.precipitation import seeps_map
from geoadapt.metrics.similarity import ms_ssim
from geoadapt.metrics.spectral import amplitude_error, power_error, spectral_distances
from geoadapt.metrics.statistics import Totals
from tests.golden.vectors import Vectors, assert_close, cases

WBX = {
    "rmse": "rmse",
    "bias": "bias",
    "mae": "mae",
    "acc": "acc",
    "activity": "activity",
    "crps_fair": "crps",
    "crps_unfair": "crps_plain",
    "unbiased_ens_rmse": "unbiased_rmse",
    "ssr": "spread_skill",
    "rmv": "spread",
    "energy_lon_fair": "energy",
    "rank_hist": "rank_histogram",
    "fss": "fss",
}
WINDOWS = (1, 3, 5)
CHAOS = {
    "rmse": "rmse",
    "bias": "bias",
    "mae": "mae",
    "acc": "acc",
    "crps": "crps_plain",
    "crpss": "crpss",
    "spread": "mean_spread",
    "ssr": "mean_spread_skill",
}


def results(vectors: Vectors) -> Iterator[str]:
    yield from (name for name in vectors.meta["results"] if not name.endswith("_dims"))


def arrays(vectors: Vectors) -> Iterator[str]:
    yield from (n for n in vectors.names() if n.startswith(("lat_", "spectral", "psd")) or n.endswith("_mse"))


@lru_cache(maxsize=4)
def wbx_totals(path: Any, weights: str) -> Totals:
    vectors = Vectors(path, json.loads(path.read_text(encoding="utf-8")))
    init = np.array(vectors.meta["init"], "datetime64[ns]")
    a = vectors.arrays
    leads = np.arange(a["obs"].shape[1]).astype("timedelta64[h]")
    scored = Accumulator(
        ["x"],
        a["lat"],
        a["lon"],
        leads,
        scores=tuple(WBX.values()),
        weights=weights,
        thresholds={"x": [0.5]},
        windows=WINDOWS,
    )
    for n in range(leads.size):
        members = a["ens"][:, :, n].swapaxes(0, 1)[:, :, None]
        scored.add(init, n, members, a["obs"][:, n][:, None], a["clim_aligned"][:, n][:, None])
    return scored.statistics().totals()


@pytest.mark.parametrize(("vectors", "case"), cases("metrics_wbx", results))
def test_scores_are_those_of_weatherbench_x(vectors: Vectors, case: str) -> None:
    name = case.removesuffix("_unweighted")
    totals = wbx_totals(vectors.path, "area" if name == case else "none")
    got = finish("rmse", totals) ** 2 if name == "mse" else finish(WBX[name], totals)
    wanted = np.asarray(vectors.meta["results"][case])
    # The public code takes the neighbourhoods' means in float32.
    tolerance = 5e-8 if name == "fss" else 1e-10
    assert_close(got[:, 0, 0].reshape(wanted.shape), wanted, atol=tolerance, rtol=tolerance, what=case)


@pytest.mark.parametrize(("vectors", "case"), cases("metrics_wbx", lambda _: iter(["seeps", "weights"])))
def test_seeps_and_weights_are_those_of_weatherbench_x(vectors: Vectors, case: str) -> None:
    from geoadapt.metrics.weights import latitude_weights

    a = vectors.arrays
    if case == "weights":
        got, wanted = latitude_weights(a["lat"], "area"), a["weights"]
        assert_close(got / got.mean(), wanted / wanted.mean(), atol=1e-10, rtol=1e-10, what=case)
        return
    got = seeps_map(a["seeps_pred"], a["seeps_obs"], a["seeps_p1"], a["seeps_thr"])
    assert (np.isnan(got) == np.isnan(a["seeps_out"])).all()
    assert_close(np.nan_to_num(got), np.nan_to_num(a["seeps_out"]), atol=1e-10, rtol=1e-10, what=case)


def chaos_fields(vectors: Vectors, missing: bool) -> dict[str, np.ndarray]:
    """In units of the data, (b, …, h, w); ``pred`` is the first member, with the hole where it is asked for."""
    fields = {name.removesuffix("10"): values / 10 for name, values in vectors.arrays.items()}
    fields["pred"] = fields["ens"][:, 0].copy()
    if missing:
        fields["pred"][0, 5:9, 10:20] = np.nan
    return fields


def chaos_score(vectors: Vectors, name: str, missing: bool, weights: str) -> float:
    fields = chaos_fields(vectors, missing)
    b, h, w = fields["targ"].shape
    latitude = np.linspace(90, -90, h)
    dates = np.datetime64("2022-01-01", "ns") + np.arange(b) * np.timedelta64(1, "D")
    ensemble = name in ("crps", "crpss", "spread", "ssr")
    scored = Accumulator(
        ["x"],
        latitude,
        np.arange(w) * (360 / w),
        [np.timedelta64(1, "D")],
        scores=[CHAOS[name]],
        weights="none" if name == "acc" else weights,
        missing="skip" if missing else "propagate",
    )
    forecast = fields["ens"][:, :, None] if ensemble else fields["pred"][:, None]
    climate = {"climatology": fields["clim_mean"][:, None], "sigma": fields["clim_sigma"][:, None]}
    scored.add(dates, 0, forecast, fields["targ"][:, None], **(climate if name in ("acc", "crpss") else {}))
    return float(finish(CHAOS[name], unnormalised(scored.statistics().totals()))[0, 0, 0])


def chaos_structure(vectors: Vectors, case: str) -> float:
    fields = chaos_fields(vectors, "_nan" in case)
    name, _, rest = case.partition("_")
    if name == "msssim":
        forecast = fields["ens"].mean(axis=1) if rest == "ensmean" else fields["pred"]
        return float(ms_ssim(forecast, fields["targ"]).mean())
    pair = fields["pred"][:, None], fields["targ"][:, None]
    if rest.endswith("2ch"):
        pair = fields["ens"][:, :2], np.stack([fields["targ"], fields["ens"][:, 2]], axis=1)
    share = float(rest.partition("_p")[2] or vectors.meta["percentile"])
    found = spectral_distances(*pair, None if rest.startswith("train") else share)
    return found[name == "specres"]


@pytest.mark.parametrize(("vectors", "case"), cases("metrics_chaosbench", results))
def test_scores_are_those_of_chaosbench(vectors: Vectors, case: str) -> None:
    name, *rest = case.split("_")
    if name in CHAOS:
        assert set(rest) <= {"nan", "lat", "nolat"}, f"an option that this test does not know: {case}"
        got = chaos_score(vectors, name, "nan" in rest, "none" if "nolat" in rest else "cos")
    else:
        got = chaos_structure(vectors, case)
    wanted = np.asarray(vectors.meta["results"][case])
    assert_close(got, wanted, atol=0, rtol=2e-6, what=case)


@pytest.mark.parametrize(("vectors", "case"), cases("wx_losses", arrays))
def test_errors_are_the_losses_of_credit_and_prithvi(vectors: Vectors, case: str) -> None:
    a = vectors.arrays
    found: Mapping[str, Any] = loss_values(a, "_w" in case)
    assert_close(found[case.removesuffix("_w")], a[case], atol=0, rtol=2e-6, what=case)


def loss_values(a: dict[str, np.ndarray], weighted: bool) -> dict[str, float]:
    """By name, of arrays (b, c, 1, h, w)."""
    forecast, truth = a["pred"][:, :, 0], a["target"][:, :, 0]
    b, c, _, w = truth.shape
    dates = np.datetime64("2022-01-01", "ns") + np.arange(b) * np.timedelta64(1, "D")
    scored = Accumulator(
        [f"v{i}" for i in range(c)], a["lat"], np.arange(w) * (360 / w), [np.timedelta64(6, "h")], scores=["rmse"]
    )
    scored.add(dates, 0, forecast.astype(np.float64), truth)
    squares = finish("rmse", scored.statistics().totals())[0, 0] ** 2
    cosines = np.cos(np.deg2rad(a["lat"].astype(np.float64)))
    weights = cosines / cosines.mean() if weighted else None
    return {
        "lat_mse": squares.mean(),
        "lat_var_mse": (squares * a["var_weights"]).mean(),
        "prithvi_normalized_mse": (squares * a["prithvi_feature_weights"]).mean() * cosines.mean(),
        "spectral": amplitude_error(forecast, truth, 3, weights),
        "psd": power_error(forecast, truth, 3, weights),
    }
