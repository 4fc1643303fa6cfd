"""Spectra: how much of the truth's small scales is kept, in numbers and in a log–log chart."""

from __future__ import annotations

import re

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.report.spectra import Spectra, kept_table, spectra_chart

K = np.arange(1.0, 31)
TRUTH = np.stack([1e6 * K**-3.0] * 2)
NAMES = {"test": "this model", "persistence": "persistence", "climatology": "climatology"}
LEADS = (24.0, 72.0)


def spectra() -> Spectra:
    blurred = TRUTH * np.where(K > 20, 0.25, 1.0)
    return Spectra(K, {"truth": TRUTH, "test": blurred * np.array([[1.0], [0.5]]), "persistence": TRUTH})


def test_what_is_kept_is_counted_in_the_smallest_third_of_the_scales() -> None:
    found = spectra()
    assert found.kept("test", 0) == pytest.approx(0.25)
    assert found.kept("test", 1) == pytest.approx(0.125)
    assert found.kept("persistence", 1) == 1


def test_the_table_and_the_chart_say_the_same() -> None:
    text = str(kept_table(spectra(), NAMES, LEADS, LEADS))
    assert "0.250" in text and "0.125" in text and "1.000" in text and "climatology" not in text
    assert '<tr class="own"><th scope="row">this model' in text
    chart = str(spectra_chart(spectra(), NAMES, LEADS, [72.0], "Pa", "Power."))
    assert "at day 3, this model keeps 0.12; persistence keeps 1.00" in chart
    assert ">Day 3<" in chart and ">Day 1<" not in chart and "the truth" in chart and "climatology" not in chart


def test_both_axes_are_logarithmic() -> None:
    chart = str(spectra_chart(spectra(), {"test": "m"}, LEADS, [24.0], "Pa", "Power."))
    assert all(f">{t}<" in chart for t in (1, 2, 5, 10, 20)), "ticks at 1, 2, 5, 10 and 20"
    path = next(p for p in re.findall(r'd="([^"]+)"', chart) if p.count("L ") == len(K) - 1)
    points = np.array([[float(v) for v in pair.split()] for pair in re.findall(r"[ML] ([\d.]+ [\d.]+)", path)])
    slopes = np.diff(points[:, 1]) / np.diff(points[:, 0])
    assert np.allclose(slopes, slopes[0], rtol=1e-3), "a power law is a straight line"


def test_spectra_need_a_truth_and_wavenumbers_above_zero() -> None:
    with pytest.raises(GeoadaptError, match="expected truth"):
        Spectra(K, {"test": TRUTH})
    with pytest.raises(GeoadaptError, match="log axes have no zero"):
        Spectra(K - 1, {"truth": TRUTH})
    with pytest.raises(GeoadaptError, match=r"expected \(lead, k\) = \(2, 30\)"):
        Spectra(K, {"truth": TRUTH, "test": TRUTH[0]})


@pytest.mark.parametrize("power", [0.0, np.nan])
def test_a_forecast_without_power_is_no_line_and_no_reason_to_fail(power: float) -> None:
    found = Spectra(K, {"truth": TRUTH, "test": TRUTH, "climatology": np.full_like(TRUTH, power)})
    chart = str(spectra_chart(found, NAMES, LEADS, LEADS, "Pa", "Power."))
    assert ">this model<" in chart and ">climatology<" not in chart
    kept = found.kept("climatology", 0)
    assert kept == 0 if power == 0 else np.isnan(kept)


def test_a_truth_that_is_unknown_is_said_to_be() -> None:
    found = Spectra(K, {"truth": TRUTH * np.nan, "test": TRUTH})
    assert "this model keeps –" in spectra_chart(found, NAMES, LEADS, LEADS, "Pa", "Power.")
