"""The scorecard: percent against a baseline in the cell, a mark only where the interval is sure, legible everywhere."""

from __future__ import annotations

import math
import re
from importlib.resources import files
from itertools import pairwise

import pytest

from geoadapt.report.scorecard import Change, ScoreRow, change, channel_rows, control_rows, scorecard

KEY = "temperature@850/24h"


def metrics(
    own: float = 1.5, other: float = 2.0, low: float = 0.2, high: float = 0.8, key: str = KEY
) -> dict[str, float]:
    return {
        f"test/rmse/{key}": own,
        f"persistence/rmse/{key}": other,
        f"persistence/rmse_gain/{key}": other - own,
        f"persistence/rmse_gain_low/{key}": low,
        f"persistence/rmse_gain_high/{key}": high,
    }


def cells(html: str) -> list[str]:
    return re.findall(r"<td[ >].*?</td>", html[html.index("<tbody>") :], flags=re.S)


def test_a_smaller_error_is_negative_percent_of_the_baseline_and_its_interval_turns_round() -> None:
    found = change(metrics(), "persistence", KEY)
    assert found == Change(-25.0, -40.0, -10.0, "1.500")
    assert found.sure


@pytest.mark.parametrize(
    ("low", "high", "sure"),
    [(0.1, 0.9, True), (-0.9, -0.1, True), (-0.1, 0.9, False), (0.0, 0.9, False), (math.nan, math.nan, False)],
)
def test_the_mark_says_that_the_paired_interval_excludes_zero(low: float, high: float, sure: bool) -> None:
    row = ScoreRow("temperature", "850 hPa", (change(metrics(low=low, high=high), "persistence", KEY),))
    (cell,) = cells(str(scorecard([row], [24], "card")))
    assert ("●" in cell) is sure
    assert ("sure" in cell) is sure, "what a dot shows must be said as well"
    assert "−25.0 %" in cell and "<small>1.500</small>" in cell


def test_rows_stand_by_variable_then_level_and_columns_by_lead() -> None:
    channels = ("temperature@850", "geopotential@500", "temperature@500", "2m_temperature")
    found = metrics() | metrics(key="geopotential@500/72h", own=100.0, other=80.0, low=-30.0, high=-10.0)
    rows = channel_rows(found, "persistence", channels, (24, 72))
    assert [(r.variable, r.level) for r in rows] == [
        ("Temperature", "850 hPa"), ("Temperature", "500 hPa"), ("Geopotential", "500 hPa"), ("2m temperature", ""),
    ]  # fmt: skip
    html = str(scorecard(rows, (24, 72), "card"))
    assert re.findall(r'scope="col">(.*?)<', html) == ["Day 1", "Day 3"]
    assert re.findall(r'scope="rowgroup" rowspan="(\d)"(?: colspan="2")?>(.*?)<', html) == [
        ("2", "Temperature"), ("1", "Geopotential"), ("1", "2m temperature"),
    ]  # fmt: skip
    told = cells(html)
    assert len(told) == 8
    assert "−25.0 %" in told[0] and 'class="lower"' in told[0]
    assert "+25.0 %" in told[5] and 'class="higher"' in told[5]
    assert all('class="unknown"' in told[i] and "–" in told[i] for i in (1, 2, 3, 4, 6, 7)), "missing is not zero"


def test_one_channel_stands_against_every_control_with_the_controls_own_score() -> None:
    (row,) = control_rows(metrics(), {"persistence": "persistence"}, "temperature@850", (24,))
    assert row == ScoreRow("persistence", "", (Change(-25.0, -40.0, -10.0, "2.000"),))


def test_a_region_has_its_own_scores() -> None:
    found = metrics() | metrics(key=f"{KEY}/tropics", own=3.0)
    (whole,), (tropics,) = (channel_rows(found, "persistence", ["temperature@850"], [24], p) for p in ("", "tropics"))
    assert (whole.cells[0].percent, tropics.cells[0].percent) == (-25.0, 50.0)


def test_colours_grow_with_the_difference_and_end_at_fifty_percent() -> None:
    percents = (0.5, 2.0, 10.0, 30.0, 50.0, 400.0)
    html = str(scorecard([ScoreRow("a", "", tuple(Change(p) for p in percents))], [24 * i for i in range(1, 7)], "c"))
    shares = [float(s) for s in re.findall(r"--share: ([\d.]+)", "".join(cells(html)))]
    assert all(a < b for a, b in pairwise(shares[:5]))
    assert shares[4:] == [1.0, 1.0]


def test_a_cell_that_rounds_to_zero_shows_no_minus() -> None:
    (cell,) = cells(str(scorecard([ScoreRow("a", "", (Change(-0.01),))], [24], "c")))
    assert "+0.0 %" in cell


def test_without_any_number_there_is_no_card() -> None:
    assert "no numbers" in scorecard([ScoreRow("a", "", (Change(math.nan),))], [24], "card")


def test_names_are_escaped() -> None:
    html = str(scorecard([ScoreRow("<b>x", "<i>", (Change(1.0, note="<u>"),))], [24], "<script>"))
    assert "<script" not in html and "<b>x" not in html and "<i>" not in html and "<u>" not in html


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("side", ["lower", "higher"])
def test_words_on_the_strongest_colour_keep_a_contrast_of_4_5(scheme: int, side: str) -> None:
    css = files("geoadapt.report").joinpath("style.css").read_text(encoding="utf-8")
    mixing = re.search(r"calc\(var\(--share\) \* (\d+)%\), var\(--card\)", css.split(".lower, .higher")[1])
    assert mixing is not None
    strength = int(mixing.group(1))

    def colour(name: str) -> tuple[float, ...]:
        code = re.findall(rf"--{name}: #(\w{{6}})", css)[scheme]
        return tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))

    pairs = zip(colour(side), colour("card"), strict=True)
    mixed = tuple((strength * a + (100 - strength) * b) / 100 for a, b in pairs)
    ends = sorted((_luminance(mixed), _luminance(colour("ink"))))
    assert (ends[1] + 0.05) / (ends[0] + 0.05) >= 4.5
