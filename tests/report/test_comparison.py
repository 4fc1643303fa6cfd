"""Images side by side: one stretch for all, taken from the clear reference; grey and errors as the legend says."""

from __future__ import annotations

import re

import numpy as np

from geoadapt.report.comparison import comparison, heat, key, same_stretch, top_of
from geoadapt.report.pictures import maps
from geoadapt.report.quicklook import MISSING, limits

CHANNELS = ("blue", "green", "red")


def truth() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.03, 0.25, (3, 40, 40)).astype(np.float32)


def test_equal_reflectance_has_one_colour_whatever_else_an_image_shows() -> None:
    cloudy, restored = truth(), truth()
    cloudy[:, :20] = 0.8
    restored[:, 30:] = np.nan
    before, after, known = same_stretch([cloudy, restored, truth()], CHANNELS, truth())
    assert np.array_equal(before[20:], known[20:]) and np.array_equal(after[:30], known[:30])
    assert (before[:20] == 255).all() and (after[30:] == MISSING).all()


def test_the_stretch_ends_at_2_and_98_percent_of_what_is_known() -> None:
    holed = truth()
    holed[:, :10] = np.nan
    between = limits(holed, CHANNELS, clear=True)
    assert between is not None and np.allclose(between, np.percentile(truth()[:, 10:], [2, 98]), atol=1e-6)
    assert limits(np.full((3, 4, 4), np.nan), CHANNELS, clear=True) is None


def test_errors_of_all_rows_share_a_range_that_the_legend_tells() -> None:
    small, large = np.full((3, 10, 10), 0.01), np.full((3, 10, 10), 0.04)
    large[:, 0] = np.nan
    large[0, 1] = np.nan
    top = top_of([small, large])
    assert top == 0.04
    entries = key("missing", top)
    assert [info.name for info in entries] == ["missing", "error 0.000", "error 0.020", "error 0.040 or more"]
    colour = {info.name: info.colour for info in entries}
    assert tuple(heat(np.full((1, 1), 0.04), top)[0, 0]) == colour["error 0.040 or more"]
    assert tuple(heat(np.full((1, 1), 0.02), top)[0, 0]) == colour["error 0.020"]
    assert tuple(heat(np.full((1, 1), np.nan), top)[0, 0]) == colour["missing"] == MISSING
    assert [info.name for info in key("missing", top_of([np.full((3, 4, 4), np.nan)]))] == ["missing"]


def test_a_row_names_every_picture_and_keeps_their_order() -> None:
    row = comparison(
        "place, 2021-06-01",
        "a note",
        {"before": truth(), "restored": truth()},
        CHANNELS,
        reference=truth(),
        errors={"error": np.full((3, 40, 40), 0.01), "expected error": np.full((3, 40, 40), np.nan)},
        top=0.01,
    )
    html = str(maps([row], key("missing", 0.01)))
    labels = ["before", "restored", "error", "expected error"]
    assert re.findall(r'alt="([^"]+)"', html) == [f"place, 2021-06-01: {label}" for label in labels]
    assert re.findall(r"<figcaption>([^<]+)", html) == labels
    assert "error 0.010 or more" in html and len(set(re.findall(r"base64,([^\"]+)", html))) == 3
